"""A cloud that consists of what its lists hold, as far as looking goes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from providers.base import Context, Mark, Scope, Snapshot, TransientError
from providers.openstack.cloud import Cloud, Service
from providers.openstack.errors import Gone
from providers.openstack.provider import OpenStack
from providers.openstack.settings import Settings
from specs.model import Address, Binding, Site

REPOSITORY = "0123456789ab"
SITE = "bristol"
PROJECT = "project-1"
OUT_OF_ORDER = "out of order"
"""Stands in the place of a list that cannot be read."""
_SCOPE = Scope(repository=REPOSITORY, site=SITE, wanted={}, unmanaged=True)


def mark(kind: str, node: str, site: str = SITE, digest: str = "d1") -> Mark:
    """Give the mark of an object of a node."""
    return Mark(REPOSITORY, Address(f"{site}/shop/{node}@dc-1.0:openstack.{kind}"), digest)


class Lists(Cloud):
    """Answers every question for a list with the rows it was given for it."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.answers: Mapping[str, Any] = {}
        """The last word of a path, e.g. `ports` → rows; rows under that word are what it answers."""

    @property
    def project(self) -> str:
        return PROJECT

    def has(self, service: Service) -> bool:
        return service is not Service.STACK

    def extensions(self) -> frozenset[str]:
        return frozenset({"router", "security-group", "qos", "sfc"})

    def fetch(self, service: Service, method: str, path: str, *, doing: str, **more: object) -> bytes:
        plain, _, query = path.partition("?")
        name = plain.removesuffix("/detail").rpartition("/")[2].removeprefix("os-").replace("-", "_")
        rows = self.answers.get(name, []) if "offset" not in query or "offset=0" in query else []
        if rows == OUT_OF_ORDER:
            raise TransientError(f"cannot {doing}: it is {rows}")
        if plain.count("/") > 1 and name.isdigit():
            raise Gone(f"there is no {name}")
        return json.dumps({name: rows} if isinstance(rows, list) else rows).encode()


class Looker:
    """A provider over such a cloud."""

    def __init__(self) -> None:
        binding = Binding(name="city", plugin="openstack")
        site = Site(name=SITE, bindings={"city": binding})
        self._clouds: list[Lists] = []
        self._provider = OpenStack(Context(binding=binding, site=site, state_dir=Path()), self._connect)

    def _connect(self, settings: Settings) -> Cloud:
        self._clouds.append(Lists(settings))
        return self._clouds[0]

    def look(self, answers: Mapping[str, Any]) -> Snapshot:
        """Look at a cloud that answers this."""
        self._clouds[0].answers = answers
        return self._provider.observe(_SCOPE)

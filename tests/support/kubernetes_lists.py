"""An API server that consists of what its lists hold, as far as looking goes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from providers.base import Context, Mark, Scope, Snapshot
from providers.kubernetes.connection import Call, Connection
from providers.kubernetes.naming import mark_annotations, mark_labels
from providers.kubernetes.provider import Kubernetes
from providers.kubernetes.settings import Access
from specs.model import Address, Binding, Capacity, Cluster, Resource, Site, Tier

REPOSITORY = "r"
SITE = "bristol"
_GROUPS = {
    "groups": [
        {"name": name, "versions": [{"version": version}]}
        for name, version in {"apps": "v1", "autoscaling": "v2", "policy": "v1", "networking.k8s.io": "v1"}.items()
    ]
}


def address(kind: str, name: str, site: str = SITE) -> Address:
    """Give the address of an object on the one cluster there is."""
    return Address(f"{site}/shop/{name}@edge-1:kubernetes.{kind}")


def marked(where: Address, digest: str = "d1") -> dict[str, Any]:
    """Give the metadata of an object that carries our mark."""
    mark = Mark(REPOSITORY, where, digest)
    return {"labels": mark_labels(mark), "annotations": mark_annotations(mark)}


class Lists(Connection):
    """Answers with the items it was given; what is applied on trial is what would be there."""

    def __init__(self, access: Access) -> None:
        super().__init__(access)
        self.items: Mapping[str, Any] = {}
        """Resource, e.g. `deployments` → objects, or bytes that are the whole answer."""

    def fetch(self, call: Call) -> bytes:
        if call.path == "/apis":
            return json.dumps(_GROUPS).encode()
        if call.method == "PATCH":
            return json.dumps(call.body).encode()
        found = self.items.get(call.path.rpartition("/")[2], [])
        if isinstance(found, bytes):
            return found
        return json.dumps({"metadata": {"resourceVersion": "7"}, "items": found}).encode()


class Looker:
    """A provider over such a server."""

    def __init__(self) -> None:
        binding = Binding(name="edge", plugin="kubernetes")
        cluster = Cluster(name="edge-1", tier=Tier.EDGE, location="", capacity=Capacity(), binding="edge")
        site = Site(name=SITE, bindings={"edge": binding}, clusters={"edge-1": cluster})
        self._servers: list[Lists] = []
        context = Context(binding=binding, site=site, state_dir=Path())
        self._provider = Kubernetes(context, connect=self._connect)

    def _connect(self, access: Access) -> Connection:
        self._servers.append(Lists(access))
        return self._servers[0]

    def look(self, items: Mapping[str, Any], wanted: Mapping[Address, Resource]) -> Snapshot:
        """Look at a server that holds these."""
        self._servers[0].items = items
        return self._provider.observe(Scope(repository=REPOSITORY, site=SITE, wanted=wanted))

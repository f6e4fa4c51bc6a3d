"""What an API server offers: the newest version of each resource that we can write."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from providers.kubernetes.connection import Call, Connection
from providers.kubernetes.errors import Gone
from providers.kubernetes.kinds import BY_RESOURCE, FORMS, Form


class Served(Struct, frozen=True):
    """A resource as one server offers it."""

    form: Form
    version: str
    """Without the group."""

    @property
    def api_version(self) -> str:
        """As manifests write it."""
        return f"{self.form.group}/{self.version}" if self.form.group else self.version

    def path(self, namespace: str = "", name: str = "") -> str:
        """Give the path of a collection or of one object."""
        root = f"/apis/{self.form.group}/{self.version}" if self.form.group else f"/api/{self.version}"
        inside = f"/namespaces/{quote(namespace)}" if namespace and self.form.namespaced else ""
        return f"{root}{inside}/{self.form.resource}" + (f"/{quote(name, safe='')}" if name else "")


class Discovery:
    """Asks a server once what it has; a kind that was not there is asked for again."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._groups: dict[str, list[str]] = {}
        """Group → versions, the server's preferred first."""
        self._resources: dict[tuple[str, str], list[Any]] = {}
        """Group and version → resources."""

    def of_kind(self, kind: str) -> Served:
        """Find one of our own kinds; `Gone` if the server has it in no version we can write."""
        form = FORMS[kind]
        offered = self._versions(form.group)
        for version in form.versions:
            if version in offered:
                return Served(form, version)
        raise Gone(f"{self._connection.access} has no {form.id} of {' or '.join(form.versions)}")

    def of_object(self, api_version: str, kind: str) -> Served:
        """Find what a manifest names by version and kind; `Gone` if the server does not know it (yet)."""
        group, _, version = api_version.rpartition("/")
        for fresh in (False, True):
            for resource in self._listed(group, version, fresh=fresh):
                if resource["kind"] == kind and "/" not in resource["name"]:
                    return Served(_form(group, version, resource), version)
        raise Gone(f"{self._connection.access} has no {kind} of {api_version}; apply its definition first")

    def of_resource(self, name: str) -> Served:
        """Find a resource by its name with the group, e.g. `cronjobs.batch`; `Gone` if there is none."""
        if name in BY_RESOURCE:
            return self.of_kind(BY_RESOURCE[name].kind)
        plural, _, group = name.partition(".")
        for fresh in (False, True):
            for version in self._versions(group, fresh=fresh):
                for resource in self._listed(group, version, fresh=fresh):
                    if resource["name"] == plural:
                        return Served(_form(group, version, resource), version)
        raise Gone(f"{self._connection.access} has no {name}")

    def forget(self) -> None:
        """Ask anew next time."""
        with self._lock:
            self._groups.clear()
            self._resources.clear()

    def _versions(self, group: str, *, fresh: bool = False) -> list[str]:
        with self._lock:
            if fresh or not self._groups:
                found = self._connection.call(Call(path="/apis"))["groups"]
                self._groups = {"": ["v1"], **{item["name"]: list(_ordered(item)) for item in found}}
            return self._groups.get(group, [])

    def _listed(self, group: str, version: str, *, fresh: bool = False) -> list[Any]:
        with self._lock:
            key = (group, version)
            if fresh or key not in self._resources:
                path = f"/apis/{group}/{version}" if group else f"/api/{version}"
                try:
                    self._resources[key] = self._connection.call(Call(path=path)).get("resources") or []
                except Gone:
                    return []
            return self._resources[key]


def _ordered(group: Any) -> Iterable[str]:
    preferred = (group.get("preferredVersion") or {}).get("version")
    versions = [item["version"] for item in group["versions"]]
    return sorted(versions, key=lambda version: version != preferred)


def _form(group: str, version: str, resource: Any) -> Form:
    known = BY_RESOURCE.get(f"{resource['name']}.{group}" if group else resource["name"])
    return known or Form(
        kind="object",
        object=resource["kind"],
        group=group,
        versions=(version,),
        resource=resource["name"],
        namespaced=bool(resource["namespaced"]),
    )

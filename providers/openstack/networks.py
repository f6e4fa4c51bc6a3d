"""Makes, changes and removes what the network service keeps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Raw

from providers.base import Mark, PermanentError, Present
from providers.openstack.cloud import Cloud, Json, Service
from providers.openstack.errors import Gone, Missing
from providers.openstack.hand import must_be_free, must_be_ours
from providers.openstack.marks import read_sentence, sentence
from providers.openstack.neutron import FORMS, Form, health, limit_of, read, rule_of, written, written_rule
from providers.openstack.sight import Live, Names, Sight, shown
from specs.model import Resource
from specs.values import Properties, Value, digest

_NETWORK = Service.NETWORK
_OF_SERVICES = "network:"
"""How the owner of ports begins that the network service makes for itself."""


class NetworkHand:
    """One kind of the network service."""

    def __init__(self, cloud: Cloud, names: Names, form: Form) -> None:
        self._cloud = cloud
        self._names = names
        self._form = form

    # --- looking ---

    def rows(self, repository: str, *, everything: bool) -> list[Raw]:
        """List the objects of the project; marks are in descriptions, which no list can be filtered by."""
        if self._form.extension and self._form.extension not in self._cloud.extensions():
            return []
        return self._cloud.rows(_NETWORK, self._form.path, self._form.items, project_id=self._cloud.project)

    def mark(self, row: Json) -> Mark | None:
        """Read the mark in the description."""
        return read_sentence(row.get("description"))

    def name(self, row: Json) -> tuple[str, str]:
        """Give id and name; what the service made for itself has neither."""
        if str(row.get("device_owner", "")).startswith(_OF_SERVICES):
            return "", ""
        return str(row["id"]), str(row.get("name") or row.get("floating_ip_address") or "")

    def present(self, row: Json, mark: Mark, sight: Sight) -> Present:
        """Show an object."""
        attributes = self._form.attributes(row, sight)
        return shown(str(row["id"]), mark, read(self._form, row, sight), attributes, health(row))

    # --- working ---

    def create(self, resource: Resource, mark: Mark) -> Present:
        """Make the object and what hangs on it, or finish one that was begun."""
        if self._form.extension and self._form.extension not in self._cloud.extensions():
            raise Missing(
                f"cannot make {resource.address}: the network service has no extension {self._form.extension}"
            )
        text = sentence(mark)
        row = self._find(text)
        if row is None:
            body = written(self._form, resource.properties, self._outer(resource.properties), anew=True)
            row = self._call("POST", "", f"create {resource.address}", {**body, "description": text})
        return self._finished(row, resource, mark)

    def update(self, resource: Resource, current: Present, mark: Mark) -> Present:
        """Write every property that can be written, then set right what hangs on the object."""
        row = self._ours(current)
        if row is None:
            raise Gone(f"cannot update {resource.address}: {current.provider_id} is gone")
        body = written(self._form, resource.properties, self._outer(resource.properties), anew=False)
        body["description"] = sentence(mark)
        row = self._call("PUT", f"/{current.provider_id}", f"update {resource.address}", body)
        return self._finished(row, resource, mark)

    def delete(self, current: Present) -> Present | None:
        """Remove the object and what hangs on it."""
        row = self._ours(current)
        if row is None:
            return None
        doing = f"delete {current.address}"
        if self._form.kind == "router":
            for subnet in Live(self._cloud, self._names).interfaces(current.provider_id):
                self._interface("remove", current.provider_id, subnet, doing)
        try:
            self._cloud.call(_NETWORK, "DELETE", f"{self._form.path}/{current.provider_id}", doing=doing)
        except Gone:
            return None
        return None

    def adopt(self, resource: Resource, number: str, mark: Mark) -> Present:
        """Write the mark into the description of an object that has none."""
        row = self._get(number)
        if row is None:
            raise PermanentError(f"cannot adopt {number} as {mark.address}: there is no such {self._form.kind}")
        must_be_free(self.mark(row), mark, number)
        row = self._call("PUT", f"/{number}", f"adopt {mark.address}", {"description": sentence(mark)})
        return self.present(row, mark, Live(self._cloud, self._names))

    # --- what hangs on an object ---

    def _finished(self, row: Json, resource: Resource, mark: Mark) -> Present:
        sight = Live(self._cloud, self._names)
        doing = f"set up {resource.address}"
        match self._form.kind:
            case "security_group":
                changed = self._rules(row, resource.properties, doing)
            case "qos_policy":
                changed = self._limits(row, resource.properties, doing)
            case "router":
                changed = self._interfaces(row, resource.properties, sight, doing)
            case _:
                changed = False
        if changed:
            row = self._get(str(row["id"])) or row
        return self.present(row, mark, sight)

    def _rules(self, row: Json, properties: Properties, doing: str) -> bool:
        there = {digest(rule_of(rule)): rule for rule in row["security_group_rules"]}
        wanted = {digest(rule): rule for rule in _mappings(properties.get("rules"))}
        new = [
            written_rule(rule) | {"security_group_id": row["id"]} for key, rule in wanted.items() if key not in there
        ]
        old = [rule for key, rule in there.items() if key not in wanted]
        if new:
            self._cloud.call(_NETWORK, "POST", "/security-group-rules", doing=doing, body={"security_group_rules": new})
        for rule in old:
            self._remove(f"/security-group-rules/{rule['id']}", doing)
        return bool(new or old)

    def _limits(self, row: Json, properties: Properties, doing: str) -> bool:
        there = {digest(limit_of(rule)): rule for rule in row["rules"]}
        wanted = {digest(rule): rule for rule in _mappings(properties.get("rules"))}
        old = [rule for key, rule in there.items() if key not in wanted]
        new = [rule for key, rule in wanted.items() if key not in there]
        where = f"{self._form.path}/{row['id']}"
        for rule in old:
            self._remove(f"{where}/{rule['type']}_rules/{rule['id']}", doing)
        for limit in new:
            body = {name: value for name, value in limit.items() if name != "type"}
            self._cloud.call(
                _NETWORK, "POST", f"{where}/{limit['type']}_rules", doing=doing, body={f"{limit['type']}_rule": body}
            )
        return bool(new or old)

    def _interfaces(self, row: Json, properties: Properties, sight: Sight, doing: str) -> bool:
        there = set(sight.interfaces(str(row["id"])))
        found = properties.get("interfaces")
        wanted = {str(one) for one in found.values()} if isinstance(found, Mapping) else set()
        for subnet in sorted(there - wanted):
            self._interface("remove", str(row["id"]), subnet, doing)
        for subnet in sorted(wanted - there):
            self._interface("add", str(row["id"]), subnet, doing)
        return False

    def _interface(self, verb: str, router: str, subnet: str, doing: str) -> None:
        path = f"/routers/{router}/{verb}_router_interface"
        self._cloud.call(_NETWORK, "PUT", path, doing=doing, body={"subnet_id": subnet})

    # --- calls ---

    def _find(self, text: str) -> Json | None:
        found = self._cloud.pages(
            _NETWORK, self._form.path, self._form.items, project_id=self._cloud.project, description=text
        )
        return next((row for row in found if row.get("description") == text), None)

    def _ours(self, current: Present) -> Json | None:
        row = self._get(current.provider_id)
        if row is not None:
            must_be_ours(self.mark(row), current.mark, current.provider_id)
        return row

    def _get(self, number: str) -> Json | None:
        found = self._cloud.get(_NETWORK, f"{self._form.path}/{number}", doing=f"read {self._form.kind} {number}")
        return None if found is None else dict(found[self._form.item])

    def _call(self, method: str, path: str, doing: str, body: Json) -> Json:
        found = self._cloud.call(_NETWORK, method, self._form.path + path, doing=doing, body={self._form.item: body})
        return dict(found[self._form.item])

    def _remove(self, path: str, doing: str) -> None:
        try:
            self._cloud.call(_NETWORK, "DELETE", path, doing=doing)
        except Gone:
            return

    def _outer(self, properties: Properties) -> str:
        """Find the network the spec gives by name."""
        name = properties.get("network_name")
        return network_named(self._cloud, str(name)) if name else ""


def network_named(cloud: Cloud, name: str) -> str:
    """Give the id of a network by its name; `PermanentError` for none or several."""
    found = cloud.pages(_NETWORK, "/networks", "networks", name=name)
    if len(found) == 1:
        return str(found[0]["id"])
    if not found:
        raise PermanentError(f"there is no network {name!r} in the cloud; see openstack network list")
    own = [row for row in found if row.get("project_id") == cloud.project]
    if len(own) == 1:
        return str(own[0]["id"])
    raise PermanentError(f"{len(found)} networks are called {name!r}; give the one that is meant a name of its own")


def network_hands(cloud: Cloud, names: Names) -> Iterator[tuple[str, NetworkHand]]:
    """Give the hands for every kind of the network service."""
    for kind, form in FORMS.items():
        yield kind, NetworkHand(cloud, names, form)


def _mappings(found: Value) -> Iterable[Mapping[str, Any]]:
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []

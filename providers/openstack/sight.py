"""Reads what is around an object: names, owners, what hangs together. In bulk for a look, one by one after a change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from providers.base import Health, Mark, Present
from providers.openstack.cloud import Cloud, Json, Service
from providers.openstack.marks import read_sentence
from specs.values import Properties, Value, digest

_STATES = {Health.PROGRESSING: "creating", Health.DEGRADED: "error"}


class Sight(Protocol):
    """Answers what an object alone does not tell."""

    def network_name(self, network: str) -> str:
        """Give the name of a network."""

    def label(self, kind: str, number: str) -> str:
        """Give the address that the mark of an object names; its id if it is not ours."""

    def interfaces(self, router: str) -> Iterable[str]:
        """Give the ids of the subnets a router leads to."""

    def ports(self, server: str) -> Iterable[Json]:
        """Give the ports of a server."""

    def floating(self, port: str) -> str:
        """Give the floating address of a port; empty if it has none."""

    def group(self, server: str) -> str:
        """Give the id of the server group of a server; empty if it has none."""


class Names:
    """The names of networks, each asked once."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def network_name(self, network: str) -> str:
        """Give the name of a network; its id if it is hidden from us."""
        return self._cloud.remember(f"network {network}", lambda: self._name(network))

    def learn(self, rows: Iterable[Json]) -> None:
        """Remember the names of networks that were listed anyway."""
        for row in rows:
            self._cloud.remember(f"network {row['id']}", lambda row=row: str(row["name"]))  # type: ignore[misc]  # a default binds it

    def _name(self, network: str) -> str:
        found = self._cloud.get(Service.NETWORK, f"/networks/{network}", doing=f"read network {network}")
        return str(found["network"]["name"]) if found else network


class Bulk:
    """Answers from lists that were read at once."""

    def __init__(self, names: Names, lists: Mapping[str, Iterable[Json]]) -> None:
        self._names = names
        self._labels: dict[str, str] = {}
        for kind in ("subnet", "port_pair", "flow_classifier"):
            for row in lists.get(kind, ()):
                mark = read_sentence(row.get("description"))
                self._labels[str(row["id"])] = mark.address if mark else str(row["id"])
        self._interfaces: dict[str, list[str]] = {}
        self._ports: dict[str, list[Json]] = {}
        for row in lists.get("port", ()):
            if row.get("device_id"):
                self._ports.setdefault(str(row["device_id"]), []).append(row)
                if _leads_out(row):
                    self._interfaces.setdefault(str(row["device_id"]), []).extend(_subnets(row))
        self._floating = {
            str(row["port_id"]): str(row["floating_ip_address"])
            for row in lists.get("floating_ip", ())
            if row.get("port_id")
        }
        self._groups = {
            str(member): str(row["id"]) for row in lists.get("server_group", ()) for member in row.get("members", ())
        }

    def network_name(self, network: str) -> str:
        """Give the name of a network."""
        return self._names.network_name(network)

    def label(self, kind: str, number: str) -> str:
        """Give the address of an object, or its id."""
        return self._labels.get(number, number)

    def interfaces(self, router: str) -> Iterable[str]:
        """Give the subnets of a router."""
        return self._interfaces.get(router, ())

    def ports(self, server: str) -> Iterable[Json]:
        """Give the ports of a server."""
        return self._ports.get(server, ())

    def floating(self, port: str) -> str:
        """Give the floating address of a port."""
        return self._floating.get(port, "")

    def group(self, server: str) -> str:
        """Give the group of a server."""
        return self._groups.get(server, "")


class Live:
    """Answers by asking, for one object after a change."""

    def __init__(self, cloud: Cloud, names: Names) -> None:
        self._cloud = cloud
        self._names = names

    def network_name(self, network: str) -> str:
        """Give the name of a network."""
        return self._names.network_name(network)

    def label(self, kind: str, number: str) -> str:
        """Give the address of an object, or its id."""
        paths = {"subnet": "/subnets", "port_pair": "/sfc/port_pairs", "flow_classifier": "/sfc/flow_classifiers"}
        found = self._cloud.get(Service.NETWORK, f"{paths[kind]}/{number}", doing=f"read {kind} {number}")
        mark = read_sentence(found[kind].get("description")) if found else None
        return mark.address if mark else number

    def interfaces(self, router: str) -> Iterable[str]:
        """Give the subnets of a router."""
        return [subnet for row in self.ports(router) if _leads_out(row) for subnet in _subnets(row)]

    def ports(self, server: str) -> Iterable[Json]:
        """Give the ports of a server or router."""
        return self._cloud.pages(Service.NETWORK, "/ports", "ports", device_id=server)

    def floating(self, port: str) -> str:
        """Give the floating address of a port."""
        found = self._cloud.pages(Service.NETWORK, "/floatingips", "floatingips", port_id=port)
        return str(found[0]["floating_ip_address"]) if found else ""

    def group(self, server: str) -> str:
        """Give the group of a server."""
        found = self._cloud.call(Service.COMPUTE, "GET", "/os-server-groups", doing="list server groups")
        return next((str(row["id"]) for row in found["server_groups"] if server in row["members"]), "")


def _leads_out(port: Json) -> bool:
    return "router" in str(port.get("device_owner")) and "gateway" not in str(port.get("device_owner"))


def _subnets(port: Json) -> list[str]:
    return [str(address["subnet_id"]) for address in port.get("fixed_ips", ())]


def shown(
    number: str,
    mark: Mark,
    properties: Properties,
    attributes: Properties,
    health: tuple[Health, str] = (Health.HEALTHY, ""),
) -> Present:
    """Give an object as the protocol shows it."""
    known: dict[str, Value] = {
        "id": number,
        "tosca_id": number,
        "tosca_name": mark.address.rpartition("/")[2].partition(":")[0],
        "state": _STATES.get(health[0], "available"),
        **attributes,
    }
    return Present(
        provider_id=number,
        mark=mark,
        properties=properties,
        attributes=known,
        health=health[0],
        reason=health[1],
        seen=digest([properties, known, str(health[0]), health[1], mark.digest]),
    )

"""Reads what is around an object: names, owners, what hangs together. In bulk for a look, one by one after a change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from providers.base import Health, Mark, Present
from providers.openstack.cloud import Cloud, Json, Service
from providers.openstack.marks import read_sentence
from specs.values import Properties, Value, digest

_OF_PORTS = ("id", "name", "network_id", "mac_address", "fixed_ips")
"""What of a port is told to the server it belongs to."""
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
    """The names of networks: those of the latest list, and of others what the cloud said, which is asked once."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._listed: Mapping[str, str] = {}

    def network_name(self, network: str) -> str:
        """Give the name of a network; its id if it is hidden from us."""
        return self._listed.get(network) or self.asked(network)

    def asked(self, network: str) -> str:
        """Give the name of a network that is in no list."""
        return self._cloud.remember(f"network {network}", lambda: self._name(network))

    def learn(self, listed: Mapping[str, str]) -> None:
        """Take the names of a list that was read anyway in the place of those of an earlier one."""
        self._listed = listed

    def _name(self, network: str) -> str:
        found = self._cloud.get(Service.NETWORK, f"/networks/{network}", doing=f"read network {network}")
        return str(found["network"]["name"]) if found else network


Question = tuple[str, str]
"""What may be asked about an object, and its id."""


def told(kind: str, row: Json) -> Iterator[tuple[Question, Any]]:
    """Say what an object tells about others: answers to questions about them."""
    match kind:
        case "network":
            yield ("network", str(row["id"])), str(row["name"])
        case "subnet" | "port_pair" | "flow_classifier":
            mark = read_sentence(row.get("description"))
            yield ("label", str(row["id"])), mark.address if mark else str(row["id"])
        case "port" if row.get("device_id"):
            device = str(row["device_id"])
            yield ("ports", device), {name: row[name] for name in _OF_PORTS if name in row}
            if _leads_out(row):
                yield from ((("interfaces", device), subnet) for subnet in _subnets(row))
        case "floating_ip" if row.get("port_id"):
            yield ("floating", str(row["port_id"])), str(row["floating_ip_address"])
        case "server_group":
            yield from ((("group", str(member)), str(row["id"])) for member in row.get("members", ()))


class Bulk:
    """Answers from what the lists of one look tell."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._told: dict[Question, list[Any]] = {}

    def learn(self, answers: Iterable[tuple[Question, Any]]) -> None:
        """Take note of what an object tells about others."""
        for question, answer in answers:
            self._told.setdefault(question, []).append(answer)

    def ask(self, question: Question) -> Sequence[Any]:
        """Give all answers that were told."""
        return self._told.get(question, ())

    def still(self, answers: Mapping[Question, Sequence[Any]]) -> bool:
        """Tell whether these are the answers now."""
        for question, answer in answers.items():  # noqa: SIM110 — twice as fast, and asked of all there is in every look
            if self._told.get(question, ()) != answer:
                return False
        return True

    def network_name(self, network: str) -> str:
        """Give the name of a network."""
        found = self.ask(("network", network))
        return str(found[-1]) if found else self._names.asked(network)

    def networks(self) -> Mapping[str, str]:
        """Give the names of all networks that were listed."""
        return {number: answers[-1] for (what, number), answers in self._told.items() if what == "network"}

    def label(self, kind: str, number: str) -> str:
        """Give the address of an object, or its id."""
        found = self.ask(("label", number))
        return str(found[-1]) if found else number

    def interfaces(self, router: str) -> Iterable[str]:
        """Give the subnets of a router."""
        return self.ask(("interfaces", router))

    def ports(self, server: str) -> Iterable[Json]:
        """Give the ports of a server."""
        return self.ask(("ports", server))

    def floating(self, port: str) -> str:
        """Give the floating address of a port."""
        found = self.ask(("floating", port))
        return str(found[-1]) if found else ""

    def group(self, server: str) -> str:
        """Give the group of a server."""
        found = self.ask(("group", server))
        return str(found[-1]) if found else ""


class Witness(Bulk):
    """Answers as another does, and remembers all it was asked and what it answered."""

    def __init__(self, sight: Bulk) -> None:
        super().__init__(sight._names)
        self._told = sight._told
        self.answers: dict[Question, Sequence[Any]] = {}

    def ask(self, question: Question) -> Sequence[Any]:
        """Give all answers that were told."""
        found = self.answers[question] = super().ask(question)
        return found


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
    *,
    no_room: bool = False,
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
        no_room=no_room,
        seen=digest([properties, known, str(health[0]), health[1], mark.digest]),
    )

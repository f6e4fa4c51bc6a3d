"""Where resources are made: a deployment, indexed, and one endpoint in it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from providers.openstack.settings import Settings, Zone
from specs.model import (
    Address,
    Deployment,
    Endpoint,
    LifecycleState,
    Node,
    Requirement,
    Resource,
    Subject,
    address,
    subject,
)
from specs.values import Properties, Reference, Value, expressions

PROVIDER = "openstack"
COMPUTE = "tosca.nodes.Compute"
FUNCTION = "eu.ict-flame.nodes.ServiceFunction"
NETWORK = "tosca.nodes.network.Network"
FLOATING_IP = "tosca.nodes.network.FloatingIP"
PORT = "tosca.nodes.network.Port"

_OF_SERVERS = frozenset({"private_address", "ip_address"})
"""Attributes of a server that its first port knows before it boots."""


class Layout:
    """A deployment, indexed once so that a large service costs no more per endpoint than a small one."""

    def __init__(self, deployment: Deployment, binding: str, settings: Settings) -> None:
        self.deployment = deployment
        self.binding = binding
        self.settings = settings
        self.nodes = deployment.service.nodes
        self.endpoints: dict[str, list[Endpoint]] = {}
        """By node; a node that is not deployed has no key."""
        for endpoint in deployment.endpoints:
            self.endpoints.setdefault(endpoint.node, []).append(endpoint)
        self.callers: dict[str, list[Node]] = {}
        """Which nodes require a node."""
        for node in self.nodes.values():
            for target in sorted({requirement.node for requirement in node.requirements}):
                self.callers.setdefault(target, []).append(node)
        self._machines: dict[str, str] = {}
        self.machine_needs = self._machine_needs()

    def machine_of(self, name: str) -> str:
        """Name the machine a node runs on: itself, or what hosts it; empty for a node that runs on none."""
        if name not in self._machines:
            self._machines[name] = ""  # ends a circle of hosts
            node = self.nodes.get(name)
            if node is not None:
                hosts = (one.node for one in node.requirements if one.name == "host" and one.node in self.nodes)
                self._machines[name] = name if is_machine(node) else next(map(self.machine_of, hosts), "")
        return self._machines[name]

    def hosted_on(self, machine: str) -> Iterable[Node]:
        """Give what runs on a machine, in the order it is installed: what others need first."""
        names = [name for name in sorted(self.nodes) if name != machine and self.machine_of(name) == machine]
        found: list[Node] = []
        waiting = list(names)
        while waiting:
            ready = [name for name in waiting if not self._open(name, waiting)] or waiting[:1]
            found += [self.nodes[name] for name in ready]
            waiting = [name for name in waiting if name not in ready]
        return found

    def own_subject(self, name: str) -> Subject:
        """Name what all endpoints of the service share."""
        site = self.deployment.site.name
        return subject(site, self.deployment.service.name, name or self.deployment.service.name)

    def machines(self) -> Iterator[Place]:
        """Give every machine of the binding, placed or booted."""
        for endpoint in self.deployment.endpoints:
            node = self.nodes[endpoint.node]
            if endpoint.binding == self.binding and is_machine(node):
                yield Place(layout=self, endpoint=endpoint, node=node)

    def serves(self, node: str) -> bool:
        """Tell whether this binding makes the endpoints of a node."""
        return any(endpoint.binding == self.binding for endpoint in self.endpoints.get(node, ()))

    def _open(self, name: str, waiting: list[str]) -> bool:
        return any(one.node in waiting and one.node != name for one in self.nodes[name].requirements)

    def _machine_needs(self) -> Mapping[str, frozenset[str]]:
        """Say which machines come before a machine, without circles: a requirement that would close one is dropped."""
        needs: dict[str, set[str]] = {}
        for name in sorted(self.nodes):
            mine = self.machine_of(name)
            for other in sorted({self.machine_of(one.node) for one in self.nodes[name].requirements}):
                if mine and other and other != mine and not _leads(needs, other, mine):
                    needs.setdefault(mine, set()).add(other)
        return {name: frozenset(found) for name, found in needs.items()}


def is_machine(node: Node) -> bool:
    """Tell whether a node becomes a server."""
    return node.is_a(COMPUTE) or node.is_a(FUNCTION)


def _leads(needs: Mapping[str, set[str]], start: str, end: str) -> bool:
    seen, waiting = {start}, [start]
    while waiting:
        for following in needs.get(waiting.pop(), ()):
            if following == end:
                return True
            if following not in seen:
                seen.add(following)
                waiting.append(following)
    return False


class Place(Struct, frozen=True, kw_only=True):
    """One endpoint with its node, where its resources are made."""

    layout: Layout
    endpoint: Endpoint
    node: Node

    @property
    def settings(self) -> Settings:
        """What the site says about the cloud."""
        return self.layout.settings

    @property
    def zone(self) -> Zone:
        """Where the endpoint's cluster is in the cloud."""
        return self.settings.zones.get(self.endpoint.cluster, Zone())

    @property
    def booted(self) -> bool:
        """Whether it should run."""
        return self.endpoint.state.reaches(LifecycleState.BOOTED)

    @property
    def label(self) -> str:
        """The name its objects carry: its subject without the site, in letters every service takes."""
        return label_of(self.endpoint.subject)

    def address(self, kind: str, name: str = "") -> Address:
        """Give the address of a resource of the endpoint."""
        return address(self.endpoint.subject, PROVIDER, kind, name)

    def of_node(self, kind: str, name: str = "") -> Address:
        """Give the address of what all endpoints of the node share."""
        return address(self.layout.own_subject(self.node.name), PROVIDER, kind, name)

    def targets(self) -> Iterator[tuple[Requirement, Node]]:
        """Walk the requirements that name a node which is deployed here."""
        for requirement in self.node.requirements:
            if requirement.node in self.layout.endpoints:
                yield requirement, self.layout.nodes[requirement.node]

    def peer(self, node: str) -> Subject:
        """Name the endpoint of another node with the same place and number, or the node as a whole."""
        mine = (self.endpoint.cluster, self.endpoint.index)
        for other in self.layout.endpoints.get(node, ()):
            if (other.cluster, other.index) == mine:
                return other.subject
        return self.layout.own_subject(node)

    def resource(
        self, where: Address, properties: Properties, requires: Iterable[str] = (), *, stands: bool = False
    ) -> Resource:
        """Make a resource; what it refers to is required without being named."""
        referred = {
            one.target for value in properties.values() for one in expressions(value) if isinstance(one, Reference)
        }
        return Resource(
            address=where,
            binding=self.layout.binding,
            properties=properties,
            requires=tuple(sorted(referred | set(requires))),
            stands=stands,
            protect=stands and self.node.protect,
        )

    def seen_from(self, reference: Reference, first_port: str) -> Value:
        """Point a reference to software at the machine it runs on, and one to the machine itself at its first port."""
        if ":" in reference.target:
            return reference
        for name in self.layout.nodes:
            if reference.target in (self.layout.own_subject(name), self.peer(name)):
                return self._towards(reference, self.layout.machine_of(name) or name, first_port)
        return reference

    def _towards(self, reference: Reference, machine: str, first_port: str) -> Reference:
        if machine == self.node.name and first_port and reference.attribute in _OF_SERVERS:
            return Reference(first_port, "private_address", reference.path)
        return Reference(self.layout.own_subject(machine), reference.attribute, reference.path)


def label_of(owner: str) -> str:
    """Turn a subject into a name that is also a host name."""
    text = owner.partition("/")[2]
    for mark in "/@._":
        text = text.replace(mark, "-")
    return text.strip("-")

"""Where resources are made: one endpoint, its node, and what it finds around it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from specs.model import (
    Address,
    Deployment,
    Endpoint,
    LifecycleState,
    Node,
    Operation,
    Requirement,
    Resource,
    Subject,
    address,
    subject,
)
from specs.values import Properties, Value, digest

PROVIDER = "sandpit"
SERVICE_FUNCTION = "eu.ict-flame.nodes.ServiceFunction"

NETWORK_PROPERTIES = (
    "ip_version", "cidr", "start_ip", "end_ip", "gateway_ip", "network_type", "physical_network", "segmentation_id",
    "dhcp_enabled",
)  # fmt: skip
PORT_PROPERTIES = ("ip_address", "ip_range_start", "ip_range_end")
_KNOWN: Mapping[str, frozenset[str]] = {
    "network": frozenset({"network_name", *NETWORK_PROPERTIES}),
    "port": frozenset({"order", "is_default", *PORT_PROPERTIES}),
    "volume": frozenset({"name", "size", "maxsize", "snapshot_id"}),
    "server": frozenset({"hypervisor", "env", "ports", "image", "image_url"}),
    "workload": frozenset({"hypervisor", "env", "ports", "image", "image_url", "algorithm"}),
    "software": frozenset({"name", "component_version"}),
}
"""Kind → properties of nodes it has words for."""


class Layout:
    """A deployment, indexed once so that a large service costs no more per endpoint than a small one."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.nodes = dict(deployment.service.nodes.items())
        self.endpoints: dict[str, list[Endpoint]] = {}
        """By node; a node that is not deployed has no key."""
        for endpoint in deployment.endpoints:
            self.endpoints.setdefault(endpoint.node, []).append(endpoint)
        self.callers: dict[str, list[Node]] = {}
        """Which nodes require a node."""
        for node in self.nodes.values():
            for target in sorted({requirement.node for requirement in node.requirements}):
                self.callers.setdefault(target, []).append(node)


class Place(Struct, frozen=True, kw_only=True):
    """One endpoint with its node, where its resources are made."""

    layout: Layout
    endpoint: Endpoint
    node: Node
    binding: str

    @property
    def booted(self) -> bool:
        """Whether it should run."""
        return self.endpoint.state.reaches(LifecycleState.BOOTED)

    @property
    def label(self) -> str:
        """The name its objects carry: its subject without the site."""
        return self.endpoint.subject.partition("/")[2]

    @property
    def base(self) -> dict[str, Value]:
        """The properties of every object of the endpoint."""
        cluster: dict[str, Value] = {"cluster": self.endpoint.cluster} if self.endpoint.cluster else {}
        return {"name": self.label, **cluster}

    def address(self, kind: str, name: str = "") -> Address:
        """Give the address of a resource of the endpoint."""
        return address(self.endpoint.subject, PROVIDER, kind, name)

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
        return subject(self.endpoint.site, self.endpoint.service, node)

    def shared(self, kind: str, owner: Subject, properties: Properties, name: str = "") -> Resource:
        """Make a resource that several endpoints on the cluster stand on."""
        return Resource(
            address=address(owner, PROVIDER, kind, name),
            binding=self.binding,
            properties={**self.base, "name": owner.partition("/")[2], **properties},
        )

    def standing(self, kind: str, properties: Properties, requires: set[str]) -> Resource:
        """Make the resource which stands for the endpoint; it keeps what the spec says and no kind has a word for."""
        more: dict[str, Value] = {}
        known = _KNOWN[kind] | ({"fqdn"} if self.node.is_a(SERVICE_FUNCTION) else set())
        if rest := {name: value for name, value in self.node.properties.items() if name not in known}:
            more["configuration"] = rest
        if scripts := {name: _script(self.node.operations[name]) for name in sorted(self.node.operations)}:
            more["operations"] = scripts
        return Resource(
            address=self.address(kind),
            binding=self.binding,
            properties={**properties, **more},
            requires=tuple(sorted(requires)),
            stands=True,
            protect=self.node.protect,
        )


def _script(operation: Operation) -> Value:
    """Describe a script by its digest, so that a plan shows that it changed and not all of it."""
    found: dict[str, Value] = {"implementation": operation.implementation}
    if operation.content:
        found["digest"] = digest(operation.content)
    if operation.inputs:
        found["inputs"] = operation.inputs
    return found

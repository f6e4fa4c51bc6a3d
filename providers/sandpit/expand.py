"""Turns the endpoints a binding hosts into resources; pure.

An endpoint is a stack: image and network when placed, ports and server when booted. In containers it is one workload,
with no replica until it is booted. What connects it is in `fabric`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from providers.base import PermanentError
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
from specs.units import capacity, gigabytes
from specs.values import Properties, Reference, Value, digest

PROVIDER = "sandpit"
NETWORK = "tosca.nodes.network.Network"
PORT = "tosca.nodes.network.Port"
VOLUMES = ("tosca.nodes.BlockStorage", "tosca.nodes.Storage.BlockStorage")
LOAD_BALANCER = "tosca.nodes.LoadBalancer"
_NETWORK_PROPERTIES = (
    "ip_version", "cidr", "start_ip", "end_ip", "gateway_ip", "network_type", "physical_network", "segmentation_id",
    "dhcp_enabled",
)  # fmt: skip
_PORT_PROPERTIES = ("ip_address", "ip_range_start", "ip_range_end")


class Layout:
    """A deployment, indexed once so that a large service costs no more per endpoint than a small one."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
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

    def shared(self, kind: str, owner: Subject, properties: Properties) -> Resource:
        """Make a resource that several endpoints on the cluster stand on."""
        return Resource(
            address=address(owner, PROVIDER, kind),
            binding=self.binding,
            properties={**self.base, "name": owner.partition("/")[2], **properties},
        )

    def standing(self, kind: str, properties: Properties, requires: set[str]) -> Resource:
        """Make the resource which stands for the endpoint."""
        return Resource(
            address=self.address(kind),
            binding=self.binding,
            properties=properties,
            requires=tuple(sorted(requires)),
            stands=True,
            protect=self.node.protect,
        )


def expand(deployment: Deployment, binding: str) -> tuple[Resource, ...]:
    """Give the resources of every endpoint of a binding, in the order of addresses."""
    layout = Layout(deployment)
    found: dict[Address, Resource] = {}
    for endpoint in deployment.endpoints:
        if endpoint.binding == binding:
            place = Place(layout=layout, endpoint=endpoint, node=layout.nodes[endpoint.node], binding=binding)
            found.update((resource.address, resource) for resource in _stack(place))
    return tuple(found[key] for key in sorted(found))


def _stack(place: Place) -> Iterator[Resource]:
    for type_name in place.node.types:
        match type_name:
            case "eu.ict-flame.nodes.ServiceFunction":
                return _workload(place) if place.node.properties.get("hypervisor") == "docker" else _server(place)
            case "tosca.nodes.Compute":
                return _server(place)
            case "tosca.nodes.network.Network":
                return _network(place)
            case "tosca.nodes.network.Port":
                return _port(place)
            case "tosca.nodes.BlockStorage" | "tosca.nodes.Storage.BlockStorage":
                return _volume(place)
            case "tosca.nodes.Container.Application" | "tosca.nodes.LoadBalancer":
                return _workload(place)
            case "tosca.nodes.SoftwareComponent" | "tosca.nodes.WebApplication" | "tosca.nodes.Database":
                return _software(place)
    raise PermanentError(
        f"{place.endpoint.subject}: the sandpit cannot make a {place.node.types[0]};"
        " derive it from a service function, or from Compute, Network, Port, SoftwareComponent, Container.Application,"
        " BlockStorage or LoadBalancer of TOSCA"
    )


# --- machines --------------------------------------------------------------------------------------


def _server(place: Place) -> Iterator[Resource]:
    image = _image(place)
    if image is not None:
        yield image
    written = [Reference(place.peer(node.name), "id") for node in _bound_ports(place)]
    network, own = _network_of(place)
    if own is not None and not written:
        yield own
    if not place.booted:
        return
    if not written:
        port = _port_on(place, network)
        yield port
        written = [Reference(port.address, "id")]
    properties: dict[str, Value] = {**place.base, **_sizes(place.node), "ports": [*written]}
    if (hypervisor := place.node.properties.get("hypervisor")) is not None:
        properties["hypervisor"] = hypervisor
    if image is not None:
        properties["image"] = Reference(image.address, "id")
    if volumes := _attachments(place):
        properties["volumes"] = volumes
    requires = _needs(place) | {port.target for port in written}
    yield place.standing("server", properties, requires | ({image.address} if image else set()))


def _sizes(node: Node) -> dict[str, Value]:
    """Say what the node takes of its cluster, as far as the spec says it."""
    host = node.capabilities.get("host", {})
    takes = capacity(host)
    amounts = {"num_cpus": ("vcpus", takes.vcpus), "mem_size": ("memory_mb", takes.memory_mb)}
    amounts["disk_size"] = ("disk_gb", takes.disk_gb)
    return {name: _plain(amount) for key, (name, amount) in amounts.items() if host.get(key) is not None}


def _plain(number: float) -> int | float:
    """Give 2 for 2.0, as people write it."""
    return int(number) if number.is_integer() else number


def _image(place: Place) -> Resource | None:
    """Make the image all endpoints of the node on one cluster share, if the spec speaks of one."""
    url = _image_source(place.node)
    what = dict(place.node.capabilities.get("os", {})) if url is None else {"url": url}
    if not what:
        return None
    endpoint = place.endpoint
    return place.shared("image", subject(endpoint.site, endpoint.service, endpoint.node, endpoint.cluster), what)


def _image_source(node: Node) -> Value:
    for name in ("image_url", "image"):
        if node.properties.get(name) is not None:
            return node.properties[name]
    images = [artifact.file for artifact in node.artifacts.values() if ".Image" in artifact.type]
    return images[0] if images else None


def _network_of(place: Place) -> tuple[Reference, Resource | None]:
    """Name the network the spec hangs the endpoint on, or make the one its service has on the cluster."""
    for _, node in place.targets():
        if node.is_a(NETWORK):
            return Reference(place.peer(node.name), "id"), None
    endpoint = place.endpoint
    own = place.shared("network", subject(endpoint.site, endpoint.service, endpoint.service, endpoint.cluster), {})
    return Reference(own.address, "id"), own


def _port_on(place: Place, network: Reference) -> Resource:
    return Resource(
        address=place.address("port"),
        binding=place.binding,
        properties={**place.base, "network": network},
        requires=(network.target,),
    )


def _bound_ports(place: Place) -> list[Node]:
    """Give the port nodes that bind to this one, in the order the spec wants."""
    ports = [
        node
        for node in place.layout.callers.get(place.node.name, ())
        if node.is_a(PORT)
        and node.name in place.layout.endpoints
        and any(need.name == "binding" and need.node == place.node.name for need in node.requirements)
    ]
    return sorted(ports, key=lambda node: (_order(node), node.name))


def _order(port: Node) -> float:
    order = port.properties.get("order")
    return order if isinstance(order, int | float) else 0


def _attachments(place: Place) -> list[Value]:
    found: list[Value] = []
    for requirement, node in place.targets():
        if any(node.is_a(name) for name in VOLUMES):
            where = {
                key: requirement.properties[key] for key in ("location", "device") if key in requirement.properties
            }
            found.append({"volume": Reference(place.peer(node.name), "id"), **where})
    return found


def _needs(place: Place) -> set[str]:
    """Name what must stand before the endpoint does."""
    return {place.peer(node.name) for _, node in place.targets() if node.name != place.node.name}


# --- networks and volumes the spec writes down -----------------------------------------------------


def _network(place: Place) -> Iterator[Resource]:
    said = _some(place.node, _NETWORK_PROPERTIES)
    name = place.node.properties.get("network_name") or place.label
    yield place.standing("network", {**place.base, **said, "name": name}, _needs(place))


def _port(place: Place) -> Iterator[Resource]:
    """Make a port on its network; the endpoint it binds to requires it, not the other way round."""
    network, own = _network_of(place)
    if own is not None:
        yield own
    bound = {place.peer(need.node) for need, _ in place.targets() if need.name == "binding"}
    properties = {**place.base, **_some(place.node, _PORT_PROPERTIES), "network": network}
    yield place.standing("port", properties, (_needs(place) - bound) | {network.target})


def _volume(place: Place) -> Iterator[Resource]:
    properties = {**place.base, **_some(place.node, ("snapshot_id",))}
    if (size := place.node.properties.get("size")) is not None:
        properties["size_gb"] = _plain(gigabytes(size))
    yield place.standing("volume", properties, _needs(place))


def _some(node: Node, names: Iterable[str]) -> dict[str, Value]:
    return {name: node.properties[name] for name in names if node.properties.get(name) is not None}


# --- containers and software -----------------------------------------------------------------------


def _workload(place: Place) -> Iterator[Resource]:
    network, own = _network_of(place)
    if own is not None:
        yield own
    replicas: Value = int(place.booted)
    properties = {**place.base, **_sizes(place.node), "replicas": replicas, "network": network}
    if (image := _image_source(place.node)) is not None:
        properties["image"] = image
    if volumes := _attachments(place):
        properties["volumes"] = volumes
    if place.node.is_a(LOAD_BALANCER):
        properties |= {**_some(place.node, ("algorithm",)), "members": _members(place)}
    yield place.standing("workload", properties, _needs(place) | {network.target})


def _members(place: Place) -> list[Value]:
    """Refer to everything a load balancer spreads its calls over."""
    return [
        Reference(endpoint.subject, "private_address")
        for requirement, node in place.targets()
        if requirement.name == "application"
        for endpoint in place.layout.endpoints[node.name]
        if endpoint.state.reaches(LifecycleState.BOOTED)
    ]


def _software(place: Place) -> Iterator[Resource]:
    if not place.booted:
        return
    node = place.node
    configuration = {name: value for name, value in node.properties.items() if name != "component_version"}
    properties: dict[str, Value] = dict(place.base)
    if (version := node.properties.get("component_version")) is not None:
        properties["version"] = version
    if configuration:
        properties["configuration"] = configuration
    if operations := {name: _script(node.operations[name]) for name in sorted(node.operations)}:
        properties["operations"] = operations
    for requirement, host in place.targets():
        if requirement.name == "host":
            properties["host"] = Reference(place.peer(host.name), "id")
    yield place.standing("software", properties, _needs(place))


def _script(operation: Operation) -> Value:
    """Describe a script by its digest, so that a plan shows that it changed and not all of it."""
    found: dict[str, Value] = {"implementation": operation.implementation}
    if operation.content:
        found["digest"] = digest(operation.content)
    if operation.inputs:
        found["inputs"] = operation.inputs
    return found

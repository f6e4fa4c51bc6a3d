"""Turns the endpoints a binding hosts into resources; pure.

An endpoint is a stack: image and network when placed, ports and server when booted. In containers it is one workload,
with no replica until it is booted. What connects it is in `fabric`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from providers.base import PermanentError
from providers.sandpit.place import NETWORK_PROPERTIES, PORT_PROPERTIES, Layout, Place
from specs.model import Address, Deployment, LifecycleState, Node, Resource, subject
from specs.tosca.units import capacity, gigabytes
from specs.values import Properties, Reference, Value

NETWORK = "tosca.nodes.network.Network"
PORT = "tosca.nodes.network.Port"
COMPUTE = "tosca.nodes.Compute"
BLOCK_STORAGE = "tosca.nodes.BlockStorage"
LOAD_BALANCER = "tosca.nodes.LoadBalancer"


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
            case "tosca.nodes.BlockStorage" | "tosca.nodes.ObjectStorage":
                return _volume(place)
            case "tosca.nodes.Container.Application" | "tosca.nodes.LoadBalancer":
                return _workload(place)
            case "tosca.nodes.SoftwareComponent" | "tosca.nodes.WebApplication" | "tosca.nodes.Database":
                return _software(place)
    raise PermanentError(
        f"{place.endpoint.subject}: the sandpit cannot make a {place.node.types[0]};"
        " derive it from a service function, or from Compute, Network, Port, SoftwareComponent, Container.Application,"
        " BlockStorage, ObjectStorage or LoadBalancer of TOSCA"
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
    properties: dict[str, Value] = {**place.base, **_sizes(place.node), **_running(place.node), "ports": [*written]}
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


def _running(node: Node) -> dict[str, Value]:
    """Say how what runs is started and reached."""
    said = _some(node, ("hypervisor", "env"))
    listens = node.properties.get("ports")
    return said if listens is None else {**said, "open_ports": listens}


def _plain(number: float) -> int | float:
    """Give 2 for 2.0, as people write it."""
    return int(number) if number.is_integer() else number


def _image(place: Place) -> Resource | None:
    """Make the image all endpoints of the node on one cluster share, if the spec speaks of one."""
    what = _image_source(place.node) or dict(place.node.capabilities.get("os", {}))
    if not what:
        return None
    endpoint = place.endpoint
    return place.shared("image", subject(endpoint.site, endpoint.service, endpoint.node, endpoint.cluster), what)


def _image_source(node: Node) -> dict[str, Value]:
    """Say where the image is and how to know it: from the properties of a function, or an artifact."""
    about = node.properties.get("image")
    known: dict[str, Value] = dict(about) if isinstance(about, Mapping) else {}
    if (url := node.properties.get("image_url")) is not None:
        return {**known, "url": url}
    for artifact in node.artifacts.values():
        if ".Image" in artifact.type:
            return {**_checked(artifact.properties), **known, "url": artifact.file}
    return {"url": about} if isinstance(about, str) else {}


def _checked(properties: Properties) -> dict[str, Value]:
    return {name: properties[name] for name in ("checksum", "format") if name in properties}


def _network_of(place: Place) -> tuple[Reference, Resource | None]:
    """Name the network the spec hangs the endpoint on, or make the one its service has on the cluster."""
    for _, node in place.targets():
        if node.is_a(NETWORK):
            return Reference(place.peer(node.name), "id"), None
    endpoint = place.endpoint
    owner = subject(endpoint.site, endpoint.service, endpoint.service, endpoint.cluster)
    own = place.shared("network", owner, {}, "" if endpoint.cluster else "own")
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
        if node.is_a(PORT) and node.name in place.layout.endpoints
    ]
    return sorted(ports, key=lambda node: (_order(node), node.name))


def _order(port: Node) -> float:
    order = port.properties.get("order")
    return order if isinstance(order, int | float) else 0


def _attachments(place: Place) -> list[Value]:
    found: list[Value] = []
    for requirement, node in place.targets():
        if node.is_a(BLOCK_STORAGE):
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
    said = _some(place.node, NETWORK_PROPERTIES)
    name = place.node.properties.get("network_name") or place.label
    yield place.standing("network", {**place.base, **said, "name": name}, _needs(place))


def _port(place: Place) -> Iterator[Resource]:
    """Make a port on its network; the endpoint it binds to requires it, not the other way round."""
    network, own = _network_of(place)
    if own is not None:
        yield own
    bound = {place.peer(node.name) for _, node in place.targets() if node.is_a(COMPUTE)}
    properties = {**place.base, **_some(place.node, PORT_PROPERTIES), "network": network}
    yield place.standing("port", properties, (_needs(place) - bound) | {network.target})


def _volume(place: Place) -> Iterator[Resource]:
    properties = {**place.base, **_some(place.node, ("name", "snapshot_id"))}
    size = place.node.properties.get("size", place.node.properties.get("maxsize"))
    if size is not None:
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
    properties |= {name: value for name, value in _running(place.node).items() if name != "hypervisor"}
    if image := _image_source(place.node):
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
    properties: dict[str, Value] = {**place.base, **_some(place.node, ("name",))}
    if (version := place.node.properties.get("component_version")) is not None:
        properties["version"] = version
    for requirement, host in place.targets():
        if requirement.name == "host":
            properties["host"] = Reference(place.peer(host.name), "id")
    yield place.standing("software", properties, _needs(place))

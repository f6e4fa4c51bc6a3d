"""Says what the fabric must hold: switches and ports for the site, names and trees for its services. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from ipaddress import IPv6Address, IPv6Network

from providers.sdn.detours import detour_ports
from providers.sdn.kinds import PROVIDER
from providers.sdn.ovsdb import Queue, Shape
from providers.sdn.quality import ANY, Quality, number, plain, qualities, queues
from providers.sdn.routes import Bounds, Way, tree, ways
from providers.sdn.topology import Fabric, Port
from specs.errors import Diagnostic, Severity, SpecError
from specs.model import Address, Deployment, Endpoint, LifecycleState, Node, Position, Resource, Site, address, subject
from specs.values import Properties, Reference, Value

SERVICE_FUNCTION = "eu.ict-flame.nodes.ServiceFunction"


def foundation(
    site: Site, fabric: Fabric, binding: str, *, detours: bool = False, follows: bool = False
) -> Iterator[Resource]:
    """Give the switches, every port a link uses and, if wanted, its detour, in the order of addresses."""
    resources = [_switch(site.name, fabric, name, binding) for name in fabric.bridges]
    for port in fabric.links:
        place = fabric.place_of.get(port)
        more: dict[str, Value] = {"turns_back": True} if detours and place is None else {}
        more |= {"reports": True} if follows and place is not None and place.users else {}
        resources.append(_port(site, fabric, port, binding, more))
    resources += [
        _detour(site.name, fabric, port, binding) for port in fabric.peers if detours and detour_ports(fabric, port)
    ]
    yield from sorted(resources, key=lambda resource: resource.address)


def switch_address(site: str, switch: str) -> Address:
    """Give the address of a switch."""
    return address(subject(site, "-", switch, switch), PROVIDER, "switch")


def port_address(site: str, fabric: Fabric, port: Port) -> Address:
    """Give the address of a port: the link, as its switch sees it."""
    return address(subject(site, "-", fabric.links[port], port.switch), PROVIDER, "port")


def _switch(site: str, fabric: Fabric, name: str, binding: str) -> Resource:
    bridge = fabric.bridges[name]
    return Resource(
        address=switch_address(site, name),
        binding=binding,
        properties={"switch": name, "dpid": f"{bridge.dpid:016x}", "tables": bridge.highest_port},
    )


def _port(site: Site, fabric: Fabric, port: Port, binding: str, more: dict[str, Value]) -> Resource:
    if fabric.bridges[port.switch].ovsdb:
        bandwidth = fabric.bandwidth(port)
        more = more | shape_words(Shape(0, bandwidth, queues(site, bandwidth)))
    return Resource(
        address=port_address(site.name, fabric, port),
        binding=binding,
        properties={"switch": port.switch, "port": port.number, "leads_to": leads_to(fabric, port), **more},
        requires=(switch_address(site.name, port.switch),),
    )


def shape_words(shape: Shape) -> dict[str, Value]:
    """Say in properties how a port sends."""
    found: dict[str, Value] = {
        str(queue.number): {"min_mbps": plain(queue.min_mbps), "max_mbps": plain(queue.max_mbps)}
        for queue in shape.queues
    }
    return {"rate_mbps": plain(shape.rate_mbps), "queues": found}


def read_shape(cookie: int, properties: Properties) -> Shape | None:
    """Read out of properties how a port is to send; nothing if they do not say."""
    said = properties.get("queues")
    if not isinstance(said, Mapping):
        return None
    found = [(int(key), figures) for key, figures in said.items() if isinstance(figures, Mapping)]
    made = (Queue(one, *(number(figures, end, 0.0) for end in ("min_mbps", "max_mbps"))) for one, figures in found)
    return Shape(cookie, number(properties, "rate_mbps", 0.0), tuple(sorted(made)))


def _detour(site: str, fabric: Fabric, port: Port, binding: str) -> Resource:
    ports = detour_ports(fabric, port) or ()
    used = {end for step in (port, *ports) for end in (step, fabric.peers[step])}
    return Resource(
        address=address(subject(site, "-", fabric.links[port], port.switch), PROVIDER, "detour"),
        binding=binding,
        properties={"switch": port.switch, "port": port.number, "links": [fabric.links[step] for step in ports]},
        requires=tuple(sorted(port_address(site, fabric, end) for end in used)),
    )


def leads_to(fabric: Fabric, port: Port) -> str:
    """Name the switch or place behind a port."""
    there = fabric.peers.get(port)
    return there.switch if there is not None else fabric.place_of[port].name


def expand(deployment: Deployment, fabric: Fabric, prefix: IPv6Network, binding: str) -> tuple[Resource, ...]:
    """Give the names and trees of every connected function; `SpecError` with every reason why not."""
    expander = _Expander(deployment, fabric, prefix, binding)
    found = sorted(expander.resources(), key=lambda resource: resource.address)
    if expander.faults:
        raise SpecError(expander.faults)
    return tuple(found)


class _Expander:
    def __init__(self, deployment: Deployment, fabric: Fabric, prefix: IPv6Network, binding: str) -> None:
        self.faults: list[Diagnostic] = []
        self._deployment, self._fabric, self._prefix, self._binding = deployment, fabric, prefix, binding
        self._nodes = deployment.service.nodes
        self._qualities = qualities(deployment.site, deployment.service, fabric, self.faults)
        self._ways: dict[tuple[str, Bounds], Mapping[str, Way]] = {}
        self._connected: dict[str, list[Endpoint]] = {}
        for endpoint in deployment.endpoints:
            node = self._nodes[endpoint.node]
            if node.is_a(SERVICE_FUNCTION) and endpoint.state.reaches(LifecycleState.CONNECTED):
                if endpoint.cluster in fabric.places:
                    self._connected.setdefault(endpoint.node, []).append(endpoint)
                else:
                    message = (
                        f"{endpoint.cluster}, where {endpoint.node} is connected, has no link to a switch; add one"
                    )
                    self._fault(node.position, "not-attached", message)

    def resources(self) -> Iterator[Resource]:
        """Walk what connects every function."""
        self._check_names()
        for name, endpoints in sorted(self._connected.items()):
            node = self._nodes[name]
            if _names(node):
                yield from self._names_for_users(node, endpoints)
                yield from self._names_for_callers(node, endpoints)
            for endpoint in endpoints:
                yield from self._tree(node, endpoint)

    def _fault(self, position: Position, code: str, message: str) -> None:
        fault = Diagnostic(position.file, position.line, position.column, Severity.ERROR, code, message)
        if fault not in self.faults:
            self.faults.append(fault)

    def _check_names(self) -> None:
        owners: dict[str, str] = {}
        for node in self._nodes.values():
            for fqdn in _names(node) if node.is_a(SERVICE_FUNCTION) else ():
                other = owners.setdefault(fqdn, node.name)
                if other != node.name:
                    message = f"the name {fqdn} is claimed by {other} and by {node.name}; give it to one of them"
                    self._fault(node.position, "name-twice", message)

    # --- names ---

    def _names_for_users(self, node: Node, servers: list[Endpoint]) -> Iterator[Resource]:
        """Register the name at every access point with devices, unless it is only for other functions."""
        if self._callers(node):
            return
        for place in self._fabric.places.values():
            if place.users and place.devices:
                owner = subject(self._deployment.site.name, self._deployment.service.name, node.name, place.name)
                yield from self._name(address(owner, PROVIDER, "name"), node, place.name, servers, list(place.devices))

    def _names_for_callers(self, node: Node, servers: list[Endpoint]) -> Iterator[Resource]:
        """Register the name at the cluster of every endpoint that requires the function."""
        for caller in self._callers(node):
            for endpoint in self._connected.get(caller, ()):
                own = address(endpoint.subject, PROVIDER, "name", node.name)
                clients: list[Value] = [Reference(endpoint.subject, "private_address")]
                yield from self._name(own, node, endpoint.cluster, servers, clients)

    def _name(
        self, own: Address, node: Node, place: str, servers: list[Endpoint], clients: list[Value] | list[str]
    ) -> Iterator[Resource]:
        quality = self._qualities.get(node.name, ANY)
        reach = self._reach(place, quality.bounds)
        near = min(
            ((reach[server.cluster], server.subject, server) for server in servers if server.cluster in reach),
            default=None,
        )
        if near is None:
            self._no_way(quality, node, place, sorted({server.cluster for server in servers}))
            return
        found, _, server = near
        names = _names(node)
        properties: dict[str, Value] = {
            "fqdn": [*names],
            "address": service_address(self._prefix, names[0]),
            "at": place,
            "to": server.cluster,
            "endpoint": Reference(server.subject, "private_address"),
            "clients": sorted(clients) if all(isinstance(client, str) for client in clients) else [*clients],  # type: ignore[type-var]  # texts
            "links": [*found.links],
            **quality.properties,
        }
        needed = {*self._ports(found.hops, found.links), server.subject}
        needed |= {client.target for client in clients if isinstance(client, Reference)}
        yield self._resource(own, properties, needed)

    # --- trees ---

    def _tree(self, node: Node, endpoint: Endpoint) -> Iterator[Resource]:
        clients = self._client_places(node, endpoint)
        if not clients:
            return
        quality = self._qualities.get(node.name, ANY)
        found, missed = tree(self._fabric, endpoint.cluster, clients, quality.bounds)
        if missed:
            self._no_way(quality, node, endpoint.cluster, sorted(missed))
            return
        properties: dict[str, Value] = {
            "cluster": endpoint.cluster,
            "address": group_address(endpoint.subject),
            "endpoint": Reference(endpoint.subject, "private_address"),
            "clients": [*clients],
            "links": [*found.links],
            **quality.properties,
        }
        needed = {*self._ports(found.hops, found.links), endpoint.subject}
        yield self._resource(address(endpoint.subject, PROVIDER, "path"), properties, needed)

    def _client_places(self, node: Node, endpoint: Endpoint) -> list[str]:
        callers = self._callers(node)
        if callers:
            places = {caller.cluster for name in callers for caller in self._connected.get(name, ())}
        else:
            points = {place.name for place in self._fabric.places.values() if place.users}
            places = points or set(self._fabric.places)
        return sorted(places - {endpoint.cluster})

    # --- what both need ---

    def _callers(self, node: Node) -> list[str]:
        return [
            other.name
            for other in self._nodes.values()
            if other.is_a(SERVICE_FUNCTION) and any(need.node == node.name for need in other.requirements)
        ]

    def _reach(self, place: str, bounds: Bounds) -> Mapping[str, Way]:
        if (place, bounds) not in self._ways:
            self._ways[place, bounds] = ways(self._fabric, place, self._fabric.places, bounds)
        return self._ways[place, bounds]

    def _ports(self, hops: Iterable[Port], links: Iterable[str]) -> set[str]:
        """Name the ports at both ends of every link that is used."""
        site = self._deployment.site.name
        used = {end for port in hops for end in (port, self._fabric.peers[port])}
        used |= {place.port for place in self._fabric.places.values() if place.link in set(links)}
        return {port_address(site, self._fabric, port) for port in used}

    def _no_way(self, quality: Quality, node: Node, place: str, targets: list[str]) -> None:
        asked = ", ".join(f"{name} {value}" for name, value in quality.properties.items())
        position = quality.position if quality.position.file else node.position
        message = (
            f"no way from {place} to {', '.join(targets)} for {node.name}{f' that keeps to {asked}' if asked else ''}"
        )
        self._fault(position, "no-way", f"{message}; add links or ask for less")

    def _resource(self, own: Address, properties: Mapping[str, Value], needed: Iterable[str]) -> Resource:
        return Resource(address=own, binding=self._binding, properties=properties, requires=tuple(sorted(set(needed))))


def _names(node: Node) -> list[str]:
    said = node.properties.get("fqdn")
    return (
        [said]
        if isinstance(said, str)
        else [name for name in said if isinstance(name, str)]
        if isinstance(said, list)
        else []
    )


def service_address(prefix: IPv6Network, fqdn: str) -> str:
    """Give the address a name stands for everywhere: made from the name alone."""
    number = int.from_bytes(blake2b(fqdn.lower().encode(), digest_size=8).digest(), "big")
    return str(prefix[number % prefix.num_addresses])


def group_address(owner: str) -> str:
    """Give the multicast group of an endpoint: transient and of the site, made from its subject."""
    number = int.from_bytes(blake2b(owner.encode(), digest_size=4).digest(), "big") | 1 << 31
    return str(IPv6Address(0xFF15 << 112 | number))


def group_mac(group: str) -> str:
    """Give the MAC address that goes with a multicast address."""
    return f"33:33:{IPv6Address(group).packed[12:].hex(':')}"

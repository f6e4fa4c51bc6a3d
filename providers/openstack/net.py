"""Networks, address ranges, routers, ports, their rules and their bandwidth, as resources. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_network

from providers.base import PermanentError
from providers.openstack.place import NETWORK, PORT, PROVIDER, Layout, Place, is_machine, label_of
from specs.model import Address, Node, Resource, address, parse_address
from specs.values import Reference, Value

QOS = "eu.ict-flame.policies.Qos"
_NEW = ("cidr", "start_ip", "end_ip", "gateway_ip", "network_type", "physical_network", "segmentation_id")
"""Properties that speak of a network to be made; one with a name alone is there already."""
_DATAGRAMS = frozenset({"udp", "icmp", "sctp"})


# --- networks --------------------------------------------------------------------------------------


def network(place: Place) -> Iterator[Resource]:
    """Make a network of the spec with its range; nothing for one that is there already."""
    said = place.node.properties
    if existing(place.node):
        return
    made: dict[str, Value] = {"name": said.get("network_name") or place.label}
    for name in ("network_type", "physical_network", "segmentation_id"):
        if said.get(name) is not None:
            made[name] = said[name]
    where = place.address("network")
    yield place.resource(where, made, stands=True)
    yield place.resource(place.address("subnet"), _range(place, where))


def existing(node: Node) -> Mapping[str, Value]:
    """Name a network that is there already, as ports do; nothing for one that is to be made."""
    if node.properties.get("network_id"):
        return {"network": node.properties["network_id"]}
    named = node.properties.get("network_name")
    return {} if not named or any(node.properties.get(name) for name in _NEW) else {"network_name": named}


def _range(place: Place, where: Address) -> dict[str, Value]:
    said = place.node.properties
    cidr = _cidr(place.endpoint.subject, said.get("cidr"), said.get("ip_version"), place.settings.cidr)
    made: dict[str, Value] = {
        "name": place.label,
        "network": Reference(where, "id"),
        "cidr": cidr,
        "ip_version": ip_network(cidr).version,
    }
    for name in ("gateway_ip", "start_ip", "end_ip", "dhcp_enabled"):
        if said.get(name) is not None:
            made[name] = said[name]
    if place.settings.dns_servers:
        made["dns_servers"] = list(place.settings.dns_servers)
    return made


def _cidr(owner: str, said: Value, version: Value, otherwise: str) -> str:
    if said is None:
        if version == 6 and ip_network(otherwise).version == 4:
            raise PermanentError(f"{owner}: a network of IPv6 needs a cidr; write one such as 2001:db8::/64")
        return otherwise
    try:
        return str(ip_network(str(said), strict=False))
    except ValueError as error:
        raise PermanentError(f"{owner}: cidr: {error}; write a range such as 10.0.0.0/24") from error


def own_network(layout: Layout, made: Mapping[Address, Resource]) -> Iterator[Resource]:
    """Make the network of machines that name none, and the router to the outside, as far as they are needed."""
    owner = layout.own_subject("")
    where, ranges = _own(layout, "network"), _own(layout, "subnet")
    needed = any(map(_is_adrift, layout.machines()))
    label = label_of(owner)
    if needed:
        yield _plain(layout, where, {"name": label})
        properties: dict[str, Value] = {
            "name": label,
            "network": Reference(where, "id"),
            "cidr": layout.settings.cidr,
            "ip_version": ip_network(layout.settings.cidr).version,
        }
        if layout.settings.dns_servers:
            properties["dns_servers"] = list(layout.settings.dns_servers)
        yield _plain(layout, ranges, properties)
    subnets = sorted([key for key in made if parse_address(key).kind == "subnet"] + ([ranges] if needed else []))
    if layout.settings.external_network and subnets:
        interfaces: dict[str, Value] = {key: Reference(key, "id") for key in subnets}
        outer: dict[str, Value] = {"network_name": layout.settings.external_network, "interfaces": interfaces}
        yield _plain(layout, router_of(layout), {"name": label, **outer}, subnets)


def _is_adrift(place: Place) -> bool:
    """Tell whether a machine has no network of the spec."""
    written = ports_of(place)
    return not written and not any(node.is_a(NETWORK) for _, node in place.targets())


def router_of(layout: Layout) -> Address:
    """Give the address of the router of a service."""
    return _own(layout, "router")


def _own(layout: Layout, kind: str) -> Address:
    return address(layout.own_subject(""), PROVIDER, kind, "own")


def _plain(layout: Layout, where: Address, properties: Mapping[str, Value], requires: Iterable[str] = ()) -> Resource:
    referred = {
        str(reference.target) for reference in Resource(address=where, binding="", properties=properties).references
    }
    return Resource(
        address=where,
        binding=layout.binding,
        properties=properties,
        requires=tuple(sorted({*requires, *referred})),
    )


def link(place: Place) -> tuple[dict[str, Value], set[str]]:
    """Say on which network ports of an endpoint are, and what must stand before: the network and its range."""
    for _, node in place.targets():
        if node.is_a(NETWORK):
            if named := existing(node):
                return dict(named), set()
            owner = place.peer(node.name)
            if place.layout.serves(node.name):
                return {"network": Reference(owner, "id")}, {owner, address(owner, PROVIDER, "subnet")}
            return {"network": Reference(owner, "id")}, {owner}
    return (
        {"network": Reference(_own(place.layout, "network"), "id")},
        {_own(place.layout, "network"), _own(place.layout, "subnet")},
    )


# --- ports -----------------------------------------------------------------------------------------


def port(place: Place) -> Iterator[Resource]:
    """Make a port of the spec; the machine it binds to requires it, not the other way round."""
    machine = next((node for _, node in place.targets() if is_machine(node)), None)
    properties, requires = port_properties(place, machine or place.node)
    if place.node.properties.get("ip_address"):
        properties["ip_address"] = place.node.properties["ip_address"]
    if pairs := place.node.properties.get("allowed_address_pairs"):
        properties["allowed_address_pairs"] = ordered(_pairs(place, pairs))
    if machine is not None:
        yield from groups(place, machine)
    yield place.resource(place.address("port"), properties, requires, stands=True)


def _pairs(place: Place, said: Value) -> Iterator[dict[str, Value]]:
    for text in said if isinstance(said, list) else [said]:
        try:
            whole = ip_network(str(text), strict=False)
        except ValueError as error:
            raise PermanentError(
                f"{place.endpoint.subject}: allowed_address_pairs: {error}; write addresses or ranges"
            ) from error
        yield {"ip_address": str(whole) if "/" in str(text) else str(whole.network_address)}


def port_properties(place: Place, machine: Node) -> tuple[dict[str, Value], set[str]]:
    """Say what a port of a machine is like, and what it stands on."""
    where, requires = link(place)
    properties: dict[str, Value] = {"name": place.label, **where}
    if is_machine(machine):
        group = _of(place, machine, "security_group")
        properties["security_groups"] = [Reference(group, "id")]
        requires.add(group)
        if _limits(place, machine):
            quality = _of(place, machine, "qos_policy")
            properties["qos_policy"] = Reference(quality, "id")
            requires.add(quality)
    return properties, requires


def ports_of(place: Place) -> list[Node]:
    """Give the port nodes that bind to a machine, in the order the spec wants."""
    found = [
        node
        for node in place.layout.callers.get(place.node.name, ())
        if node.is_a(PORT) and node.name in place.layout.endpoints
    ]
    return sorted(found, key=lambda node: (_order(node), node.name))


def _order(node: Node) -> float:
    order = node.properties.get("order")
    return order if isinstance(order, int | float) else 0


# --- rules and bandwidth ---------------------------------------------------------------------------


def groups(place: Place, machine: Node) -> Iterator[Resource]:
    """Make the security group and the bandwidth policy all endpoints of a machine node share."""
    label = label_of(place.layout.own_subject(machine.name))
    rules = _rules(place, machine)
    yield place.resource(_of(place, machine, "security_group"), {"name": label, "rules": rules})
    if limits := _limits(place, machine):
        yield place.resource(_of(place, machine, "qos_policy"), {"name": label, "rules": limits})


def _of(place: Place, machine: Node, kind: str) -> Address:
    return address(place.layout.own_subject(machine.name), PROVIDER, kind)


def ordered(rules: Iterable[Mapping[str, Value]]) -> list[Value]:
    """Put rules in the one order both sides are compared in; each only once."""
    return [json.loads(text) for text in sorted({json.dumps(dict(rule), sort_keys=True) for rule in rules})]


def _rules(place: Place, machine: Node) -> list[Value]:
    """Let everything out, the service's own ranges in, and everybody to the ports that are offered."""
    rules: list[dict[str, Value]] = [
        {"direction": "egress", "ethertype": "IPv4"},
        {"direction": "egress", "ethertype": "IPv6"},
    ]
    ranges = sorted(set(_ranges(place.layout)))
    for cidr in ranges:
        kind = f"IPv{ip_network(cidr).version}"
        rules.append({"direction": "ingress", "ethertype": kind, "remote": cidr})
    for protocol, low, high in _offered(place.layout, machine):
        rules += [
            {"direction": "ingress", "ethertype": kind, "protocol": protocol, "ports": [low, high]}
            for kind in sorted({f"IPv{ip_network(cidr).version}" for cidr in ranges} or {"IPv4"})
        ]
    return ordered(rules)


def _ranges(layout: Layout) -> Iterator[str]:
    """Give the address ranges of the networks of a service, as far as the spec tells."""
    written = [node for name, node in layout.nodes.items() if node.is_a(NETWORK) and name in layout.endpoints]
    for node in written:
        if not existing(node):
            said = node.properties
            yield _cidr(node.name, said.get("cidr"), said.get("ip_version"), layout.settings.cidr)
    if not written:
        yield layout.settings.cidr


def _offered(layout: Layout, machine: Node) -> Iterator[tuple[str, int, int]]:
    """Give protocol and port range of everything a machine and its software listen on."""
    for node in (machine, *layout.hosted_on(machine.name)):
        listens = node.properties.get("ports")
        for number in listens if isinstance(listens, list) else ():
            if isinstance(number, int):
                yield "tcp", number, number
        for capability in node.capabilities.values():
            yield from _endpoint(capability)


def _endpoint(capability: Mapping[str, Value]) -> Iterator[tuple[str, int, int]]:
    said = capability.get("protocol")
    protocol = str(said) if said in _DATAGRAMS else "tcp"
    if isinstance(number := capability.get("port"), int):
        yield protocol, number, number
    more = capability.get("ports")
    for spec in more.values() if isinstance(more, Mapping) else ():
        if isinstance(spec, Mapping):
            span = spec.get("target_range") or [spec.get("target"), spec.get("target")]
            if isinstance(span, list) and all(isinstance(end, int) for end in span):
                yield str(spec.get("protocol") or "tcp"), span[0], span[-1]


def _limits(place: Place, machine: Node) -> list[Value]:
    """Give the bandwidth rules of a machine's ports: from numbers of a Qos policy, else from its traffic class."""
    found: dict[str, Value] = {}
    service = place.layout.deployment.service
    for name in sorted(service.policies):
        policy = service.policies[name]
        members = [
            one for target in policy.targets if target in service.groups for one in service.groups[target].members
        ]
        if policy.is_a(QOS) and (machine.name in policy.targets or machine.name in members):
            found |= policy.properties
    most = found.get("max_bandwidth_mbps", place.settings.qos_classes.get(str(found.get("traffic_class")).upper()))
    rules: list[dict[str, Value]] = []
    if isinstance(most, int | float):
        rules += [
            {"type": "bandwidth_limit", "direction": direction, "max_kbps": int(most * 1000)}
            for direction in ("egress", "ingress")
        ]
    least = found.get("min_bandwidth_mbps")
    if isinstance(least, int | float):
        rules.append({"type": "minimum_bandwidth", "direction": "egress", "min_kbps": int(least * 1000)})
    return ordered(rules)


# --- public addresses ------------------------------------------------------------------------------


def floating_ip(place: Place) -> Iterator[Resource]:
    """Make a floating IP of the spec, led to the port it is linked to."""
    said = place.node.properties
    targets = [node for _, node in place.targets() if node.is_a(PORT)]
    properties: dict[str, Value] = {"network_name": said["floating_network"]}
    if said.get("floating_ip_address"):
        properties["address"] = said["floating_ip_address"]
    requires: set[str] = set()
    if targets:
        properties["port"] = Reference(place.peer(targets[0].name), "id")
        requires = {place.peer(targets[0].name), *outer(place)}
    yield place.resource(place.address("floating_ip"), properties, requires, stands=True)


def outer(place: Place) -> set[str]:
    """Give the router an endpoint is reached over, if the service has one."""
    written = [
        node for node in place.layout.nodes.values() if node.is_a(NETWORK) and node.name in place.layout.endpoints
    ]
    made = not written or any(not existing(node) and place.layout.serves(node.name) for node in written)
    return {router_of(place.layout)} if place.settings.external_network and made else set()


def wants_public(place: Place) -> bool:
    """Tell whether a machine, or software on it, is to be reached from the outside."""
    nodes = (place.node, *place.layout.hosted_on(place.node.name))
    return any(
        capability.get("network_name") == "PUBLIC" for node in nodes for capability in node.capabilities.values()
    )

"""Forwarding paths of the NFV profile as chains of ports. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from providers.base import PermanentError
from providers.openstack.net import ports_of
from providers.openstack.place import PORT, PROVIDER, Place, is_machine, label_of
from specs.model import LifecycleState, Node, Resource, Subject, address
from specs.values import Reference, Value

_KNOWN = ("protocol", "source_port", "source_ip_prefix", "destination_ip_prefix", "ports")


def chain(place: Place) -> Iterator[Resource]:
    """Make a chain with one hop for every forwarder, in their order, and a classifier of what goes through it."""
    hops: list[Value] = []
    for number, requirement in enumerate(one for one in place.node.requirements if one.name == "forwarder"):
        node = place.layout.nodes.get(requirement.node)
        if node is None or node.name not in place.layout.endpoints:
            continue
        where = place.address("port_pair_group", f"{number}")
        pairs: dict[str, Value] = {}
        for pair in _pairs(place, node, number):
            yield pair
            pairs[pair.address] = Reference(pair.address, "id")
        name = f"{place.label}-{number}"
        yield place.resource(where, {"name": name, "port_pairs": pairs}, pairs)
        hops.append(Reference(where, "id"))
    classifier = place.address("flow_classifier")
    yield place.resource(classifier, {"name": place.label, **_policy(place)})
    properties: dict[str, Value] = {
        "name": place.label,
        "groups": hops,
        "classifiers": {classifier: Reference(classifier, "id")},
    }
    requires = {classifier, *(hop.target for hop in hops if isinstance(hop, Reference))}
    yield place.resource(place.address("port_chain"), properties, requires, stands=True)


def _pairs(place: Place, node: Node, number: int) -> Iterator[Resource]:
    """Make a pair of ports for every running endpoint of a hop: its first port and its last."""
    for endpoint in place.layout.endpoints[node.name]:
        if not endpoint.state.reaches(LifecycleState.BOOTED):
            continue
        there = Place(layout=place.layout, endpoint=endpoint, node=node)
        first, last = _ends(there)
        machine = next((there.peer(one.name) for _, one in there.targets() if is_machine(one)), endpoint.subject)
        where = place.address("port_pair", f"{number}-{label_of(endpoint.subject)}")
        properties: dict[str, Value] = {
            "name": f"{place.label}-{number}-{label_of(endpoint.subject)}",
            "ingress": Reference(first, "id"),
            "egress": Reference(last, "id"),
        }
        yield place.resource(where, properties, {first, last, machine})


def _ends(place: Place) -> tuple[str, str]:
    if place.node.is_a(PORT):
        return place.endpoint.subject, place.endpoint.subject
    if not is_machine(place.node):
        raise PermanentError(
            f"{place.endpoint.subject}: a forwarder is a port or a machine, not a {place.node.types[0]}"
        )
    written: list[Subject] = [place.peer(node.name) for node in ports_of(place)]
    own = address(place.endpoint.subject, PROVIDER, "port")
    return (written[0], written[-1]) if written else (own, own)


def _policy(place: Place) -> dict[str, Value]:
    """Read what goes through the chain from the policy of the path: `protocol=tcp, ports=80:443`."""
    said = place.node.properties.get("policy")
    found: dict[str, Value] = {}
    for part in str(said).split(",") if said else ():
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or name not in _KNOWN:
            raise PermanentError(
                f"{place.endpoint.subject}: policy {part.strip()!r} is not understood; write {', '.join(_KNOWN)},"
                " each with = and a value"
            )
        found[name] = value
    return found

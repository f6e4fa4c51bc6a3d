"""Turns the properties of a name or a tree into flows, and flows back into properties. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from providers.base import PermanentError
from providers.sdn.edge import Drop, Flow
from providers.sdn.expand import group_mac
from providers.sdn.quality import bounds_of, number, plain, words
from providers.sdn.routes import Tree, Way, tree, walk, way
from providers.sdn.topology import Fabric, Place, Port, mac_of, plain_address
from specs.values import Properties, Value

Labels = Callable[[tuple[Port, str, str]], int]
"""Gives a flow its label."""


NOBODY: Mapping[str, str] = MappingProxyType({})


class Plan(Struct, frozen=True):
    """The flows of one object, and the links they run over."""

    flows: tuple[Flow, ...]
    links: tuple[str, ...]


def best_links(kind: str, properties: Properties, fabric: Fabric, down: frozenset[str]) -> tuple[str, ...] | None:
    """Give the links of the best way or tree there is now; nothing if there is none."""
    if kind == "name":
        found = _way(properties, fabric, down)
        return found.links if found is not None else None
    grown, missed = _tree(properties, fabric, down)
    return None if missed else grown.links


def plan(
    kind: str,
    properties: Properties,
    fabric: Fabric,
    down: frozenset[str],
    labels: Labels,
    roaming: Mapping[str, str] = NOBODY,
) -> Plan:
    """Give the flows of a name or a tree; `PermanentError` if there is no way or an address does not serve.

    `roaming` says at which other place a client of the name is.
    """
    return (
        _plan_name(properties, fabric, down, labels, roaming)
        if kind == "name"
        else _plan_tree(properties, fabric, down, labels)
    )


def _plan_name(
    properties: Properties, fabric: Fabric, down: frozenset[str], labels: Labels, roaming: Mapping[str, str]
) -> Plan:
    home, there = _place(properties, "at", fabric), _place(properties, "to", fabric)
    name, server = _address(properties, "address"), _address(properties, "endpoint")
    kbps, queue = _quality(properties)
    flows: list[Flow] = []
    links: tuple[str, ...] = ()
    for client in _clients(properties):
        here = fabric.places[roaming.get(client, home.name)]
        found = way(fabric, here.name, there.name, bounds_of(properties), down)
        if found is None:
            raise PermanentError(_blocked(here.name, [there.name], down))
        links = found.links
        forth, back = (_hops(found, fabric, forth=forth) for forth in (True, False))
        reach = Drop(there.port, client, server, _mac(server, there))
        answer = Drop(here.port, name, client, home.devices.get(client) or _mac(client, home))
        for entry, source, target, hops, drop in (
            (here.port, client, name, forth, reach),
            (there.port, server, client, back, answer),
        ):
            label = labels((entry, source, target))
            flows.append(
                Flow(
                    entry=entry,
                    source=source,
                    destination=target,
                    hops=hops,
                    drops=(drop,),
                    label=label,
                    kbps=kbps,
                    queue=queue,
                )
            )
    return Plan(tuple(flows), links)


def _plan_tree(properties: Properties, fabric: Fabric, down: frozenset[str], labels: Labels) -> Plan:
    root = _place(properties, "cluster", fabric)
    found, missed = _tree(properties, fabric, down)
    if missed:
        raise PermanentError(_blocked(root.name, sorted(missed), down))
    group, server = _address(properties, "address"), _address(properties, "endpoint")
    ports = sorted(fabric.places[name].port for name in words(properties, "clients"))
    kbps, queue = _quality(properties)
    flow = Flow(
        entry=root.port,
        source=server,
        destination=group,
        hops=found.hops,
        drops=tuple(Drop(port, server, group, group_mac(group)) for port in ports),
        label=labels((root.port, server, group)),
        kbps=kbps,
        queue=queue,
    )
    return Plan((flow,), found.links)


def _quality(properties: Properties) -> tuple[int, int]:
    """Read the limit in 1,000 bit/s, and the queue."""
    return round(1000 * number(properties, "max_mbps", 0)), int(number(properties, "queue", 0))


def _way(properties: Properties, fabric: Fabric, down: frozenset[str]) -> Way | None:
    here, there = _place(properties, "at", fabric), _place(properties, "to", fabric)
    return way(fabric, here.name, there.name, bounds_of(properties), down)


def _tree(properties: Properties, fabric: Fabric, down: frozenset[str]) -> tuple[Tree, frozenset[str]]:
    clients = words(properties, "clients")
    if unknown := sorted(set(clients) - fabric.places.keys()):
        raise PermanentError(f"{', '.join(unknown)} is not attached to the fabric any more")
    return tree(fabric, _place(properties, "cluster", fabric).name, clients, bounds_of(properties), down)


def _place(properties: Properties, name: str, fabric: Fabric) -> Place:
    place = fabric.places.get(str(properties.get(name)))
    if place is None:
        raise PermanentError(f"{properties.get(name)} is not attached to the fabric any more")
    return place


def _address(properties: Properties, name: str) -> str:
    return _plain(properties.get(name), name)


def _clients(properties: Properties) -> list[str]:
    said = properties.get("clients")
    return [_plain(client, "client") for client in said] if isinstance(said, list) else []


def _plain(value: Value, what: str) -> str:
    found = plain_address(value) if isinstance(value, str) else None
    if found is None:
        raise PermanentError(
            f"the {what} is {value!r}, and the fabric carries IPv6 only; give its network an IPv6 range"
        )
    return found


def _mac(address: str, place: Place) -> str:
    found = mac_of(address) or place.mac
    if not found:
        raise PermanentError(
            f"nobody knows the MAC address of {address} at {place.name};"
            f" add it to the spec of {place.name} (properties: mac), or give addresses that are made from one"
        )
    return found


def _blocked(source: str, targets: Sequence[str], down: frozenset[str]) -> str:
    why = f" while {', '.join(sorted(down))} is down" if down else ""
    return f"no way from {source} to {', '.join(targets)}{why}; repair a link, or add one"


# --- back ------------------------------------------------------------------------------------------


def called_home(
    flows: Sequence[Flow], properties: Properties, fabric: Fabric, down: frozenset[str], roaming: Mapping[str, str]
) -> tuple[Flow, ...]:
    """Give the flows of a name as if nobody roamed, without those of clients that are not followed yet."""
    home, there = _place(properties, "at", fabric), _place(properties, "to", fabric)
    kept: list[Flow] = []
    for flow in flows:
        (drop,) = flow.drops if len(flow.drops) == 1 else _none()
        forth = drop.source == flow.source
        client = flow.source if forth else flow.destination
        here = fabric.places[roaming.get(client, home.name)]
        if (flow.entry if forth else drop.port) != here.port:
            continue
        if here == home:
            kept.append(flow)
            continue
        now, straight = (way(fabric, one.name, there.name, bounds_of(properties), down) for one in (here, home))
        if now is not None and straight is not None and flow.hops == _hops(now, fabric, forth=forth):
            ends = {"entry": home.port} if forth else {"drops": (replace(drop, port=home.port),)}
            kept.append(replace(flow, hops=_hops(straight, fabric, forth=forth), **ends))
    return tuple(kept)


def _hops(found: Way, fabric: Fabric, *, forth: bool) -> frozenset[Port]:
    return frozenset(port if forth else fabric.peers[port] for port in found.hops)


def describe(kind: str, flows: Sequence[Flow], fabric: Fabric) -> dict[str, Value]:
    """Say in properties what some flows do; nothing if they are not those of such an object."""
    try:
        return _describe_name(flows, fabric) if kind == "name" else _describe_tree(flows, fabric)
    except LookupError:
        return {}


def _describe_name(flows: Sequence[Flow], fabric: Fabric) -> dict[str, Value]:
    by_key = {flow.key: flow for flow in flows}
    forth: list[Flow] = []
    back: list[Flow] = []
    for flow in flows:
        (drop,) = flow.drops if len(flow.drops) == 1 else _none()
        answer = by_key.get((drop.port, drop.destination, drop.source))
        if answer is not None and drop.source == flow.source:
            forth.append(flow)
            back.append(answer)
    if not forth or len(forth) + len(back) != len(flows):
        return {}
    first = forth[0]
    here, there = fabric.place_of[first.entry], fabric.place_of[first.drops[0].port]
    alike = {(f.entry, f.destination, f.hops, f.drops[0].port, f.drops[0].destination, f.kbps, f.queue) for f in forth}
    returns = {flow.hops for flow in back}
    if len(alike) != 1 or returns != {frozenset(fabric.peers[port] for port in first.hops)}:
        return {}
    found: dict[str, Value] = {
        "address": first.destination,
        "at": here.name,
        "to": there.name,
        "endpoint": first.drops[0].destination,
        "clients": sorted(flow.source for flow in forth),
        "links": [*_in_order(first, fabric)],
    }
    return found | _limit(first)


def _none() -> tuple[Drop]:
    raise LookupError


def _describe_tree(flows: Sequence[Flow], fabric: Fabric) -> dict[str, Value]:
    (flow,) = flows if len(flows) == 1 else _no_flow()
    found: dict[str, Value] = {
        "cluster": fabric.place_of[flow.entry].name,
        "address": flow.destination,
        "endpoint": flow.source,
        "clients": sorted(fabric.place_of[drop.port].name for drop in flow.drops),
        "links": sorted(set(_in_order(flow, fabric))),
    }
    return found | _limit(flow)


def _no_flow() -> tuple[Flow]:
    raise LookupError


def _limit(flow: Flow) -> dict[str, Value]:
    found: dict[str, Value] = {"max_mbps": plain(flow.kbps / 1000)} if flow.kbps else {}
    return found | ({"queue": flow.queue} if flow.queue else {})


def _in_order(flow: Flow, fabric: Fabric) -> Iterator[str]:
    """Walk the links of a flow from its entry to its drops."""
    yield fabric.links[flow.entry]
    for here, _ in walk(fabric, flow.entry.switch, flow.hops):
        yield fabric.links[here]
    for drop in flow.drops:
        if drop.port != flow.entry:
            yield fabric.links[drop.port]

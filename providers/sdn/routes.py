"""Finds ways and trees through the fabric, within what is asked of them. Pure.

Costs decide, then latency, then the number of links, then names: the same fabric always gives the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from heapq import heappop, heappush
from math import inf

from msgspec import Struct

from providers.sdn.topology import Fabric, Place, Port, Trunk


class Bounds(Struct, frozen=True, kw_only=True):
    """What a way must keep to."""

    max_latency_ms: float = inf
    max_cost: float = inf
    min_bandwidth_mbps: float = 0.0
    locations: frozenset[str] = frozenset()
    """Only through switches at these; empty: anywhere."""
    avoid: frozenset[str] = frozenset()
    """Names of links and switches it must not use."""


class Way(Struct, frozen=True, order=True):
    """A way from one place to another."""

    cost: float
    latency_ms: float
    hops: tuple[Port, ...]
    """The ports it leaves switches by, without the last one, which leads to the place."""
    links: tuple[str, ...] = ()
    """Every link on it, both access links included, in order."""


class Tree(Struct, frozen=True):
    """Ways from one place to several, without a switch that is reached twice."""

    hops: frozenset[Port]
    links: tuple[str, ...]
    """Sorted."""


def way(
    fabric: Fabric, source: str, target: str, bounds: Bounds = Bounds(), down: frozenset[str] = frozenset()
) -> Way | None:
    """Find the cheapest way between two places; `down` are links that do not carry anything now."""
    return ways(fabric, source, [target], bounds, down).get(target)


def ways(
    fabric: Fabric, source: str, targets: Iterable[str], bounds: Bounds = Bounds(), down: frozenset[str] = frozenset()
) -> dict[str, Way]:
    """Find the cheapest way from a place to each of several; those without one are left out."""
    start, wanted = fabric.places[source], [fabric.places[name] for name in targets]
    if not _fit(start, bounds, down):
        return {}
    open_places = {place.name: place for place in wanted if _fit(place, bounds, down)}
    found: dict[str, Way] = {}
    for reached in _spread(fabric, start, bounds, down):
        switch = reached.switch
        for place in [place for place in open_places.values() if place.port.switch == switch]:
            candidate = _ended(reached, start, place)
            if candidate.latency_ms <= bounds.max_latency_ms and candidate.cost <= bounds.max_cost:
                found[place.name] = candidate
                del open_places[place.name]
        if not open_places:
            break
    return found


def tree(
    fabric: Fabric, source: str, targets: Iterable[str], bounds: Bounds = Bounds(), down: frozenset[str] = frozenset()
) -> tuple[Tree, frozenset[str]]:
    """Find a tree from a place to several others; also gives the ones it cannot reach.

    Made of cheapest ways, or of quickest ones if those keep to the latency that is asked for and the cheapest do not.
    """
    names = sorted(set(targets))
    wide = Bounds(min_bandwidth_mbps=bounds.min_bandwidth_mbps, locations=bounds.locations, avoid=bounds.avoid)
    cheap = ways(fabric, source, names, wide, down)
    chosen = _within(cheap, bounds)
    if len(chosen) < len(cheap):
        quick = _within(
            ways(_by_latency(fabric), source, names, wide, down), Bounds(max_latency_ms=bounds.max_latency_ms)
        )
        chosen = quick if len(quick) > len(chosen) else chosen
    hops = frozenset(port for found in chosen.values() for port in found.hops)
    links = tuple(sorted({link for found in chosen.values() for link in found.links}))
    return Tree(hops, links), frozenset(names) - chosen.keys()


def switches_way(fabric: Fabric, start: str, end: str, bounds: Bounds) -> tuple[Port, ...] | None:
    """Find the cheapest way from one switch to another, as the ports it leaves switches by."""
    nowhere = Place(name="", link="", port=Port(start, 0), cost=0.0, latency_ms=0.0, bandwidth_mbps=0.0)
    labels = _spread(fabric, nowhere, bounds, frozenset())
    return next((label.hops for label in labels if label.switch == end), None)


def walk(fabric: Fabric, start: str, hops: frozenset[Port]) -> Iterator[tuple[Port, Port]]:
    """Follow a set of ports from a switch on: every trunk as the port it is left by and the port it is entered by."""
    waiting, seen = [start], {start}
    while waiting:
        switch = waiting.pop()
        for here, there, _ in fabric.neighbours[switch]:
            if here in hops:
                yield here, there
                if there.switch not in seen:
                    seen.add(there.switch)
                    waiting.append(there.switch)


class _Label(Struct, frozen=True, order=True):
    cost: float
    latency_ms: float
    hops: tuple[Port, ...]
    links: tuple[str, ...]
    switch: str


def _spread(fabric: Fabric, start: Place, bounds: Bounds, down: frozenset[str]) -> Iterator[_Label]:
    """Walk outwards, the cheapest first. A switch comes again only if a dearer way there is quicker."""
    if not _through(fabric, start.port.switch, bounds):
        return
    waiting = [_Label(0.0, 0.0, (), (), start.port.switch)]
    quickest: dict[str, float] = {}
    bounded = bounds.max_latency_ms < inf
    while waiting:
        label = heappop(waiting)
        best = quickest.get(label.switch, inf)
        if best <= label.latency_ms or (best < inf and not bounded):
            continue
        quickest[label.switch] = label.latency_ms
        yield label
        for here, there, trunk in fabric.neighbours[label.switch]:
            latency = label.latency_ms + trunk.latency_ms
            worth = latency <= bounds.max_latency_ms and (there.switch not in quickest or bounded)
            if worth and _carries(trunk, bounds, down) and _through(fabric, there.switch, bounds):
                further = (*label.hops, here), (*label.links, trunk.name)
                heappush(waiting, _Label(label.cost + trunk.cost, latency, *further, there.switch))


def _ended(label: _Label, start: Place, end: Place) -> Way:
    same = start.name == end.name
    ends = (start.link,) if same else (start.link, *label.links, end.link)
    cost = label.cost + start.cost + (0.0 if same else end.cost)
    return Way(cost, label.latency_ms + start.latency_ms + (0.0 if same else end.latency_ms), label.hops, ends)


def _fit(place: Place, bounds: Bounds, down: frozenset[str]) -> bool:
    return (
        place.link not in bounds.avoid and place.link not in down and place.bandwidth_mbps >= bounds.min_bandwidth_mbps
    )


def _carries(trunk: Trunk, bounds: Bounds, down: frozenset[str]) -> bool:
    return (
        trunk.name not in down and trunk.name not in bounds.avoid and trunk.bandwidth_mbps >= bounds.min_bandwidth_mbps
    )


def _through(fabric: Fabric, switch: str, bounds: Bounds) -> bool:
    here = fabric.bridges[switch].location
    return switch not in bounds.avoid and (not bounds.locations or here in bounds.locations)


def _within(found: Mapping[str, Way], bounds: Bounds) -> dict[str, Way]:
    return {
        name: way
        for name, way in found.items()
        if way.latency_ms <= bounds.max_latency_ms and way.cost <= bounds.max_cost
    }


def _by_latency(fabric: Fabric) -> Fabric:
    """Draw the fabric anew with the latency of every trunk as its cost."""
    trunks = {
        name: Trunk(
            name=name,
            ends=trunk.ends,
            cost=trunk.latency_ms,
            latency_ms=trunk.latency_ms,
            bandwidth_mbps=trunk.bandwidth_mbps,
        )
        for name, trunk in fabric.trunks.items()
    }
    return Fabric(bridges=fabric.bridges, trunks=trunks, places=fabric.places)

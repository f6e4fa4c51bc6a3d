"""What a service may ask of the fabric: its traffic class, limits, and what its ways must keep to. Pure.

GOLD, SILVER and BRONZE are known without a word in the site spec; a policy of the site changes their figures or adds
classes of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf

from msgspec import Struct, field

from providers.sdn.ovsdb import Queue
from providers.sdn.routes import Bounds
from providers.sdn.topology import Fabric
from specs.errors import Diagnostic, Severity
from specs.model import Policy, Position, Service, Site
from specs.values import Properties, Value

QOS = "eu.ict-flame.policies.Qos"


class TrafficClass(Struct, frozen=True, kw_only=True):
    """How much one flow of a class gets at most, and what it needs at least."""

    name: str
    max_mbps: float = 0.0
    """0: no limit."""
    min_mbps: float = 0.0
    priority: int = 0


DEFAULTS = (
    TrafficClass(name="GOLD", max_mbps=100, min_mbps=50, priority=5),
    TrafficClass(name="SILVER", max_mbps=50, min_mbps=25, priority=3),
    TrafficClass(name="BRONZE", max_mbps=25, min_mbps=12.5, priority=1),
)


class Quality(Struct, frozen=True, kw_only=True):
    """What a function gets of the fabric."""

    properties: Properties
    """As they stand in resources."""
    bounds: Bounds = field(default_factory=Bounds)
    position: Position = Position("")


ANY = Quality(properties={})


def classes(site: Site) -> Mapping[str, TrafficClass]:
    """Give the traffic classes of a site by name."""
    found = {traffic_class.name: traffic_class for traffic_class in DEFAULTS}
    said = site.properties.get("traffic_classes", {})
    for key, figures in said.items() if isinstance(said, Mapping) else ():
        if isinstance(figures, Mapping):
            name = str(figures.get("traffic_class") or key)
            base = found.get(name, TrafficClass(name=name))
            found[name] = TrafficClass(
                name=name,
                max_mbps=number(figures, "max_bandwidth_mbps", base.max_mbps),
                min_mbps=number(figures, "min_bandwidth_mbps", base.min_mbps),
                priority=int(number(figures, "priority", base.priority)),
            )
    return found


def qualities(site: Site, service: Service, fabric: Fabric, faults: list[Diagnostic]) -> Mapping[str, Quality]:
    """Give what the policies of a service ask for, by node; faults are added to the list."""
    known = classes(site)
    if fabric.queued:
        faults.extend(_queue_faults(site, known))
    found: dict[str, Quality] = {}
    for name in sorted(service.policies):
        policy = service.policies[name]
        if policy.is_a(QOS):
            faults.extend(_faults(policy, known, fabric))
            quality = _quality(policy, known, queued=fabric.queued)
            found.update((node, quality) for node in _nodes(policy, service))
    return found


def bounds_of(properties: Properties) -> Bounds:
    """Read out of the properties of a resource what its ways must keep to."""
    return Bounds(
        max_latency_ms=number(properties, "max_latency_ms", inf),
        max_cost=number(properties, "max_cost", inf),
        min_bandwidth_mbps=number(properties, "min_mbps", 0.0),
        locations=frozenset(words(properties, "locations")),
        avoid=frozenset(words(properties, "avoid")),
    )


def queues(site: Site, bandwidth: float) -> tuple[Queue, ...]:
    """Give the queues of a port: one for every class with a priority, numbered by it, within what the link carries."""
    found = []
    for one in classes(site).values():
        if one.priority:
            most = min(one.max_mbps or bandwidth, bandwidth)
            found.append(Queue(one.priority, min(one.min_mbps, most), most))
    return tuple(sorted(found))


def _queue_faults(site: Site, known: Mapping[str, TrafficClass]) -> Iterator[Diagnostic]:
    first: dict[int, str] = {}
    for one in known.values():
        other = first.setdefault(one.priority, one.name)
        if one.priority and other != one.name:
            message = f"the classes {other} and {one.name} have one priority, {one.priority}, and with it one queue"
            where = site.position
            yield Diagnostic(
                where.file, where.line, where.column, Severity.ERROR, "queue-twice", f"{message}; change one"
            )


def _quality(policy: Policy, known: Mapping[str, TrafficClass], *, queued: bool) -> Quality:
    said = policy.properties
    traffic_class = known.get(str(said.get("traffic_class", "")), TrafficClass(name=""))
    limits = {
        "max_mbps": number(said, "max_bandwidth_mbps", traffic_class.max_mbps),
        "min_mbps": number(said, "min_bandwidth_mbps", traffic_class.min_mbps),
    }
    properties: dict[str, Value] = {name: plain(value) for name, value in limits.items() if value}
    if traffic_class.name:
        properties["class"] = traffic_class.name
    if queued and (queue := int(number(said, "priority", traffic_class.priority))):
        properties["queue"] = queue
    properties |= {name: plain(number(said, name, 0)) for name in ("max_latency_ms", "max_cost") if name in said}
    properties |= {name: sorted(words(said, name)) for name in ("locations", "avoid") if words(said, name)}
    return Quality(properties=properties, bounds=bounds_of(properties), position=policy.position)


def _faults(policy: Policy, known: Mapping[str, TrafficClass], fabric: Fabric) -> Iterator[Diagnostic]:
    name = policy.properties.get("traffic_class")
    if name is not None and name not in known:
        message = f"policy {policy.name} asks for the class {name}; this site has {', '.join(sorted(known))}"
        yield _at(policy, "unknown-class", message)
    priority = int(number(policy.properties, "priority", 0))
    if fabric.queued and priority and priority not in {one.priority for one in known.values()}:
        message = f"policy {policy.name} asks for the queue of priority {priority}, which no class of this site has"
        yield _at(policy, "unknown-class", f"{message}; add one, or name a class")
    for thing in words(policy.properties, "avoid"):
        if thing not in fabric.bridges and thing not in fabric.trunks:
            yield _at(policy, "unknown-switch", f"policy {policy.name} avoids {thing}, which is no switch or link here")


def _nodes(policy: Policy, service: Service) -> Iterator[str]:
    for target in policy.targets:
        group = service.groups.get(target)
        yield from group.members if group is not None else (target,)


def _at(policy: Policy, code: str, message: str) -> Diagnostic:
    place = policy.position
    return Diagnostic(place.file, place.line, place.column, Severity.ERROR, code, message)


def number(properties: Properties, name: str, default: float) -> float:
    """Give a number that properties hold, or the default."""
    value = properties.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else default


def words(properties: Properties, name: str) -> list[str]:
    """Give the words of a list that properties hold."""
    value = properties.get(name)
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def plain(value: float) -> int | float:
    """Give 2 for 2.0, as people write it."""
    return int(value) if float(value).is_integer() else value

"""The rules of services at the rim of the fabric: flows into rules, and rules back into flows. Pure.

A flow enters at one port, where its addresses give way to bits and a label, and leaves at one or several others, where
the label gives the addresses back. Where it enters another area, its label chooses the bits of that area.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from ipaddress import IPv6Address
from typing import TypeAlias

from msgspec import Struct

from providers.sdn.bits import pack, unpack
from providers.sdn.core import BORDER, EDGE, carrying, dscp, read_bit
from providers.sdn.routes import walk
from providers.sdn.rules import IN_PORT, IPV6, MARKED, Action, Bucket, Do, Group, Meter, Rule, matching
from providers.sdn.topology import Fabric, Port

LABELS = 1 << 18
"""How many flows a fabric can tell apart: labels serve as numbers of meters, too, and Open vSwitch has as many."""
LABEL = "ipv6_label"
TREE_HOPS = 64
"""Hosts send multicast with a hop limit of 1, for one link; to them a tree is one."""


class Drop(Struct, frozen=True, order=True):
    """Where a flow leaves the fabric, and what its frames look like there."""

    port: Port
    source: str
    destination: str
    mac: str


class Flow(Struct, frozen=True, order=True, kw_only=True):
    """Frames of one sort through the fabric."""

    entry: Port
    source: str
    """The source address they come with."""
    destination: str
    """The destination address they come with."""
    hops: frozenset[Port]
    """Every port between switches they leave by."""
    drops: tuple[Drop, ...]
    label: int
    kbps: int = 0
    """Limit in 1,000 bit/s; 0 for none."""
    queue: int = 0
    """The queue its frames belong in, on switches that have queues."""

    @property
    def key(self) -> tuple[Port, str, str]:
        """What names the flow: no two of a fabric share it."""
        return self.entry, self.source, self.destination


class Wiring(Struct, frozen=True, dict=True):
    """What turns ports into bits and back."""

    fabric: Fabric
    bits: Mapping[Port, int]

    @cached_property
    def owners(self) -> Mapping[tuple[str, int], Port]:
        """Area and bit → the port that owns it."""
        return {(self.fabric.area(port.switch), bit): port for port, bit in self.bits.items()}


Rules: TypeAlias = Mapping[str, Sequence[Rule]]
"""By switch."""


class Parts(Struct, frozen=True):
    """What a flow is made of, by switch, in the order it has to be written in."""

    meters: tuple[tuple[str, Meter], ...]
    groups: tuple[tuple[str, Group], ...]
    ahead: tuple[tuple[str, Rule], ...]
    """Rules that must be there before the first frame comes."""
    entry: tuple[str, Rule]

    @property
    def rules(self) -> tuple[tuple[str, Rule], ...]:
        """All rules."""
        return (*self.ahead, self.entry)


def parts(flow: Flow, wiring: Wiring, rank: int = 0) -> Parts:
    """Give the rules of a flow."""
    segments = _segments(flow, wiring)
    source, destination = pack(segments.pop(flow.entry))
    meter = ((flow.entry.switch, Meter(flow.label, flow.kbps)),) if flow.kbps else ()
    limit = (Action(Do.METER, flow.label),) if flow.kbps else ()
    hops = (Action(Do.HOPS, TREE_HOPS),) if IPv6Address(flow.destination).is_multicast else ()
    # Whatever the host has written there itself goes: nobody helps himself to a queue.
    sorted_in = (Action(Do.SET, dscp(flow.queue), "ip_dscp"),) if wiring.fabric.queued else ()
    inside = (
        *hops,
        Action(Do.SET, MARKED, "eth_dst"),
        Action(Do.SET, flow.label, LABEL),
        *_bits_set(source, destination),
        *sorted_in,
        *_queued(flow, flow.entry.switch, wiring),
        Action(Do.GOTO, 1),
    )
    asks = matching(in_port=flow.entry.number, eth_type=IPV6, ipv6_src=flow.source, ipv6_dst=flow.destination)
    ahead = [_border(port, bits, flow, wiring, rank) for port, bits in sorted(segments.items())]
    ahead += [_leaving(drop, wiring.bits[drop.port], flow.label, rank) for drop in flow.drops]
    groups = tuple((drop.port.switch, _group(drop, flow)) for drop in flow.drops)
    return Parts(meter, groups, tuple(ahead), (flow.entry.switch, Rule(0, EDGE + rank, asks, (*limit, *inside))))


def _segments(flow: Flow, wiring: Wiring) -> dict[Port, set[int]]:
    """Divide the bits of a flow by where they are put on: at its entry, and where it enters another area."""
    fabric = wiring.fabric
    begins = {flow.entry.switch: flow.entry}
    found: dict[Port, set[int]] = {flow.entry: set()}
    for here, there in walk(fabric, flow.entry.switch, flow.hops):
        begin = begins[here.switch]
        found[begin].add(wiring.bits[here])
        if fabric.area(there.switch) != fabric.area(here.switch):
            begin = there
            found[begin] = set()
        begins[there.switch] = begin
    for drop in flow.drops:
        found[begins[drop.port.switch]].add(wiring.bits[drop.port])
    return found


def _bits_set(source: int, destination: int) -> tuple[Action, Action]:
    return (
        Action(Do.SET, str(IPv6Address(source)), "ipv6_src"),
        Action(Do.SET, str(IPv6Address(destination)), "ipv6_dst"),
    )


def _queued(flow: Flow, switch: str, wiring: Wiring) -> tuple[Action, ...]:
    return (Action(Do.QUEUE, flow.queue),) if flow.queue and wiring.fabric.bridges[switch].ovsdb else ()


def _border(port: Port, bits: Iterable[int], flow: Flow, wiring: Wiring, rank: int) -> tuple[str, Rule]:
    asks = matching(in_port=port.number, eth_type=IPV6, eth_dst=MARKED, ipv6_label=flow.label)
    sorted_in = _queued(flow, port.switch, wiring)
    does = (Action(Do.DECREMENT), *_bits_set(*pack(bits)), *sorted_in, Action(Do.GOTO, 1))
    return port.switch, Rule(0, BORDER + rank, asks, does)


def _leaving(drop: Drop, bit: int, label: int, rank: int) -> tuple[str, Rule]:
    number = drop.port.number
    does = (Action(Do.GROUP, group_id(label, number)), Action(Do.GOTO, number + 1))
    return drop.port.switch, Rule(number, EDGE + rank, carrying(bit, ipv6_label=label), does)


def _group(drop: Drop, flow: Flow) -> Group:
    """Give the addresses back, on a copy: the tables that follow still need the bits."""
    port = IN_PORT if drop.port == flow.entry else drop.port.number
    does = (
        Action(Do.SET, drop.mac, "eth_dst"),
        Action(Do.SET, 0, LABEL),
        Action(Do.SET, drop.source, "ipv6_src"),
        Action(Do.SET, drop.destination, "ipv6_dst"),
        Action(Do.OUTPUT, port),
    )
    return Group(group_id(flow.label, drop.port.number), "indirect", (Bucket(does),))


def group_id(label: int, port: int) -> int:
    """Give the number of the group by which a flow leaves a switch."""
    return label << 8 | port


# --- back ------------------------------------------------------------------------------------------


class Reading(Struct, frozen=True):
    """What the rules of one object amount to."""

    flows: tuple[Flow, ...]
    rank: int
    strays: tuple[str, ...]
    """What is missing or too much, in words."""


def read(
    rules: Rules, groups: Callable[[str, int], Group | None], meters: Callable[[str, int], int], wiring: Wiring
) -> Reading:
    """Put the rules of one object together to flows; `meters` gives the limit of a meter, 0 for none."""
    reader = _Reading(rules, groups, meters, wiring)
    flows = tuple(sorted(filter(None, map(reader.flow, reader.entries)), key=lambda flow: flow.key))
    rank = min((rule.priority - EDGE for _, rule in reader.entries), default=0)
    wanted = {(s, r) for flow in flows for s, r in parts(flow, wiring, rank).rules}
    there = {(switch, rule.owned(0)) for switch, own in rules.items() for rule in own}
    strays = [f"a rule is missing on {switch}" for switch, _ in wanted - there]
    strays += [f"a rule on {switch} belongs to nothing" for switch, _ in there - wanted]
    wanted_groups = [pair for flow in flows for pair in parts(flow, wiring, rank).groups]
    strays += [f"a group on {switch} is not as it was" for switch, g in wanted_groups if groups(switch, g.id) != g]
    return Reading(flows, rank, tuple(sorted(strays)))


class _Reading:
    def __init__(
        self,
        rules: Rules,
        groups: Callable[[str, int], Group | None],
        meters: Callable[[str, int], int],
        wiring: Wiring,
    ) -> None:
        self._groups, self._meters, self._wiring = groups, meters, wiring
        self.entries: list[tuple[str, Rule]] = []
        self._borders: dict[tuple[Port, int], Rule] = {}
        self._leaving: dict[int, list[tuple[Port, Rule]]] = {}
        for switch, own in rules.items():
            for rule in own:
                self._sort(switch, rule)

    def _sort(self, switch: str, rule: Rule) -> None:
        label = rule.field(LABEL)
        port = rule.field("in_port")
        if rule.table == 0 and label is None and rule.action(Do.SET, LABEL) is not None:
            self.entries.append((switch, rule))
        elif rule.table == 0 and isinstance(label, int) and isinstance(port, int):
            self._borders[Port(switch, port), label] = rule
        elif isinstance(label, int) and read_bit(rule) is not None:
            self._leaving.setdefault(label, []).append((Port(switch, rule.table), rule))

    def flow(self, entry: tuple[str, Rule]) -> Flow | None:
        """Follow one entry; nothing if it cannot be made sense of."""
        switch, rule = entry
        label, port = rule.action(Do.SET, LABEL), rule.field("in_port")
        if not isinstance(label, int) or not isinstance(port, int):
            return None
        start = Port(switch, port)
        ports = frozenset(self._ports(switch, rule, label))
        drops = tuple(sorted(filter(None, (self._drop(*found) for found in self._leaving.get(label, ())))))
        hops = frozenset(port for port in ports if port in self._wiring.fabric.peers)
        if {drop.port for drop in drops} != ports - hops or not self._is_reached(start, hops, drops):
            return None
        limit, mark = rule.action(Do.METER), rule.action(Do.SET, "ip_dscp")
        return Flow(
            entry=start,
            source=str(rule.field("ipv6_src")),
            destination=str(rule.field("ipv6_dst")),
            hops=hops,
            drops=drops,
            label=label,
            kbps=self._meters(switch, limit) if isinstance(limit, int) else 0,
            queue=mark >> 3 if isinstance(mark, int) else 0,
        )

    def _is_reached(self, start: Port, hops: frozenset[Port], drops: tuple[Drop, ...]) -> bool:
        """Tell whether the hops lead from the entry to every drop, and nowhere else."""
        walked = list(walk(self._wiring.fabric, start.switch, hops))
        reached = {start.switch} | {there.switch for _, there in walked}
        return {here for here, _ in walked} == hops and all(drop.port.switch in reached for drop in drops)

    def _ports(self, switch: str, rule: Rule, label: int) -> Iterator[Port]:
        """Read the ports out of the bits a rule puts on, and of those at every border behind."""
        fabric = self._wiring.fabric
        waiting, seen = [(switch, rule)], {(switch, rule)}
        while waiting:
            here, puts = waiting.pop()
            halves = [puts.action(Do.SET, name) for name in ("ipv6_src", "ipv6_dst")]
            source, destination = (int(IPv6Address(str(half or "::"))) for half in halves)
            for bit in unpack(source, destination):
                port = self._wiring.owners.get((fabric.area(here), bit))
                if port is None:
                    continue
                yield port
                there = fabric.peers.get(port)
                border = self._borders.get((there, label)) if there is not None else None
                if there is not None and border is not None and (there.switch, border) not in seen:
                    seen.add((there.switch, border))
                    waiting.append((there.switch, border))

    def _drop(self, port: Port, rule: Rule) -> Drop | None:
        number = rule.action(Do.GROUP)
        group = self._groups(port.switch, number) if isinstance(number, int) else None
        if group is None or len(group.buckets) != 1:
            return None
        does = {action.field: str(action.value) for action in group.buckets[0].actions if action.do is Do.SET}
        return Drop(port, does.get("ipv6_src", ""), does.get("ipv6_dst", ""), does.get("eth_dst", ""))

"""Ways round a link for the time until the next turn: a switch that sees its port go dark takes them by itself. Pure.

A detour belongs to a port of a trunk. At its switch, a failover group leaves by the port while that is up, and else
sends the frame, all its bits kept, to a MAC address of the detour; the switches on the way pass that on, and the far
switch gives it the mark back. So it is as if the frame had come by the link. It depends on the topology only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b

from msgspec import Struct

from providers.sdn.core import FORWARD, carrying
from providers.sdn.edge import Wiring
from providers.sdn.routes import Bounds, switches_way
from providers.sdn.rules import IN_PORT, IPV6, MARKED, Action, Bucket, Do, Group, Rule, matching
from providers.sdn.topology import Fabric, Port

ABOVE = FORWARD + 400
"""Above the rule of the port, below those of services."""


class Detour(Struct, frozen=True):
    """What a detour consists of, by switch."""

    groups: tuple[tuple[str, Group], ...]
    rules: tuple[tuple[str, Rule], ...]


def detour_ports(fabric: Fabric, port: Port) -> tuple[Port, ...] | None:
    """Find the ports a detour leaves switches by; nothing without a way round, or if the link leaves its area."""
    there = fabric.peers.get(port)
    if there is None or fabric.area(there.switch) != fabric.area(port.switch):
        return None
    return switches_way(fabric, port.switch, there.switch, Bounds(avoid=frozenset({fabric.links[port]})))


def mac_of(port: Port) -> str:
    """Give the MAC address of the detour round a port: locally administered, made from the port's name."""
    return f"06:{blake2b(str(port).encode(), digest_size=5).digest().hex(':')}"


def detour(port: Port, ports: Sequence[Port], wiring: Wiring, rank: int = 0) -> Detour:
    """Give the groups and rules of a detour."""
    fabric, mac = wiring.fabric, mac_of(port)
    groups = tuple((port.switch, _group(port, ports[0], rank, back=back)) for back in (False, True))
    rules = [(port.switch, rule) for rule in _forks(port, ports[0], wiring, rank)]
    for here, onwards in zip((fabric.peers[p] for p in ports), [*ports[1:], None], strict=True):
        asks = matching(in_port=here.number, eth_type=IPV6, eth_dst=mac)
        does: tuple[Action, ...]
        if onwards is None:
            does = (Action(Do.DECREMENT), Action(Do.SET, MARKED, "eth_dst"), Action(Do.GOTO, 1))
        else:
            does = (Action(Do.DECREMENT), Action(Do.OUTPUT, onwards.number))
        rules.append((here.switch, Rule(0, ABOVE + 2 * rank, asks, does)))
    return Detour(groups, tuple(rules))


def read_detour(rules: Mapping[str, Sequence[Rule]]) -> tuple[Port, int] | None:
    """Read which port rules go round, and their rank; nothing if they do not look like that."""
    for switch, own in sorted(rules.items()):
        for rule in own:
            group = rule.action(Do.GROUP)
            if rule.table and rule.field("in_port") is None and isinstance(group, int) and group >> 30:
                return Port(switch, rule.table), (rule.priority - ABOVE) // 2
    return None


def _forks(port: Port, first: Port, wiring: Wiring, rank: int) -> Iterator[Rule]:
    """Leave by the group; what came by the detour's own first port may go back there only if told so."""
    bit, onwards, above = wiring.bits[port], Action(Do.GOTO, port.number + 1), ABOVE + 2 * rank
    forth, back = (Action(Do.GROUP, group_id(port, rank, back=back)) for back in (False, True))
    yield Rule(port.number, above, carrying(bit), (forth, onwards))
    yield Rule(port.number, above + 1, carrying(bit, in_port=first.number), (back, onwards))


def _group(port: Port, first: Port, rank: int, *, back: bool) -> Group:
    straight = Bucket((Action(Do.OUTPUT, port.number),), port.number)
    leave = Action(Do.OUTPUT, IN_PORT if back else first.number)
    round_it = Bucket((Action(Do.SET, mac_of(port), "eth_dst"), leave), first.number)
    return Group(group_id(port, rank, back=back), "failover", (straight, round_it))


def group_id(port: Port, rank: int, *, back: bool) -> int:
    """Give the number of a group that goes round a port; those of flows are smaller."""
    return 1 << 30 | rank << 9 | back << 8 | port.number

"""The rules that depend on the topology alone: the chain of tables of a switch, and the rules of its ports. Pure.

Table 0 lets frames in. Every used port has the table of its number: a frame that carries the port's bit leaves there
and goes on to the next table, every other frame only goes on. So a frame leaves by every port whose bit it carries.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from msgspec import Struct

from providers.sdn.bits import pack, unpack
from providers.sdn.rules import (
    CONTROLLER,
    IN_PORT,
    IPV6,
    MARKED,
    Action,
    Do,
    Match,
    Rule,
    masked,
    matching,
    read_masked,
)

STRANGE = 500
"""Of the rules that show the controller what nobody knows."""
FORWARD = 1000
"""Priority of the rules of ports; those of services stand above."""
SORT = 1400
"""Of the rules that put frames into queues as they come in."""
BORDER = 1500
TURN = 1600
EDGE = 2000
RANKS = 400
"""Objects of one sort that stand beside one another differ by their rank, which is added to the priorities."""


class Exit(Struct, frozen=True):
    """The rules of a port, as read."""

    port: int
    bit: int
    trunk: bool
    """Whether another switch is behind it; then frames come in by it, too."""
    turns: bool = False
    """Whether it sends frames back to where they came from, as those need that came by a detour."""
    rank: int = 0
    queues: tuple[int, ...] = ()
    """The queues it sorts frames into that come in by it."""
    reports: bool = False
    """Whether it shows the controller frames that nobody knows, so that a device is seen."""


def chain(length: int, rank: int = 0) -> tuple[Rule, ...]:
    """Give the rules that pass a frame from table to table."""
    return tuple(Rule(table, rank, (), (Action(Do.GOTO, table + 1),)) for table in range(1, length + 1))


def read_chain(rules: Collection[Rule]) -> tuple[int, int] | None:
    """Give the length of a chain and its rank; a chain with a gap has length 0, no chain gives nothing."""
    links = {rule.table: rule for rule in rules if is_link(rule)}
    if not links:
        return None
    whole = links.keys() == set(range(1, len(links) + 1)) and len(rules) == len(links)
    return (len(links) if whole else 0), min(rule.priority for rule in links.values())


def is_link(rule: Rule) -> bool:
    """Tell whether a rule is one of a chain."""
    return not rule.match and rule.table > 0 and rule.actions == (Action(Do.GOTO, rule.table + 1),)


def exit_rules(
    port: int,
    bit: int,
    *,
    trunk: bool,
    turns: bool = False,
    rank: int = 0,
    queues: Iterable[int] = (),
    reports: bool = False,
) -> tuple[Rule, ...]:
    """Give the rules of a port.

    A port to a place only holds its bit: what leaves there needs its addresses back, which rules of services do.
    """
    onwards = Action(Do.GOTO, port + 1)
    leave = (Action(Do.OUTPUT, port), onwards) if trunk else (onwards,)
    rules = [Rule(port, FORWARD + rank, carrying(bit), leave)]
    if trunk:
        enter = (Action(Do.DECREMENT), Action(Do.GOTO, 1))
        rules.append(Rule(0, FORWARD + rank, matching(in_port=port, eth_type=IPV6, eth_dst=MARKED), enter))
        for queue in queues:
            asks = matching(in_port=port, eth_type=IPV6, eth_dst=MARKED, ip_dscp=dscp(queue))
            rules.append(Rule(0, SORT + rank, asks, (Action(Do.QUEUE, queue), *enter)))
    if reports:
        rules.append(Rule(0, STRANGE + rank, matching(in_port=port, eth_type=IPV6), (Action(Do.OUTPUT, CONTROLLER),)))
    if turns:
        back = (Action(Do.OUTPUT, IN_PORT), onwards)
        rules.append(Rule(port, TURN + rank, carrying(bit, in_port=port), back))
    return tuple(sorted(rules))


def dscp(queue: int) -> int:
    """Give the mark of frames that belong in a queue: the class selector of that number (RFC 2474)."""
    return queue << 3


def read_exit(rules: Collection[Rule]) -> Exit | None:
    """Read the rules of a port, if they are that and nothing is missing."""
    queues = tuple(sorted(queue for rule in rules if isinstance(queue := rule.action(Do.QUEUE), int)))
    reports = any(rule.action(Do.OUTPUT) == CONTROLLER for rule in rules)
    for rule in rules:
        bit = read_bit(rule)
        if bit is not None and _is_plain(rule):
            rank, trunk = rule.priority - FORWARD, rule.action(Do.OUTPUT) is not None
            for turns in (False, True):
                found = Exit(rule.table, bit, trunk, turns, rank, queues, reports)
                whole = exit_rules(rule.table, bit, trunk=trunk, turns=turns, rank=rank, queues=queues, reports=reports)
                if {r.owned(0) for r in rules} == set(whole):
                    return found
    return None


def carrying(bit: int, **more: int | str) -> Match:
    """Match marked frames that carry a bit."""
    source, destination = pack([bit])
    half: dict[str, int | str] = (
        {"ipv6_src": masked(source, source)} if source else {"ipv6_dst": masked(destination, destination)}
    )
    return matching(eth_type=IPV6, eth_dst=MARKED, **half, **more)


def read_bit(rule: Rule) -> int | None:
    """Read which bit a rule looks at, if it looks at one."""
    if rule.table == 0 or rule.field("eth_dst") != MARKED:
        return None
    halves = [read_masked(str(rule.field(name) or "::/0")) for name in ("ipv6_src", "ipv6_dst")]
    if any(value != mask for value, mask in halves):
        return None
    bits = unpack(halves[0][0], halves[1][0])
    return next(iter(bits)) if len(bits) == 1 else None


def bits_held(rules: Iterable[Rule]) -> dict[int, int]:
    """Read which bit every port of a switch holds; whoever wrote the rules."""
    found: dict[int, int] = {}
    for rule in rules:
        bit = read_bit(rule)
        if bit is not None and _is_plain(rule):
            found.setdefault(rule.table, bit)
    return found


def _is_plain(rule: Rule) -> bool:
    return rule.field("ipv6_label") is None and rule.field("in_port") is None

"""Switches in memory that do what OpenFlow 1.3 says, behind the interface of a controller.

A rule takes the place of one with the same table, priority and match; of those that match, the highest priority is
done; a group works on a copy; nothing leaves by the port it came in by unless told so in as many words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import IPv6Address
from typing import ClassVar

from msgspec import Struct
from msgspec.structs import replace

from providers.base import TransientError
from providers.sdn.controller import Change, Wire
from providers.sdn.core import BORDER
from providers.sdn.rules import IN_PORT, IPV6, Action, Do, Group, Meter, Rule, read_masked
from providers.sdn.topology import Fabric, Port

LLDP = Rule(0, 65535, (("eth_dst", "01:80:c2:00:00:0e"), ("eth_type", 35020)), (Action(Do.OUTPUT, "CONTROLLER"),))


_UP = -1
"""Where frames for the controller go."""


class Frame(Struct, frozen=True, kw_only=True):
    """An IPv6 frame on its way."""

    source: str
    destination: str
    mac: str = "02:00:00:00:00:99"
    sender: str = "02:00:00:00:00:98"
    label: int = 0
    hop_limit: int = 64
    dscp: int = 0
    queue: int = 0
    """The queue it waits in at the switch it is at."""


@dataclass(slots=True)
class Box:
    """One switch."""

    rules: dict[tuple[object, ...], Rule] = field(default_factory=dict)
    groups: dict[int, Group] = field(default_factory=dict)
    meters: dict[int, Meter] = field(default_factory=dict)
    dark: set[int] = field(default_factory=set)
    tables: dict[int, list[Rule]] | None = None
    """Rules by table, the highest priority first; made when a frame comes."""


class Simulator:
    """A fabric in memory. A controller, and hands to send frames and to break things with."""

    name: ClassVar[str] = "simulator"
    counts: ClassVar[bool] = True
    meters_possible: ClassVar[bool] = True
    devices_possible: ClassVar[bool] = True
    lag: ClassVar[timedelta] = timedelta(0)

    def __init__(self, fabric: Fabric) -> None:
        self.fabric = fabric
        self.boxes = {bridge.dpid: Box() for bridge in fabric.bridges.values()}
        self.gone: set[int] = set()
        """Switches that are not connected."""
        self.hits = 0
        """How often a frame came to a switch."""
        self.writes = 0
        self.seen: dict[str, tuple[int, int]] = {}
        """MAC address → switch and port of the last frame of its that was sent up to the controller."""
        self.queued: list[tuple[Port, int]] = []
        """Every port a frame left by, and the queue it was in."""
        for dpid in self.boxes:
            self.restart(dpid)

    # --- what a controller does ---

    def switches(self) -> frozenset[int]:
        return frozenset(self.boxes.keys() - self.gone)

    def rules(self, dpid: int, cookie: int = 0, mask: int = 0) -> tuple[Rule, ...]:
        return tuple(rule for rule in self._box(dpid).rules.values() if rule.cookie & mask == cookie & mask)

    def count(self, dpid: int, cookie: int, mask: int) -> int:
        return len(self.rules(dpid, cookie, mask))

    def groups(self, dpid: int) -> Mapping[int, Group]:
        return dict(self._box(dpid).groups)

    def meters(self, dpid: int) -> Mapping[int, Meter]:
        return dict(self._box(dpid).meters)

    def ports(self, dpid: int) -> Mapping[int, bool]:
        box, name = self._box(dpid), self.fabric.switch_of[dpid]
        return {port.number: port.number not in box.dark for port in self.fabric.links if port.switch == name}

    def wires(self) -> Sequence[Wire]:
        found = []
        for here, there in self.fabric.peers.items():
            ends = [(self.fabric.bridges[port.switch].dpid, port.number) for port in (here, there)]
            if not any(number in self.boxes[dpid].dark or dpid in self.gone for dpid, number in ends):
                found.append(Wire(*ends[0], *ends[1]))
        return sorted(found)

    def devices(self) -> Mapping[str, tuple[int, int]]:
        return dict(self.seen)

    def write(self, dpid: int, change: Change) -> None:
        box = self._box(dpid)
        self.writes += 1
        box.tables = None
        box.meters |= {meter.id: meter for meter in (*change.meters, *change.changed_meters)}
        box.groups |= {group.id: group for group in change.groups if group.id not in box.groups}
        box.groups |= {group.id: group for group in change.changed_groups if group.id in box.groups}
        for rule in change.rules:
            if self._is_sound(box, rule):
                box.rules[rule.key] = rule
        for rule in change.gone_rules:
            if box.rules.get(rule.key, rule).cookie == rule.cookie:
                box.rules.pop(rule.key, None)
        for numbers, do in ((change.gone_groups, Do.GROUP), (change.gone_meters, Do.METER)):
            for number in numbers:
                box.rules = {key: rule for key, rule in box.rules.items() if rule.action(do) != number}
        box.groups = {number: group for number, group in box.groups.items() if number not in change.gone_groups}
        box.meters = {number: meter for number, meter in box.meters.items() if number not in change.gone_meters}

    def close(self) -> None:
        """Have nothing to let go of."""

    # --- what happens to it ---

    def restart(self, dpid: int) -> None:
        """Lose everything; the controller puts its own rule back."""
        self.boxes[dpid] = Box(rules={LLDP.key: LLDP})

    def drop_edges(self) -> None:
        """Forget every rule and group of services."""
        for box in self.boxes.values():
            box.groups.clear()
            box.rules = {key: rule for key, rule in box.rules.items() if not BORDER <= rule.priority < LLDP.priority}
            box.tables = None

    def cut(self, link: str, *, up: bool = False) -> None:
        """Take the carrier of a link away, or give it back."""
        for port in self.fabric.trunks[link].ends:
            dark = self.boxes[self.fabric.bridges[port.switch].dpid].dark
            dark.discard(port.number) if up else dark.add(port.number)

    def send(self, port: Port, frame: Frame) -> list[tuple[Port, Frame]]:
        """Let a frame in by a port; gives every frame that leaves the fabric, and where."""
        arrived: list[tuple[Port, Frame]] = []
        waiting = [(port, frame)]
        while waiting:
            here, now = waiting.pop()
            self.hits += 1
            if self.hits > 1_000_000:
                raise AssertionError("frames go round and round")
            for number, out in self._pipeline(here, replace(now, queue=0)):
                leaving = Port(here.switch, number)
                if number == _UP:
                    self.seen[frame.sender] = self.fabric.bridges[here.switch].dpid, here.number
                    continue
                self.queued.append((leaving, out.queue))
                if number in self.boxes[self.fabric.bridges[here.switch].dpid].dark:
                    continue
                if leaving in self.fabric.peers:
                    waiting.append((self.fabric.peers[leaving], out))
                else:
                    arrived.append((leaving, out))
        return sorted(arrived, key=lambda pair: pair[0])

    # --- how a switch works ---

    def _box(self, dpid: int) -> Box:
        if dpid in self.gone:
            raise TransientError(f"switch {dpid:x} is not connected to the controller")
        return self.boxes[dpid]

    @staticmethod
    def _is_sound(box: Box, rule: Rule) -> bool:
        group, meter, goto = (rule.action(do) for do in (Do.GROUP, Do.METER, Do.GOTO))
        if (group is not None and group not in box.groups) or (meter is not None and meter not in box.meters):
            return False
        return goto is None or int(goto) > rule.table

    def _pipeline(self, port: Port, frame: Frame) -> list[tuple[int, Frame]]:
        box = self.boxes[self.fabric.bridges[port.switch].dpid]
        if box.tables is None:
            box.tables = {}
            for rule in sorted(box.rules.values(), key=lambda rule: -rule.priority):
                box.tables.setdefault(rule.table, []).append(rule)
        out: list[tuple[int, Frame]] = []
        table: int | None = 0
        while table is not None:
            here = box.tables.get(table, ())
            actions = next((rule.actions for rule in here if _matches(rule, port.number, frame)), ())
            table = None
            for action in actions:
                if action.do is Do.GOTO:
                    table = int(action.value)
                elif action.do is Do.DECREMENT:
                    if frame.hop_limit <= 1:
                        return out
                    frame = replace(frame, hop_limit=frame.hop_limit - 1)
                else:
                    frame = self._do(box, action, port.number, frame, out)
        return out

    def _do(self, box: Box, action: Action, port: int, frame: Frame, out: list[tuple[int, Frame]]) -> Frame:
        match action:
            case Action(Do.OUTPUT, "CONTROLLER"):
                out.append((_UP, frame))
            case Action(Do.OUTPUT, int() as number) if number == IN_PORT:
                out.append((port, frame))
            case Action(Do.OUTPUT, int() as number) if number != port:
                out.append((number, frame))
            case Action(Do.HOPS, value):
                return replace(frame, hop_limit=int(value))
            case Action(Do.QUEUE, number):
                return replace(frame, queue=int(number))
            case Action(Do.SET, value, name):
                return _changed(frame, name, value)
            case Action(Do.GROUP, number):
                group = box.groups[int(number)]
                alive = [b for b in group.buckets if group.type != "failover" or b.watch not in box.dark]
                copy = frame
                for step in alive[0].actions if alive else ():
                    copy = self._do(box, step, port, copy, out)
        return frame


def _matches(rule: Rule, port: int, frame: Frame) -> bool:
    for name, wanted in rule.match:
        match name:
            case "in_port":
                fits = wanted == port
            case "eth_type":
                fits = wanted == IPV6
            case "eth_dst":
                fits = wanted == frame.mac
            case "ipv6_label":
                fits = wanted == frame.label
            case "ip_dscp":
                fits = wanted == frame.dscp
            case "ipv6_src" | "ipv6_dst":
                value, mask = read_masked(str(wanted))
                fits = int(IPv6Address(frame.source if name == "ipv6_src" else frame.destination)) & mask == value
            case _:
                fits = False
        if not fits:
            return False
    return True


def _changed(frame: Frame, name: str, value: int | str) -> Frame:
    match name:
        case "eth_dst":
            return replace(frame, mac=str(value))
        case "ipv6_label":
            return replace(frame, label=int(value))
        case "ip_dscp":
            return replace(frame, dscp=int(value))
        case "ipv6_src":
            return replace(frame, source=str(value))
        case "ipv6_dst":
            return replace(frame, destination=str(value))
    raise AssertionError(f"no field {name}")

"""Writes rules and reads them back: first what frames will need, then what lets them in, then away with what is old."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from msgspec import Struct, field

from providers.base import PermanentError, TransientError
from providers.sdn.controller import Change, Controller
from providers.sdn.detours import Detour
from providers.sdn.edge import Flow, Wiring, parts
from providers.sdn.marks import WHOLE, same_owner
from providers.sdn.ovsdb import Database, Shape
from providers.sdn.rules import Do, Group, Meter, Rule
from providers.sdn.sight import Sight
from providers.sdn.topology import Port
from specs.model import Resource

Item = TypeVar("Item")


class Work(Struct):
    """Everything one object consists of, by switch."""

    rules: dict[str, list[Rule]] = field(default_factory=dict)
    """What must be there before the first frame comes."""
    entries: dict[str, list[Rule]] = field(default_factory=dict)
    """What lets frames in."""
    groups: dict[str, list[Group]] = field(default_factory=dict)
    meters: dict[str, list[Meter]] = field(default_factory=dict)

    def all_rules(self, switch: str) -> list[Rule]:
        """Give every rule on a switch."""
        return [*self.rules.get(switch, ()), *self.entries.get(switch, ())]


def work_of(flows: Iterable[Flow], wiring: Wiring, rank: int, cookie: int) -> Work:
    """Gather the parts of some flows."""
    work = Work()
    for flow in flows:
        made = parts(flow, wiring, rank)
        for switch, meter in made.meters:
            work.meters.setdefault(switch, []).append(meter)
        for switch, group in made.groups:
            work.groups.setdefault(switch, []).append(group)
        for switch, rule in made.ahead:
            work.rules.setdefault(switch, []).append(rule.owned(cookie))
        switch, entry = made.entry
        work.entries.setdefault(switch, []).append(entry.owned(cookie))
    return work


def detour_work(detour: Detour, cookie: int) -> Work:
    """Gather the parts of a detour."""
    work = Work()
    for switch, group in detour.groups:
        work.groups.setdefault(switch, []).append(group)
    for switch, rule in detour.rules:
        work.rules.setdefault(switch, []).append(rule.owned(cookie))
    return work


class Hand:
    """Writes to the switches of one fabric."""

    def __init__(self, controller: Controller, databases: Mapping[str, Database], sight: Sight) -> None:
        self._controller, self._databases, self._sight = controller, databases, sight
        self.wanted: Mapping[int, Resource] = {}
        """Everything that is wanted, by cookie: rules it needs are not to be taken from it."""
        self._late = bool(controller.lag)

    def put(self, cookie: int, owner: int, work: Work) -> None:
        """Make the rules of a cookie be these; `TransientError` if a switch does not show them afterwards."""
        known = self._sight.rules_of(cookie)
        touched = sorted({*work.rules, *work.entries, *known})
        before = self._look_again(cookie, known.keys() or {min(work.entries or work.rules)})
        for switch in touched:
            self._must_answer(switch)
            self._check_room(switch, cookie, owner, work.all_rules(switch))
        old = {switch: _used(own, Do.METER) for switch, own in before.items()}
        for switch in sorted(work.rules.keys() | work.groups.keys() | work.meters.keys()):
            self._prepare(switch, cookie, work, before.get(switch, ()))
        for switch in sorted(work.entries):
            fresh = _missing(work.entries[switch], before.get(switch, ()))
            if fresh:
                self._write(switch, Change(rules=tuple(fresh)))
                self._read_back(switch, cookie, fresh)
        for switch in touched:
            self._tidy(switch, cookie, work.all_rules(switch), old.get(switch, set()))
        if self._late:
            self._sight.expect(cookie, {s: work.all_rules(s) for s in {*work.rules, *work.entries}})

    def drop(self, cookie: int) -> None:
        """Remove every rule of a cookie, what lets frames in first, and the groups and meters only they used."""
        self._sight.forget(cookie)
        before = self._look_again(cookie, self._sight.rules_of(cookie))
        for switch, own in sorted(before.items()):
            entries = [rule for rule in own if rule.table == 0]
            if entries and len(entries) < len(own):
                self._write(switch, Change(gone_rules=tuple(entries)))
        for switch, own in sorted(before.items()):
            self._tidy(switch, cookie, [], _used(own, Do.METER))

    def mark(self, cookie: int, rules: Mapping[str, Iterable[Rule]]) -> None:
        """Put a cookie on rules that carry another; they stay as they are."""
        for switch, own in sorted(rules.items()):
            self._must_answer(switch)
            marked = [rule.owned(cookie) for rule in own]
            self._write(switch, Change(rules=tuple(marked)))
            self._read_back(switch, cookie, marked)

    def shape(self, port: Port, cookie: int, shape: Shape | None) -> None:
        """Make the queues of a port be these, or take away those of a cookie, where its switch has a database."""
        bridge, there = self._sight.fabric.bridges[port.switch], self._sight.shapes.get(port)
        if not bridge.ovsdb or there == shape or (shape is None and there is not None and there.cookie != cookie):
            return
        database = self._databases[bridge.ovsdb]
        database.put(bridge.dpid, port.number, cookie, shape)
        seen = database.look().get((bridge.dpid, port.number))
        self._sight.shaped(port, seen)
        if seen != shape:
            raise TransientError(f"{port} did not take its queues")

    # --- steps ---

    def _look_again(self, cookie: int, switches: Iterable[str]) -> dict[str, tuple[Rule, ...]]:
        """See what is there now: somebody may have taken our mark away, or a killed process left something."""
        for switch in sorted(switches):
            self._must_answer(switch)
            self._sight.took(switch, cookie, self._controller.rules(self._dpid(switch), cookie, WHOLE))
        return self._sight.rules_of(cookie)

    def _prepare(self, switch: str, cookie: int, work: Work, before: Iterable[Rule]) -> None:
        view = self._sight.views[switch]
        groups, changed_groups = _sort(work.groups.get(switch, ()), view.groups)
        meters, changed_meters = _sort(work.meters.get(switch, ()), view.meters)
        fresh = _missing(work.rules.get(switch, ()), before)
        change = Change(
            meters=meters,
            changed_meters=changed_meters,
            groups=groups,
            changed_groups=changed_groups,
            rules=tuple(fresh),
        )
        if change == Change():
            return
        self._write(switch, change)
        if fresh:
            self._read_back(switch, cookie, fresh)
        if changed_groups or (groups and not fresh):
            self._read_groups_back(switch, work.groups[switch])
        with self._sight.lock:
            view.groups |= {group.id: group for group in (*groups, *changed_groups)}
            view.meters |= {meter.id: meter for meter in (*meters, *changed_meters)}
            self._sight.forget_reading(cookie)

    def _read_back(self, switch: str, cookie: int, wanted: Iterable[Rule]) -> None:
        """See that the switch has what it was told; a rule that names a group is refused where the group is not."""
        there = self._controller.rules(self._dpid(switch), cookie, WHOLE)
        self._sight.took(switch, cookie, there)
        missing = len(set(wanted) - set(there))
        if missing and not self._late:
            raise TransientError(f"{switch} did not take {missing} of the rules it was sent")

    def _read_groups_back(self, switch: str, wanted: Iterable[Group]) -> None:
        there = self._controller.groups(self._dpid(switch))
        if any(there.get(group.id) != group for group in wanted) and not self._late:
            raise TransientError(f"{switch} did not take a group it was sent")

    def _tidy(self, switch: str, cookie: int, wanted: list[Rule], metered: set[int]) -> None:
        keys = {rule.key for rule in wanted}
        gone = [rule for rule in self._sight.rules_of(cookie).get(switch, ()) if rule.key not in keys]
        groups = tuple(sorted(_used(gone, Do.GROUP) - _used(wanted, Do.GROUP)))
        meters = tuple(sorted(metered - _used(wanted, Do.METER)))
        if not (gone or groups or meters):
            return
        self._write(switch, Change(gone_rules=tuple(gone), gone_groups=groups, gone_meters=meters))
        there = self._controller.rules(self._dpid(switch), cookie, WHOLE)
        self._sight.took(switch, cookie, there)
        with self._sight.lock:
            view = self._sight.views[switch]
            for number in groups:
                view.groups.pop(number, None)
            for number in meters:
                view.meters.pop(number, None)
            self._sight.forget_reading(cookie)
        if (left := sum(rule.key not in keys for rule in there)) and not self._late:
            raise TransientError(f"{switch} still has {left} of the rules it was told to remove")

    def _write(self, switch: str, change: Change) -> None:
        self._controller.write(self._dpid(switch), change)

    def _dpid(self, switch: str) -> int:
        return self._sight.fabric.bridges[switch].dpid

    def _must_answer(self, switch: str) -> None:
        if switch in self._sight.silent:
            raise TransientError(self._sight.silent[switch])

    def _check_room(self, switch: str, cookie: int, owner: int, wanted: Iterable[Rule]) -> None:
        """Refuse to take the place of a rule that is not ours, or of another object that is wanted, too."""
        for rule in self._sight.rivals(switch, cookie, wanted):
            if not same_owner(rule.cookie, owner):
                raise PermanentError(
                    f"{switch} has a rule of somebody else (cookie {rule.cookie:x}) in table {rule.table},"
                    f" priority {rule.priority}, where ours belongs; remove it, or adopt it"
                )
            if _needs(self.wanted.get(rule.cookie), rule):
                raise PermanentError(
                    f"two names need frames from {rule.field('ipv6_src')} to {rule.field('ipv6_dst')} at {switch} to"
                    " go two ways; give each function an address of its own"
                )


def _needs(resource: Resource | None, rule: Rule) -> bool:
    """Tell whether something that is wanted needs a rule; one for a client that has moved elsewhere it does not."""
    if resource is None:
        return False
    clients = resource.properties.get("clients")
    known = [client for client in clients if isinstance(client, str)] if isinstance(clients, list) else []
    if resource.kind != "name" or clients != known:
        return True
    return not {rule.field("ipv6_src"), rule.field("ipv6_dst")}.isdisjoint(known)


def _missing(wanted: Iterable[Rule], before: Iterable[Rule]) -> list[Rule]:
    there = set(before)
    return [rule for rule in wanted if rule not in there]


def _used(rules: Iterable[Rule], do: Do) -> set[int]:
    return {value for rule in rules if isinstance(value := rule.action(do), int)}


def _sort(wanted: Iterable[Item], there: Mapping[int, Item]) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    """Part what is not there yet from what is there otherwise."""
    new, changed = [], []
    for item in wanted:
        known = there.get(item.id)  # type: ignore[attr-defined] # groups and meters have numbers
        if known is None:
            new.append(item)
        elif known != item:
            changed.append(item)
    return tuple(new), tuple(changed)

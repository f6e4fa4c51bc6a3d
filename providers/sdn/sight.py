"""Looks at the switches and remembers what it saw, so that the next look only counts."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import timedelta
from hashlib import blake2b
from ipaddress import IPv6Address
from threading import RLock

from msgspec import Struct, field

from providers.base import ProviderError, TransientError
from providers.sdn.bits import BitsExhausted, allocate, unpack
from providers.sdn.cables import Cabling, check
from providers.sdn.controller import Controller
from providers.sdn.core import FORWARD, RANKS, bits_held
from providers.sdn.edge import LABEL, LABELS, Reading, Wiring, read
from providers.sdn.ledger import Ledger
from providers.sdn.marks import OWNER_MASK
from providers.sdn.ovsdb import Database, Shape
from providers.sdn.rules import Do, Group, Match, Meter, Rule
from providers.sdn.topology import Fabric, Port

_TRIES = 3
"""How often a list is asked for whose length is not the number that was counted."""


class View(Struct):
    """What one switch held when it was last looked at, and what was written since."""

    by_cookie: dict[int, tuple[Rule, ...]] = field(default_factory=dict)
    groups: dict[int, Group] = field(default_factory=dict)
    meters: dict[int, Meter] = field(default_factory=dict)
    at: float = 0.0
    owners: dict[tuple[int, int, Match], int] = field(default_factory=dict)
    """What names a rule → its cookie."""

    @property
    def rules(self) -> Iterable[Rule]:
        """Every rule."""
        return (rule for rules in self.by_cookie.values() for rule in rules)

    def count(self, cookie: int = 0, mask: int = 0) -> int:
        """Count the rules whose cookie fits."""
        return sum(len(rules) for own, rules in self.by_cookie.items() if own & mask == cookie & mask)

    def put(self, cookie: int, rules: Iterable[Rule]) -> None:
        """Remember the rules of one cookie; they took the places of others."""
        for rule in self.by_cookie.pop(cookie, ()):
            self.owners.pop(rule.key, None)
        kept = tuple(sorted(rules, key=_by_key))
        for rule in kept:
            other = self.owners.get(rule.key)
            if other is not None:
                self.by_cookie[other] = tuple(old for old in self.by_cookie[other] if old.key != rule.key)
                if not self.by_cookie[other]:
                    del self.by_cookie[other]
            self.owners[rule.key] = cookie
        if kept:
            self.by_cookie[cookie] = kept


class Sight:
    """Everything that is known about the switches of one fabric."""

    def __init__(
        self,
        controller: Controller,
        fabric: Fabric,
        ledger: Ledger,
        databases: Mapping[str, Database],
        *,
        full_look: timedelta,
        clock: Callable[[], float],
        follows: bool = False,
    ) -> None:
        self.lock = RLock()
        self.fabric = fabric
        self.views: dict[str, View] = {}
        self.silent: dict[str, str] = {}
        """Switch → why nothing can be said about it."""
        self.shapes: dict[Port, Shape] = {}
        """How ports send, whoever said so."""
        self.unshaped: dict[str, str] = {}
        """Switch → why nothing can be said about its queues."""
        self.cabling = Cabling()
        self.looked = False
        self._databases = databases
        self._follows = follows
        self.roaming: Mapping[str, str] = {}
        """Address of a device → the access point it is seen at, where that is not the one of the spec."""
        self._controller, self._ledger = controller, ledger
        self._full_look, self._clock = full_look.total_seconds(), clock
        self._labels: dict[int, Hashable] = {}
        """Label → the flow it is kept for, if that is known."""
        self._wiring: Wiring | None = None
        self._stale = True
        """Whether a switch was listed since labels and bits were last put together."""
        self.settling: set[int] = set()
        """Cookies of which the switches do not show yet what they were told."""
        self._awaited: dict[int, tuple[Mapping[str, tuple[Rule, ...]], float]] = {}
        self._readings: dict[int, tuple[Mapping[str, tuple[Rule, ...]], Wiring, Reading]] = {}

    # --- looking ---

    def refresh(self, owner: int, *, everything: bool = False) -> None:
        """Look at every switch: count, and list where the numbers moved; `everything` lists in any case."""
        self._ledger.refresh()
        silent: dict[str, str] = {}
        connected: frozenset[int] = frozenset()
        try:
            connected = self._controller.switches()
        except ProviderError as error:
            silent = dict.fromkeys(self.fabric.bridges, str(error))
        for name, bridge in self.fabric.bridges.items():
            if name in silent:
                continue
            if bridge.dpid not in connected:
                silent[name] = f"switch {name} is not connected to the controller"
                continue
            try:
                self._look(name, owner, everything)
            except ProviderError as error:
                silent[name] = f"{name}: {error}"
        with self.lock:
            self.silent = silent
            self._fill_in()
            self._rebuild()
        self._look_at_cables()
        self._look_at_shapes()
        if self._follows:
            self._look_at_devices()
        self.looked = True

    def _look(self, name: str, owner: int, everything: bool) -> None:
        dpid = self.fabric.bridges[name].dpid
        view = self.views.get(name)
        if (
            view is not None
            and not everything
            and self._controller.counts
            and self._clock() - view.at < self._full_look
        ):
            with self.lock:
                counted = view.count(), view.count(owner, OWNER_MASK)
            if counted == (self._controller.count(dpid, 0, 0), self._controller.count(dpid, owner, OWNER_MASK)):
                return
        fresh = self._listed(name, dpid)
        with self.lock:
            self.views[name] = fresh
            self._stale = True

    def _listed(self, name: str, dpid: int) -> View:
        for _ in range(_TRIES):
            rules = self._controller.rules(dpid)
            if self._controller.count(dpid, 0, 0) == len(rules):
                break
        else:
            raise TransientError(f"the list of its rules was cut short: {len(rules)} came")
        view = View(at=self._clock())
        gathered: dict[int, list[Rule]] = {}
        for rule in rules:
            gathered.setdefault(rule.cookie, []).append(rule)
        for cookie, own in gathered.items():
            view.put(cookie, own)
        view.groups = dict(self._controller.groups(dpid))
        if self._controller.meters_possible:
            view.meters = dict(self._controller.meters(dpid))
        return view

    def _look_at_cables(self) -> None:
        """Ask for ports and links; a controller that cannot tell is no reason to stop."""
        ports: dict[str, Mapping[int, bool]] = {}
        for name, bridge in self.fabric.bridges.items():
            if name not in self.silent:
                try:
                    ports[name] = self._controller.ports(bridge.dpid)
                except ProviderError as error:
                    self.silent[name] = f"{name}: {error}"
        try:
            wires = self._controller.wires() if ports else ()
        except ProviderError:
            wires = ()
        self.cabling = check(self.fabric, ports, wires) if ports else Cabling()

    def _look_at_shapes(self) -> None:
        shapes: dict[Port, Shape] = {}
        unshaped: dict[str, str] = {}
        for target, database in sorted(self._databases.items()):
            own = {bridge.dpid: name for name, bridge in self.fabric.bridges.items() if bridge.ovsdb == target}
            try:
                seen = database.look()
            except ProviderError as error:
                unshaped |= dict.fromkeys(own.values(), str(error))
                continue
            shapes |= {Port(own[dpid], number): shape for (dpid, number), shape in seen.items() if dpid in own}
        with self.lock:
            self.shapes, self.unshaped = shapes, unshaped

    def _look_at_devices(self) -> None:
        """Ask where devices are; one that nobody has seen lately is where it was seen last."""
        try:
            found = self._controller.devices()
        except ProviderError:
            found = {}
        points = {place.name for place in self.fabric.places.values() if place.users}
        for place in self.fabric.places.values():
            for address, mac in place.devices.items():
                dpid, number = found.get(mac, (0, 0))
                there = self.fabric.place_of.get(Port(self.fabric.switch_of.get(dpid, ""), number))
                if there is not None and there.name in points:
                    self._ledger.saw(address, there.name)
        declared = self.fabric.device_places
        last = self._ledger.devices()
        with self.lock:
            self.roaming = {a: p for a, p in last.items() if p in points and declared.get(a, p) != p}

    # --- what was seen ---

    def shaped(self, port: Port, shape: Shape | None) -> None:
        """Remember how a port sends now."""
        with self.lock:
            self.shapes.pop(port, None)
            if shape is not None:
                self.shapes[port] = shape

    @property
    def down(self) -> frozenset[str]:
        """Links that carry nothing now."""
        return self.cabling.down

    def rules_of(self, cookie: int) -> dict[str, tuple[Rule, ...]]:
        """Give the rules of a cookie by switch, those of silent switches as they were last seen."""
        with self.lock:
            return {name: own for name, view in self.views.items() if (own := view.by_cookie.get(cookie))}

    def rivals(self, switch: str, cookie: int, wanted: Iterable[Rule]) -> list[Rule]:
        """Give the wanted rules whose places on a switch belong to another cookie, with that cookie."""
        with self.lock:
            owners = self.views[switch].owners if switch in self.views else {}
            return [rule.owned(other) for rule in wanted if (other := owners.get(rule.key, cookie)) != cookie]

    def cookies(self) -> list[int]:
        """Give every cookie on switches that answered."""
        with self.lock:
            return sorted({c for name, view in self.views.items() if name not in self.silent for c in view.by_cookie})

    def took(self, switch: str, cookie: int, rules: Iterable[Rule]) -> None:
        """Remember what a switch holds of a cookie now."""
        with self.lock:
            view = self.views.setdefault(switch, View())
            view.put(cookie, rules)
            self._wiring = None if any(map(_holds_bit, view.by_cookie.get(cookie, ()))) else self._wiring

    def reading(self, cookie: int) -> Reading:
        """Read the flows of a cookie; the same rules are read once."""
        with self.lock:
            rules, wiring = self.rules_of(cookie), self.wiring
            known = self._readings.get(cookie)
            if known is None or known[1] is not wiring or known[0] != rules:
                known = (rules, wiring, read(rules, self._group, self._limit, wiring))
                self._readings[cookie] = known
            return known[2]

    def _group(self, switch: str, number: int) -> Group | None:
        return self.views[switch].groups.get(number)

    def _limit(self, switch: str, number: int) -> int:
        meter = self.views[switch].meters.get(number)
        return meter.kbps if meter is not None else 0

    def forget_reading(self, cookie: int) -> None:
        """Read a cookie anew next time: its groups or meters changed."""
        with self.lock:
            self._readings.pop(cookie, None)

    # --- what is on its way ---

    def expect(self, cookie: int, rules: Mapping[str, Iterable[Rule]]) -> None:
        """Take rules for there which a controller was told to write and does not show yet, as long as that may take."""
        with self.lock:
            until = self._clock() + self._controller.lag.total_seconds()
            self._awaited[cookie] = {switch: tuple(own) for switch, own in rules.items()}, until
            self._fill_in()

    def forget(self, cookie: int) -> None:
        """Wait for nothing any more."""
        with self.lock:
            self._awaited.pop(cookie, None)
            self.settling.discard(cookie)

    def _fill_in(self) -> None:
        for cookie, (rules, until) in list(self._awaited.items()):
            there = self.rules_of(cookie)
            shown = {switch: set(own) for switch, own in there.items()} == {s: set(own) for s, own in rules.items()}
            if shown or self._clock() > until:
                self.forget(cookie)
                continue
            self.settling.add(cookie)
            for switch in there.keys() | rules.keys():
                self.took(switch, cookie, rules.get(switch, ()))

    # --- bits ---

    @property
    def wiring(self) -> Wiring:
        """Give the bit of every port: as the switches hold it, else as remembered, else as it would be given now."""
        with self.lock:
            if self._wiring is None:
                self._wiring = Wiring(self.fabric, self._bits())
            return self._wiring

    def _bits(self) -> dict[Port, int]:
        known: dict[str, dict[str, int]] = {}
        for text, bit in self._ledger.bits().items():
            switch, _, number = text.rpartition(":")
            if switch in self.fabric.bridges and number.isdigit():
                known.setdefault(self.fabric.area(switch), {})[text] = bit
        for name, view in self.views.items():
            held = bits_held(rule for rule in view.rules if _holds_bit(rule))
            own = known.setdefault(self.fabric.area(name), {})
            own |= {str(Port(name, number)): bit for number, bit in held.items()}
        found: dict[Port, int] = {}
        for area in sorted({self.fabric.area(name) for name in self.fabric.bridges}):
            found |= self._bits_of(area, known.get(area, {}))
        return found

    def _bits_of(self, area: str, known: Mapping[str, int]) -> dict[Port, int]:
        wanted = [str(port) for port in self.fabric.ports_of(area)]
        resting: frozenset[int] | set[int] = frozenset()
        if set(wanted) - known.keys():
            resting = (self._ledger.resting(area) | self._carried(area)) - set(known.values())
        try:
            given = allocate(known, wanted, resting)
        except BitsExhausted as error:
            raise TransientError(f"area {area or 'of the site'}: {error}") from error
        return {_port(text): bit for text, bit in given.items()}

    def _carried(self, area: str) -> set[int]:
        """Give the bits that some rule, whoever's it is, puts on frames in an area."""
        found: set[int] = set()
        for name, view in self.views.items():
            if self.fabric.area(name) == area:
                for rule in view.rules:
                    source, destination = rule.action(Do.SET, "ipv6_src"), rule.action(Do.SET, "ipv6_dst")
                    if rule.table == 0 and isinstance(source, str) and isinstance(destination, str):
                        found |= unpack(*(int.from_bytes(_packed(text), "big") for text in (source, destination)))
        return found

    # --- labels ---

    def label(self, key: Hashable) -> int:
        """Give a flow of an object a label that no other has: they may hand over to each other at any moment."""
        with self.lock:
            label = int.from_bytes(blake2b(repr(key).encode(), digest_size=8).digest(), "big") % LABELS or 1
            for _ in range(LABELS):
                if label not in self._labels or self._labels[label] == key:
                    self._labels[label] = key
                    return label
                label = label % (LABELS - 1) + 1
            raise TransientError(f"all {LABELS - 1} labels are taken; remove names that are not needed")

    def _rebuild(self) -> None:
        if not self._stale:
            return
        self._stale = False
        bits = self._bits()
        if self._wiring is None or self._wiring.bits != bits:
            self._wiring = Wiring(self.fabric, bits)
        seen = {label for view in self.views.values() for rule in view.rules for label in _labels(rule)}
        kept = {label: key for label, key in self._labels.items() if label in seen}
        self._labels = {label: kept.get(label) for label in seen}


def _labels(rule: Rule) -> Sequence[int]:
    return [label for label in (rule.field(LABEL), rule.action(Do.SET, LABEL)) if isinstance(label, int) and label]


def _holds_bit(rule: Rule) -> bool:
    return rule.table > 0 and FORWARD <= rule.priority < FORWARD + RANKS


def _by_key(rule: Rule) -> tuple[int, int, str]:
    return rule.table, rule.priority, str(rule.match)


def _port(text: str) -> Port:
    switch, _, number = text.rpartition(":")
    return Port(switch, int(number))


def _packed(text: str) -> bytes:
    return IPv6Address(text).packed

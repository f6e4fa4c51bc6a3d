"""A fabric as the contract suite wants it: objects seen and spoilt from the other side, calls that go wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from threading import local
from typing import ClassVar, TypeVar

from msgspec.structs import replace

from providers.base import Context, Mark, PermanentError, Present, Provider, TransientError
from providers.sdn import core, detours, services
from providers.sdn.controller import Change, Controller, Wire
from providers.sdn.hand import Work, detour_work, work_of
from providers.sdn.ledger import Ledger
from providers.sdn.objects import Objects
from providers.sdn.provider import Sdn
from providers.sdn.rules import Group, Meter, Rule
from providers.sdn.sight import Sight
from providers.sdn.topology import Port, read_fabric
from specs.model import Deployment, Resource, Site, parse_address
from specs.values import Properties, Reference, Value, digest, rewrite
from tests.support.chains import deployed
from tests.testbed.sdn.sites import TOUR, tour

Result = TypeVar("Result")
STRANGER = 0xF00D << 48
NOBODY = 1
"""Bits no owner has."""


class Troubles:
    """What goes wrong, and which call is under way in this thread."""

    def __init__(self) -> None:
        self.timing_out: set[tuple[str, str]] = set()
        self.refused: set[tuple[str, str]] = set()
        self.losing: set[tuple[str, str]] = set()
        self.short = False
        self.down = False
        self._own = local()

    def mend(self) -> None:
        """Make everything work again."""
        self.timing_out, self.refused, self.losing, self.short, self.down = set(), set(), set(), False, False

    def during(self, verb: str, kind: str, work: Callable[[], Result]) -> Result:
        """Do something of which every call to the controller may go wrong, or whose answer may be lost."""
        self._own.call = (verb, kind)
        try:
            result = work()
        finally:
            self._own.call = None
        if (verb, kind) in self.losing:
            self.losing.discard((verb, kind))
            raise TransientError("the answer was lost")
        return result

    def check(self) -> None:
        """Let a call to the controller go wrong."""
        call = getattr(self._own, "call", None)
        calls = {call} if call else {("list", kind) for _, kind in self.timing_out | self.refused}
        if self.down or calls & self.timing_out:
            raise TransientError("no answer")
        if calls & self.refused:
            raise PermanentError("not allowed")


class Spoilt:
    """A controller whose calls go wrong when they are told to."""

    name: ClassVar[str] = "spoilt"

    def __init__(self, real: Controller, troubles: Troubles) -> None:
        self._real, self._troubles = real, troubles
        self.counts, self.meters_possible, self.lag = real.counts, real.meters_possible, real.lag
        self.devices_possible = real.devices_possible

    def switches(self) -> frozenset[int]:
        self._troubles.check()
        return self._real.switches()

    def rules(self, dpid: int, cookie: int = 0, mask: int = 0) -> tuple[Rule, ...]:
        self._troubles.check()
        found = self._real.rules(dpid, cookie, mask)
        return found[:-2] if self._troubles.short and not mask else found

    def count(self, dpid: int, cookie: int, mask: int) -> int:
        self._troubles.check()
        return self._real.count(dpid, cookie, mask)

    def groups(self, dpid: int) -> Mapping[int, Group]:
        self._troubles.check()
        return self._real.groups(dpid)

    def meters(self, dpid: int) -> Mapping[int, Meter]:
        self._troubles.check()
        return self._real.meters(dpid)

    def ports(self, dpid: int) -> Mapping[int, bool]:
        self._troubles.check()
        return self._real.ports(dpid)

    def wires(self) -> Sequence[Wire]:
        self._troubles.check()
        return self._real.wires()

    def devices(self) -> Mapping[str, tuple[int, int]]:
        self._troubles.check()
        return self._real.devices()

    def write(self, dpid: int, change: Change) -> None:
        self._troubles.check()
        self._real.write(dpid, change)

    def close(self) -> None:
        """Leave the real one open: others use it."""


class Watched(Sdn):
    """The provider, telling the troubles which of its calls is under way. It lists anew at every look."""

    def __init__(self, context: Context, controller: Controller, troubles: Troubles) -> None:
        super().__init__(context, lambda settings: Spoilt(controller, troubles))
        self._troubles = troubles

    def create(self, resource: Resource, mark: Mark) -> Present:
        """Create."""
        return self._troubles.during("create", resource.kind, lambda: super(Watched, self).create(resource, mark))

    def update(self, resource: Resource, current: Present, mark: Mark) -> Present:
        """Update."""
        work = lambda: super(Watched, self).update(resource, current, mark)  # noqa: E731 -- it is handed on
        return self._troubles.during("update", resource.kind, work)

    def delete(self, current: Present) -> Present | None:
        """Delete."""
        kind = parse_address(current.address).kind
        return self._troubles.during("delete", kind, lambda: super(Watched, self).delete(current))

    def expand(self, deployment: Deployment) -> Iterable[Resource]:
        """Expand, with addresses in the place of what other providers would know."""
        for resource in super().expand(deployment):
            properties = {name: rewrite(value, elsewhere) for name, value in resource.properties.items()}
            yield replace(resource, properties=properties)


def elsewhere(expression: object) -> Value:
    """Give the address of an endpoint that another provider hosts."""
    assert isinstance(expression, Reference)
    return f"2001:db8::{digest(expression.target)[:4]}"


class FabricCase:
    """A fabric for one test of the contract; also its other side."""

    def __init__(self, site: Site, controller: Controller, folder: Path, *, limits: bool = True) -> None:
        self.site, self.folder, self.controller = site, folder, controller
        self.deployments: tuple[Deployment, ...] = (deployed(tour(), TOUR, site, "hosts"),)
        self._limits = limits
        self.troubles = Troubles()
        self._strangers = count(1)

    def connect(self) -> Provider:
        context = Context(binding=self.site.bindings["fabric"], site=self.site, state_dir=self.folder)
        return Watched(context, self.controller, self.troubles)

    def changed(self, resource: Resource) -> Resource | None:
        if resource.kind == "switch":
            return replace(resource, properties={**resource.properties, "tables": 9})
        if resource.kind in ("name", "path"):
            return replace(resource, properties={**resource.properties, **self._other()})
        return None

    def _other(self) -> Properties:
        """Ask for a limit, or where there can be none, for another endpoint."""
        return {"max_mbps": 7} if self._limits else {"endpoint": "2001:db8::7"}

    def exists(self, provider_id: str) -> bool:
        return provider_id in self._found()

    def add_foreign(self, resource: Resource) -> str:
        before = self._found()
        sight = self._sight()
        cookie = STRANGER | next(self._strangers)
        work = _beside(resource, sight, cookie)
        for switch in sorted({*work.rules, *work.entries}):
            change = Change(groups=tuple(work.groups.get(switch, ())), rules=tuple(work.all_rules(switch)))
            self.controller.write(sight.fabric.bridges[switch].dpid, change)
        (added,) = self._found().keys() - before.keys()
        return added

    def unmark(self, provider_id: str) -> None:
        _, rules = self._found()[provider_id]
        cookie = STRANGER | next(self._strangers)
        for switch, own in rules.items():
            change = Change(rules=tuple(rule.owned(cookie) for rule in own))
            self.controller.write(self._sight().fabric.bridges[switch].dpid, change)

    def time_out(self, verb: str, kind: str) -> None:
        self.troubles.timing_out.add((verb, kind))

    def refuse(self, verb: str, kind: str) -> None:
        self.troubles.refused.add((verb, kind))

    def lose_answer(self, verb: str, kind: str) -> None:
        self.troubles.losing.add((verb, kind))

    def cut_short(self, kind: str) -> None:
        self.troubles.short = True

    def take_down(self) -> None:
        self.troubles.down = True

    def mend(self) -> None:
        self.troubles.mend()

    def _sight(self) -> Sight:
        ledger = Ledger(self.folder / "nobody.jsonl", lambda: datetime.now(UTC))
        sight = Sight(self.controller, read_fabric(self.site), ledger, {}, full_look=timedelta(0), clock=lambda: 0.0)
        sight.refresh(0, everything=True)
        return sight

    def _found(self) -> dict[str, tuple[int, Mapping[str, tuple[Rule, ...]]]]:
        """Give every object there is, whoever's it is, by its id."""
        sight = self._sight()
        objects = Objects(sight, Ledger(self.folder / "nobody.jsonl", lambda: datetime.now(UTC)))
        return {found.provider_id: (cookie, rules) for found, cookie, rules in objects.foreign(NOBODY)}


def _beside(resource: Resource, sight: Sight, cookie: int) -> Work:
    """Make what the resource stands for once more, of another rank and with another cookie."""
    said, fabric = resource.properties, sight.fabric
    switch = str(said.get("switch"))
    match resource.kind:
        case "switch":
            return Work(rules={switch: [rule.owned(cookie) for rule in core.chain(int(str(said["tables"])), rank=1)]})
        case "port":
            port = Port(switch, int(str(said["port"])))
            turns = said.get("turns_back") is True
            rules = core.exit_rules(
                port.number, sight.wiring.bits[port], trunk=port in fabric.peers, turns=turns, rank=1
            )
            return Work(rules={switch: [rule.owned(cookie) for rule in rules]})
    if resource.kind == "detour":
        port = Port(switch, int(str(said["port"])))
        ports = detours.detour_ports(fabric, port)
        assert ports is not None
        return detour_work(detours.detour(port, ports, sight.wiring, 1), cookie)
    planned = services.plan(resource.kind, said, fabric, frozenset(), sight.label)
    return work_of(planned.flows, sight.wiring, 1, cookie)

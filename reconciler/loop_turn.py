"""One turn of the loop on one site: do what may be done now without asking, and say what was decided."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from enum import Enum, auto

from msgspec import Struct
from msgspec.structs import replace

from reconciler.holds import Limits, Switches
from reconciler.lines import count
from reconciler.look import Ground, Look, limits_of_loop, look, make
from reconciler.order import Verb
from reconciler.plan import Plan
from reconciler.progress import Finished, Progress, Report, Retrying
from reconciler.schedule import may_apply
from reconciler.settings import Settings
from reconciler.step import Action
from reconciler.turn import carry_out, working_on
from specs.errors import ReconcilerError
from specs.tosca import collector
from state.store import LockedError, Outcome, Suspension

logger = logging.getLogger(__name__)

_STILL = Switches(prune=False, self_heal=False, auto_apply=False)
_PAST = {Verb.CREATE: "created", Verb.UPDATE: "changed", Verb.DELETE: "deleted"}


class Ending(Enum):
    """How a turn ended, and so when the next one is due."""

    QUIET = auto()
    """There was nothing to do, or nothing that may be done now."""
    DONE = auto()
    BLIND = auto()
    """What could be seen is as it should be; the rest may not be."""
    FAILED = auto()
    LOCKED = auto()
    """Somebody else works on the site."""
    INTERRUPTED = auto()
    """Something more important came up."""


class Turn(Struct, frozen=True, kw_only=True):
    """A turn to take."""

    ground: Ground
    site: str
    cause: str
    """Why: `push` or `drift`."""
    interrupted: Callable[[], str]

    def take(self) -> Ending:
        """Look, plan, and carry out what may be done; every decision is one line of the log."""
        try:
            return self._take()
        except LockedError as error:
            self._say(logging.WARNING, f"{error}; it is tried again later")
            return Ending.LOCKED
        except ReconcilerError as error:
            for line in str(error).splitlines():
                self._say(logging.ERROR, line)
            return Ending.FAILED

    def _take(self) -> Ending:
        limits = self._limits()
        _, plan = self._plan(limits)
        for level, remark in remarks(plan):
            self._say(level, remark)
        if plan.tripped:
            return Ending.FAILED
        if not plan.operations:
            return Ending.BLIND if plan.unseen else Ending.QUIET
        with working_on(self.ground, self.site):
            seen, plan = self._plan(limits)
            if plan.tripped or not plan.operations:
                return Ending.QUIET
            self._say(logging.INFO, f"{_amount(plan)}; applying because of {self.cause}")
            report = carry_out(self.ground, seen, plan, self.cause, listen=self._listen, interrupted=self.interrupted)
        return self._ended(report, plan)

    def _plan(self, limits: Limits) -> tuple[Look, Plan]:
        with collector.at_rest():
            seen = look(self.ground, self.site)
            return seen, make(self.ground, seen, limits)

    def _limits(self) -> Limits:
        now = self.ground.clock()
        suspensions = [one for one in self.ground.store.suspensions() if one.site == self.site]
        for one in suspensions:
            what = f"{one.service} is suspended" if one.service else "it is suspended"
            self._say(logging.INFO, f"{what} by {one.owner}{f': {one.reason}' if one.reason else ''}")
        for what in closed_now(self.ground.settings, self.site, now):
            self._say(logging.INFO, f"{what} outside its windows: it is looked at, and nothing is applied")
        return limits_now(self.ground.settings, self.site, suspensions, now)

    def _ended(self, report: Report, plan: Plan) -> Ending:
        failures = report.count(Outcome.FAILED)
        if report.interrupted:
            self._say(logging.WARNING, f"left off: {report.interrupted}")
            return Ending.INTERRUPTED
        if failures:
            left = report.count(Outcome.CANCELLED)
            self._say(logging.WARNING, f"{count(failures, 'step')} failed and {left} were not done")
            return Ending.FAILED
        self._say(logging.INFO, "applied")
        return Ending.BLIND if plan.unseen else Ending.DONE

    def _listen(self, event: Progress) -> None:
        what = f"{event.operation.verb} {event.operation.step.address}"
        match event:
            case Retrying(seconds=seconds, why=why):
                self._say(logging.WARNING, f"{what}: again in {seconds:.1f} s: {why}")
            case Finished(outcome=Outcome.FAILED, message=message):
                self._say(logging.ERROR, f"{what}: {message}")
            case Finished(outcome=Outcome.DONE) if event.operation.verb in _PAST:
                self._say(logging.INFO, f"{_PAST[event.operation.verb]} {event.operation.step.address}")

    def _say(self, level: int, text: str) -> None:
        logger.log(level, "%s %s: %s", self.site, self.ground.catalogue.commit[:12], text)


def limits_now(settings: Settings, site: str, suspensions: list[Suspension], now: datetime) -> Limits:
    """Give what the loop may do on a site at this moment: its switches, but nothing out of hours or suspended."""
    own = settings.of(site)
    limits = limits_of_loop(settings, site)
    switches = {
        name: limits.switches[name] if may_apply(sync.windows, now) else _STILL for name, sync in own.services.items()
    }
    default = limits.default if may_apply(own.sync.windows, now) else _STILL
    for suspension in suspensions:
        if not suspension.service:
            return replace(limits, switches={}, default=_STILL)
        switches[suspension.service] = _STILL
    return replace(limits, switches=switches, default=default)


def closed_now(settings: Settings, site: str, now: datetime) -> Iterator[str]:
    """Name what the windows keep the loop from at this moment: the site, or services with windows of their own."""
    own = settings.of(site)
    if not may_apply(own.sync.windows, now):
        yield "it is"
    for name, sync in own.services.items():
        if sync.windows != own.sync.windows and not may_apply(sync.windows, now):
            yield f"{name} is"


def remarks(plan: Plan) -> Iterator[tuple[int, str]]:
    """Say what is not as it should be and stays so, or that all is well: level and text."""
    if plan.tripped:
        yield logging.ERROR, plan.tripped
    if plan.drift:
        yield (
            logging.WARNING,
            f"{count(len(plan.drift), 'resource')} drifted: {plan.drift[0].address}"
            + (" and others" if len(plan.drift) > 1 else ""),
        )
    for why, number in sorted(Counter(held.why for held in plan.held).items()):
        yield logging.WARNING, f"{count(number, 'step')} held back: {why}"
    for reason, number in sorted(Counter(unseen.reason for unseen in plan.unseen).items()):
        yield logging.WARNING, f"{count(number, 'resource')} could not be seen: {reason}"
    if not (plan.operations or plan.held or plan.unseen):
        yield logging.INFO, f"in sync, {count(plan.unchanged, 'resource')}"


def _amount(plan: Plan) -> str:
    counts = Counter(step.action for step in plan.steps)
    return ", ".join(f"{counts[action]} to {action}" for action in Action if counts[action])

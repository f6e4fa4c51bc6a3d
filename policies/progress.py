"""What a verdict does to an alert: whether it begins, goes on, ends, or fires. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from policies.verdict import Clear, Holds, NoData, Unclear, Verdict, said
from specs.tosca.rules import Rule
from state.store import AlertState, AlertStatus


class Step(Struct, frozen=True):
    """The next state of an alert, and whether it fires."""

    state: AlertState
    fires: bool = False


def first_state(rule: Rule, site: str, end: datetime, seen: datetime) -> AlertState:
    """Give the state of a rule that was first seen at a moment, before it is looked at over the window to `end`."""
    return AlertState(site=site, rule=rule.id, checked_at=end - timedelta(seconds=rule.period), since=seen)


def begun_anew(rule: Rule, state: AlertState, end: datetime, now: datetime) -> AlertState:
    """Give a state that was noted under a clock that ran ahead, as if the rule had been looked at until now only."""
    since = min(state.since, now)
    return replace(state, streak=0, checked_at=end - timedelta(seconds=rule.period), since=since)


def step(rule: Rule, state: AlertState, verdict: Verdict, end: datetime) -> Step:
    """Go on from a state with the verdict over a window.

    A status changes after as many checks in a row as the rule wants, in both directions. Without data, or when nothing
    can be said, nothing changes but the row begins anew. A window that was looked at before changes nothing at all.
    """
    if end <= state.checked_at:
        return Step(state)
    seen = replace(state, checked_at=end, problem="")
    match verdict:
        case Unclear(reason):
            return Step(replace(seen, streak=0, problem=reason))
        case NoData():
            return Step(replace(seen, streak=0, value="no data"))
        case Holds(readings):
            return _holding(rule, replace(seen, value=said(readings)), end)
        case Clear(readings):
            return _clear(rule, replace(seen, value=said(readings)), end)


def _holding(rule: Rule, seen: AlertState, end: datetime) -> Step:
    if seen.status is AlertStatus.FIRING:
        again = rule.repeats
        return Step(replace(seen, streak=0, fired_at=end if again else seen.fired_at), fires=again)
    streak = seen.streak + 1
    if streak < rule.evaluations:
        return Step(replace(seen, streak=streak))
    return Step(replace(seen, status=AlertStatus.FIRING, streak=0, since=end, fired_at=end), fires=True)


def _clear(rule: Rule, seen: AlertState, end: datetime) -> Step:
    if seen.status is AlertStatus.QUIET:
        return Step(replace(seen, streak=0))
    streak = seen.streak + 1
    if streak < rule.evaluations:
        return Step(replace(seen, streak=streak))
    return Step(replace(seen, status=AlertStatus.QUIET, streak=0, since=end))

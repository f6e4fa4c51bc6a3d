"""From numbers to a verdict: whether what a rule watches for is so at a moment. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from specs.tosca.rules import Condition, Event, Number, Rule
from state.metrics.moments import window_ending
from state.metrics.vocabulary import ANY_FIELD, Answer, Measured, Missing, Query, Unusable


class Reading(Struct, frozen=True):
    """What one condition measured; `value` is empty when there was nothing to measure."""

    condition: Condition
    value: Number | None
    problem: str = ""

    def __str__(self) -> str:
        return self.problem or ("no data" if self.value is None else f"{self.value:g}")


class Holds(Struct, frozen=True):
    """It is so."""

    readings: tuple[Reading, ...]


class Clear(Struct, frozen=True):
    """It is not so."""

    readings: tuple[Reading, ...]


class NoData(Struct, frozen=True):
    """Nothing was measured; that is no reason to do anything, unless a deadman watches."""

    readings: tuple[Reading, ...]


class Unclear(Struct, frozen=True):
    """It cannot be said."""

    reason: str
    readings: tuple[Reading, ...] = ()


Verdict = Holds | Clear | NoData | Unclear


def queries(rule: Rule, database: str, end: datetime) -> tuple[Query, ...]:
    """Give the queries whose answers `judge` wants, for windows that end at a moment."""
    return tuple(query for condition in rule.conditions for query in _queries(condition, database, end))


def _queries(condition: Condition, database: str, end: datetime) -> Iterator[Query]:
    field = ANY_FIELD if condition.event is Event.DEADMAN else condition.field
    ends = [end]
    if condition.event is Event.RELATIVE:
        ends.append(end - timedelta(seconds=condition.granularity))
    for moment in ends:
        yield Query(
            database=database,
            measurement=condition.measurement,
            field=field,
            aggregation="count" if condition.event is Event.DEADMAN else condition.aggregation,
            window=window_ending(moment, condition.granularity),
            tags=condition.tags,
        )


def judge(rule: Rule, answers: Sequence[Answer], *, firing: bool = False) -> Verdict:
    """Say whether a rule holds; `firing` rules go on until the values are back beyond their hysteresis."""
    readings = tuple(_readings(rule, answers))
    problem = next((reading.problem for reading in readings if reading.problem), "")
    if problem:
        return Unclear(problem, readings)
    if all(reading.value is None for reading in readings):
        return NoData(readings)
    fired: Number = 0
    for reading in readings:
        holds = reading.condition.still_holds if firing else reading.condition.holds
        if reading.value is not None and holds(reading.value):
            fired += reading.condition.weight
    return Holds(readings) if rule.quorum_holds(fired) else Clear(readings)


def _readings(rule: Rule, answers: Sequence[Answer]) -> Iterator[Reading]:
    left = iter(answers)
    for condition in rule.conditions:
        current = next(left)
        past = next(left) if condition.event is Event.RELATIVE else None
        yield _reading(condition, current, past)


def _reading(condition: Condition, current: Answer, past: Answer | None) -> Reading:
    unfit = next((one for one in (current, past) if isinstance(one, Unusable)), None)
    if unfit is not None:
        return Reading(condition, None, unfit.reason)
    value = _number(condition, current)
    if past is None or value is None:
        return Reading(condition, value)
    before = _number(condition, past)
    if before is None:
        return Reading(condition, None)
    began_again = condition.counter and value < before
    return Reading(condition, value if began_again else value - before)


def _number(condition: Condition, answer: Answer) -> Number | None:
    """Give the number; a count of nothing is one only to a deadman."""
    match answer:
        case Missing():
            return None
        case Measured(0) if condition.aggregation == "count" and condition.event is not Event.DEADMAN:
            return None
        case Measured(value):
            return value
    raise ValueError(f"no number in {answer}")


def said(readings: Sequence[Reading]) -> str:
    """Write what was measured."""
    return ", ".join(map(str, readings))

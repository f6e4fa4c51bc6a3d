"""Writes TICKscripts: what Kapacitor is to watch, one script for each kind of event. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator

from providers.base import PermanentError
from specs.tosca.rules import Condition, Event, Rule

_OPERATORS = {"lt": "<", "gt": ">", "lte": "<=", "gte": ">=", "eq": "==", "neq": "!="}
_ALERT = "// alert "
"""What the line begins with that says which alert a script is for."""


def script_of(rule: Rule, database: str, retention: str) -> str:
    """Write the script of a rule; `PermanentError` for what Kapacitor is not asked to do."""
    if len(rule.conditions) != 1:
        raise PermanentError(
            f"{rule.policy}/{rule.trigger} has several conditions, which Kapacitor does not watch here;"
            " use the engine builtin"
        )
    condition = rule.conditions[0]
    if condition.hysteresis or condition.counter:
        raise PermanentError(
            f"{rule.policy}/{rule.trigger}: hysteresis and counters are for the engine builtin; leave them out"
        )
    body = {Event.THRESHOLD: _threshold, Event.RELATIVE: _relative, Event.DEADMAN: _deadman}[condition.event]
    names = json.dumps([rule.sfc, rule.sfci, rule.policy, rule.trigger])
    return "\n".join([f"{_ALERT}{names}", *body(rule, condition, database, retention)]) + "\n"


def type_of(rule: Rule) -> str:
    """Give the type of the task: a deadman listens to the stream, the others ask from time to time."""
    return "stream" if rule.conditions[0].event is Event.DEADMAN else "batch"


def names_in(script: str) -> tuple[str, str, str, str] | None:
    """Read chain, instance, policy and trigger out of a script of ours."""
    first = script.partition("\n")[0]
    try:
        match json.loads(first.removeprefix(_ALERT)) if first.startswith(_ALERT) else None:
            case [str() as sfc, str() as sfci, str() as policy, str() as trigger]:
                return sfc, sfci, policy, trigger
    except ValueError:
        return None
    return None


def _threshold(rule: Rule, condition: Condition, database: str, retention: str) -> Iterator[str]:
    yield "batch"
    yield from _query(condition, database, retention)
    yield from _alert(rule, condition)


def _relative(rule: Rule, condition: Condition, database: str, retention: str) -> Iterator[str]:
    span = f"{condition.granularity}s"
    yield "var current = batch"
    yield from _query(condition, database, retention)
    yield ""
    yield "var past = batch"
    yield from _query(condition, database, retention)
    yield f"        .offset({span})"
    yield f"    |shift({span})"
    yield ""
    yield "current"
    yield "    |join(past)"
    yield "        .as('current', 'past')"
    yield """    |eval(lambda: "current.value" - "past.value")"""
    yield "        .as('value')"
    yield from _alert(rule, condition)


def _deadman(rule: Rule, condition: Condition, database: str, retention: str) -> Iterator[str]:
    yield "stream"
    yield "    |from()"
    yield f"        .database({_text(database)})"
    yield f"        .retentionPolicy({_text(retention)})"
    yield f"        .measurement({_text(condition.measurement)})"
    if condition.tags:
        tests = " AND ".join(f"{_reference(key)} == {_text(value)}" for key, value in sorted(condition.tags.items()))
        yield f"        .where(lambda: {tests})"
    yield f"    |deadman({_number(condition.threshold)}, {condition.granularity}s)"
    yield from _named(rule)


def _query(condition: Condition, database: str, retention: str) -> Iterator[str]:
    source = ".".join(map(_identifier, (database, retention, condition.measurement)))
    where = " AND ".join(f"{_identifier(key)} = {_literal(value)}" for key, value in sorted(condition.tags.items()))
    select = f'SELECT {condition.aggregation}({_identifier(condition.field)}) AS "value" FROM {source}'  # noqa: S608 - escaped
    text = f"{select} WHERE {where}" if where else select
    end = " " if text.endswith("'") else ""  # three quotes end the text, and four would begin to
    yield f"    |query('''{text}{end}''')"
    yield f"        .period({condition.granularity}s)"
    yield f"        .every({condition.granularity}s)"
    yield "        .align()"


def _alert(rule: Rule, condition: Condition) -> Iterator[str]:
    holds = f'lambda: "value" {_OPERATORS[condition.operator]} {_number(condition.threshold)}'
    if rule.evaluations > 1:
        yield f"    |stateCount({holds})"
        yield "        .as('streak')"
        holds = f'lambda: "streak" >= {rule.evaluations}'
    yield "    |alert()"
    yield f"        .crit({holds})"
    yield from _named(rule)


def _named(rule: Rule) -> Iterator[str]:
    details = f"db={rule.sfc},sfc={rule.sfc},sfci={rule.sfci},policy={rule.policy}"
    yield f"        .id({_text(rule.trigger)})"
    yield "        .message('TRUE')"
    yield f"        .details({_text(details)})"
    if not rule.repeats:
        yield "        .stateChangesOnly()"
    yield f"        .topic({_text(rule.id)})"


def _number(number: int | float) -> str:
    return repr(float(number))


def _text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _reference(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _identifier(name: str) -> str:
    return _reference(name)


def _literal(value: str) -> str:
    return _text(value)

"""Makes alert rules of documents: alerts specs, Open Baton's `auto_scale_policy`, triggers of TOSCA 1.3.

What cannot be mapped is no rule; `specs.tosca.scaling` has said so when the document was compiled.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from specs.model import Alerts, Policy, Service, Trigger
from specs.tosca import units
from specs.tosca.flame import CONSTRAINT_PREFIX, SFEMC, TOSCA_SCALING
from specs.tosca.rules import Condition, Event, Number, Rule
from specs.values import Properties, Value

_BATON_OPERATORS = {"=": "eq", ">": "gt", ">=": "gte", "<": "lt", "<=": "lte", "!=": "neq"}
_BATON_STATISTICS = {"avg": "mean", "min": "min", "max": "max", "sum": "sum", "count": "count"}
_TOSCA_OPERATORS = {
    "equal": "eq",
    "greater_than": "gt",
    "greater_or_equal": "gte",
    "less_than": "lt",
    "less_or_equal": "lte",
}
_METHODS = {"average": "mean", "mean": "mean", "minimum": "min", "maximum": "max", "min": "min", "max": "max",
            "sum": "sum", "count": "count", "median": "median", "last": "last", "first": "first"}  # fmt: skip
_TEXT = re.compile(rf"(?P<metric>[A-Za-z_][\w.-]*)\s+(?P<operator>{'|'.join(_TOSCA_OPERATORS)})\s+"
                   r"(?P<number>-?[0-9]+(?:\.[0-9]+)?)\s*%?")  # fmt: skip
_USUAL_SECONDS = 60


class Unmapped(Struct, frozen=True):
    """Why a trigger is no rule."""

    trigger: Trigger
    reason: str


def instance_of(service: Service) -> str:
    """Give the chain instance a service is."""
    return service.metadata.get("sfci", service.name)


def chain_of(service: Service) -> str:
    """Give the chain a service is an instance of."""
    return service.metadata.get("sfc", service.name)


def rules_of(service: Service, alerts: Iterable[Alerts]) -> tuple[Rule, ...]:
    """Give every rule that watches a service, in the order of policies and triggers."""
    found = [rule for one in alerts if one.sfci == instance_of(service) for rule in rules_of_alerts(one, service)]
    found += rules_of_policies(service)
    return tuple(sorted(found, key=lambda rule: (rule.policy, rule.trigger)))


# --- alerts specs ----------------------------------------------------------------------------------


def rules_of_alerts(alerts: Alerts, service: Service | None = None) -> Iterator[Rule]:
    """Give the rules of an alerts spec; of a service, if there is one, those that its policies act on repeat."""
    for policy in alerts.policies.values():
        acting = service.policies.get(policy.name) if service is not None else None
        for trigger in policy.triggers.values():
            handlers = _handlers(trigger)
            moves = SFEMC in handlers
            yield Rule(
                sfc=alerts.sfc,
                sfci=alerts.sfci,
                policy=policy.name,
                trigger=trigger.name,
                conditions=(_alert_condition(trigger),),
                evaluations=_whole(trigger.condition.get("evaluations"), 1),
                repeats=moves and acting is not None and acting.is_a(TOSCA_SCALING),
                moves=moves,
                handlers=tuple(dict.fromkeys(handler for handler in handlers if handler != SFEMC)),
            )


def _handlers(trigger: Trigger) -> Sequence[str]:
    match trigger.action:
        case {"implementation": [*handlers]}:
            return [str(handler) for handler in handlers]
    return ()


def _alert_condition(trigger: Trigger) -> Condition:
    given = trigger.condition
    measurement, _, name = str(given.get("metric", "")).partition(".")
    event = Event(trigger.event)
    tags = given.get("resource_type")
    condition = Condition(
        event=event,
        measurement=measurement,
        field="*" if event is Event.DEADMAN else name,
        threshold=_number(given.get("threshold")),
        granularity=_whole(given.get("granularity"), _USUAL_SECONDS),
        tags={key: _plain(value) for key, value in tags.items()} if isinstance(tags, Mapping) else {},
        counter=_metadata(given, "counter") == "true",
        hysteresis=_margin(_metadata(given, "hysteresis")),
    )
    if event is Event.DEADMAN:
        return condition
    return replace(
        condition, aggregation=str(given.get("aggregation_method")), operator=str(given.get("comparison_operator"))
    )


def _metadata(given: Properties, key: str) -> str:
    metadata = given.get("metadata")
    return _plain(metadata.get(key, "")) if isinstance(metadata, Mapping) else ""


def _margin(text: str) -> Number:
    """Read the margin of `metadata.hysteresis`; `specs.tosca.alerts` has checked it."""
    return _read(text) if text else 0


def _plain(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


# --- policies of the service spec ------------------------------------------------------------------


def rules_of_policies(service: Service) -> Iterator[Rule]:
    """Give the rules that scaling policies of a service spec bring with them."""
    for policy in service.policies.values():
        if policy.is_a(TOSCA_SCALING):
            yield from _auto_scale_rules(service, policy)
        for trigger in policy.triggers.values():
            found = trigger_rule(service, policy, trigger)
            if isinstance(found, Rule):
                yield found


def _auto_scale_rules(service: Service, policy: Policy) -> Iterator[Rule]:
    for entry in auto_scale_entries(policy):
        period = _whole(entry.get("period"), _USUAL_SECONDS)
        alarms = entry.get("alarms")
        weighted = entry.get("type") == "WEIGHTED"
        yield Rule(
            sfc=chain_of(service),
            sfci=instance_of(service),
            policy=policy.name,
            trigger=str(entry.get("name")),
            conditions=tuple(
                _alarm(alarm, period, policy, weighted)
                for alarm in (alarms if isinstance(alarms, Sequence) else ())
                if isinstance(alarm, Mapping)
            ),
            quorum=_number(entry.get("threshold")),
            quorum_operator=_BATON_OPERATORS[str(entry.get("comparisonOperator"))],
            repeats=True,
            moves=True,
        )


def auto_scale_entries(policy: Policy) -> Sequence[Properties]:
    """Give the entries of a policy's `auto_scale_policy`."""
    entries = policy.properties.get("auto_scale_policy")
    return [entry for entry in entries if isinstance(entry, Mapping)] if isinstance(entries, list) else []


def _alarm(alarm: Properties, period: int, policy: Policy, weighted: bool) -> Condition:
    measurement, name = _metric(str(alarm.get("metric")))
    return Condition(
        event=Event.THRESHOLD,
        measurement=measurement,
        field=name,
        aggregation=_BATON_STATISTICS[str(alarm.get("statistic"))],
        operator=_BATON_OPERATORS[str(alarm.get("comparisonOperator"))],
        threshold=_number(alarm.get("threshold")),
        granularity=period,
        tags=_tags(policy.targets),
        weight=_number(alarm.get("weight", 1)) if weighted else 1,
    )


def _metric(text: str) -> tuple[str, str]:
    """Take a metric apart; a bare word is the field `value` of the measurement of that name."""
    measurement, dot, name = text.partition(".")
    return (measurement, name) if dot else (text, "value")


def _tags(targets: Sequence[str]) -> Mapping[str, str]:
    """Narrow to the one function a policy is about; of several the measurement alone tells."""
    return {"flame_sf": targets[0]} if len(targets) == 1 else {}


# --- triggers of TOSCA 1.3 -------------------------------------------------------------------------


def is_of_tosca(trigger: Trigger) -> bool:
    """Tell whether a trigger says by itself when it fires, and does not wait for an alert of FLAME."""
    constraint = trigger.condition.get("constraint")
    told = isinstance(constraint, str) and (constraint.startswith(CONSTRAINT_PREFIX) or constraint == "initialise")
    return not told and ("clauses" in trigger.condition or constraint is not None)


def trigger_rule(service: Service, policy: Policy, trigger: Trigger) -> Rule | Unmapped | None:
    """Make a rule of a trigger in the words of TOSCA 1.3; `None` for one that waits for an alert."""
    if not is_of_tosca(trigger):
        return None
    given = trigger.condition
    try:
        tags = _tags(_filtered(given) or policy.targets)
        seconds = _seconds(given.get("period"))
        method = _METHODS[str(given.get("method", "average"))]
        found = _clauses(given.get("clauses", given.get("constraint")))
        conditions, quorum = _mapped(found, tags, seconds, method)
    except KeyError as error:
        return Unmapped(trigger, f"there is no {error.args[0]!r} among what can be measured or compared")
    except ValueError as error:
        return Unmapped(trigger, str(error))
    return Rule(
        sfc=chain_of(service),
        sfci=instance_of(service),
        policy=policy.name,
        trigger=trigger.name,
        conditions=conditions,
        quorum=quorum,
        quorum_operator="gte" if quorum == 100 else "gt",
        evaluations=_whole(given.get("evaluations"), 1),
        repeats=policy.is_a(TOSCA_SCALING),
        moves=True,
    )


def _filtered(given: Properties) -> Sequence[str]:
    match given.get("target_filter"):
        case {"node": str() as node}:
            return (node,)
    return ()


def _clauses(written: Value) -> tuple[str, Sequence[Value]]:
    """Give how clauses go together, `and` or `or`, and the clauses."""
    match written:
        case str() | Mapping():
            return _clauses([written])
        case [{"and": [*clauses]}]:
            return "and", clauses
        case [{"or": [*clauses]}]:
            return "or", clauses
        case [{"assert": [*clauses]}] | [*clauses]:
            return "and", clauses
    raise ValueError("its condition is neither a clause nor a list of clauses")


def _mapped(
    clauses: tuple[str, Sequence[Value]], tags: Mapping[str, str], seconds: int, method: str
) -> tuple[tuple[Condition, ...], Number]:
    word, written = clauses
    found = [
        _clause(name, comparison, number, tags, seconds, method)
        for clause in written
        for name, comparison, number in _comparisons(clause)
    ]
    if not found:
        raise ValueError("its condition compares nothing")
    return tuple(found), 100 if word == "and" else 0


def _clause(name: str, comparison: str, number: Value, tags: Mapping[str, str], seconds: int, method: str) -> Condition:
    measurement, field_name = _metric(name)
    return Condition(
        event=Event.THRESHOLD,
        measurement=measurement,
        field=field_name,
        aggregation=method,
        operator=_TOSCA_OPERATORS[comparison],
        threshold=_number(number),
        granularity=seconds,
        tags=tags,
    )


def _comparisons(clause: Value) -> Iterator[tuple[str, str, Value]]:
    """Give metric, operator and number of every comparison of a clause."""
    match clause:
        case str():
            match = _TEXT.fullmatch(clause.strip())
            if match is None:
                raise ValueError(f"{clause!r} is no comparison such as 'cpu.usage greater_than 80'")
            yield match["metric"], match["operator"], _read(match["number"])
        case {"not": _} | {"and": _} | {"or": _} | {"assert": _}:
            raise ValueError("'not', and clauses inside of clauses, cannot be watched; use one 'and' or one 'or'")
        case Mapping():
            for name, constraints in clause.items():
                for constraint in constraints if isinstance(constraints, list) else [constraints]:
                    if not isinstance(constraint, Mapping):
                        raise ValueError(f"{name!r} is compared with nothing; write {name}: [{{greater_than: 80}}]")
                    for word, number in constraint.items():
                        yield name, word, number
        case _:
            raise ValueError(f"{clause!r} is no clause")


def _read(text: str) -> Number:
    return float(text) if "." in text else int(text)


def _seconds(period: Value) -> int:
    """Read a period: seconds, or a scalar such as `2 m`."""
    found = units.seconds(period) if isinstance(period, str) else period
    if found is None:
        return _USUAL_SECONDS
    if isinstance(found, bool) or not isinstance(found, int | float) or found < 1:
        raise ValueError(f"the period {period!r} is shorter than a second or no time")
    return int(found)


# --- numbers ---------------------------------------------------------------------------------------


def _number(value: Value) -> Number:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r} is no number to compare with")
    return value


def _whole(value: Value, usual: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else usual

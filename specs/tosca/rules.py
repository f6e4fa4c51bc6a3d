"""Alert rules: what a trigger watches, as one value for every engine that can watch it.

A rule has one condition, or several whose weights are added up and held against a quorum (Open Baton's
`auto_scale_policy`, `and` and `or` of TOSCA 1.3). `specs.tosca.watches` makes rules of documents.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from typing import TypeVar, cast

from msgspec import Struct
from msgspec import field as made_by

from specs.errors import ReconcilerError
from specs.values import Properties, Value

Number = int | float
Kind = TypeVar("Kind")


class RuleError(ReconcilerError):
    """What should be a rule cannot be read as one."""


class Event(StrEnum):
    """What a condition looks for."""

    THRESHOLD = "threshold"
    """The aggregate of the last window."""
    RELATIVE = "relative"
    """How the aggregate of the last window differs from that of the window before."""
    DEADMAN = "deadman"
    """How many points came in the last window: as many as the threshold, or fewer."""


OPERATORS: Mapping[str, Callable[[Number, Number], bool]] = {
    "lt": operator.lt,
    "gt": operator.gt,
    "lte": operator.le,
    "gte": operator.ge,
    "eq": operator.eq,
    "neq": operator.ne,
}
"""The words for comparisons; the measured value stands on the left."""

SIGNS: Mapping[str, str] = {"lt": "<", "gt": ">", "lte": "<=", "gte": ">=", "eq": "=", "neq": "!="}
"""How people write them."""

ANY_FIELD = "*"
"""The field of a deadman: whatever comes."""


class Condition(Struct, frozen=True, kw_only=True):
    """One thing that is measured, and what it is compared with."""

    event: Event
    measurement: str
    field: str
    aggregation: str = "count"
    operator: str = "lte"
    threshold: Number
    granularity: int
    """Length of the window in seconds."""
    tags: Mapping[str, str] = made_by(default_factory=dict)
    """Only points with all of these."""
    weight: Number = 1
    counter: bool = False
    """Whether the values only grow: a fall is then a counter that began again at nought."""
    hysteresis: Number = 0
    """How far beyond the threshold the value must come back before the alert ends."""

    @property
    def metric(self) -> str:
        """The metric, as alerts specs write it."""
        return f"{self.measurement}.{self.field}"

    def holds(self, value: Number) -> bool:
        """Tell whether a measured value is one to alert on."""
        return OPERATORS[self.operator](value, self.threshold)

    def still_holds(self, value: Number) -> bool:
        """Tell whether an alert that fired goes on at a value."""
        margin = {"gt": -self.hysteresis, "gte": -self.hysteresis, "lt": self.hysteresis, "lte": self.hysteresis}
        return OPERATORS[self.operator](value, self.threshold + margin.get(self.operator, 0))

    def __str__(self) -> str:
        what = {
            Event.THRESHOLD: f"{self.aggregation}({self.metric})",
            Event.RELATIVE: f"change of {self.aggregation}({self.metric})",
            Event.DEADMAN: f"points of {self.measurement}",
        }[self.event]
        where = ",".join(f"{key}={value}" for key, value in sorted(self.tags.items()))
        place = f" where {where}" if where else ""
        return f"{what} {SIGNS[self.operator]} {self.threshold:g} over {self.granularity} s{place}"


class Rule(Struct, frozen=True, kw_only=True, dict=True):
    """One alert: what is watched, and who is told."""

    sfc: str
    sfci: str
    policy: str
    trigger: str
    conditions: tuple[Condition, ...]
    quorum: Number = 100
    """Percent of the weights whose conditions must hold."""
    quorum_operator: str = "gte"
    evaluations: int = 1
    """How many checks in a row must agree before it fires."""
    repeats: bool = False
    """Whether it fires at every check as long as it holds, and not only when it begins to."""
    moves: bool = False
    """Whether a policy of the service spec acts on it."""
    handlers: tuple[str, ...] = ()
    """URLs that are told."""
    description: str = ""

    @cached_property
    def id(self) -> str:
        """Its identity everywhere: also the task and topic of Kapacitor."""
        return identity(self.sfc, self.sfci, self.policy, self.trigger)

    def handler_id(self, url: str) -> str:
        """The identity of one of its handlers."""
        return identity(self.sfc, self.sfci, self.policy, self.trigger, url)

    @property
    def period(self) -> int:
        """How many seconds lie between two checks."""
        return min(condition.granularity for condition in self.conditions)

    def quorum_holds(self, fired: Number) -> bool:
        """Tell whether conditions of this much weight are enough."""
        total = sum(condition.weight for condition in self.conditions)
        return OPERATORS[self.quorum_operator](100 * fired / total, self.quorum)

    def __str__(self) -> str:
        if len(self.conditions) == 1:
            return str(self.conditions[0])
        each = "; ".join(f"{condition.weight:g} x {condition}" for condition in self.conditions)
        return f"{SIGNS[self.quorum_operator]} {self.quorum:g} % of: {each}"


def identity(*parts: str) -> str:
    """Give the SHA-256 of parts with their lengths before them, so that `ab`+`c` is not `a`+`bc`."""
    whole = b"".join(b"%d:%s" % (len(data), data) for data in (part.encode("utf-8", "surrogatepass") for part in parts))
    return sha256(whole).hexdigest()


# --- as the properties of a resource ---------------------------------------------------------------


def rule_properties(rule: Rule) -> dict[str, Value]:
    """Write a rule as properties; what is as usual is left out."""
    found: dict[str, Value] = {
        "sfc": rule.sfc,
        "sfci": rule.sfci,
        "policy": rule.policy,
        "trigger": rule.trigger,
        "conditions": [_condition_properties(condition) for condition in rule.conditions],
        "handlers": list(rule.handlers),
    }
    usual = Rule(sfc="", sfci="", policy="", trigger="", conditions=())
    for name in ("quorum", "quorum_operator", "evaluations", "repeats", "moves", "description"):
        if getattr(rule, name) != getattr(usual, name):
            found[name] = getattr(rule, name)
    return found


def _condition_properties(condition: Condition) -> Value:
    found: dict[str, Value] = {"event": condition.event.value, "metric": condition.metric}
    if condition.event is not Event.DEADMAN:
        found |= {"aggregation": condition.aggregation, "operator": condition.operator}
    found |= {"threshold": condition.threshold, "granularity": condition.granularity}
    if condition.tags:
        found["tags"] = dict(sorted(condition.tags.items()))
    if condition.weight != 1:
        found["weight"] = condition.weight
    if condition.counter:
        found["counter"] = True
    if condition.hysteresis:
        found["hysteresis"] = condition.hysteresis
    return found


def read_rule(properties: Properties) -> Rule:
    """Read what `rule_properties` wrote; `RuleError` for anything else."""
    try:
        return _rule(cast("Mapping[str, object]", properties))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RuleError(
            f"an alert rule cannot be read: {error!r}; delete it, and the next apply makes it anew"
        ) from error


def _rule(given: Mapping[str, object]) -> Rule:
    conditions = given["conditions"]
    if not isinstance(conditions, list) or not conditions:
        raise ValueError("no conditions")
    return Rule(
        sfc=_as(str, given["sfc"]),
        sfci=_as(str, given["sfci"]),
        policy=_as(str, given["policy"]),
        trigger=_as(str, given["trigger"]),
        conditions=tuple(map(_condition, conditions)),
        quorum=_number(given.get("quorum", 100)),
        quorum_operator=_operator(given.get("quorum_operator", "gte")),
        evaluations=_as(int, given.get("evaluations", 1)),
        repeats=_as(bool, given.get("repeats", False)),
        moves=_as(bool, given.get("moves", False)),
        handlers=tuple(_as(str, url) for url in _as(list, given.get("handlers", []))),
        description=_as(str, given.get("description", "")),
    )


def _condition(given: Mapping[str, object]) -> Condition:
    measurement, _, name = _as(str, given["metric"]).partition(".")
    granularity = _as(int, given["granularity"])
    if granularity < 1:
        raise ValueError(f"granularity {granularity}")
    return Condition(
        event=Event(_as(str, given["event"])),
        measurement=measurement,
        field=name,
        aggregation=_as(str, given.get("aggregation", "count")),
        operator=_operator(given.get("operator", "lte")),
        threshold=_number(given["threshold"]),
        granularity=granularity,
        tags={key: _as(str, value) for key, value in _as(dict, given.get("tags", {})).items()},
        weight=_number(given.get("weight", 1)),
        counter=_as(bool, given.get("counter", False)),
        hysteresis=_number(given.get("hysteresis", 0)),
    )


def _as(kind: type[Kind], value: object) -> Kind:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def _number(value: object) -> Number:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return value


def _operator(value: object) -> str:
    word = _as(str, value)
    if word not in OPERATORS:
        raise ValueError(f"no operator {word!r}")
    return word

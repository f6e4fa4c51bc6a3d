"""The constraint clauses of TOSCA: read from documents, checked against values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from specs.tosca.cursor import Cursor
from specs.tosca.pattern import Pattern, PatternError
from specs.tosca.units import UNITS, amount
from specs.tosca.wording import suggest
from specs.values import Call, Reference, Secret, Value

_LISTS = frozenset({"valid_values", "in_range"})
_LENGTHS = frozenset({"length", "min_length", "max_length"})


class Constraint(Struct, frozen=True):
    """One clause, e.g. `in_range: [1, 4]`."""

    operator: str
    operand: Any
    """Plain data of the shape the operator takes."""
    cursor: Cursor
    pattern: Pattern | None = None

    def fault(self, type_name: str, value: Value) -> str:
        """Say why a value of a primitive type does not fit; empty if it does."""
        if isinstance(value, Reference | Secret | Call):
            return ""
        try:
            fits = _CHECKS[self.operator](self, type_name, value)
        except (TypeError, ValueError) as error:
            return f"cannot be compared with {self}: {error}"
        return "" if fits else f"must be {self}"

    def __str__(self) -> str:
        return _WORDS[self.operator].format(_shown(self.operand))


def read_constraints(cursor: Cursor) -> tuple[Constraint, ...]:
    """Read a list of clauses; what is no clause is reported and left out."""
    return tuple(
        clause for name, operand in cursor.named_items() if (clause := read_constraint(name, operand)) is not None
    )


def read_constraint(operator: str, operand: Cursor) -> Constraint | None:
    """Read one clause; reports what is wrong with it."""
    value = operand.value
    if operator not in _CHECKS:
        operand.error("wrong-constraint", f"{operator!r} is no constraint{suggest(operator, _CHECKS)}", key=True)
        return None
    if operator in _LISTS and not isinstance(value, list):
        operand.error("wrong-constraint", f"{operator!r} takes a list")
        return None
    if operator == "in_range" and (not isinstance(value, list) or len(value) != 2):
        operand.error("wrong-constraint", "'in_range' takes two bounds, e.g. [1, 4] or [1, UNBOUNDED]")
        return None
    if operator in _LENGTHS and not (type(value) is int and value >= 0):
        operand.error("wrong-constraint", f"{operator!r} takes a whole number from 0")
        return None
    if operator == "schema":
        operand.warning("unchecked-constraint", "'schema' is not checked here", key=True)
    return _with_pattern(operator, operand)


def _with_pattern(operator: str, operand: Cursor) -> Constraint | None:
    value = operand.value
    if operator != "pattern":
        return Constraint(operator, value, operand)
    try:
        return Constraint(operator, value, operand, Pattern(operand.text()))
    except PatternError as error:
        operand.error("wrong-constraint", f"this pattern cannot be used: {error}")
        return None


def comparable(type_name: str, value: Value) -> Any:
    """Turn a value into what its order is decided by; `ValueError` or `TypeError` if it has none."""
    if type_name in UNITS:
        return amount(type_name, value) if isinstance(value, str) else _number(value)
    if type_name == "version":
        return tuple(
            (0, int(part)) if part.isdigit() else (1, part) for part in str(value).replace("-", ".").split(".")
        )
    if type_name in ("integer", "float"):
        return _number(value)
    if isinstance(value, str):
        return value
    return _number(value)


def _number(value: Value) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{_shown(value)} is no number")
    return value


def _ordered(compare: Callable[[int], bool]) -> Callable[[Constraint, str, Value], bool]:
    """Build a check from what it asks of the sign of value - operand."""

    def check(clause: Constraint, type_name: str, value: Value) -> bool:
        return compare(_compare(type_name, value, clause.operand))

    return check


def _compare(type_name: str, left: Value, right: Value) -> int:
    a, b = comparable(type_name, left), comparable(type_name, right)
    return int(a > b) - int(a < b)


def _equal(type_name: str, left: Value, right: Value) -> bool:
    if type_name in UNITS or type_name in ("version", "float"):
        return _compare(type_name, left, right) == 0
    return left == right and isinstance(left, bool) == isinstance(right, bool)


def _in_range(clause: Constraint, type_name: str, value: Value) -> bool:
    low, high = clause.operand
    if type_name == "range":
        return isinstance(value, list) and all(
            bound == "UNBOUNDED" or _within("integer", bound, low, high) for bound in value
        )
    return _within(type_name, value, low, high)


def _within(type_name: str, value: Value, low: Value, high: Value) -> bool:
    return (low == "UNBOUNDED" or _compare(type_name, value, low) >= 0) and (
        high == "UNBOUNDED" or _compare(type_name, value, high) <= 0
    )


def _valid_values(clause: Constraint, type_name: str, value: Value) -> bool:
    return any(_equal(type_name, value, item) for item in clause.operand)


def _sized(compare: Callable[[int, int], bool]) -> Callable[[Constraint, str, Value], bool]:
    def check(clause: Constraint, type_name: str, value: Value) -> bool:
        if not isinstance(value, str | list | Mapping):
            raise TypeError(f"{_shown(value)} has no length")
        return compare(len(value), int(clause.operand))

    return check


def _pattern(clause: Constraint, type_name: str, value: Value) -> bool:
    return clause.pattern is not None and clause.pattern.matches(str(value))


def _shown(value: Value) -> str:
    if isinstance(value, list):
        return ", ".join(map(_shown, value[:20])) + (", …" if len(value) > 20 else "")
    text = str(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


_CHECKS: Mapping[str, Callable[[Constraint, str, Value], bool]] = MappingProxyType(
    {
        "equal": lambda clause, type_name, value: _equal(type_name, value, clause.operand),
        "greater_than": _ordered(lambda sign: sign > 0),
        "greater_or_equal": _ordered(lambda sign: sign >= 0),
        "less_than": _ordered(lambda sign: sign < 0),
        "less_or_equal": _ordered(lambda sign: sign <= 0),
        "in_range": _in_range,
        "valid_values": _valid_values,
        "length": _sized(lambda length, wanted: length == wanted),
        "min_length": _sized(lambda length, wanted: length >= wanted),
        "max_length": _sized(lambda length, wanted: length <= wanted),
        "pattern": _pattern,
        "schema": lambda clause, type_name, value: True,
    }
)

_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "equal": "{}",
        "greater_than": "greater than {}",
        "greater_or_equal": "{} or greater",
        "less_than": "less than {}",
        "less_or_equal": "{} or less",
        "in_range": "in the range {}",
        "valid_values": "one of {}",
        "length": "of length {}",
        "min_length": "of length {} or more",
        "max_length": "of length {} or less",
        "pattern": "as the pattern {} says",
        "schema": "as the schema says",
    }
)
OPERATORS = frozenset(_CHECKS)

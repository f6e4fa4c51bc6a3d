"""Checks values against what their property, input or data type says, and gives them their one form.

What is known only later (references, secrets, calls on them) passes; so does what is broken already.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from specs.tosca import units
from specs.tosca.constraints import Constraint
from specs.tosca.cursor import Cursor
from specs.tosca.definitions import PRIMITIVES, Kind, Schema, Type
from specs.tosca.typesystem import TypeSpace
from specs.tosca.wording import kind_of, suggest
from specs.values import Call, Reference, Secret, Value

_VERSION = re.compile(r"\d+\.\d+(\.\d+(\.[A-Za-z0-9]+(-\d+)?)?)?")
_TIMESTAMP = re.compile(
    r"\d{4}-\d{1,2}-\d{1,2}([Tt \t]\s*\d{1,2}:\d{2}(:\d{2}(\.\d*)?)?\s*(Z|[-+]\d{1,2}(:?\d{2})?)?)?"
)


BROKEN = Reference("", "")
"""Stands for a value whose fault is reported already; whoever meets it says nothing more."""

_FILL = 5
"""What filling in a default costs beside reading a value: defaults hold data types that have defaults in turn."""


class Unfit(ValueError):  # noqa: N818 - reads as what it says
    """A value is not of its type; the message goes on from 'must be'."""


def check(space: TypeSpace, schema: Schema, value: Value, cursor: Cursor) -> Value:
    """Give the value as its schema has it, or `BROKEN` if it does not fit, which is reported at the cursor."""
    if isinstance(value, Reference | Secret | Call):
        return _check_late(schema, value, cursor)
    if schema.type not in PRIMITIVES:
        data_type = space.get(Kind.DATA, schema.type) if schema.type else None
        if data_type is None or data_type.broken:
            return value
        value = _check_data(space, data_type, schema, value, cursor)
        primitive = data_type.base or "map"
        if data_type.constraints:
            _check_constraints(data_type.constraints, primitive, value, cursor)
    else:
        primitive = schema.type
        try:
            value = _PRIMITIVES[primitive](value)
        except ValueError as error:
            cursor.error("wrong-type", f"{cursor.name} must be {error}, not {kind_of(value)}")
            return BROKEN
        value = _check_entries(space, schema, value, cursor)
    if schema.constraints:
        _check_constraints(schema.constraints, primitive, value, cursor)
    return value


def verify_default(space: TypeSpace, schema: Schema) -> None:
    """Check the default of a definition, where it is plain data."""
    if schema.default is not None and schema.default.value is not None and not _holds_function(schema.default.value):
        check(space, schema, schema.default.value, schema.default)  # type: ignore[arg-type] # documents hold plain data


def _holds_function(value: object) -> bool:
    match value:
        case dict():
            return any(key.startswith("get_") or key in ("concat", "join", "token") for key in value) or any(
                map(_holds_function, value.values())
            )
        case list():
            return any(map(_holds_function, value))
    return False


def _check_late(schema: Schema, value: Reference | Secret | Call, cursor: Cursor) -> Value:
    if isinstance(value, Secret) and schema.type in PRIMITIVES - {"string"}:
        cursor.error("wrong-type", f"{cursor.name} must be {_article(schema.type)}; a secret is always text")
        return BROKEN
    return value


def _check_constraints(clauses: Iterable[Constraint], primitive: str, value: Value, cursor: Cursor) -> None:
    for clause in clauses:
        fault = clause.fault(primitive, value)
        if fault:
            shown = kind_of(value) if isinstance(value, list | Mapping) else repr(value)
            cursor.error("constraint", f"{cursor.name} is {shown[:80]}, but {fault}")


def _check_entries(space: TypeSpace, schema: Schema, value: Value, cursor: Cursor) -> Value:
    if isinstance(value, list) and schema.type == "list" and schema.entry is not None:
        entry = schema.entry
        return [check(space, entry, item, cursor.at(index, item)) for index, item in enumerate(value)]
    if isinstance(value, Mapping) and schema.type == "map":
        if schema.key is not None:
            for key in value:
                check(space, schema.key, key, cursor.at(key, key))
        if schema.entry is not None:
            entry = schema.entry
            return {key: check(space, entry, item, cursor.at(key, item)) for key, item in value.items()}
    return value


def _check_data(space: TypeSpace, data_type: Type, schema: Schema, value: Value, cursor: Cursor) -> Value:
    if data_type.base:
        inner = Schema(
            type=data_type.base,
            cursor=schema.cursor,
            entry=schema.entry or data_type.entry,
            key=schema.key or data_type.key,
        )
        return check(space, inner, value, cursor)
    if not isinstance(value, Mapping):
        cursor.error("wrong-type", f"{cursor.name} must be a mapping ({data_type.name}), not {kind_of(value)}")
        return BROKEN
    return _check_structure(space, data_type, value, cursor)


def _check_structure(space: TypeSpace, data_type: Type, value: Mapping[str, Value], cursor: Cursor) -> Value:
    found: dict[str, Value] = {}
    for key, item in value.items():
        if key in data_type.properties:
            if item is None:
                cursor.at(key, item).error("wrong-type", f"{key!r} has no value; give one or remove it", key=True)
            else:
                found[key] = check(space, data_type.properties[key], item, cursor.at(key, item))
        else:
            hint = suggest(key, data_type.properties)
            cursor.at(key, item).error("unknown-property", f"{data_type.name} has no {key!r}{hint}", key=True)
    for key, schema in data_type.properties.items():
        if key not in value:
            if schema.default is not None:
                cursor.faults.spend(_FILL)
                default: Value = schema.default.value  # type: ignore[assignment] # documents hold plain data
                found[key] = check(space, schema, default, cursor.at(key, default))
            elif schema.required:
                cursor.error("missing-property", f"{cursor.name} ({data_type.name}) needs {key!r}", key=True)
    return found


# --- primitives: give the value in its one form or say what it must be ---


def _string(value: Value) -> Value:
    if isinstance(value, str):
        return value
    raise Unfit("text (put it in quotes)" if isinstance(value, bool | int | float) else "text")


def _integer(value: Value) -> Value:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise Unfit("a whole number")


def _float(value: Value) -> Value:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise Unfit("a number")


def _boolean(value: Value) -> Value:
    if isinstance(value, bool):
        return value
    raise Unfit("true or false")


def _timestamp(value: Value) -> Value:
    if isinstance(value, str) and _TIMESTAMP.fullmatch(value):
        return value
    raise Unfit("a time, e.g. 2026-05-01T12:00:00Z")


def _null(value: Value) -> Value:
    if value is None:
        return value
    raise Unfit("nothing (null)")


def _version(value: Value) -> Value:
    text = str(value) if isinstance(value, float) else value
    if isinstance(text, str) and _VERSION.fullmatch(text):
        return text
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value}.0"
    raise Unfit("a version, e.g. 2.0.1")


def _range(value: Value) -> Value:
    match value:
        case [int() as low, int() as high] if low <= high:
            return value
        case [int(), "UNBOUNDED"]:
            return value
    raise Unfit("a range, e.g. [1, 4] or [1, UNBOUNDED]")


def _list(value: Value) -> Value:
    if isinstance(value, list):
        return value
    raise Unfit("a list")


def _map(value: Value) -> Value:
    if isinstance(value, Mapping):
        return value
    raise Unfit("a mapping")


def _scalar(scalar_type: str) -> Callable[[Value], Value]:
    example = {"size": "2 GB", "time": "30 s", "frequency": "2.4 GHz", "bitrate": "10 Mbps"}[scalar_type[12:]]

    def convert(value: Value) -> Value:
        if isinstance(value, str):
            try:
                return units.canonical(scalar_type, value)
            except ValueError as error:
                raise Unfit(f"a number with a unit, e.g. {example} ({error})") from error
        raise Unfit(f"a number with a unit, e.g. {example}")

    return convert


_PRIMITIVES: Mapping[str, Callable[[Value], Value]] = {
    "string": _string,
    "integer": _integer,
    "float": _float,
    "boolean": _boolean,
    "timestamp": _timestamp,
    "null": _null,
    "version": _version,
    "range": _range,
    "list": _list,
    "map": _map,
    **{scalar_type: _scalar(scalar_type) for scalar_type in units.UNITS},
}


def _article(primitive: str) -> str:
    return {"integer": "a whole number", "float": "a number", "boolean": "true or false"}.get(
        primitive, f"a {primitive}"
    )

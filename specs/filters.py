"""Node filters: whether a node template has the properties and capabilities that are asked for."""

from __future__ import annotations

from collections.abc import Iterable

from specs.constraints import OPERATORS, read_constraint
from specs.cursor import Cursor
from specs.definitions import Kind, Schema
from specs.functions import Entity
from specs.typesystem import TypeSpace
from specs.values import Value

_CAPABILITY_KEYS = frozenset({"properties", "description"})
_FILTER_KEYS = _CAPABILITY_KEYS | {"capabilities"}


def passes(node_filter: Cursor, node: Entity, space: TypeSpace) -> bool:
    """Tell whether a node passes a filter; what is wrong with the filter is reported."""
    given = node_filter.fields(_FILTER_KEYS)
    for name, clause in _entries(given.get("properties")):
        schema = node.type.properties.get(name)
        if schema is None or not _fits(schema, node.property(name), clause):
            return False
    return all(_offers(node, name, clause, space) for name, clause in _entries(given.get("capabilities")))


def _offers(node: Entity, wanted: str, cursor: Cursor, space: TypeSpace) -> bool:
    """Tell whether a capability, named or of a type, has the properties that are asked for."""
    full = space.full_name(Kind.CAPABILITY, wanted)
    clauses = list(_entries(cursor.fields(_CAPABILITY_KEYS).get("properties")))
    return any(
        _capability_fits(node, name, clauses)
        for name, definition in node.type.capabilities.items()
        if name == wanted or (full and definition.type.is_a(full))
    )


def _capability_fits(node: Entity, capability: str, clauses: Iterable[tuple[str, Cursor]]) -> bool:
    schemas = node.type.capabilities[capability].properties
    return all(
        name in schemas and _fits(schemas[name], node.capability_property(capability, name), clause)
        for name, clause in clauses
    )


def _fits(schema: Schema, value: Value, clause: Cursor) -> bool:
    if value is None:
        return False
    match clause.value:
        case {**one} if len(one) == 1 and next(iter(one)) in OPERATORS:
            clauses = [read_constraint(operator, operand) for operator, operand in clause.fields().items()]
        case list():
            clauses = [read_constraint(operator, operand) for operator, operand in clause.named_items()]
        case _:
            clauses = [read_constraint("equal", clause)]
    return all(one is not None and not one.fault(schema.type, value) for one in clauses)


def _entries(cursor: Cursor | None) -> Iterable[tuple[str, Cursor]]:
    """Read a filter's clauses, written as a mapping or as a list of one-key mappings."""
    if cursor is None:
        return ()
    return cursor.fields().items() if isinstance(cursor.value, dict) else cursor.named_items()

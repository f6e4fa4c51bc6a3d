"""Node filters: which properties and capabilities a node must have to fulfil a requirement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from specs.tosca.constraints import OPERATORS, Constraint, read_constraint, read_constraints
from specs.tosca.cursor import Cursor
from specs.tosca.definitions import Kind, Schema
from specs.tosca.functions import Entity
from specs.tosca.typesystem import TypeSpace
from specs.values import Value

_CAPABILITY_KEYS = frozenset({"properties", "description"})
_FILTER_KEYS = _CAPABILITY_KEYS | {"capabilities"}


class _Clause(Struct, frozen=True):
    """What one property must be."""

    name: str
    constraints: Sequence[Constraint]

    def fits(self, schema: Schema, value: Value) -> bool:
        return value is not None and not any(one.fault(schema.type, value) for one in self.constraints)


class _Offer(Struct, frozen=True):
    """What one capability, named or of a type, must be."""

    name: str
    type: str
    clauses: Sequence[_Clause]

    def is_made_by(self, node: Entity) -> bool:
        return any(
            self._fits(node, name)
            for name, definition in node.type.capabilities.items()
            if name == self.name or (self.type and definition.type.is_a(self.type))
        )

    def _fits(self, node: Entity, capability: str) -> bool:
        schemas = node.type.capabilities[capability].properties
        return all(
            one.name in schemas and one.fits(schemas[one.name], node.capability_property(capability, one.name))
            for one in self.clauses
        )


class NodeFilter(Struct, frozen=True):
    """A filter that is read once and held against many nodes."""

    clauses: Sequence[_Clause]
    offers: Sequence[_Offer]

    def passes(self, node: Entity) -> bool:
        """Tell whether a node is as the filter says."""
        schemas = node.type.properties
        own = all(one.name in schemas and one.fits(schemas[one.name], node.property(one.name)) for one in self.clauses)
        return own and all(one.is_made_by(node) for one in self.offers)


def read_filter(cursor: Cursor, space: TypeSpace) -> NodeFilter:
    """Read a filter; what is wrong with it is reported and left out."""
    given = cursor.fields(_FILTER_KEYS)
    offers = [
        _Offer(name, space.full_name(Kind.CAPABILITY, name), _clauses(item.fields(_CAPABILITY_KEYS).get("properties")))
        for name, item in _entries(given.get("capabilities"))
    ]
    return NodeFilter(_clauses(given.get("properties")), offers)


def _clauses(cursor: Cursor | None) -> Sequence[_Clause]:
    return [_Clause(name, _constraints(item)) for name, item in _entries(cursor)]


def _constraints(cursor: Cursor) -> Sequence[Constraint]:
    """Read one constraint, a list of them, or a plain value that is to be equal."""
    if isinstance(cursor.value, list):
        return read_constraints(cursor)
    is_clause = isinstance(cursor.value, dict) and len(cursor.value) == 1 and next(iter(cursor.value)) in OPERATORS
    written = cursor.fields().items() if is_clause else [("equal", cursor)]
    found = (read_constraint(operator, operand) for operator, operand in written)
    return [one for one in found if one is not None]


def _entries(cursor: Cursor | None) -> Iterable[tuple[str, Cursor]]:
    """Read a filter's clauses, written as a mapping or as a list of one-key mappings."""
    if cursor is None:
        return ()
    return cursor.fields().items() if isinstance(cursor.value, dict) else cursor.named_items()

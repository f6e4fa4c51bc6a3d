"""Type definitions: found by name across imports, derived from one another, resolved once.

A `TypeSpace` holds what one document can name: its own types, those it imports and the shipped ones.
Spaces stand on each other, so that the types of a library are resolved once for all who import it.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from specs.tosca import library
from specs.tosca.cursor import Cursor
from specs.tosca.definitions import PRIMITIVES, Kind, Type
from specs.tosca.typebuilder import build
from specs.tosca.wording import suggest

MAX_DERIVATIONS = 40
"""How long a chain of `derived_from` may be."""


class _Definition(Struct):
    cursor: Cursor
    scope: str
    name: str


class TypeSpace:
    """All types one document can name."""

    def __init__(self, parent: TypeSpace | None, documents: Iterable[tuple[Cursor, str]]) -> None:
        """`documents` are the tops of documents with the prefix their types carry here, e.g. `cloud:`."""
        self._parent = parent
        self._own: dict[tuple[Kind, str], _Definition] = {}
        self._resolved: dict[tuple[Kind, str], Type | None] = {}
        self._chain: list[tuple[Kind, str]] = []
        self._short: dict[tuple[Kind, str], str] = {} if parent is None else parent._short
        for top, scope in documents:
            self._collect(top, scope)

    def _collect(self, top: Cursor, scope: str) -> None:
        if not isinstance(top.value, dict):
            return
        for kind in Kind:
            if kind.section in top.value:
                for name, cursor in top.at(kind.section, top.value[kind.section]).fields().items():
                    self._add(kind, _Definition(cursor, scope, f"{scope}{name}"))

    def _add(self, kind: Kind, definition: _Definition) -> None:
        key = (kind, definition.name)
        other = self._definition(kind, definition.name)
        if kind is Kind.DATA and definition.name in PRIMITIVES:
            definition.cursor.error("conflicting-type", f"{definition.name!r} is a type of its own right", key=True)
        elif other is None:
            self._own[key] = definition
            if self._parent is None:
                self._short[(kind, ".".join(definition.name.split(".")[2:]))] = definition.name
                self._short.setdefault((kind, definition.name.rpartition(".")[2]), definition.name)
        elif other.cursor.value != definition.cursor.value:
            where = other.cursor.position()
            definition.cursor.error(
                "conflicting-type",
                f"the {kind} type {definition.name!r} is defined differently in {where.file}:{where.line}; "
                "rename one, or import one of the files with a namespace_prefix",
                key=True,
            )

    def _definition(self, kind: Kind, name: str) -> _Definition | None:
        found = self._own.get((kind, name))
        return found if found or self._parent is None else self._parent._definition(kind, name)

    def names(self, kind: Kind) -> tuple[str, ...]:
        """Give every name of a kind, sorted."""
        own = {name for its_kind, name in self._own if its_kind is kind}
        return tuple(sorted(own.union(self._parent.names(kind) if self._parent else ())))

    def own(self) -> Iterable[tuple[Kind, str]]:
        """Give what this space itself defines, in order of definition."""
        return tuple(self._own)

    def full_name(self, kind: Kind, name: str, scope: str = "") -> str:
        """Give the full name of what a document with that prefix calls `name`; empty if there is none."""
        if scope and self._definition(kind, f"{scope}{name}"):
            return f"{scope}{name}"
        if self._definition(kind, name) and (not scope or self._is_shipped(kind, name)):
            return name
        return self._short.get((kind, name.removeprefix("tosca:")), "")

    def _is_shipped(self, kind: Kind, name: str) -> bool:
        space = self
        while space._parent is not None:
            space = space._parent
        return (kind, name) in space._own

    def find(self, kind: Kind, name: str, scope: str = "") -> Type | None:
        """Give the type that a document with that prefix calls `name`; None if there is none or it is broken."""
        full = self.full_name(kind, name, scope)
        return self.get(kind, full) if full else None

    def get(self, kind: Kind, full: str) -> Type | None:
        """Give a type by its full name; None if there is none or it is broken."""
        key = (kind, full)
        if key in self._resolved:
            return self._resolved[key]
        definition = self._own.get(key)
        if definition is None:
            resolved = self._parent.get(kind, full) if self._parent else None
            self._resolved[key] = resolved
            return resolved
        return self._resolve(key, definition)

    def need(self, kind: Kind, cursor: Cursor, scope: str = "") -> Type | None:
        """Give the type named at a cursor; None if it is unknown or broken, which is reported."""
        full = self.need_name(kind, cursor, scope)
        return self.get(kind, full) if full else None

    def need_name(self, kind: Kind, cursor: Cursor, scope: str = "") -> str:
        """Give the full name of the type named at a cursor, without resolving it; reports one that is unknown."""
        name = cursor.text()
        full = self.full_name(kind, name, scope)
        if cursor.is_text and not full:
            file = library.who_defines(kind.section, name)
            hint = f"; import {file}, which defines it" if file else suggest(name, self.names(kind))
            hint = hint or "; define it or import the file that does"
            cursor.error("unknown-type", f"there is no {kind} type {name!r}{hint}")
        return full

    # --- resolution ---

    def _resolve(self, key: tuple[Kind, str], definition: _Definition) -> Type | None:
        kind, name = key
        if key in self._chain:
            circle = " -> ".join([part for _, part in self._chain[self._chain.index(key) :]] + [name])
            definition.cursor.error("type-cycle", f"these types derive from each other in a circle: {circle}", key=True)
            return None
        if len(self._chain) >= MAX_DERIVATIONS:
            definition.cursor.error("too-deep", f"more than {MAX_DERIVATIONS} types derive from one another", key=True)
            return None
        self._chain.append(key)
        try:
            parent = self._parent_of(kind, definition)
        finally:
            self._chain.pop()
        if key not in self._resolved:
            self._resolved[key] = build(self, kind, definition.cursor, definition.name, definition.scope, parent)
        return self._resolved[key]

    def _parent_of(self, kind: Kind, definition: _Definition) -> Type | None:
        value = definition.cursor.value
        if not isinstance(value, dict) or value.get("derived_from") is None:
            return None
        cursor = definition.cursor.at("derived_from", value["derived_from"])
        if kind is Kind.DATA and isinstance(cursor.value, str) and cursor.value in PRIMITIVES:
            return None
        found = self.need(kind, cursor, definition.scope)
        return found or Type(kind=kind, name="", lineage=(), cursor=cursor, broken=True)

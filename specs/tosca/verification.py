"""Resolves every type a document defines, used or not, so that all their faults are found."""

from __future__ import annotations

from collections.abc import Iterable

from specs.tosca.checks import verify_default
from specs.tosca.definitions import Kind, Schema, Type
from specs.tosca.typesystem import TypeSpace


def verify(space: TypeSpace) -> None:
    """Resolve what a space itself defines and check the defaults written there."""
    for kind, name in space.own():
        found = space.get(kind, name)
        if found is not None and not found.broken:
            for schema in _schemas(kind, found):
                if schema.cursor.source.path == found.cursor.source.path:
                    verify_default(space, schema)


def _schemas(kind: Kind, found: Type) -> Iterable[Schema]:
    yield from found.properties.values()
    yield from found.attributes.values()
    if kind is Kind.NODE:
        for capability in found.capabilities.values():
            yield from capability.properties.values()

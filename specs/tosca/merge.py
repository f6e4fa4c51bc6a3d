"""Builds the one template, without imports, that the second judge reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from specs.tosca.definitions import Kind
from specs.tosca.imports import Imported
from specs.yaml.document import Document

_NAMING_KEYS = frozenset({"derived_from", "type", "node", "capability", "relationship", "node_type"})
_LISTING_KEYS = frozenset({"valid_target_types", "valid_source_types", "members", "targets"})


def merged(document: Document, members: Sequence[Imported]) -> dict[str, object]:
    """Put the types a document imports beside its own; those under a prefix carry it in their names."""
    data = document.data
    if not isinstance(data, Mapping):
        return {}
    found: dict[str, object] = {key: value for key, value in data.items() if key != "imports"}
    names = frozenset(
        f"{one.prefix}{name}" for one in members for kind in Kind for name in _section(one.document, kind)
    )
    for kind in Kind:
        types: dict[str, object] = {}
        for member in members:
            for name, definition in _section(member.document, kind).items():
                types[f"{member.prefix}{name}"] = _renamed(definition, names, member.prefix)
        types.update(_section(document, kind))
        if types:
            found[kind.section] = types
    return found


def _section(document: Document, kind: Kind) -> Mapping[str, object]:
    section = document.data.get(kind.section) if isinstance(document.data, Mapping) else None
    return section if isinstance(section, Mapping) else {}


def _renamed(value: object, names: frozenset[str], prefix: str, key: str = "") -> object:
    """Give a definition with the prefix before every name of a type that carries it."""
    if not prefix:
        return value
    match value:
        case Mapping():
            return {name: _renamed(item, names, prefix, name) for name, item in value.items()}
        case list():
            return [_renamed(item, names, prefix, key if key in _LISTING_KEYS else "") for item in value]
        case str() if f"{prefix}{value}" in names and (key in _NAMING_KEYS or key in _LISTING_KEYS):
            return f"{prefix}{value}"
    return value

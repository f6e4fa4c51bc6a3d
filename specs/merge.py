"""Builds the one template, without imports, that the second judge reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from specs.definitions import Kind
from specs.document import Document
from specs.imports import Imported

_NAMING_KEYS = frozenset({"derived_from", "type", "node", "capability", "relationship", "node_type"})
_LISTING_KEYS = frozenset({"valid_target_types", "valid_source_types", "members", "targets"})


def merged(document: Document, members: Sequence[Imported]) -> dict[str, object]:
    """Put the types a document imports beside its own; those under a prefix carry it in their names."""
    data = document.data
    if not isinstance(data, Mapping):
        return {}
    found: dict[str, object] = {key: value for key, value in data.items() if key != "imports"}
    for kind in Kind:
        types: dict[str, object] = {}
        for member in members:
            types.update(_definitions(member.document, kind, member.prefix))
        types.update(_definitions(document, kind, ""))
        if types:
            found[kind.section] = types
    return found


def _definitions(document: Document, kind: Kind, prefix: str) -> Mapping[str, object]:
    data = document.data
    section = data.get(kind.section) if isinstance(data, Mapping) else None
    if not isinstance(section, Mapping):
        return {}
    if not prefix:
        return section
    own = frozenset(
        name
        for one in Kind
        if isinstance(data, Mapping) and isinstance(names := data.get(one.section), Mapping)
        for name in names
    )
    return {f"{prefix}{name}": _renamed(definition, own, prefix) for name, definition in section.items()}


def _renamed(value: object, names: frozenset[str], prefix: str, key: str = "") -> object:
    """Give a definition with every name of a type of its own document prefixed."""
    match value:
        case Mapping():
            return {name: _renamed(item, names, prefix, name) for name, item in value.items()}
        case list():
            return [_renamed(item, names, prefix, key if key in _LISTING_KEYS else "") for item in value]
        case str() if value in names and (key in _NAMING_KEYS or key in _LISTING_KEYS):
            return f"{prefix}{value}"
    return value

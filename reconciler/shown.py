"""What of a value may be shown: references worked out as far as they are known, secrets never. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TypeAlias

from reconciler.difference import Later, Nothing, Side
from reconciler.resolve import Look, resolve
from specs.values import Call, Properties, Reference, Secret


class Marker(Enum):
    """What stands in the place of a value that cannot be shown."""

    LATER = "(known after apply)"
    SENSITIVE = "(sensitive)"


Shown: TypeAlias = "bool | int | float | str | Marker | Sequence[Shown] | Mapping[str, Shown] | None"
ShownProperties: TypeAlias = Mapping[str, Shown]


def show(value: Side, look: Look) -> Shown:
    """Give what may be shown of a value; `Nothing` shows as `None`."""
    match value:
        case Later():
            return Marker.LATER
        case Nothing():
            return None
        case Secret():
            return Marker.SENSITIVE
        case Reference() | Call():
            known = resolve(value, look)
            return Marker.LATER if isinstance(known, Later) else show(known, look)
        case Mapping():
            return {key: show(item, look) for key, item in value.items()}
        case str():
            return value
        case Sequence():
            return [show(item, look) for item in value]
    return value


def show_all(properties: Properties, sensitive: frozenset[str], look: Look) -> dict[str, Shown]:
    """Give what may be shown of properties, in the order of their names."""
    return {
        name: Marker.SENSITIVE if name in sensitive else show(properties[name], look) for name in sorted(properties)
    }


def cover(value: Shown, witness: Shown) -> Shown:
    """Hide in a value what another version of it hides: a service may give back a secret in the clear."""
    match value, witness:
        case _, Marker.SENSITIVE:
            return Marker.SENSITIVE
        case Mapping(), Mapping():
            return {key: cover(item, witness[key]) if key in witness else item for key, item in value.items()}
    return Marker.SENSITIVE if hides(witness, Marker.SENSITIVE) else value


def cover_all(properties: ShownProperties, *witnesses: ShownProperties) -> dict[str, Shown]:
    """Hide in properties what any of their other versions hides."""
    covered = dict(properties)
    for witness in witnesses:
        for name in covered.keys() & witness.keys():
            covered[name] = cover(covered[name], witness[name])
    return covered


def hides(value: Shown, marker: Marker) -> bool:
    """Tell whether a marker stands somewhere inside a value."""
    match value:
        case Marker():
            return value is marker
        case Mapping():
            return any(hides(item, marker) for item in value.values())
        case str():
            return False
        case Sequence():
            return any(hides(item, marker) for item in value)
    return False

"""Puts queries together that differ in the values of their tags only, so that thousands become a few."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from state.metrics.vocabulary import Query, Window

NAMED = 50
"""Up to how many values of a tag are named in a query; with more, all of them are asked for."""


class Shape(Struct, frozen=True):
    """What queries have in common."""

    database: str
    measurement: str
    field: str
    aggregation: str
    window: Window
    keys: tuple[str, ...]
    """The tags they look at, sorted."""


class Batch(Struct, frozen=True):
    """Queries of one shape, by the values of their tags."""

    shape: Shape
    members: Mapping[tuple[str, ...], Sequence[int]]
    """Values of the tags, in the order of the keys → numbers of the queries."""

    def narrowed(self) -> Mapping[str, Sequence[str]]:
        """Give the values that each tag is asked for, where they are few."""
        found = {}
        for index, key in enumerate(self.shape.keys):
            values = sorted({member[index] for member in self.members})
            if len(values) <= NAMED:
                found[key] = values
        return found


def batches(queries: Iterable[Query]) -> Sequence[Batch]:
    """Group queries by shape, in the order in which shapes come first."""
    found: dict[Shape, dict[tuple[str, ...], list[int]]] = {}
    for number, query in enumerate(queries):
        keys = tuple(sorted(query.tags))
        shape = Shape(query.database, query.measurement, query.field, query.aggregation, query.window, keys)
        found.setdefault(shape, {}).setdefault(tuple(query.tags[key] for key in keys), []).append(number)
    return [Batch(shape, members) for shape, members in found.items()]

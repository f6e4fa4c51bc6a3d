"""What can be asked of measured values, whatever stores them.

What holds for every store:

- A window holds its first moment and not its last one. Points that come after a window was asked about count the
  next time somebody asks for it; points of the future wait until their time has come.
- An aggregate is taken over all points in the window that carry the tags, of all series together. `first` and `last`
  of one moment give the larger value, `mode` of equally frequent values the smallest.
- `count` counts values of any type; of `*` it counts points: as many as their most frequent field has values.
- Every other aggregate needs numbers. Text, booleans, and numbers that are not finite give `Unusable`.
- A window without points is `Missing` (and counts 0). A store that does not answer raises `MetricsError`.
- NaN and infinity cannot be written. Nothing is corrected: a counter that begins again is a fall.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct
from msgspec import field as made_by

from specs.errors import ReconcilerError

Number = int | float
FieldValue = bool | int | float | str

ANY_FIELD = "*"
"""Whatever field: only to be counted."""

AGGREGATIONS = ("count", "mean", "median", "mode", "sum", "first", "last", "max", "min")


class MetricsError(ReconcilerError):
    """A store of metrics did not answer, or refused; nothing may be concluded."""


class Point(Struct, frozen=True, kw_only=True):
    """One measurement at one moment."""

    measurement: str
    tags: Mapping[str, str]
    fields: Mapping[str, FieldValue]
    time: int
    """Nanoseconds since 1970."""


class Window(Struct, frozen=True, kw_only=True):
    """From a moment up to, and without, another one."""

    start: datetime
    end: datetime


class Query(Struct, frozen=True, kw_only=True):
    """One number that is asked for."""

    database: str
    measurement: str
    field: str
    aggregation: str
    window: Window
    tags: Mapping[str, str] = made_by(default_factory=dict)


class Measured(Struct, frozen=True):
    """The number."""

    value: Number


class Missing(Struct, frozen=True):
    """There were no points."""


class Unusable(Struct, frozen=True):
    """There were points, but no number can be made of them."""

    reason: str


Answer = Measured | Missing | Unusable


class Metrics(Protocol):
    """A store of metrics. Calls may come from several threads, one at a time."""

    place: str
    """Which store it is, for messages; without passwords."""

    def ask(self, queries: Sequence[Query]) -> Sequence[Answer]:
        """Answer all queries, in their order, in as few calls as the store allows; `MetricsError` if it does not."""

    def write(self, database: str, points: Iterable[Point]) -> None:
        """Keep points; one that is there already (time, measurement, tags) gets the new fields."""

    def show(self, query: Query) -> str:
        """Write the query as the store is asked it, for people."""

    def ping(self) -> None:
        """Raise `MetricsError` if the store does not answer."""

    def close(self) -> None:
        """Let go of connections."""

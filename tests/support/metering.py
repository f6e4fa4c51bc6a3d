"""Points and queries for tests of metrics."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from state.metrics.moments import nanoseconds
from state.metrics.vocabulary import FieldValue, Point, Query, Window

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """Give a moment so many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def point(
    seconds: float, tags: Mapping[str, str] | None = None, /, measurement: str = "storage", **fields: FieldValue
) -> Point:
    """Build a point so many seconds after noon."""
    return Point(measurement=measurement, tags=tags or {}, fields=fields, time=nanoseconds(at(seconds)))


def query(
    aggregation: str = "mean",
    tags: Mapping[str, str] | None = None,
    start: float = 0,
    end: float = 60,
    field: str = "requests",
    database: str = "tour",
) -> Query:
    """Build a query over a window, given in seconds after noon."""
    return Query(
        database=database,
        measurement="storage",
        field=field,
        aggregation=aggregation,
        window=Window(start=at(start), end=at(end)),
        tags=tags or {},
    )

"""Metrics in a file beside the state store: for the demo, the sandpit and small sites, without a server."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from state.metrics.aggregate import Sample, aggregate, counted
from state.metrics.grouping import Batch, batches
from state.metrics.lines import write_lines
from state.metrics.moments import nanoseconds
from state.metrics.vocabulary import ANY_FIELD, Answer, FieldValue, MetricsError, Point, Query

_TABLES = """
CREATE TABLE IF NOT EXISTS series (
    id INTEGER PRIMARY KEY, database TEXT NOT NULL, measurement TEXT NOT NULL, tags TEXT NOT NULL,
    UNIQUE (database, measurement, tags)
);
CREATE TABLE IF NOT EXISTS samples (
    series INTEGER NOT NULL, time INTEGER NOT NULL, field TEXT NOT NULL, value NOT NULL,
    PRIMARY KEY (series, time, field)
) WITHOUT ROWID;
"""
_BETWEEN = "SELECT time, value FROM samples WHERE series = ? AND time >= ? AND time < ? AND field = ?"
_COUNTS = "SELECT field, COUNT(*) FROM samples WHERE series = ? AND time >= ? AND time < ? GROUP BY field"
_TRUTH = {b"\1": True, b"\0": False}
_PRUNED_EVERY = 50_000
"""Points that are written between two looks for old ones."""


class Embedded:
    """A `state.metrics.vocabulary.Metrics` in one file."""

    def __init__(self, file: Path, keep: timedelta = timedelta(days=7)) -> None:
        """Open the file, made new if there is none; points older than `keep` before the newest go in time."""
        self.place = f"metrics {file}"
        self._keep = int(keep.total_seconds()) * 10**9
        self._lock = threading.Lock()
        self._since_pruned = 0
        with self._errors():
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._connection = sqlite3.connect(file, timeout=10, isolation_level=None, check_same_thread=False)
            file.chmod(0o600)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.executescript(_TABLES)

    def ask(self, queries: Sequence[Query]) -> Sequence[Answer]:
        """Answer all queries; those of one shape look at their series together."""
        answers: dict[int, Answer] = {}
        with self._lock, self._errors():
            for batch in batches(queries):
                answers |= self._answers(batch)
        return [answers[number] for number in range(len(queries))]

    def write(self, database: str, points: Iterable[Point]) -> None:
        """Keep points, in one transaction."""
        points = tuple(points)
        write_lines(points)  # the same is refused here as by a server
        with self._lock, self._errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                for point in points:
                    self._keep_point(database, point)
                self._prune(points)
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.rollback()
                raise

    def show(self, query: Query) -> str:
        """Write the query in the words of InfluxQL, which the file does not need."""
        where = "".join(f" AND {key} = '{value}'" for key, value in sorted(query.tags.items()))
        window = f"time >= '{query.window.start:%Y-%m-%dT%H:%M:%SZ}' AND time < '{query.window.end:%Y-%m-%dT%H:%M:%SZ}'"
        return f"{query.aggregation}({query.field}) of {query.database}/{query.measurement} where {window}{where}"

    def ping(self) -> None:
        """Look whether the file can still be read."""
        with self._lock, self._errors():
            self._connection.execute("SELECT 1 FROM series LIMIT 1")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    # --- how ---

    def _answers(self, batch: Batch) -> dict[int, Answer]:
        found: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for number, tags in self._series(batch):
            found[tuple(tags.get(key, "") for key in batch.shape.keys)].append(number)
        answers: dict[int, Answer] = {}
        for values, numbers in batch.members.items():
            answer = self._answer(batch, found.get(values, []))
            answers.update(dict.fromkeys(numbers, answer))
        return answers

    def _series(self, batch: Batch) -> Iterator[tuple[int, Mapping[str, str]]]:
        rows = self._connection.execute(
            "SELECT id, tags FROM series WHERE database = ? AND measurement = ?",
            (batch.shape.database, batch.shape.measurement),
        )
        for number, tags in rows:
            yield number, json.loads(tags)

    def _answer(self, batch: Batch, series: Sequence[int]) -> Answer:
        shape = batch.shape
        span = (nanoseconds(shape.window.start), nanoseconds(shape.window.end))
        if shape.field == ANY_FIELD:
            return counted(self._most_frequent(series, span))
        samples: list[Sample] = []
        for number in series:
            rows = self._connection.execute(_BETWEEN, (number, *span, shape.field))
            samples.extend((time, _read(value)) for time, value in rows)
        return aggregate(shape.aggregation, samples)

    def _most_frequent(self, series: Sequence[int], span: tuple[int, int]) -> int:
        counts: dict[str, int] = defaultdict(int)
        for number in series:
            for name, count in self._connection.execute(_COUNTS, (number, *span)):
                counts[name] += count
        return max(counts.values(), default=0)

    def _keep_point(self, database: str, point: Point) -> None:
        tags = json.dumps({key: value for key, value in point.tags.items() if value}, sort_keys=True)
        key = (database, point.measurement, tags)
        self._connection.execute("INSERT OR IGNORE INTO series (database, measurement, tags) VALUES (?, ?, ?)", key)
        self._connection.executemany(
            "INSERT OR REPLACE INTO samples SELECT id, ?, ?, ? FROM series"
            " WHERE database = ? AND measurement = ? AND tags = ?",
            [(point.time, name, _stored(value), *key) for name, value in point.fields.items()],
        )

    def _prune(self, points: Sequence[Point]) -> None:
        self._since_pruned += len(points)
        if self._since_pruned >= _PRUNED_EVERY:
            self._since_pruned = 0
            newest = max(point.time for point in points)
            self._connection.execute("DELETE FROM samples WHERE time < ?", (newest - self._keep,))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise MetricsError(f"{self.place}: {error}") from error


def _stored(value: FieldValue) -> int | float | str | bytes:
    return (b"\1" if value else b"\0") if isinstance(value, bool) else value


def _read(value: int | float | str | bytes) -> FieldValue:
    return _TRUTH[value] if isinstance(value, bytes) else value

"""Metrics in InfluxDB 1.x, asked in InfluxQL over `/query`."""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from urllib.parse import urlencode

from msgspec.structs import replace

from state.metrics.aggregate import aggregate, counted, not_a_number, usable
from state.metrics.grouping import Batch, Shape, batches
from state.metrics.http import Reply, Server
from state.metrics.lines import write_lines
from state.metrics.moments import nanoseconds
from state.metrics.vocabulary import ANY_FIELD, Answer, FieldValue, Measured, MetricsError, Missing, Point, Query

_STATEMENTS = 200
_MEMBERS = 2000
"""How many statements go in one call, and from how many answers on no more: each call must end before its timeout."""
_POINTS = 5000
_HERE = frozenset({"first", "last", "mode"})
"""What is worked out here: a server tells of equals whatever it finds."""

Row = Sequence[FieldValue | None]


class InfluxQL:
    """A `state.metrics.vocabulary.Metrics` behind InfluxDB 1.x."""

    def __init__(
        self, url: str, *, user: str = "", password: str = "", retention: str = "", timeout: float = 10
    ) -> None:
        credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._server = Server(url, timeout, {"Authorization": f"Basic {credentials}"} if user else {})
        self._retention = retention
        self.place = f"InfluxDB {url}"

    def ask(self, queries: Sequence[Query]) -> Sequence[Answer]:
        """Answer all queries: one statement for each shape, many statements in a call."""
        answers: list[Answer] = [Missing()] * len(queries)
        by_database: dict[str, list[Batch]] = defaultdict(list)
        for batch in batches(queries):
            by_database[batch.shape.database].append(batch)
        for database, some in by_database.items():
            for chunk in _chunks(some):
                for batch, result in zip(chunk, self._results(database, chunk), strict=True):
                    for number, answer in self._answers(batch, result):
                        answers[number] = answer
        return answers

    def write(self, database: str, points: Iterable[Point]) -> None:
        """Write points, some thousand in a call."""
        lines = write_lines(points).split("\n")
        policy = {"rp": self._retention} if self._retention else {}
        path = "/write?" + urlencode({"db": database, "precision": "ns"} | policy)
        for start in range(0, len(lines), _POINTS):
            body = "\n".join(lines[start : start + _POINTS]).encode()
            if body:
                self._check(self._server.call("POST", path, body))

    def show(self, query: Query) -> str:
        """Give the statement."""
        return statement(batches([query])[0], self._retention)

    def ping(self) -> None:
        """Ask whether it lives, and whether it lets us in."""
        self._check(self._server.call("GET", "/ping"))

    def close(self) -> None:
        """Close the connection."""
        self._server.close()

    def _answers(self, batch: Batch, result: Mapping[str, object]) -> Iterator[tuple[int, Answer]]:
        if "error" not in result:
            return _answers(batch, result)
        refusal = _refusal(batch.shape, str(result["error"]))
        counting = Batch(replace(batch.shape, aggregation="count"), batch.members)
        counts = _answers(counting, self._results(batch.shape.database, [counting])[0])
        return ((number, Missing() if count == Measured(0) else refusal) for number, count in counts)

    def _results(self, database: str, chunk: Sequence[Batch]) -> Sequence[Mapping[str, object]]:
        """Ask for a chunk; a statement that fails ends the call, so what comes after it is asked once more.

        Of a statement that failed among others the server may say no more than "not executed"; alone it says why.
        """
        found: list[Mapping[str, object]] = []
        while len(found) < len(chunk):
            more = self._ask(database, chunk[len(found) :])
            failed = next((number for number, result in enumerate(more) if "error" in result), len(more) - 1)
            found += more[: failed + 1]
            if found[-1].get("error") == "not executed":
                found[-1] = self._ask(database, [chunk[len(found) - 1]])[0]
        return found

    def _ask(self, database: str, chunk: Sequence[Batch]) -> list[Mapping[str, object]]:
        text = ";".join(statement(batch, self._retention) for batch in chunk)
        body = urlencode({"db": database, "q": text, "epoch": "ns"}).encode()
        reply = self._server.call("POST", "/query", body, {"Content-Type": "application/x-www-form-urlencoded"})
        self._check(reply)
        try:
            results = json.loads(reply.body)["results"]
        except (ValueError, KeyError, TypeError) as error:
            raise MetricsError(f"{self.place} gave an answer that cannot be read: {error}") from error
        whole = isinstance(results, list) and all(isinstance(result, dict) for result in results)
        if not whole or not _fits(results, len(chunk)):
            raise MetricsError(f"{self.place} answered {len(chunk)} statements with something else; ask again")
        return list(results)

    def _check(self, reply: Reply) -> None:
        if reply.status >= 300:
            raise MetricsError(f"{self.place} refused: {reply.status} {_reason(reply)}")


def _chunks(batches: Iterable[Batch]) -> Iterator[Sequence[Batch]]:
    """Part what is asked into calls that take about as long each."""
    chunk: list[Batch] = []
    for batch in batches:
        chunk.append(batch)
        if len(chunk) == _STATEMENTS or sum(len(one.members) for one in chunk) >= _MEMBERS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _fits(results: Sequence[Mapping[str, object]], asked: int) -> bool:
    """Tell whether there is a result for each statement, or for each up to one that failed."""
    return len(results) == asked or (0 < len(results) < asked and "error" in results[-1])


def _reason(reply: Reply) -> str:
    try:
        found = json.loads(reply.body)
        return str(found["error"])[:300]
    except (ValueError, KeyError, TypeError):
        return reply.body[:200].decode("utf-8", "replace").strip()


# --- statements ------------------------------------------------------------------------------------


def statement(batch: Batch, retention: str = "") -> str:
    """Write the one statement that answers a batch."""
    shape = batch.shape
    source = (
        f"{_identifier(retention)}.{_identifier(shape.measurement)}" if retention else _identifier(shape.measurement)
    )
    where = [f"time >= {nanoseconds(shape.window.start)}", f"time < {nanoseconds(shape.window.end)}"]
    for key, values in batch.narrowed().items():
        where.append("(" + " OR ".join(f"{_identifier(key)} = {_text(value)}" for value in values) + ")")
    group = f" GROUP BY {', '.join(map(_identifier, shape.keys))}" if shape.keys else ""
    return f"SELECT {_selected(shape)} FROM {source} WHERE {' AND '.join(where)}{group}"  # noqa: S608 - escaped above


def _selected(shape: Shape) -> str:
    if shape.field == ANY_FIELD:
        return "count(*)"
    name = _identifier(shape.field)
    return name if shape.aggregation in _HERE else f"{shape.aggregation}({name})"


def _identifier(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', r"\"").replace("\n", r"\n")
    return f'"{escaped}"'


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", r"\'").replace("\n", r"\n")
    return f"'{escaped}'"


# --- answers ---------------------------------------------------------------------------------------


def _answers(batch: Batch, result: Mapping[str, object]) -> Iterator[tuple[int, Answer]]:
    if "error" in result:
        raise _refused(batch.shape, str(result["error"]))
    of_values = {_values(series, batch.shape.keys): series for series in _series(result)}
    read = _reader(batch.shape)
    for values, numbers in batch.members.items():
        rows = of_values.get(values, {}).get("values", [])
        answer = read(rows if isinstance(rows, list) else [])
        yield from ((number, answer) for number in numbers)


def _refusal(shape: Shape, error: str) -> Answer:
    """Tell values that cannot be put together, of which there may be none, from a store that cannot answer."""
    if "unsupported" in error and "iterator" in error:
        return not_a_number(shape.aggregation, "" if "tring" in error else True)
    raise _refused(shape, error)


def _refused(shape: Shape, error: str) -> MetricsError:
    return MetricsError(f"InfluxDB refused a query of {shape.database}/{shape.measurement}: {error}")


def _series(result: Mapping[str, object]) -> Sequence[Mapping[str, object]]:
    found = result.get("series", [])
    return found if isinstance(found, list) else []


def _values(series: Mapping[str, object], keys: Sequence[str]) -> tuple[str, ...]:
    tags = series.get("tags", {})
    return tuple(str(tags.get(key, "")) for key in keys) if isinstance(tags, dict) else ()


def _reader(shape: Shape) -> Callable[[Sequence[Row]], Answer]:
    """Give what makes an answer of the rows of one group."""
    if shape.field == ANY_FIELD:
        return lambda rows: counted(max((_count(cell) for row in rows for cell in row[1:]), default=0))
    if shape.aggregation == "count":
        return lambda rows: counted(sum(_count(row[1]) for row in rows))
    if shape.aggregation in _HERE:
        return lambda rows: aggregate(
            shape.aggregation, [(_count(row[0]), row[1]) for row in rows if row[1] is not None]
        )
    return lambda rows: _one(shape, rows)


def _one(shape: Shape, rows: Sequence[Row]) -> Answer:
    for _, value, *_ in rows:
        if isinstance(value, bool | str):
            return not_a_number(shape.aggregation, value)
        if value is not None:
            return usable(value)
    return Missing()


def _count(cell: FieldValue | None) -> int:
    return cell if isinstance(cell, int) else 0

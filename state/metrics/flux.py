"""Metrics in InfluxDB 2.x (or 1.8), asked in Flux through influxdb-client. The one module that imports it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from influxdb_client import InfluxDBClient  # type: ignore[attr-defined]  # it exports by star
from influxdb_client.client.exceptions import InfluxDBError
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from state.metrics.aggregate import aggregate, counted, not_a_number, usable
from state.metrics.grouping import Batch, Shape, batches
from state.metrics.lines import write_lines
from state.metrics.moments import nanoseconds
from state.metrics.vocabulary import ANY_FIELD, Answer, FieldValue, MetricsError, Missing, Point, Query

_POINTS = 5000
_HERE = frozenset({"first", "last", "mode"})
"""What is worked out here: servers differ about equals."""
_CALLS = {"mean": "mean()", "median": 'median(method: "exact_mean")', "sum": "sum()", "min": "min()", "max": "max()",
          "count": "count()"}  # fmt: skip

Record = Mapping[str, FieldValue | datetime | None]


class Flux:
    """A `state.metrics.vocabulary.Metrics` behind InfluxDB 2.x; databases are buckets."""

    def __init__(self, url: str, *, token: str, org: str, timeout: float = 10) -> None:
        self._client = InfluxDBClient(url=url, token=token, org=org, timeout=int(timeout * 1000))
        self._query = self._client.query_api()
        self._write = self._client.write_api(write_options=SYNCHRONOUS)
        self.place = f"InfluxDB {url}"

    def ask(self, queries: Sequence[Query]) -> Sequence[Answer]:
        """Answer all queries: one Flux query for each shape."""
        answers: list[Answer] = [Missing()] * len(queries)
        for batch in batches(queries):
            for number, answer in self._answers(batch):
                answers[number] = answer
        return answers

    def write(self, database: str, points: Iterable[Point]) -> None:
        """Write points, some thousand in a call."""
        lines = write_lines(points).split("\n")
        for start in range(0, len(lines), _POINTS):
            chunk = "\n".join(lines[start : start + _POINTS])
            if chunk:
                with self._errors():
                    self._write.write(bucket=database, record=chunk)

    def show(self, query: Query) -> str:
        """Give the Flux query."""
        return flux(batches([query])[0])

    def ping(self) -> None:
        """Ask whether it lives."""
        with self._errors():
            if not self._client.ping():
                raise MetricsError(f"{self.place} does not answer; check that it runs and the url in the site spec")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()  # type: ignore[no-untyped-call]  # its types are incomplete

    def _answers(self, batch: Batch) -> Iterator[tuple[int, Answer]]:
        try:
            records = self._records(flux(batch))
        except _Unfit as unfit:
            refusal = not_a_number(batch.shape.aggregation, unfit.value)
            yield from ((number, refusal) for numbers in batch.members.values() for number in numbers)
            return
        groups: dict[tuple[str, ...], list[Record]] = defaultdict(list)
        for record in records:
            groups[tuple(str(record.get(key) or "") for key in batch.shape.keys)].append(record)
        for values, numbers in batch.members.items():
            answer = _answer(batch.shape, groups.get(values, []))
            yield from ((number, answer) for number in numbers)

    def _records(self, text: str) -> list[Record]:
        with self._errors():
            return [record.values for table in self._query.query(text) for record in table.records]

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except ApiException as error:
            message = _message(error)
            if "unsupported" in message and ("string" in message or "bool" in message):
                raise _Unfit(True if "bool" in message else "") from error
            raise MetricsError(f"{self.place} refused: {error.status} {message}") from error
        except (InfluxDBError, HTTPError, OSError) as error:
            raise MetricsError(f"{self.place} cannot be reached: {error}; check that it runs and its url") from error


class _Unfit(Exception):  # noqa: N818 - it becomes an answer
    """The values are of a kind of which there is no such aggregate."""

    def __init__(self, value: bool | str) -> None:
        super().__init__(value)
        self.value = value


def _message(error: ApiException) -> str:
    try:
        return str(json.loads(error.body)["message"])[:300]
    except (ValueError, KeyError, TypeError):
        return str(error.reason)[:300]


# --- queries ---------------------------------------------------------------------------------------


def flux(batch: Batch) -> str:
    """Write the one query that answers a batch."""
    shape = batch.shape
    steps = [
        f"from(bucket: {_text(shape.database)})",
        f"range(start: {_time(shape.window.start)}, stop: {_time(shape.window.end)})",
        f'filter(fn: (r) => r["_measurement"] == {_text(shape.measurement)})',
    ]
    if shape.field != ANY_FIELD:
        steps.append(f'filter(fn: (r) => r["_field"] == {_text(shape.field)})')
    for key, values in batch.narrowed().items():
        either = " or ".join(f"r[{_text(key)}] == {_text(value)}" for value in values)
        steps.append(f"filter(fn: (r) => {either})")
    steps.extend(_steps(shape))
    return "\n  |> ".join(steps)


def _steps(shape: Shape) -> Iterator[str]:
    columns = [*shape.keys, *(["_field"] if shape.field == ANY_FIELD else [])]
    if shape.aggregation in _HERE:
        kept = ", ".join(map(_text, ["_time", "_value", *shape.keys]))
        yield f"keep(columns: [{kept}])"
        yield f"group(columns: [{', '.join(map(_text, shape.keys))}])"
        return
    yield f"group(columns: [{', '.join(map(_text, columns))}])"
    yield "count()" if shape.field == ANY_FIELD else _CALLS[shape.aggregation]


def _time(moment: datetime) -> str:
    """Write a moment exactly: Flux takes whole seconds or RFC 3339."""
    whole, rest = divmod(nanoseconds(moment), 10**9)
    stamp = datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{stamp}.{rest:09d}Z"


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', r"\"").replace("\n", r"\n").replace("${", r"\${")
    return f'"{escaped}"'


# --- answers ---------------------------------------------------------------------------------------


def _answer(shape: Shape, records: Sequence[Record]) -> Answer:
    values = [(record.get("_time"), record.get("_value")) for record in records]
    if shape.field == ANY_FIELD or shape.aggregation == "count":
        counts = [value for _, value in values if isinstance(value, int)]
        return counted(max(counts, default=0) if shape.field == ANY_FIELD else sum(counts))
    if shape.aggregation in _HERE:
        samples = [
            (nanoseconds(time), value)
            for time, value in values
            if isinstance(time, datetime) and value is not None and not isinstance(value, datetime)
        ]
        return aggregate(shape.aggregation, samples)
    numbers = [value for _, value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return usable(numbers[0]) if numbers else Missing()

"""The HTTP API of InfluxDB 2.x in front of a real InfluxDB 1.x, as far as our Flux goes.

It knows the queries that `state.metrics.flux` writes and refuses every other: from, range, filters by equality, keep or
group, and one aggregate. The points come from the real engine; the aggregates of Flux are worked out here, after the
Flux documentation and not with the code under test: text and booleans are refused as Flux does it. Writes, tokens
and errors go through to the real server.
"""

from __future__ import annotations

import base64
import csv
import http.client
import io
import json
import re
import statistics
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.testbed.influx.server import InfluxServer

_STEP = re.compile(r"(from|range|filter|keep|group|count|mean|median|sum|min|max)\((.*)\)", re.S)
_TEXT = r'"((?:[^"\\]|\\.)*)"'
_EQUAL = re.compile(rf"r\[{_TEXT}\] == {_TEXT}")
_KINDS = {bool: "boolean", int: "long", float: "double", str: "string"}

Row = dict[str, object]


class Refused(Exception):  # noqa: N818 - an answer of the server
    """What the server answers instead: status, code and message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


@contextmanager
def running_front(server: InfluxServer, tokens: Mapping[str, str]) -> Iterator[str]:
    """Serve; `tokens` gives `user:password` of the real server for each token. Gives the URL."""

    class Handler(_Handler):
        upstream = server
        known = tokens

    front = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    front.daemon_threads = True
    thread = threading.Thread(target=front.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{front.server_port}"
    finally:
        front.shutdown()
        thread.join(10)
        front.server_close()


class _Handler(BaseHTTPRequestHandler):
    upstream: InfluxServer
    known: Mapping[str, str]
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        del body
        if urlsplit(self.path).path in ("/ping", "/health"):
            self._answer(204, b"", "application/json")
        else:
            self._answer(404, _fault("not found", "path not found"), "application/json")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        try:
            user = self._user()
            if parts.path == "/api/v2/write":
                self._write(dict(parse_qsl(parts.query)), body, user)
            elif parts.path == "/api/v2/query":
                text = _run(self.upstream, json.loads(body)["query"], user)
                self._answer(200, text.encode(), "text/csv; charset=utf-8")
            else:
                raise Refused(404, "not found", "path not found")
        except Refused as refused:
            self._answer(refused.status, _fault(refused.code, str(refused)), "application/json")

    def _user(self) -> str:
        word, _, token = self.headers.get("Authorization", "").partition(" ")
        if word != "Token" or token not in self.known:
            raise Refused(401, "unauthorized", "unauthorized access")
        return self.known[token]

    def _write(self, query: Mapping[str, str], body: bytes, user: str) -> None:
        database, _, policy = query["bucket"].partition("/")
        unit = {"us": "u"}.get(query.get("precision", "ns"), query.get("precision", "ns"))
        more = {"rp": policy} if policy else {}
        path = "/write?" + urlencode({"db": database, "precision": unit, **more})
        status, answer = _call(self.upstream, path, body, user)
        if status == 204:
            self._answer(204, b"", "application/json")
            return
        error = str(json.loads(answer or b"{}").get("error", ""))
        if "not found" in error:
            raise Refused(404, "not found", f'bucket "{database}" not found')
        raise Refused(422 if "partial write" in error else status, "invalid", error)

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(body)


def _fault(code: str, message: str) -> bytes:
    return json.dumps({"code": code, "message": message}).encode()


def _call(server: InfluxServer, path: str, body: bytes, user: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    headers = {"Authorization": "Basic " + base64.b64encode(user.encode()).decode()}
    if path.startswith("/query"):
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    try:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


# --- Flux ------------------------------------------------------------------------------------------


def _run(server: InfluxServer, text: str, user: str) -> str:
    rows: list[Row] = []
    start = stop = ""
    for number, step in enumerate(text.split("\n  |> ")):
        match = _STEP.fullmatch(step)
        if match is None:
            raise Refused(400, "invalid", f"this front does not know {step[:80]!r}")
        name, argument = match[1], match[2]
        if (name == "from") != (number == 0):
            raise Refused(400, "invalid", "from comes first and once")
        match name:
            case "from":
                bucket = json.loads(argument.removeprefix("bucket: "))
            case "range":
                start, stop = _bounds(argument)
                rows = _points(server, bucket, start, stop, user)
            case "filter":
                rows = _filtered(rows, argument)
            case "keep":
                columns = json.loads(argument.removeprefix("columns: "))
                rows = [{key: row[key] for key in columns if key in row} for row in rows]
            case "group":
                keys = json.loads(argument.removeprefix("columns: "))
                groups = _grouped(rows, keys)
            case _:
                return _csv([_aggregated(name, argument, members, keys) for members in groups], start, stop)
    return _csv(groups, start, stop)


def _bounds(argument: str) -> tuple[str, str]:
    match = re.fullmatch(r"start: (\S+Z), stop: (\S+Z)", argument)
    if match is None:
        raise Refused(400, "invalid", 'cannot submit unbounded read; try bounding with a call to "range"')
    return match[1], match[2]


def _points(server: InfluxServer, bucket: str, start: str, stop: str, user: str) -> list[Row]:
    database, _, policy = bucket.partition("/")
    where = f"time >= '{start}' AND time < '{stop}'"
    source = f'"{policy}"./.*/' if policy else "/.*/"
    body = urlencode({"db": database, "q": f"SELECT * FROM {source} WHERE {where} GROUP BY *", "epoch": "ns"}).encode()
    status, answer = _call(server, "/query", body, user)
    found = json.loads(answer)
    if status != 200:
        raise Refused(status, "unauthorized", str(found.get("error")))
    if "error" in found["results"][0]:
        raise Refused(404, "not found", f'bucket "{bucket}" not found')
    kinds = _field_kinds(server, database, user)
    rows: list[Row] = []
    for series in found["results"][0].get("series", []):
        tags = {key: value for key, value in series.get("tags", {}).items() if value != ""}
        for moment, *values in series["values"]:
            for name, value in zip(series["columns"][1:], values, strict=True):
                if value is not None:
                    typed = float(value) if kinds[series["name"], name] == "float" else value
                    rows.append(
                        {"_measurement": series["name"], "_field": name, "_time": moment, "_value": typed, **tags}
                    )
    return rows


def _field_kinds(server: InfluxServer, database: str, user: str) -> dict[tuple[str, str], str]:
    status, answer = _call(server, "/query", urlencode({"db": database, "q": "SHOW FIELD KEYS"}).encode(), user)
    assert status == 200, answer
    found = json.loads(answer)["results"][0].get("series", [])
    return {(series["name"], name): kind for series in found for name, kind in series["values"]}


def _filtered(rows: Sequence[Row], argument: str) -> list[Row]:
    wanted = argument.removeprefix("fn: (r) => ")
    pairs = []
    for one in wanted.split(" or "):
        match = _EQUAL.fullmatch(one)
        if match is None:
            raise Refused(400, "invalid", f"this front does not know the predicate {one[:80]!r}")
        pairs.append((_unquoted(match[1]), _unquoted(match[2])))
    return [row for row in rows if any(row.get(key) == value for key, value in pairs)]


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: "\n" if match[1] == "n" else match[1], text, flags=re.S)


def _grouped(rows: Sequence[Row], keys: Sequence[str]) -> list[list[Row]]:
    groups: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row.get(key) for key in keys), []).append(row)
    return list(groups.values())


def _aggregated(name: str, argument: str, rows: Sequence[Row], keys: Sequence[str]) -> list[Row]:
    if argument not in ("", 'method: "exact_mean"'):
        raise Refused(400, "invalid", f"this front does not know {name}({argument})")
    values = [row["_value"] for row in rows]
    kinds = {type(value) for value in values}
    if name != "count" and not kinds <= {int, float}:
        odd = "bool" if bool in kinds else "string"
        raise Refused(400, "invalid", f"unsupported input type for {name} aggregate: {odd}")
    if name != "count" and len(kinds) > 1:
        raise Refused(400, "invalid", "schema collision: cannot group integer and float types together")
    numbers = [value for value in values if isinstance(value, int | float)]
    found = len(values) if name == "count" else _worked_out(name, numbers)
    return [{**{key: rows[0][key] for key in keys if key in rows[0]}, "_value": found}]


def _worked_out(name: str, numbers: Sequence[int | float]) -> int | float:
    match name:
        case "mean":
            return statistics.fmean(numbers)
        case "median":
            return float(statistics.median(numbers))
        case "sum":
            return sum(numbers)
        case "min":
            return min(numbers)
    return max(numbers)


def _csv(groups: Sequence[Sequence[Row]], start: str, stop: str) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    for number, rows in enumerate(groups):
        names = sorted({key for row in rows for key in row} - {"_time", "_value"})
        times = ["_time"] if any("_time" in row for row in rows) else []
        kind = _KINDS[type(rows[0]["_value"])]
        columns = ["_start", "_stop", *times, "_value", *names]
        stamps = ["dateTime:RFC3339"] * (2 + len(times))
        writer.writerow(["#datatype", "string", "long", *stamps, kind, *["string"] * len(names)])
        writer.writerow(
            ["#group", "false", "false", *["true"] * 2, *["false"] * (1 + len(times)), *["true"] * len(names)]
        )
        writer.writerow(["#default", "_result", "", *[""] * len(columns)])
        writer.writerow(["", "result", "table", *columns])
        for row in rows:
            at = [_stamp(row["_time"])] if times else []
            writer.writerow(
                ["", "", number, start, stop, *at, _cell(row["_value"]), *[row.get(name, "") for name in names]]
            )
        writer.writerow([])
    return out.getvalue()


def _stamp(moment: object) -> str:
    assert isinstance(moment, int)
    whole = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=moment // 10**9)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{moment % 10**9:09d}Z"


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else value

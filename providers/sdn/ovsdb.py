"""Speaks to the database of an Open vSwitch (RFC 7047): which queues its ports have, and whose they are.

Every look asks the database itself: a copy kept here would go on answering for a switch that does not.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Protocol

from msgspec import Struct

from providers.base import PermanentError, TransientError
from providers.sdn.http import items, mapping, text, whole
from providers.sdn.marks import same_owner

MARK = "tosca-reconciler"
"""The name in `external_ids` under which the cookie of the port stands."""
_TABLES: Mapping[str, Sequence[str]] = {
    "Bridge": ("datapath_id", "ports"),
    "Port": ("_uuid", "interfaces", "qos"),
    "Interface": ("_uuid", "ofport"),
    "QoS": ("_uuid", "other_config", "queues", "external_ids"),
    "Queue": ("_uuid", "other_config"),
}
_MEGABIT = 1_000_000
_LOWEST_PRIORITY = 7
"""Of queues: the smaller its number there, the sooner a queue gets what others leave."""


class Queue(Struct, frozen=True, order=True):
    """One queue of a port, in 10^6 bit/s; its number says how much it matters, 0 least."""

    number: int
    min_mbps: float
    max_mbps: float


class Shape(Struct, frozen=True):
    """How a port sends: at most so much, from these queues."""

    cookie: int
    """Of the port it was made for; 0 if somebody else made it."""
    rate_mbps: float
    queues: tuple[Queue, ...]


class Database(Protocol):
    """What shapes the ports of one switch, or of several."""

    def look(self) -> Mapping[tuple[int, int], Shape]:
        """Give the shapes there are, by data path id and port; `TransientError` if nobody answers."""

    def put(self, dpid: int, port: int, cookie: int, shape: Shape | None) -> None:
        """Give a port a shape, or none, in place of one of the same owner; `PermanentError` if it has one of others."""


class Ovsdb:
    """An `ovsdb-server`, at `tcp:<host>:<port>` or `unix:<path>`."""

    def __init__(self, target: str, timeout_seconds: float = 30.0) -> None:
        self._target, self._timeout = target, timeout_seconds
        self._ids = count(1)

    def look(self) -> Mapping[tuple[int, int], Shape]:
        """Read everything at one moment."""
        tables = self._tables()
        found: dict[tuple[int, int], Shape] = {}
        for place, port in _ports(tables):
            qos = tables["QoS"].get(_uuid(port.get("qos")))
            if qos is not None:
                found[place] = _shape(qos, tables["Queue"])
        return found

    def put(self, dpid: int, port: int, cookie: int, shape: Shape | None) -> None:
        """Change everything at one moment, unless the port was given to somebody else meanwhile."""
        tables = self._tables()
        row = dict(_ports(tables)).get((dpid, port))
        if row is None:
            raise TransientError(f"the database at {self._target} knows no port {port} of switch {dpid:x}")
        before = _uuid(row.get("qos"))
        qos = tables["QoS"].get(before)
        if qos is not None and not same_owner(_shape(qos, tables["Queue"]).cookie, cookie):
            raise PermanentError(f"port {port} of switch {dpid:x} has queues of somebody else; remove them there")
        itself = [["_uuid", "==", row["_uuid"]]]
        now: object = ["uuid", before] if before else ["set", []]
        guard = {"op": "wait", "timeout": 0, "table": "Port", "where": itself, "columns": ["qos"], "until": "=="}
        steps: list[object] = [{**guard, "rows": [{"qos": now}]}]
        steps += _inserts(shape) if shape is not None else []
        new: object = ["named-uuid", "qos"] if shape is not None else ["set", []]
        steps.append({"op": "update", "table": "Port", "where": itself, "row": {"qos": new}})
        if qos is not None:
            old = [("QoS", before), *(("Queue", queue) for _, queue in _queues(qos))]
            steps += [{"op": "delete", "table": t, "where": [["_uuid", "==", ["uuid", one]]]} for t, one in old]
        self._transact(steps)

    def _tables(self) -> dict[str, dict[str, Mapping[str, object]]]:
        """Select what is needed of every table: its rows by their ids, those of bridges by data path id."""
        selects = [{"op": "select", "table": t, "where": [], "columns": [*names]} for t, names in _TABLES.items()]
        found: dict[str, dict[str, Mapping[str, object]]] = {}
        for table, result in zip(_TABLES, self._transact(selects), strict=True):
            rows = list(map(mapping, items(mapping(result).get("rows"))))
            found[table] = {_uuid(row.get("_uuid")) or text(row.get("datapath_id")): row for row in rows}
        return found

    def _transact(self, steps: Sequence[object]) -> Sequence[object]:
        answer = mapping(self._call("transact", ["Open_vSwitch", *steps]))
        results = items(answer.get("result"))
        complaints = [mapping(answer.get("error")), *(mapping(result) for result in results)]
        for complaint in complaints:
            if complaint.get("error"):
                said = f"{complaint.get('error')} {complaint.get('details') or ''}".strip()
                # A wait that failed: somebody was quicker. The next try looks again.
                kind = TransientError if complaint.get("error") == "timed out" else PermanentError
                raise kind(f"the database at {self._target} refuses: {said}")
        return results[: len(steps)]

    def _call(self, method: str, parameters: Sequence[object]) -> object:
        number = next(self._ids)
        request = json.dumps({"id": number, "method": method, "params": parameters})
        try:
            with self._connected() as connection:
                connection.sendall(request.encode())
                for message in _messages(connection):
                    if mapping(message).get("id") == number:
                        return message
        except (OSError, ValueError) as error:
            raise TransientError(f"the database at {self._target} does not answer: {error or 'no answer'}") from error
        raise TransientError(f"the database at {self._target} closed the connection")

    def _connected(self) -> socket.socket:
        kind, _, where = self._target.partition(":")
        if kind == "tcp":
            host, _, port = where.rpartition(":")
            return socket.create_connection((host.strip("[]"), int(port)), self._timeout)
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(self._timeout)
            connection.connect(where)
        except OSError:
            connection.close()
            raise
        return connection


def _messages(connection: socket.socket) -> Iterator[object]:
    """Read JSON documents that follow one another without a mark between them."""
    decoder, waiting = json.JSONDecoder(), b""
    while received := connection.recv(1 << 16):
        waiting += received
        while waiting.strip():
            try:
                message, end = decoder.raw_decode(waiting.decode().lstrip())
            except ValueError:
                break
            yield message
            waiting = waiting.decode().lstrip()[end:].encode()


def _ports(
    tables: Mapping[str, Mapping[str, Mapping[str, object]]],
) -> Iterator[tuple[tuple[int, int], Mapping[str, object]]]:
    """Give every port that has a number: data path id and number, and its row."""
    for bridge in tables["Bridge"].values():
        try:
            dpid = int(text(bridge.get("datapath_id")), 16)
        except ValueError:
            continue
        for port in filter(None, map(tables["Port"].get, _uuids(bridge.get("ports")))):
            for interface in filter(None, map(tables["Interface"].get, _uuids(port.get("interfaces")))):
                if (number := whole(interface.get("ofport"))) > 0:
                    yield (dpid, number), port


def _shape(qos: Mapping[str, object], queues: Mapping[str, Mapping[str, object]]) -> Shape:
    marks, said = _map(qos.get("external_ids")), _map(qos.get("other_config"))
    try:
        cookie = int(text(marks.get(MARK)), 16)
    except ValueError:
        cookie = 0
    found = []
    for number, queue in _queues(qos):
        limits = _map(mapping(queues.get(queue)).get("other_config"))
        found.append(Queue(number, *(whole(limits.get(f"{end}-rate")) / _MEGABIT for end in ("min", "max"))))
    return Shape(cookie, whole(said.get("max-rate")) / _MEGABIT, tuple(sorted(found)))


def _inserts(shape: Shape) -> list[object]:
    steps: list[object] = []
    for queue in shape.queues:
        limits = {
            "min-rate": f"{round(queue.min_mbps * _MEGABIT)}",
            "max-rate": f"{round(queue.max_mbps * _MEGABIT)}",
            "priority": f"{_LOWEST_PRIORITY - queue.number}",
        }
        row = {"other_config": _written(limits), "external_ids": _written({MARK: f"{shape.cookie:016x}"})}
        steps.append({"op": "insert", "table": "Queue", "uuid-name": f"q{queue.number}", "row": row})
    qos = {
        "type": "linux-htb",
        "other_config": _written({"max-rate": f"{round(shape.rate_mbps * _MEGABIT)}"}),
        "queues": ["map", [[queue.number, ["named-uuid", f"q{queue.number}"]] for queue in shape.queues]],
        "external_ids": _written({MARK: f"{shape.cookie:016x}"}),
    }
    return [*steps, {"op": "insert", "table": "QoS", "uuid-name": "qos", "row": qos}]


# --- the notation of RFC 7047 ----------------------------------------------------------------------


def _uuid(value: object) -> str:
    """Read one id, or none."""
    return next(iter(_uuids(value)), "")


def _uuids(value: object) -> list[str]:
    match value:
        case ["uuid", str() as one]:
            return [one]
        case ["set", [*members]]:
            return [one for member in members for one in _uuids(member)]
    return []


def _map(value: object) -> dict[str, object]:
    match value:
        case ["map", [*pairs]]:
            return {str(pair[0]): pair[1] for pair in map(items, pairs) if len(pair) == 2}
    return {}


def _queues(qos: Mapping[str, object]) -> list[tuple[int, str]]:
    return [(whole(number), _uuid(queue)) for number, queue in _map(qos.get("queues")).items()]


def _written(values: Mapping[str, str]) -> list[object]:
    return ["map", [[key, value] for key, value in values.items()]]

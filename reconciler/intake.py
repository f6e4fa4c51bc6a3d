"""Hears alerts and metrics over HTTP: authenticated, bounded in size, number and time, and quick to answer.

    POST /<sfc>/<policy>/<trigger>   an alert, as Kapacitor writes it
    POST /alertmanager               alerts, as Prometheus' Alertmanager writes them
    POST /write?db=<sfc>             metrics in line protocol, for the embedded store
    GET  /health                     whether we live; the only thing that is told to strangers

Whoever posts proves that it is allowed to by `Authorization: Bearer <secret>`, or by signing: `X-Reconciler-Timestamp`
with the seconds since 1970 and `X-Reconciler-Signature: sha256=<HMAC-SHA256 of "<timestamp>.<path>.<body>">`. An
answer of 200 means that the alert is kept: a thread writes what many posts bring in one transaction.
"""

from __future__ import annotations

import hmac
import json
import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from socket import socket
from typing import Any
from urllib.parse import parse_qs, urlsplit

from msgspec import Struct, field

from reconciler.intake_messages import Find, MessageError, News, path_parts, read_alertmanager, read_kapacitor
from specs.errors import ReconcilerError, SettingsError
from state.store import Firing, Store, StoreError

logger = logging.getLogger(__name__)

MOST_BYTES = 256 * 1024
MOST_METRIC_BYTES = 4 * 1024 * 1024
_SECONDS = 10
"""How long one request may take to come, and to be answered."""
_AT_ONCE = 16
_WAITING = 128
"""Connections that are served at once, and that may wait; more are turned away."""
_QUEUED = 2000
_TOGETHER = 500
"""Alerts that wait to be written, and that are written in one transaction."""
_REMEMBERED = 20_000
"""Alerts of which we know that they are kept: telling of them again costs nothing."""
_STRANGERS_PER_MINUTE = 600
"""Refusals that are logged and answered with a reason; beyond, strangers get short words only."""
_CLOCK_SECONDS = 300
"""How old a signature may be."""


class Desk(Struct, frozen=True, kw_only=True):
    """What the intake needs of the loop."""

    secret: Callable[[], str]
    """The secret of those who may post; `SettingsError` if there is none."""
    find: Callable[[], Find]
    """What alerts there are, at the commit that is applied now."""
    open_store: Callable[[], Store]
    write: Callable[[str, str, bytes], None]
    """Keep metrics: database, precision, line protocol. `ReconcilerError` if that is not possible."""
    heard: Callable[[], None]
    """Is called when new alerts are kept."""
    clock: Callable[[], datetime]


class Mailbox:
    """One thread that writes what many posts bring; each waits until it is kept."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._queue: queue.Queue[tuple[News, Future[int]] | None] = queue.Queue(_QUEUED)
        self._kept: OrderedDict[str, None] = OrderedDict()
        self._guard = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="mailbox", daemon=True)
        self._thread.start()

    def put(self, news: News) -> int:
        """Keep news and give how many alerts were new; `queue.Full` if too many are waiting."""
        if not news.states and not news.firings:
            return 0
        if news.firings and all(map(self._is_kept, news.firings)):
            return 0
        answer: Future[int] = Future()
        self._queue.put((news, answer), timeout=1)
        return answer.result(timeout=_SECONDS)

    def close(self) -> None:
        """Write what is there, and end."""
        self._queue.put(None)
        self._thread.join(_SECONDS)

    def _is_kept(self, firing: Firing) -> bool:
        with self._guard:
            return firing.id in self._kept

    def _remember(self, news: News) -> None:
        with self._guard:
            for firing in news.firings:
                self._kept[firing.id] = None
            while len(self._kept) > _REMEMBERED:
                self._kept.popitem(last=False)

    def _work(self) -> None:
        ends = False
        while not ends:
            batch = [self._queue.get()]
            while len(batch) < _TOGETHER:
                try:
                    batch.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            ends = None in batch
            self._keep([one for one in batch if one is not None])

    def _keep(self, batch: list[tuple[News, Future[int]]]) -> None:
        if not batch:
            return
        try:
            states = {(state.site, state.rule): state for news, _ in batch for state in news.states}
            with closing(self._desk.open_store()) as store:
                new = store.save_alerts(states.values(), [firing for news, _ in batch for firing in news.firings])
        except (ReconcilerError, OSError) as error:
            for _, answer in batch:
                answer.set_exception(StoreError(str(error)))
            return
        left = set(new)
        for news, answer in batch:
            self._remember(news)
            own = {firing.id for firing in news.firings} & left
            left -= own
            answer.set_result(len(own))
        if new:
            self._desk.heard()


class Intake(HTTPServer):
    """The server; connections beyond its bounds are closed at once."""

    request_queue_size = _WAITING
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], desk: Desk) -> None:
        super().__init__(address, _Handler)
        self.desk = desk
        self.mailbox = Mailbox(desk)
        self.refusals = _Refusals()
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="intake")
        self._room = threading.BoundedSemaphore(_AT_ONCE + _WAITING)
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.1}, name="intake", daemon=True
        )

    @property
    def address(self) -> str:
        """Where it listens."""
        host, port = self.server_address[:2]
        return f"{host!s}:{port}"

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def close(self) -> None:
        """Stop listening, and write what has come."""
        self.shutdown()
        self._thread.join(_SECONDS)
        self.server_close()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self.mailbox.close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Hand a connection to a thread, or turn it away."""
        if not self._room.acquire(blocking=False):
            self.refusals.note("too many connections")
            self.shutdown_request(request)
            return
        self._pool.submit(self._serve, request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say what went wrong with a connection, in one line."""
        logger.debug("intake: connection of %s broke", client_address, exc_info=True)

    def _serve(self, request: socket, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except Exception:
            self.handle_error(request, client_address)
        finally:
            self.shutdown_request(request)
            self._room.release()


class _Refusals(Struct):
    """Counts what was refused, so that a flood of it does not flood the log."""

    _minute: int = 0
    _count: int = 0
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def note(self, why: str, *arguments: object) -> None:
        with self._guard:
            minute = int(time.monotonic() // 60)
            if minute != self._minute:
                if self._count > _STRANGERS_PER_MINUTE:
                    logger.warning("intake: %s more were refused", self._count - _STRANGERS_PER_MINUTE)
                self._minute, self._count = minute, 0
            self._count += 1
            shown = self._count <= _STRANGERS_PER_MINUTE
        if shown:
            logger.warning(f"intake refused: {why}", *arguments)


class _Refused(Exception):  # noqa: N818 - an answer
    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    server: Intake
    protocol_version = "HTTP/1.1"
    server_version = "reconciler"
    sys_version = ""
    timeout = _SECONDS
    wbufsize = 16 * 1024  # or head and body of an answer would go in two packets, and wait for one another
    disable_nagle_algorithm = True

    def log_message(self, *arguments: object) -> None:
        """Leave the log to what is decided."""

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/health":
            self._answer(200, {"status": "ok"})
        else:
            self._answer(404, {"error": "there is nothing to get here"})

    def do_POST(self) -> None:
        try:
            body = self._body()
            self._check(body)
            self._answer(200, self._taken(body))
        except _Refused as refused:
            self._refuse(refused.status, str(refused))
        except MessageError as error:
            self._refuse(400, str(error))
        except queue.Full:
            self._refuse(503, "too many alerts are waiting; post again")
        except (ReconcilerError, TimeoutError) as error:
            logger.error("intake: what was posted could not be kept: %s", error)
            self._answer(503, {"error": "it could not be kept; post again"}, closing_=True)

    def _body(self) -> bytes:
        metrics = urlsplit(self.path).path == "/write"
        most = MOST_METRIC_BYTES if metrics else MOST_BYTES
        length = self.headers.get("Content-Length", "")
        if self.headers.get("Transfer-Encoding") or not (length.isascii() and length.isdigit()):
            raise _Refused(411, "a Content-Length is needed")
        if len(length) > 10 or int(length) > most:
            raise _Refused(413, f"at most {most} bytes are read")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise _Refused(400, "the body ended early")
        return body

    def _check(self, body: bytes) -> None:
        """Let in who knows the secret: as a bearer, or by a signature that is not old."""
        secret = self.server.desk.secret().encode()
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode("utf-8", "replace"), secret):
            return
        stamp, signature = (self.headers.get(f"X-Reconciler-{name}", "") for name in ("Timestamp", "Signature"))
        if signature and stamp.isascii() and stamp.isdigit() and len(stamp) < 12:
            wanted = sign(secret, stamp, self.path, body)
            fresh = abs(self.server.desk.clock().timestamp() - int(stamp)) <= _CLOCK_SECONDS
            if hmac.compare_digest(signature.encode("utf-8", "replace"), wanted.encode()) and fresh:
                return
        raise _Refused(401, "the secret or the signature is missing, wrong or too old")

    def _taken(self, body: bytes) -> Mapping[str, object]:
        parts = urlsplit(self.path)
        desk = self.server.desk
        if parts.path == "/write":
            self._write(parse_qs(parts.query), body)
            return {}
        path = path_parts(parts.path)
        if path == ("alertmanager",):
            return {"new": self.server.mailbox.put(read_alertmanager(body, desk.find(), desk.clock()))}
        match path:
            case (sfc, policy, trigger):
                known = desk.find().get((sfc, policy, trigger))
            case _:
                known = None
        if known is None:
            raise _Refused(404, "there is no such alert; the path is /<sfc>/<policy>/<trigger>")
        return {"new": self.server.mailbox.put(read_kapacitor(body, known, desk.clock()))}

    def _write(self, query: Mapping[str, list[str]], body: bytes) -> None:
        database = query.get("db", [""])[0]
        if not database:
            raise _Refused(400, "the query must name a database: /write?db=<sfc>")
        try:
            self.server.desk.write(database, query.get("precision", ["ns"])[0], body)
        except ReconcilerError as error:
            raise _Refused(400, str(error)) from error

    def _refuse(self, status: int, why: str) -> None:
        path = self.path[:120]
        self.server.refusals.note("%s from %s, %a: %s", status, self.client_address[0], path, why)
        self._answer(status, {"error": why}, closing_=status != 404)

    def _answer(self, status: int, data: Mapping[str, object], *, closing_: bool = False) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status == 503:
            self.send_header("Retry-After", "1")
        if closing_:
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)


def sign(secret: bytes, stamp: str, path: str, body: bytes) -> str:
    """Give the signature of a post."""
    return "sha256=" + hmac.new(secret, f"{stamp}.{path}.".encode() + body, sha256).hexdigest()


def listen_on(text: str) -> tuple[str, int]:
    """Read an address to listen on: `127.0.0.1:8099`, `:8099` (every interface) or `8099` (loopback)."""
    host, colon, port = text.rpartition(":")
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise SettingsError(f"{text!r} is no address to listen on; write HOST:PORT, e.g. 127.0.0.1:8099")
    if not colon:
        return "127.0.0.1", int(port)
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - that is what an empty host asks for

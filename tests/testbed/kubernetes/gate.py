"""A way to the API server that can be spoiled: calls time out, are refused, lose their answer or their end."""

from __future__ import annotations

import http.client
import http.server
import json
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from tests.testbed.kubernetes.newer import older_path, to_newer, to_older

_HOP_BY_HOP = frozenset({"host", "content-length", "connection", "accept-encoding", "transfer-encoding"})


class Trouble(StrEnum):
    """What happens to a call."""

    TIME_OUT = "time out"
    """It never reaches the server."""
    REFUSE = "refuse"
    LOSE = "lose"
    """The server does it, and its answer is lost."""
    CUT = "cut"
    """The list has a second page, which cannot be read."""
    DOWN = "down"
    """Nobody is there."""


@dataclass(slots=True)
class Fault:
    """Which calls meet which trouble; `times` 0 is always."""

    methods: str
    path: re.Pattern[str]
    trouble: Trouble
    times: int = 0


@dataclass(slots=True)
class Gate:
    """A proxy on loopback, with a list of faults."""

    upstream: str
    authority: Path
    faults: list[Fault] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    """Method and path of every call that came."""
    port: int = 0
    newer: bool = False
    """Whether the server should look like a newer one."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def running(self) -> Iterator[Gate]:
        """Serve until the block ends."""
        context = ssl.create_default_context(cafile=str(self.authority))
        host = urlsplit(self.upstream).netloc
        gate = self

        class Handler(_Handler):
            def upstream(self) -> http.client.HTTPSConnection:
                return http.client.HTTPSConnection(host, context=context, timeout=60)

            def trouble(self) -> Trouble | None:
                return gate.trouble(self.command, self.path)

            def newer(self) -> bool:
                return gate.newer

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()

    def spoil(self, verb: str, resource: str, trouble: Trouble, times: int = 0) -> None:
        """Add a fault for every `list`, `create`, `update` or `delete` of a resource."""
        within = rf"/{resource}"
        methods, pattern = {
            "list": ("GET", rf"{within}(\?.*)?$"),
            "create": ("PATCH", rf"{within}/[^/?]+\?(?!.*dryRun)"),
            "update": ("PATCH", rf"{within}/[^/?]+\?(?!.*dryRun)"),
            "delete": ("DELETE", rf"{within}/[^/?]+(\?.*)?$"),
        }[verb]
        with self._lock:
            self.faults.append(Fault(methods, re.compile(pattern), trouble, times))

    def take_down(self) -> None:
        """Answer nobody."""
        with self._lock:
            self.faults.append(Fault("", re.compile(""), Trouble.DOWN))

    def mend(self) -> None:
        """Let everything pass."""
        with self._lock:
            self.faults.clear()

    def trouble(self, method: str, path: str) -> Trouble | None:
        """Give what is to happen to a call, and count it."""
        with self._lock:
            self.calls.append(f"{method} {path}")
            for fault in self.faults:
                if (not fault.methods or fault.methods == method) and fault.path.search(path):
                    if fault.times:
                        fault.times -= 1
                        if not fault.times:
                            self.faults.remove(fault)
                    return fault.trouble
        return None


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def upstream(self) -> http.client.HTTPSConnection:
        raise NotImplementedError

    def trouble(self) -> Trouble | None:
        raise NotImplementedError

    def newer(self) -> bool:
        raise NotImplementedError

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else None
        trouble = self.trouble()
        match trouble:
            case Trouble.DOWN:
                self._hang_up()
            case Trouble.TIME_OUT:
                self._say(504, "Timeout", "the server was too slow")
            case Trouble.REFUSE:
                self._say(403, "Forbidden", "a policy of the test forbids this")
            case Trouble.CUT if "continue=" in self.path:
                self._say(500, "InternalError", "the second page is lost")
            case _:
                self._forward(body, trouble)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 — names of the standard library

    def _forward(self, body: bytes | None, trouble: Trouble | None) -> None:
        path = re.sub(r"limit=\d+", "limit=1", self.path) if trouble is Trouble.CUT else self.path
        path, new = older_path(path) if self.newer() else (path, "")
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        connection = self.upstream()
        try:
            connection.request(self.command, path, to_older(body, new), headers)
            answer = connection.getresponse()
            if "watch=" in path and answer.status == 200:
                self._relay(answer)
                return
            data = answer.read()
        except OSError:  # the server is down: so are we
            self._hang_up()
            return
        finally:
            connection.close()
        if trouble is Trouble.LOSE:
            self._hang_up()
            return
        if trouble is Trouble.CUT:
            data = _with_more(data)
        if self.newer():
            data = to_newer(data, path, new)
        self._answer(answer.status, answer.getheader("Content-Type", "application/json"), data)

    def _relay(self, answer: http.client.HTTPResponse) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            while line := answer.readline():
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        except OSError:  # whoever watched has gone
            self.close_connection = True

    def _say(self, status: int, reason: str, message: str) -> None:
        body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message}
        self._answer(status, "application/json", json.dumps(body).encode())

    def _answer(self, status: int, content_type: str, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.close()


def _with_more(data: bytes) -> bytes:
    """Let the list go on in a second page, with the last object at least."""
    page = json.loads(data)
    page["metadata"].setdefault("continue", "there-is-more")
    page["items"] = page["items"][:-1]
    return json.dumps(page).encode()

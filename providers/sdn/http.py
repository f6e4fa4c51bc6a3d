"""Speaks JSON over HTTP to a controller, one kept-alive connection for every thread."""

from __future__ import annotations

import json
import socket
import ssl
from base64 import b64encode
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from threading import Lock, local
from urllib.parse import urlsplit

from msgspec import Struct

from providers.base import PermanentError, TransientError

MAX_ANSWER = 256 << 20
"""Bytes of an answer that are read; a switch with a million rules stays below."""


class Answer(Struct, frozen=True):
    """What came back: status and body, whatever they say."""

    status: int
    body: bytes

    def data(self) -> object:
        """Read the body as JSON; `TransientError` if it is none."""
        try:
            return json.loads(self.body) if self.body.strip() else None
        except ValueError as error:
            raise TransientError(f"the controller answered what is no JSON: {self.text(80)!r}") from error

    def text(self, length: int = 200) -> str:
        """Give the beginning of the body as text."""
        return self.body[:length].decode("utf-8", "replace").strip()


class Web:
    """The address of a controller."""

    def __init__(self, url: str, *, user: str = "", password: str = "", timeout_seconds: float = 30.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise PermanentError(f"the controller's url is {url!r}; write one such as http://127.0.0.1:8080")
        self._host, self._port, self._secure = parts.hostname, parts.port, parts.scheme == "https"
        self._base = parts.path.rstrip("/")
        self._timeout = timeout_seconds
        self._headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if user:
            self._headers["Authorization"] = f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"
        self._own = local()
        self._all: list[HTTPConnection] = []
        self._lock = Lock()

    def call(self, method: str, path: str, body: object = None) -> Answer:
        """Make one call, twice if a kept connection proves stale; `TransientError` if no answer comes."""
        data = json.dumps(body).encode() if body is not None else None
        for attempt in (1, 2):
            connection = self._connection()
            fresh = connection.sock is None
            try:
                connection.request(method, self._base + path, body=data, headers=self._headers)
                response = connection.getresponse()
                content = response.read(MAX_ANSWER)
            except (HTTPException, OSError) as error:
                connection.close()
                if fresh or attempt == 2 or isinstance(error, TimeoutError):
                    raise TransientError(
                        f"the controller does not answer {method} {path}: {error or 'no answer'}"
                    ) from error
                continue
            return Answer(response.status, content)
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock:
            for connection in self._all:
                connection.close()
            self._all.clear()
        self._own = local()

    def _connection(self) -> HTTPConnection:
        found: HTTPConnection | None = getattr(self._own, "connection", None)
        if found is None:
            if self._secure:
                found = HTTPSConnection(
                    self._host, self._port, timeout=self._timeout, context=ssl.create_default_context()
                )
            else:
                found = _Prompt(self._host, self._port, timeout=self._timeout)
            self._own.connection = found
            with self._lock:
                self._all.append(found)
        return found


class _Prompt(HTTPConnection):
    """Sends at once: small requests in two parts wait 40 ms for each other otherwise."""

    def connect(self) -> None:
        super().connect()
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def expect(answer: Answer, what: str, *statuses: int) -> Answer:
    """Give the answer if its status is one of those; `TransientError` for 5xx, 408 and 429, else `PermanentError`."""
    if answer.status in statuses:
        return answer
    message = f"the controller refuses to {what}: HTTP {answer.status} {answer.text()}"
    if answer.status >= 500 or answer.status in (408, 429):
        raise TransientError(message)
    raise PermanentError(message)


def mapping(value: object) -> Mapping[str, object]:
    """Give a mapping of an answer, or an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[object]:
    """Give a list of an answer, or an empty one for anything else."""
    return value if isinstance(value, list) else []


def text(value: object) -> str:
    """Give text of an answer, or none for anything else."""
    return value if isinstance(value, str) else ""


def whole(value: object) -> int:
    """Give a whole number of an answer, also one written as text or in hexadecimal digits; 0 for anything else."""
    if isinstance(value, bool):
        return 0
    if isinstance(value, int):
        return value
    try:
        return int(value, 0) if isinstance(value, str) else 0
    except ValueError:
        return 0

"""One HTTP request and its answer, bounded in time and size."""

from __future__ import annotations

import http.client
import ssl
import threading
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct

from state.metrics.vocabulary import MetricsError

_MOST_BYTES = 256 * 1024 * 1024


class Reply(Struct, frozen=True):
    """What came back."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class Server:
    """An HTTP server at a URL; keeps one connection open between calls."""

    def __init__(self, url: str, timeout_seconds: float, headers: Mapping[str, str]) -> None:
        self.url = url
        self._parts: SplitResult = urlsplit(url)
        self._timeout = timeout_seconds
        self._headers = dict(headers)
        self._lock = threading.Lock()
        self._connection: http.client.HTTPConnection | None = None

    def call(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        """Make a call, once more on a new connection if an old one was closed; `MetricsError` if nothing answers."""
        with self._lock:
            fresh = self._connection is None
            try:
                return self._call(method, path, body, {**self._headers, **(headers or {})})
            except (OSError, http.client.HTTPException) as error:
                self._drop()
                if fresh or isinstance(error, TimeoutError):
                    raise self._failed(error) from error
            try:
                return self._call(method, path, body, {**self._headers, **(headers or {})})
            except (OSError, http.client.HTTPException) as error:
                self._drop()
                raise self._failed(error) from error

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._drop()

    def _call(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        if self._connection is None:
            self._connection = self._connect()
        self._connection.request(method, self._parts.path.rstrip("/") + path, body or None, dict(headers))
        response = self._connection.getresponse()
        data = response.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            self._drop()
            raise MetricsError(f"{self.url} answered with more than {_MOST_BYTES} bytes; ask for less")
        return Reply(response.status, data, {key.lower(): value for key, value in response.getheaders()})

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(host, port, timeout=self._timeout, context=context)
        return http.client.HTTPConnection(host, port, timeout=self._timeout)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _failed(self, error: Exception) -> MetricsError:
        what = "did not answer in time" if isinstance(error, TimeoutError) else f"cannot be reached: {error}"
        return MetricsError(f"{self.url} {what}; check that it runs and the url in the site spec")

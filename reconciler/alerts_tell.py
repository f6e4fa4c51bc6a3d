"""Tells the handlers of an alert that it fired: a POST to each URL, in the shape that Kapacitor gives its messages."""

from __future__ import annotations

import http.client
import json
import logging
import queue
import ssl
import threading
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from specs.errors import ReconcilerError
from state.store import Firing

logger = logging.getLogger(__name__)

_TRIES = 3
_SECONDS = 5
_WAITING = 1000


class Teller:
    """One thread that tells; what it could not tell after three tries is logged and given up."""

    def __init__(self, unseal: Callable[[str], str], pause_seconds: float = 1.0) -> None:
        self._unseal = unseal
        self._pause = pause_seconds
        self._queue: queue.Queue[tuple[str, Firing] | None] = queue.Queue(_WAITING)
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()

    def tell(self, firing: Firing) -> None:
        """Tell every handler of a firing, soon."""
        handlers = firing.detail.get("handlers", [])
        if handlers and self._thread is None:
            self._thread = threading.Thread(target=self._work, name="teller", daemon=True)
            self._thread.start()
        for url in handlers if isinstance(handlers, list) else []:
            try:
                self._queue.put_nowait((str(url), firing))
            except queue.Full:
                logger.error("alert %s: %s is not told: too many wait", firing.id, url)

    def close(self) -> None:
        """Tell who waits, and end."""
        self._closing.set()
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(_SECONDS)

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            url, firing = item
            try:
                self._tell(url, firing)
            except (ReconcilerError, OSError, http.client.HTTPException, ValueError) as error:
                logger.error("alert %s: %s was not told: %s", firing.id, url, error)

    def _tell(self, url: str, firing: Firing) -> None:
        name = str(firing.detail.get("secret") or "")
        headers = {"Content-Type": "application/json"}
        if name:
            headers["Authorization"] = f"Bearer {self._unseal(name)}"
        body = json.dumps(message_of(firing)).encode()
        for attempt in range(1, _TRIES + 1):
            try:
                status = _post(url, body, headers)
            except (OSError, http.client.HTTPException) as error:
                why = str(error)
            else:
                if status < 300:
                    logger.info("alert %s: %s is told", firing.id, url)
                    return
                why = f"it answered {status}"
                if status < 500:
                    break
            if attempt < _TRIES:
                self._closing.wait(self._pause * attempt)
        logger.error("alert %s: %s was not told: %s", firing.id, url, why)


def message_of(firing: Firing) -> Mapping[str, object]:
    """Write an alert as Kapacitor does, so that handlers need not know who told them."""
    detail = firing.detail
    tags = detail.get("tags")
    at = f"{firing.at:%Y-%m-%dT%H:%M:%SZ}"
    series = {
        "name": detail.get("measurement", ""),
        "tags": dict(tags) if isinstance(tags, Mapping) else {},
        "columns": ["time", "value"],
        "values": [[at, _number(firing.value)]],
    }
    return {
        "message": "TRUE",
        "id": firing.trigger,
        "level": "CRITICAL",
        "previousLevel": "OK",
        "duration": 0,
        "details": f"db={firing.sfc},sfc={firing.sfc},sfci={firing.sfci},policy={firing.policy}",
        "time": at,
        "data": {"series": [series]},
    }


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:  # several values, or none
        return None


def _post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    parts = urlsplit(url)
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            host, parts.port, timeout=_SECONDS, context=ssl.create_default_context()
        )
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=_SECONDS)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", target, body, dict(headers))
        return connection.getresponse().status
    finally:
        connection.close()

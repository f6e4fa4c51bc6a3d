"""Plain JSON to and from one API server; connects at the first call."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Protocol, cast
from urllib.parse import urlencode

from msgspec import Struct, field

from providers.answers import parsed, understood
from providers.kubernetes.errors import Answer, failure
from providers.kubernetes.naming import Json
from providers.kubernetes.settings import Access

_OK = range(200, 300)
_UNAUTHORISED = 401

JSON = "application/json"
APPLY = "application/apply-patch+yaml"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"


class Call(Struct, frozen=True, kw_only=True):
    """One request."""

    method: str = "GET"
    path: str
    query: Mapping[str, str | int] = field(default_factory=dict)
    body: Json | None = None
    content_type: str = JSON
    accept: str = JSON

    @property
    def url(self) -> str:
        """Path and query."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path


class Stream(Protocol):
    """An answer that comes line by line."""

    @property
    def status(self) -> int:
        """The status it began with."""

    def lines(self) -> Iterator[bytes]:
        """Give the lines as they come; `TransientError` when they break off."""

    def cancel(self) -> None:
        """Break it off, from any thread."""


class Wire(Protocol):
    """What carries requests; raises `TransientError` when there is no answer."""

    def send(self, call: Call) -> Answer:
        """Make a request and wait for all of the answer."""

    def stream(self, call: Call, seconds: float) -> Stream:
        """Make a request whose answer goes on; `seconds` is the longest silence."""

    def close(self) -> None:
        """Let go of all connections."""


class Connection:
    """Speaks to one API server; reads its credentials again once they were refused."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._lock = threading.Lock()
        self._wire: Wire | None = None

    def call(self, call: Call) -> Json:
        """Make a request and give its JSON; `ProviderError` says why not."""
        text = self.fetch(call)
        with understood(f"the answer to {call.method} {call.path}"):
            return cast("Json", parsed(text))

    def fetch(self, call: Call) -> bytes:
        """Make a request and give the bytes of the answer."""
        wire = self._connected()
        answer = wire.send(call)
        if answer.status == _UNAUTHORISED:
            answer = self._connected(instead_of=wire).send(call)
        if answer.status in _OK:
            return answer.body
        raise failure(f"{call.method} {call.path}", answer)

    def stream(self, call: Call, seconds: float) -> Stream:
        """Make a request whose answer goes on; `seconds` is the longest silence."""
        wire = self._connected()
        stream = wire.stream(call, seconds)
        if stream.status == _UNAUTHORISED:
            stream.cancel()
            stream = self._connected(instead_of=wire).stream(call, seconds)
        if stream.status not in _OK:
            try:
                raise failure(f"{call.method} {call.path}", Answer(stream.status, b"\n".join(stream.lines())))
            finally:
                stream.cancel()
        return stream

    def close(self) -> None:
        """Let go of all connections."""
        with self._lock:
            if self._wire is not None:
                self._wire.close()
            self._wire = None

    def _connected(self, *, instead_of: Wire | None = None) -> Wire:
        from providers.kubernetes.client import Client  # the SDK takes a quarter of a second to import

        with self._lock:
            if self._wire is None or self._wire is instead_of:
                self._wire = Client(self.access)
            return self._wire

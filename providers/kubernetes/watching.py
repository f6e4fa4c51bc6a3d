"""Keeps the objects of an API server at hand by watching them, and tells when somebody else changed one.

Every resource is listed once and then followed from the version of that list. A stream that ends is taken up where it
ended; if the server has forgotten that version, the list is read again. While a stream is broken its objects are
not used: whoever asks then lists for himself. What we write is noted at once, so that we never see less than we did.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from hashlib import blake2b
from time import monotonic
from typing import Final
from zlib import compress, decompress

from msgspec import Struct, field

from providers.answers import parsed, written
from providers.base import PermanentError, ProviderError, Scope
from providers.kubernetes.connection import METADATA_LIST, Call, Stream
from providers.kubernetes.discovery import Served
from providers.kubernetes.errors import Expired
from providers.kubernetes.listing import Head, Page
from providers.kubernetes.naming import Json, selector
from providers.kubernetes.ownership import owned_fields
from providers.kubernetes.server import Server

logger = logging.getLogger(__name__)

_STREAM_SECONDS: Final = (60, 90)
"""How long a stream lasts, at random: after that it is certain to be alive or known to be broken."""
_SILENCE_SECONDS: Final = 100.0
_FIRST_LIST_SECONDS: Final = 60.0
_REFUSED_SECONDS: Final = 60.0
"""Between attempts to follow what we may not follow."""
_HASTY_SECONDS: Final = 1.0
"""A stream that ends sooner was none: whoever ends it would be asked without a pause."""
_PAUSES: Final = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Seconds between attempts to follow a server that does not answer or ends streams at once; the last one repeats."""
_NO_MATTER: Final = ("managedFields", "resourceVersion", "generation")
_METADATA: Final = METADATA_LIST.replace("PartialObjectMetadataList", "PartialObjectMetadata")


class _Kept(Struct, frozen=True):
    """One object: small, because thousands are kept."""

    head: Head
    text: bytes
    """Compressed to a third."""
    matter: bytes
    """Digest of all that people or specs say; status is left out."""

    @property
    def age(self) -> int:
        """The version as the number it is on every server there is; where it is none, news in their order count."""
        return _number(self.head.version)


class Time(Struct, frozen=True):
    """How a watch knows the time and lets it pass."""

    now: Callable[[], float] = monotonic
    """Seconds of a clock that only goes forward."""
    rest: Callable[[threading.Event, float], object] = threading.Event.wait
    """Waits for an event, at most so many seconds."""


_REAL: Final = Time()


class Keep:
    """The objects of one resource, followed by a thread of its own."""

    def __init__(
        self,
        server: Server,
        served: Served,
        chosen: str,
        namespace: str,
        stir: Callable[[], None],
        time: Time = _REAL,
    ) -> None:
        self.served = served
        self._server = server
        self._chosen = chosen
        self._namespace = namespace
        self._stir = stir
        self._time = time
        self._lock = threading.Lock()
        self._objects: dict[str, _Kept] = {}
        self._gone: set[str] = set()
        self._noted: dict[str, _Kept] = {}
        """What we wrote while a list was read, which may be older."""
        self._listing = False
        self._refusal = ""
        """Why it may not be watched, once that was said."""
        self._busy: list[tuple[str, str]] = []
        self._alive = False
        self._tried = threading.Event()
        self._stop = threading.Event()
        self._stream: Stream | None = None
        self._thread = threading.Thread(target=self._run, name=f"watch {served.form.id}", daemon=True)
        self._thread.start()

    def objects(self) -> Page | None:
        """Give the objects as they are now; `None` while they are not known."""
        self._tried.wait(_FIRST_LIST_SECONDS)
        with self._lock:
            kept = list(self._objects.values()) if self._alive else None
        return None if kept is None else Page([one.head for one in kept], lambda number: decompress(kept[number].text))

    def note(self, body: Json) -> None:
        """Put in what we have just written."""
        with self._lock:
            self._put(body)
            if self._listing:
                self._noted[body["metadata"]["uid"]] = _kept(self.served, body)

    @contextmanager
    def writing(self, body: Json) -> Iterator[None]:
        """Take news of an object for our own doing, which may come before the answer does."""
        key = _key(body)
        with self._lock:
            self._busy.append(key)
        try:
            yield
        finally:
            with self._lock:
                self._busy.remove(key)

    def note_gone(self, uid: str) -> None:
        """Take out what we have just deleted; late news of it is not believed."""
        with self._lock:
            self._objects.pop(uid, None)
            self._gone.add(uid)

    def close(self) -> None:
        """Stop following."""
        self._stop.set()
        with self._lock:
            stream = self._stream
        if stream is not None:
            stream.cancel()
        self._thread.join(timeout=10)

    # --- the thread ---

    def _run(self) -> None:
        failures = 0
        version = ""
        while not self._stop.is_set():
            began: float | None = None
            refused = False
            try:
                version = version or self._list()
                self._tried.set()
                began = self._time.now()
                version = self._follow(version)
            except Expired:
                version = self._lost(None, "")
            except PermanentError as error:
                version, refused = self._lost(error, ""), True
            except ProviderError as error:
                version = self._lost(error, version)
            except Exception:
                logger.exception("the watch of %s failed; it starts anew", self.served.form.id)
                version = self._lost(None, "")
            lasted = began is not None and self._time.now() - began > _HASTY_SECONDS
            failures = 0 if lasted else failures + 1
            if failures:
                pause = _REFUSED_SECONDS if refused else _PAUSES[min(failures, len(_PAUSES)) - 1]
                self._time.rest(self._stop, pause * random.uniform(0.5, 1.0))  # noqa: S311 — so that not all come at once

    def _lost(self, error: ProviderError | None, version: str) -> str:
        """Note that the stream is broken and give the version it is taken up from."""
        if isinstance(error, PermanentError) and str(error) != self._refusal:
            self._refusal = str(error)
            logger.warning("%s is not watched, only looked at on schedule: %s", self.served.form.id, error)
        elif not self._stop.is_set() and error is not None:
            logger.debug("the watch of %s is broken: %s", self.served.form.id, error)
        with self._lock:
            self._alive = False
        self._tried.set()
        return version

    def _list(self) -> str:
        found: dict[str, _Kept] = {}
        version = ""
        with self._lock:
            self._noted, self._gone, self._listing = {}, set(), True
        metadata_only = self.served.form.metadata_only
        for listed, page in self._server.pages(self.served, self._chosen, self._namespace, metadata_only=metadata_only):
            version = listed
            for body in page:
                found[body["metadata"]["uid"]] = _kept(self.served, body)
        with self._lock:
            found |= {uid: kept for uid, kept in self._noted.items() if kept.age > _number(version)}
            found = {uid: kept for uid, kept in found.items() if uid not in self._gone}
            self._noted, self._listing = {}, False
            moved = {uid: kept.matter for uid, kept in found.items()} != {u: k.matter for u, k in self._objects.items()}
            first, self._objects = not self._tried.is_set(), found
            self._alive = True
        if moved and not first:
            self._stir()
        return version

    def _follow(self, version: str) -> str:
        """Follow one stream to its end; give the version to go on from."""
        lasting = random.randint(*_STREAM_SECONDS)  # noqa: S311 — so that streams do not end together
        query: dict[str, str | int] = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": lasting,
            "labelSelector": self._chosen,
        }
        accept = _METADATA if self.served.form.metadata_only else "application/json"
        call = Call(path=self.served.path(self._namespace), query=query, accept=accept)
        stream = self._server.connection.stream(call, _SILENCE_SECONDS)
        with self._lock:
            self._stream, self._alive = stream, True
        try:
            for line in stream.lines():
                if line.strip():
                    version = self._take(parsed(line), version)
        finally:
            stream.cancel()
        return version

    def _take(self, event: Json, version: str) -> str:
        """Take one piece of news; give the version it leads to."""
        body = event["object"]
        if event["type"] == "ERROR":  # whatever it is, clients begin anew
            raise Expired(f"watch of {self.served.form.id}: {body.get('message') or 'an error'}")
        found = str(body["metadata"]["resourceVersion"])
        if event["type"] == "BOOKMARK":
            return found
        with self._lock:
            if event["type"] == "DELETED":
                moved = self._objects.pop(body["metadata"]["uid"], None) is not None
            else:
                moved = self._put(body)
            moved = moved and _key(body) not in self._busy
        if moved:
            self._stir()
        return found

    def _put(self, body: Json) -> bool:
        """Keep an object unless we know better; tell whether more than its status is new."""
        uid = body["metadata"]["uid"]
        before = self._objects.get(uid)
        after = _kept(self.served, body)
        if uid in self._gone or (before is not None and before.age > after.age):
            return False
        self._objects[uid] = after
        return before is None or before.matter != after.matter


class Keeper(Struct):
    """All that is watched at one API server; a resource is watched from the first time it is asked for."""

    server: Server
    stir: Callable[[], None]
    _keeps: dict[tuple[str, str, str], Keep] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def pages(self, served: Served, scope: Scope, namespace: str) -> Iterator[Page]:
        """Give the objects of a resource that are ours, without asking the server where that is possible."""
        chosen = selector(scope.repository, scope.site)
        objects = self._keep(served, chosen, namespace).objects()
        if objects is None:
            for _, page in self.server.pages(served, chosen, namespace, metadata_only=served.form.metadata_only):
                yield page
            return
        yield objects

    @contextmanager
    def writing(self, served: Served, body: Json) -> Iterator[None]:
        """Ring no bell for what we do to an object meanwhile."""
        with ExitStack() as stack:
            for keep in self._of(served, body):
                stack.enter_context(keep.writing(body))
            yield

    def note(self, served: Served, body: Json) -> None:
        """Put in what we have just written."""
        for keep in self._of(served, body):
            keep.note(body)

    def note_gone(self, served: Served, body: Json) -> None:
        """Take out what we have just deleted."""
        for keep in self._of(served, body):
            keep.note_gone(body["metadata"]["uid"])

    def close(self) -> None:
        """Stop watching."""
        with self._lock:
            keeps, self._keeps = list(self._keeps.values()), {}
        for keep in keeps:
            keep.close()

    def _keep(self, served: Served, chosen: str, namespace: str) -> Keep:
        key = (served.form.id, chosen, namespace)
        with self._lock:
            if key not in self._keeps:
                self._keeps[key] = Keep(self.server, served, chosen, namespace, self.stir)
            return self._keeps[key]

    def _of(self, served: Served, body: Json) -> list[Keep]:
        """Find who keeps an object: those of its resource and version whose selection it meets."""
        metadata = body["metadata"]
        labels = metadata.get("labels") or {}
        with self._lock:
            keeps = list(self._keeps.items())
        return [
            keep
            for (resource, chosen, namespace), keep in keeps
            if resource == served.form.id
            and keep.served.version == served.version
            and namespace in ("", metadata.get("namespace", ""))
            and _chosen(labels, chosen)
        ]


def _key(body: Json) -> tuple[str, str]:
    metadata = body["metadata"]
    return str(metadata.get("namespace", "")), str(metadata["name"])


def _chosen(labels: Mapping[str, str], chosen: str) -> bool:
    return all(labels.get(name) == value for name, _, value in (part.partition("=") for part in chosen.split(",")))


def _kept(served: Served, body: Json) -> _Kept:
    metadata = body["metadata"]
    matter = {"metadata": {key: value for key, value in metadata.items() if key not in _NO_MATTER}}
    if served.form.metadata_only:
        matter["owned"] = dict(owned_fields(metadata))
        body = {"metadata": metadata}
    else:
        matter |= {key: value for key, value in body.items() if key not in ("apiVersion", "kind", "metadata", "status")}
    digest = blake2b(written(matter), digest_size=16).digest()
    return _Kept(Head(metadata["uid"], metadata["resourceVersion"]), compress(written(body), 1), digest)


def _number(version: str) -> int:
    return int(version) if version.isdecimal() else 0

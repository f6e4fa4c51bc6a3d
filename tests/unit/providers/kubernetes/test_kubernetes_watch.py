"""What a watch keeps, with a server that is played line by line."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from providers.base import PermanentError, TransientError
from providers.kubernetes.connection import Call, Connection, Stream
from providers.kubernetes.discovery import Served
from providers.kubernetes.errors import Expired
from providers.kubernetes.kinds import FORMS
from providers.kubernetes.server import Server
from providers.kubernetes.settings import Access
from providers.kubernetes.watching import Keep, Time

CONFIG = Served(FORMS["configmap"], "v1")
END = object()
SECONDS = 10.0


def body(name: str, version: int, **more: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "ns", "uid": f"uid-{name}", "resourceVersion": str(version)},
        **more,
    }


@dataclass
class Played:
    """A connection whose lists and streams are written by the test."""

    lists: list[Any] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    news: queue.Queue[Any] = field(default_factory=queue.Queue)
    followed: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def fetch(self, call: Call) -> bytes:
        self.calls.append(call)
        found = self.lists.pop(0) if len(self.lists) > 1 else self.lists[0]
        if isinstance(found, Exception):
            raise found
        return json.dumps(found() if callable(found) else found).encode()

    def stream(self, call: Call, seconds: float) -> Stream:
        self.calls.append(call)
        self.followed.release()
        return _Line(self.news)

    def tell(self, kind: str, what: dict[str, Any]) -> None:
        """Send one piece of news."""
        self.news.put(json.dumps({"type": kind, "object": what}).encode())

    def versions(self) -> list[str]:
        """Give the versions streams were begun from."""
        return [str(call.query["resourceVersion"]) for call in self.calls if "watch" in call.query]


@dataclass
class _Line:
    news: queue.Queue[Any]
    status: int = 200

    def lines(self) -> Iterator[bytes]:
        while (item := self.news.get(timeout=SECONDS)) is not END:
            if isinstance(item, Exception):
                raise item
            yield item

    def cancel(self) -> None:
        pass


def listing(version: int, *items: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"resourceVersion": str(version)}, "items": list(items)}


@dataclass
class Watching:
    """A watch over a played connection, and the bell it rings."""

    played: Played
    keep: Keep
    bell: threading.Semaphore
    rests: queue.Queue[float]
    """How long it wanted to wait, each time it did; nobody really waits, and the clock stands still."""

    def names(self) -> dict[str, Any]:
        """Give what is kept: name → data."""
        return {item["metadata"]["name"]: item.get("data") for item in self.keep.objects() or ()}


@pytest.fixture
def watching() -> Iterator[Callable[..., Watching]]:
    made: list[Watching] = []

    def begin(*lists: Any) -> Watching:
        played = Played(list(lists))
        server = Server(Access(), ("edge-1",), cast("Connection", played))
        bell, rests = threading.Semaphore(0), queue.Queue[float]()
        keep = Keep(server, CONFIG, "a=b", "", bell.release, Time(lambda: 0.0, lambda _, seconds: rests.put(seconds)))
        made.append(Watching(played, keep, bell, rests))
        return made[-1]

    yield begin
    for one in made:
        one.keep._stop.set()
        one.played.news.put(END)
        one.keep.close()


Begin = Callable[..., Watching]


def test_news_change_what_is_kept_and_ring(watching: Begin) -> None:
    watch = watching(listing(5, body("a", 3)))
    watch.played.tell("ADDED", body("b", 6, data={"x": "1"}))
    assert watch.bell.acquire(timeout=SECONDS)
    watch.played.tell("DELETED", body("a", 7))
    assert watch.bell.acquire(timeout=SECONDS)

    assert watch.names() == {"b": {"x": "1"}}


def test_a_new_status_does_not_ring(watching: Begin) -> None:
    watch = watching(listing(5, body("a", 3, data={"x": "1"})))
    watch.played.tell("MODIFIED", body("a", 6, data={"x": "1"}, status={"phase": "fine"}))
    watch.played.tell("MODIFIED", body("a", 7, data={"x": "2"}))

    assert watch.bell.acquire(timeout=SECONDS)
    assert not watch.bell.acquire(blocking=False)
    assert watch.names() == {"a": {"x": "2"}}


def test_a_stream_that_ends_is_taken_up_from_the_last_version(watching: Begin) -> None:
    watch = watching(listing(5, body("a", 3)))
    assert watch.played.followed.acquire(timeout=SECONDS)
    watch.played.tell("BOOKMARK", body("", 40))
    watch.played.news.put(END)
    assert watch.played.followed.acquire(timeout=SECONDS)

    assert watch.played.versions() == ["5", "40"]


def test_a_forgotten_version_means_a_new_list(watching: Begin) -> None:
    watch = watching(listing(5, body("a", 3)), listing(90, body("b", 80)))
    watch.played.tell("ERROR", {"kind": "Status", "code": 410})
    assert watch.played.followed.acquire(timeout=SECONDS)
    assert watch.played.followed.acquire(timeout=SECONDS)

    assert watch.bell.acquire(timeout=SECONDS)
    assert watch.names() == {"b": None}
    assert watch.played.versions() == ["5", "90"]


@pytest.mark.parametrize("end", [END, Expired("gone"), TransientError("cut")], ids=["ends", "forgets", "breaks"])
def test_a_server_that_keeps_ending_streams_is_asked_less_and_less(watching: Begin, end: object) -> None:
    watch = watching(listing(5, body("a", 3)))
    for _ in range(6):
        watch.played.news.put(end)
    rests = [watch.rests.get(timeout=SECONDS) for _ in range(6)]

    assert all(low / 2 <= rest <= low for low, rest in zip((0.1, 0.5, 1, 2, 5, 5), rests, strict=True))


def test_what_may_not_be_watched_is_said_once_and_seldom_tried(
    watching: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    watch = watching(listing(5, body("a", 3)))
    for _ in range(3):
        watch.played.news.put(PermanentError("grant watch"))
    rests = [watch.rests.get(timeout=SECONDS) for _ in range(3)]

    assert all(30 <= rest <= 60 for rest in rests)
    assert [record.message for record in caplog.records] == [
        "configmaps is not watched, only looked at on schedule: grant watch"
    ]


def test_any_error_of_a_stream_means_a_new_list(watching: Begin) -> None:
    watch = watching(listing(5, body("a", 3)), listing(90, body("b", 80)))
    watch.played.tell("ERROR", {"kind": "Status", "code": 500, "message": "cannot decode"})

    assert watch.bell.acquire(timeout=SECONDS)
    assert watch.names() == {"b": None}


def test_a_broken_stream_gives_nothing_until_it_is_whole_again(watching: Begin) -> None:
    watch = watching(listing(5, body("a", 3)))
    assert watch.played.followed.acquire(timeout=SECONDS)
    watch.keep._lost(None, "")

    assert watch.keep.objects() is None
    watch.played.news.put(TransientError("the line is cut"))
    assert watch.played.followed.acquire(timeout=SECONDS)
    assert watch.names() == {"a": None}


def test_a_list_that_fails_gives_nothing(watching: Begin) -> None:
    watch = watching(TransientError("the server is down"))

    assert watch.keep.objects() is None


def test_what_we_wrote_is_kept_at_once_and_older_news_of_it_is_not_believed(watching: Begin) -> None:
    watch = watching(listing(5, body("a", 3, data={"x": "1"})))
    assert watch.played.followed.acquire(timeout=SECONDS)
    watch.keep.note(body("a", 9, data={"x": "2"}))
    watch.keep.note(body("c", 9))
    watch.keep.note_gone("uid-c")
    watch.played.tell("MODIFIED", body("a", 7, data={"x": "old"}))
    watch.played.tell("MODIFIED", body("c", 8))
    watch.played.tell("ADDED", body("b", 10))

    assert watch.bell.acquire(timeout=SECONDS)
    assert not watch.bell.acquire(blocking=False)
    assert watch.names() == {"a": {"x": "2"}, "b": None}


def test_what_we_do_while_a_list_is_read_is_not_lost(watching: Begin) -> None:
    def read() -> dict[str, Any]:
        for name, version in (("b", 20), ("c", 80)):
            watch.keep.note(body(name, version))
        watch.keep.note_gone("uid-a")
        return listing(50, body("a", 3))

    watch = watching(listing(5, body("a", 3)), read)
    assert watch.played.followed.acquire(timeout=SECONDS)
    watch.played.tell("ERROR", {"kind": "Status", "code": 410})

    assert watch.bell.acquire(timeout=SECONDS)
    assert watch.names() == {"c": None}


def test_news_of_our_own_doing_do_not_ring(watching: Begin) -> None:
    watch = watching(listing(5, body("a", 3, data={"x": "1"})))
    with watch.keep.writing(body("a", 3)):
        watch.played.tell("MODIFIED", body("a", 8, data={"x": "2"}))
        watch.played.tell("ADDED", body("b", 9))
        assert watch.bell.acquire(timeout=SECONDS)

    assert not watch.bell.acquire(blocking=False)
    assert watch.names() == {"a": {"x": "2"}, "b": None}

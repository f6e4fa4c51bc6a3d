"""What is posted to us: taken when it is honest, refused and logged when it is not, and never done twice."""

from __future__ import annotations

import http.client
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import intake
from reconciler.intake import Intake, listen_on, sign
from reconciler.intake_messages import Known, MessageError, known_alerts, read_alertmanager, read_kapacitor
from specs.errors import SettingsError
from state.store import AlertStatus, Outcome
from tests.support.alerting import STATE, rule
from tests.support.metering import NOON
from tests.support.watchtower import Tower, make_tower

SECRET = "correct-horse-battery-staple"
PATH = "/tour/crowd/many_requests"
KNOWN = Known(rule=rule(moves=True), sites=("bristol",), base="c0ffee")


def message(**changes: object) -> dict[str, object]:
    whole = {
        "message": "TRUE",
        "id": "many_requests",
        "level": "CRITICAL",
        "duration": 10_000_000_000,
        "previousLevel": "OK",
        "details": "db=tour,sfc=tour,sfci=tour-1,policy=crowd",
        "time": "2026-03-04T12:00:00Z",
        "data": {
            "series": [
                {"name": "storage", "tags": {}, "columns": ["time", "mean"], "values": [["2026-03-04T12:00:00Z", 120]]}
            ]
        },
    }
    return {**whole, **changes}


def webhook(**changes: object) -> dict[str, object]:
    alert = {
        "status": "firing",
        "labels": {"alertname": "Load", "sfc": "tour", "policy": "crowd", "trigger": "many_requests"},
        "annotations": {"value": "130"},
        "startsAt": "2026-03-04T11:59:58.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": "ab",
    }
    return {"version": "4", "status": "firing", "alerts": [{**alert, **changes}]}


def encoded(data: object) -> bytes:
    return json.dumps(data).encode()


# --- messages --------------------------------------------------------------------------------------


def test_kapacitors_message_is_a_firing() -> None:
    news = read_kapacitor(encoded(message()), KNOWN, NOON)
    (firing,), (state,) = news.firings, news.states

    assert (firing.site, firing.sfc, firing.policy, firing.trigger) == ("bristol", "tour", "crowd", "many_requests")
    assert (firing.source, firing.value, firing.at, firing.outcome) == ("kapacitor", "120", NOON, Outcome.OPEN)
    assert state.status is AlertStatus.FIRING


def test_the_same_alert_of_the_same_time_is_the_same_firing() -> None:
    ids = {
        read_kapacitor(encoded(message(time=time_, duration=duration)), KNOWN, NOON).firings[0].id
        for time_, duration in (
            ("2026-03-04T12:00:00Z", 1),
            ("2026-03-04T12:00:00.000Z", 2),
            ("2026-03-04T13:00:00+01:00", 3),
        )
    }

    assert len(ids) == 1


def test_an_alert_that_is_over_fires_nothing_and_is_remembered() -> None:
    news = read_kapacitor(encoded(message(level="OK")), KNOWN, NOON)

    assert news.firings == ()
    assert news.states[0].status is AlertStatus.QUIET


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"id": "few_requests"}, "id is not that"),
        ({"id": 5}, "id is not that"),
        ({"level": "critical"}, "level must be"),
        ({"level": None}, "level must be"),
        ({"duration": "10"}, "duration must be a whole number"),
        ({"duration": True}, "duration must be a whole number"),
        ({"message": 1}, "message must be text"),
        ({"time": 1772625600}, "time must be written"),
        ({"time": "yesterday"}, "time must be written"),
        ({"time": "2026-13-04T12:00:00Z"}, "no such time"),
        ({"time": "2026-03-04T10:00:00Z"}, "too old"),
        ({"time": "2026-03-04T13:00:00Z"}, "from the future"),
        ({"time": "\u0662026-03-04T12:00:00Z"}, "time must be written"),
        ({"data": []}, "data must be"),
        ({"data": {"series": {}}}, "data must be"),
        ({"data": {"series": [{"columns": ["time"], "values": [[1, 2]]}]}}, "as many values"),
        ({"data": {"series": [{"columns": ["mean"], "values": [["120"]]}]}}, "must be a number"),
        ({"data": {"series": [5]}}, "must have columns"),
    ],
)
def test_a_message_that_is_not_right_is_refused(changes: Mapping[str, object], why: str) -> None:
    with pytest.raises(MessageError, match=why):
        read_kapacitor(encoded(message(**changes)), KNOWN, NOON)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"a": NaN}', b"[" * 100_000, b'{"level": "CRITICAL"']
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(MessageError, match="JSON"):
        read_kapacitor(body, KNOWN, NOON)


def test_alertmanagers_webhook_is_read() -> None:
    find = known_alerts([KNOWN])
    firing = read_alertmanager(encoded(webhook()), find, NOON).firings[0]
    again = read_alertmanager(encoded(webhook()), find, NOON + timedelta(hours=3)).firings[0]
    resolved = read_alertmanager(encoded(webhook(status="resolved", endsAt="2026-03-04T12:00:00Z")), find, NOON)

    assert (firing.source, firing.value, firing.policy) == ("alertmanager", "130", "crowd")
    assert firing.id == again.id
    assert resolved.firings == ()
    assert resolved.states[0].status is AlertStatus.QUIET


def test_alerts_of_nobody_we_know_are_passed_over() -> None:
    find = known_alerts([KNOWN])

    assert read_alertmanager(encoded(webhook(labels={"alertname": "DiskFull"})), find, NOON).firings == ()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"version": "3", "alerts": []}, "version 4"),
        ({"version": "4", "alerts": {}}, "must be a list"),
        ({"version": "4", "alerts": [{}] * 501}, "at most 500"),
        (webhook(status="burning"), "firing or resolved"),
        (webhook(labels=["a"]), "labels must be texts"),
        (webhook(labels={"sfc": 5}), "labels must be texts"),
        (webhook(startsAt="now"), "time must be written"),
        (webhook(labels={"sfc": "tour", "policy": "crowd", "trigger": "many_requests", "site": "oulu"}), "not run on"),
    ],
)
def test_a_webhook_that_is_not_right_is_refused(data: object, why: str) -> None:
    with pytest.raises(MessageError, match=why):
        read_alertmanager(encoded(data), known_alerts([KNOWN]), NOON)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["id", "level", "time", "data", "duration", "details", "series"]), JUNK))
def test_whatever_is_sent_is_read_or_refused(junk: dict[str, object]) -> None:
    for data in (message(**junk), junk, webhook(**junk), {"version": "4", "alerts": [junk]}):
        with suppress(MessageError):
            assert {one.policy for one in read_kapacitor(encoded(data), KNOWN, NOON).firings} <= {"crowd"}
        with suppress(MessageError):
            assert {one.policy for one in read_alertmanager(encoded(data), known_alerts([KNOWN]), NOON).firings} <= {
                "crowd"
            }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:80", ("127.0.0.1", 80)),
        ("8099", ("127.0.0.1", 8099)),
        (":8099", ("0.0.0.0", 8099)),
        ("[::1]:9", ("::1", 9)),
    ],
)
def test_addresses_to_listen_on(text: str, expected: tuple[str, int]) -> None:
    assert listen_on(text) == expected


@pytest.mark.parametrize("text", ["", "host", "host:", "host:port", "1:99999", "1:-1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="no address to listen on"):
        listen_on(text)


# --- the server ------------------------------------------------------------------------------------


@dataclass
class Post:
    """The intake of a loop, and posts to it."""

    tower: Tower
    address: str

    def send(
        self, path: str = PATH, body: bytes = b"", headers: Mapping[str, str] | None = None, method: str = "POST"
    ) -> tuple[int, dict[str, object]]:
        host, _, port = self.address.rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=20)
        try:
            connection.request(method, path, body, {} if headers is None else dict(headers))
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def alert(self, path: str = PATH, **changes: object) -> tuple[int, dict[str, object]]:
        return self.send(path, encoded(message(**changes)), BEARER)


BEARER = {"Authorization": f"Bearer {SECRET}"}


@pytest.fixture
def post(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[Post]:
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("RECONCILER_SECRET_INTAKE", SECRET)
    tower = make_tower(tmp_path / "specs")
    tower.turn()
    yield Post(tower, tower.loop._alerts.listen("127.0.0.1:0"))
    tower.close()


def test_an_alert_that_is_posted_becomes_a_commit_and_changes_the_world(post: Post) -> None:
    assert post.alert() == (200, {"new": 1})
    post.tower.await_commit()
    (firing,) = post.tower.firings()

    assert f"edge-1: {STATE}connected" in post.tower.spec()
    assert (firing.source, firing.outcome) == ("kapacitor", Outcome.DONE)
    assert "bristol/tour-1/storage@edge-1.0:sandpit.server" in post.tower.world()


def test_health_is_told_to_strangers_and_nothing_else(post: Post) -> None:
    assert post.send("/health", method="GET") == (200, {"status": "ok"})
    assert post.send("/", method="GET")[0] == 404


def test_a_signature_does_as_well_as_the_secret(post: Post) -> None:
    body = encoded(message())
    stamp = str(int(NOON.timestamp()))
    headers = {"X-Reconciler-Timestamp": stamp, "X-Reconciler-Signature": sign(SECRET.encode(), stamp, PATH, body)}

    assert post.send(body=body, headers=headers)[0] == 200


def hostile_posts() -> dict[str, tuple[str, bytes, dict[str, str], int]]:
    body = encoded(message())
    stamp, old = str(int(NOON.timestamp())), str(int(NOON.timestamp()) - 3600)
    signature = sign(SECRET.encode(), stamp, PATH, body)

    def signed(stamp: str, signature: str) -> dict[str, str]:
        return {"X-Reconciler-Timestamp": stamp, "X-Reconciler-Signature": signature}

    return {
        "nobody": (PATH, body, {}, 401),
        "wrong secret": (PATH, body, {"Authorization": "Bearer wrong"}, 401),
        "no scheme": (PATH, body, {"Authorization": SECRET}, 401),
        "basic": (PATH, body, {"Authorization": f"Basic {SECRET}"}, 401),
        "odd secret": (PATH, body, {"Authorization": "Bearer \u00fc"}, 401),
        "forged signature": (PATH, body, signed(stamp, "sha256=" + "0" * 64), 401),
        "signature of another body": (PATH, encoded(message(duration=1)), signed(stamp, signature), 401),
        "signature of another path": ("/tour/crowd/few_requests", body, signed(stamp, signature), 401),
        "replayed signature": (PATH, body, signed(old, sign(SECRET.encode(), old, PATH, body)), 401),
        "unknown trigger": ("/tour/crowd/unknown", body, BEARER, 404),
        "too short": ("/tour/crowd", body, BEARER, 404),
        "too long": ("/tour/crowd/many_requests/more", body, BEARER, 404),
        "climbing": ("/tour/../many_requests", body, BEARER, 404),
        "encoded": ("/tour/crowd/many%5frequests", body, BEARER, 404),
        "unicode": ("/tour/crowd/m%C3%A4ny", body, BEARER, 404),
        "very long": ("/" + "a" * 5000 + "/b/c", body, BEARER, 404),
        "no json": (PATH, b"level=CRITICAL", BEARER, 400),
        "numbers as text": (PATH, encoded(message(duration="10")), BEARER, 400),
        "other id": (PATH, encoded(message(id="few_requests")), BEARER, 400),
        "old": (PATH, encoded(message(time="2026-03-01T12:00:00Z")), BEARER, 400),
        "chunked": (PATH, body, {**BEARER, "Transfer-Encoding": "chunked"}, 411),
        "negative length": (PATH, b"", {**BEARER, "Content-Length": "-5"}, 411),
        "oversize": (PATH, b"x" * (intake.MOST_BYTES + 1), BEARER, 413),
        "endless": (PATH, b"", {**BEARER, "Content-Length": "99999999999999"}, 413),
        "metrics that are none": ("/write?db=tour", b"no line", BEARER, 400),
        "metrics of nowhere": ("/write", b"m f=1", BEARER, 400),
    }


@pytest.mark.parametrize("name", hostile_posts())
def test_a_hostile_post_changes_nothing_and_is_logged(post: Post, name: str, caplog: pytest.LogCaptureFixture) -> None:
    path, body, headers, expected = hostile_posts()[name]
    caplog.clear()
    try:
        status, answer = post.send(path, body, headers)
    except (BrokenPipeError, ConnectionResetError):  # it hung up while we were still talking
        assert expected == 413
    else:
        assert status == expected
        assert SECRET not in str(answer)
    deadline = time.monotonic() + 5
    while "intake refused" not in caplog.text and time.monotonic() < deadline:
        time.sleep(0.01)

    assert f"intake refused: {expected}" in caplog.text
    assert SECRET not in caplog.text
    assert post.tower.firings() == []
    assert len(post.tower.subjects()) == 1


def test_a_replayed_alert_has_no_further_effect(post: Post) -> None:
    answers = [post.alert()[1] for _ in range(5)]

    assert answers == [{"new": 1}, *[{"new": 0}] * 4]
    assert len(post.tower.firings()) == 1


def test_a_storm_of_duplicates_commits_once_and_loses_nothing(post: Post) -> None:
    host, _, port = post.address.rpartition(":")
    body = encoded(message())
    statuses: list[int] = []

    def blow(_: int) -> list[int]:
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        found = []
        for _ in range(1250):
            connection.request("POST", PATH, body, BEARER)
            response = connection.getresponse()
            response.read()
            found.append(response.status)
        connection.close()
        return found

    with ThreadPoolExecutor(8) as pool:
        for some in pool.map(blow, range(8)):
            statuses += some
    post.tower.await_commit()

    assert statuses == [200] * 10_000
    assert len(post.tower.firings()) == 1
    assert len(post.tower.subjects()) == 2


def test_metrics_that_are_posted_are_looked_at(post: Post) -> None:
    line = b"storage,flame_sfc=tour,flame_sfci=tour-1,flame_location=edge-1 requests=150 1772625630"

    assert post.send("/write?db=tour&precision=s", line, BEARER) == (200, {})
    post.tower.wait(61)
    post.tower.alerts()
    assert [firing.value for firing in post.tower.firings()] == ["150"]


def test_who_connects_and_says_nothing_keeps_nobody_else_waiting(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.intake._Handler.timeout", 1)
    host, _, port = post.address.rpartition(":")
    silent = [socket.create_connection((host, int(port))) for _ in range(40)]
    try:
        began = time.monotonic()

        assert post.alert()[0] == 200
        assert time.monotonic() - began < 10
    finally:
        for one in silent:
            one.close()


def test_what_cannot_be_kept_is_not_taken(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("state.sql_store.SqlStore.save_alerts", broken)
        status, _ = post.alert()

    assert status == 503
    assert post.alert() == (200, {"new": 1})


def test_nobody_listens_without_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RECONCILER_SECRET_INTAKE", raising=False)
    tower = make_tower(tmp_path / "specs")
    with pytest.raises(SettingsError, match="secret 'intake' is not known; set RECONCILER_SECRET_INTAKE"):
        tower.loop._alerts.listen("127.0.0.1:0")
    tower.close()


def test_a_port_that_is_taken_is_an_error(post: Post) -> None:
    other = post.tower.restart()
    with pytest.raises(SettingsError, match="choose another port"):
        other._alerts.listen(post.address)


def test_closing_ends_every_thread(post: Post) -> None:
    post.alert()
    post.tower.close()

    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("intake", "mailbox", "decider"))]
    assert isinstance(post.tower.loop._alerts._intake, Intake)

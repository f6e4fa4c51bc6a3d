from __future__ import annotations

import http.server
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.alerts_tell import Teller
from specs.errors import SettingsError
from state.store import Firing
from tests.support.metering import NOON


@dataclass
class Listener:
    """A handler of alerts, and what it was told."""

    answers: list[int] = field(default_factory=list)
    """Statuses of the next answers; 204 when there are none left."""
    told: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    """Path, authorization and body of each post."""
    url: str = ""


@contextmanager
def listening() -> Iterator[Listener]:
    found = Listener()

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            """Keep quiet."""

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found.told.append((self.path, self.headers.get("Authorization", ""), body))
            self.send_response(found.answers.pop(0) if found.answers else 204)
            self.end_headers()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as found:
        yield found


def firing(*handlers: str, secret: str = "") -> Firing:
    return Firing(
        id="f1",
        site="bristol",
        sfc="tour",
        sfci="tour-1",
        policy="crowd",
        trigger="many_requests",
        source="builtin",
        at=NOON,
        received_at=NOON,
        value="120",
        detail={"handlers": list(handlers), "measurement": "storage", "tags": {"flame_sf": "s"}, "secret": secret},
    )


def tell(*firings: Firing, secret: str = "") -> None:
    """Tell of firings, and wait until that is over."""
    teller = Teller(lambda name: f"{secret} of {name}", pause_seconds=0.001)
    for one in firings:
        teller.tell(one)
    teller.close()


def test_a_handler_is_told_as_kapacitor_would_tell_it(listener: Listener) -> None:
    tell(firing(f"{listener.url}/alerts?to=duty"))

    assert listener.told == [
        (
            "/alerts?to=duty",
            "",
            {
                "message": "TRUE",
                "id": "many_requests",
                "level": "CRITICAL",
                "previousLevel": "OK",
                "duration": 0,
                "details": "db=tour,sfc=tour,sfci=tour-1,policy=crowd",
                "time": "2026-03-04T12:00:00Z",
                "data": {
                    "series": [
                        {
                            "name": "storage",
                            "tags": {"flame_sf": "s"},
                            "columns": ["time", "value"],
                            "values": [["2026-03-04T12:00:00Z", 120.0]],
                        }
                    ]
                },
            },
        )
    ]


def test_every_handler_is_told_though_another_is_gone(listener: Listener, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    tell(firing("http://127.0.0.1:9/gone", f"{listener.url}/one", f"{listener.url}/two"))

    assert [path for path, _, _ in listener.told] == ["/one", "/two"]
    assert "alert f1: http://127.0.0.1:9/gone was not told: " in caplog.text


def test_a_handler_that_stumbles_is_told_again_and_one_that_refuses_is_not(
    listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    listener.answers = [500, 503, 204, 404]
    tell(firing(f"{listener.url}/stumbles"), firing(f"{listener.url}/refuses"))

    assert [path for path, _, _ in listener.told] == ["/stumbles"] * 3 + ["/refuses"]
    assert "/refuses was not told: it answered 404" in caplog.text
    assert "/stumbles" not in caplog.text


def test_a_handler_is_shown_the_secret_and_the_log_is_not(listener: Listener, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    tell(firing(f"{listener.url}/alerts", secret="duty"), secret="s3cret")

    assert [authorization for _, authorization, _ in listener.told] == ["Bearer s3cret of duty"]
    assert "s3cret" not in caplog.text


def test_a_secret_that_is_missing_silences_one_handler_only(
    listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    def unseal(name: str) -> str:
        raise SettingsError(f"the secret {name} is missing")

    teller = Teller(unseal)
    teller.tell(firing(f"{listener.url}/shy", secret="duty"))
    teller.tell(firing(f"{listener.url}/open"))
    teller.close()

    assert [path for path, _, _ in listener.told] == ["/open"]
    assert "/shy was not told: the secret duty is missing" in caplog.text


def test_several_values_are_not_one_number(listener: Listener) -> None:
    tell(replace(firing(listener.url), value="120, no data"))

    assert listener.told[0][2]["data"]["series"][0]["values"] == [["2026-03-04T12:00:00Z", None]]

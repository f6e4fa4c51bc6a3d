"""Real Prometheus and Alertmanager tell us of an alert: it becomes one commit, however often they tell."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from state.store import AlertStatus, Outcome
from tests.support.alerting import STATE
from tests.support.watchtower import Tower, make_tower
from tests.testbed.prometheus.server import running_prometheus

SECRET = "correct-horse-battery-staple"
LABELS = {"sfc": "tour", "policy": "crowd", "trigger": "many_requests", "site": "bristol"}


@pytest.fixture
def tower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tower]:
    monkeypatch.setenv("RECONCILER_SECRET_INTAKE", SECRET)
    made = make_tower(tmp_path / "specs")
    made.now = datetime.now(UTC)
    made.turn()
    yield made
    made.close()


def until(true: Callable[[], bool], tower: Tower, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        tower.now = datetime.now(UTC)
        time.sleep(0.1)


def test_an_alert_of_prometheus_becomes_one_commit_and_its_end_is_noted(tower: Tower) -> None:
    address = tower.loop._alerts.listen("127.0.0.1:0")
    with running_prometheus(f"http://{address}/alertmanager", SECRET) as monitoring:
        monitoring.watch("vector(130) > 100", LABELS)
        until(lambda: bool(tower.firings()), tower)
        until(lambda: len(tower.subjects()) == 2, tower)
        until(lambda: monitoring.told() >= 3, tower)
        (firing,) = tower.firings()
        monitoring.watch("vector(50) > 100", LABELS)
        until(lambda: AlertStatus.QUIET in {state.status for state in tower.states() if ":" in state.rule}, tower)

    assert (firing.source, firing.value, firing.outcome) == ("alertmanager", "130", Outcome.DONE)
    assert f"edge-1: {STATE}connected" in tower.spec()
    assert len(tower.subjects()) == 2

"""A service of a thousand objects: what it costs is printed, and how often the API server is asked is counted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from benchmarks.kubernetes import Figures, big, fast
from providers.kubernetes.kinds import FORMS
from tests.support.kubernetes_services import site
from tests.support.kubernetes_turns import PATIENT, Bench, failures
from tests.testbed.kubernetes.control_plane import ControlPlane
from tests.testbed.kubernetes.gate import Gate

FUNCTIONS = 200
"""Of five objects each."""


@pytest.fixture
def gate(plane: ControlPlane) -> Iterator[Gate]:
    with Gate(plane.url, plane.folder / "ca.crt").running() as gate:
        yield gate


def asked(gate: Gate) -> list[str]:
    """Give the calls since the last time, streams left out."""
    calls, gate.calls[:] = [call for call in gate.calls if "watch=" not in call], []
    return calls


def test_a_thousand_objects_cost_a_handful_of_calls(
    plane: ControlPlane, gate: Gate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    town = fast(site("scale", plane.kubeconfig_of(tmp_path / "kubeconfig", url=gate.url)))
    service = big(FUNCTIONS, town)
    figures = Figures()

    def opened(folder: str, *, watching: bool = False) -> Bench:
        (tmp_path / folder).mkdir(exist_ok=True)
        bench = Bench(town, tmp_path / folder, stir=(lambda: None) if watching else None)
        bench.patience = replace(PATIENT, longest_poll=timedelta(seconds=5), health_deadline=timedelta(minutes=10))
        return bench

    with capsys.disabled():
        bench = opened("store")
        report = figures.timed("1,001 objects: apply, until all are healthy", lambda: bench.turn(service))
        asked(gate)
        still = figures.timed("1,001 objects: turn, no change", lambda: bench.turn(service))
        listed = asked(gate)
        bench.close()
        cold = opened("store")
        first = figures.timed("1,001 objects: plan, no change, cold", lambda: cold.plan(service))
        cold.close()
        watching = opened("store", watching=True)
        watching.plan(service)
        asked(gate)
        second = figures.timed("1,001 objects: plan, no change, from the watch", lambda: watching.plan(service))
        watched = asked(gate)
        watching.close()

    assert failures(report) == {}
    assert len(report.finished) == 5 * FUNCTIONS + 1
    assert still.finished == ()
    assert first.operations == second.operations == ()
    assert len(listed) <= 2 * len(FORMS) + 5
    assert all(call.startswith("GET") for call in listed)
    assert watched == []
    plane.kubectl("delete", "namespace", "scale-big-edge-1", "--wait=false")

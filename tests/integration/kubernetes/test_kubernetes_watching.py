"""Where somebody waits for news, clusters are watched: looks cost no calls, and drift is noticed at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from reconciler.plan import Plan
from specs.model import Service
from specs.values import Secret
from tests.support.kubernetes_services import function
from tests.support.kubernetes_turns import Bench, Workbench, changes, failures, until, wants
from tests.testbed.kubernetes.control_plane import ControlPlane
from tests.testbed.kubernetes.gate import Gate

LONG = 30.0
"""Seconds in which something must happen; `benchmarks.kubernetes` says how long it really takes."""


class Bell:
    """Rings when somebody stirs."""

    def __init__(self) -> None:
        self.rung = threading.Event()

    def __call__(self) -> None:
        self.rung.set()

    def quiet(self) -> bool:
        """Forget what rang and tell whether it is quiet now."""
        self.rung.clear()
        return not self.rung.wait(0.5)


def calls_of_a_look(bench: Bench, gate: Gate, service: Service) -> list[str]:
    bench.turn(service)
    gate.calls.clear()
    bench.plan(service)
    return [call for call in gate.calls if "watch=" not in call]


@pytest.fixture
def bell() -> Bell:
    return Bell()


@pytest.fixture
def gate(plane: ControlPlane) -> Iterator[Gate]:
    with Gate(plane.url, plane.folder / "ca.crt").running() as gate:
        yield gate


@pytest.fixture
def bench(plane: ControlPlane, workbench: Workbench, bell: Bell, gate: Gate) -> Bench:
    path = plane.folder / "through-the-gate"
    return workbench(kubeconfig=plane.kubeconfig_of(path, url=gate.url), stir=bell)


def test_a_second_look_makes_no_calls(bench: Bench, gate: Gate) -> None:
    service = wants("tour", function("web", env={"MODE": "fast"}), on=bench.site)
    report = bench.turn(service)
    first = bench.plan(service)
    gate.calls.clear()
    second = bench.plan(service)

    assert failures(report) == {}
    assert first.operations == second.operations == ()
    assert gate.calls == []


def test_what_we_do_ourselves_is_seen_at_once_and_rings_no_bell(bench: Bench, bell: Bell) -> None:
    bench.turn(wants("tour", function("web", env={"MODE": "fast"}), on=bench.site))
    until(bell.quiet, "controllers are done")
    changed = wants("tour", function("web", env={"MODE": "slow"}), on=bench.site)
    provider = bench.providers["kube"]
    seen = bench.look(changed)
    step = next(s for s in bench.plan(seen=seen).steps if s.address.endswith("configmap"))
    assert step.resource is not None
    assert step.present is not None
    after = provider.update(step.resource, step.present, step.present.mark)
    again = {p.address: p for p in bench.look(changed).seen.snapshots["kube"].present}

    assert again[step.address].properties["data"] == after.properties["data"] == {"MODE": "slow"}
    assert bell.quiet()


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        (("scale", "deployment/web", "--replicas=3"), "deployment"),
        (("patch", "secret", "web", "-p", '{"data": {"PASSWORD": "eA=="}}'), "secret"),
        (("label", "service/web", "tosca-reconciler/node-"), "service"),
        (("delete", "configmap/web"), "configmap"),
    ],
)
def test_drift_rings_the_bell_though_nobody_looks(
    plane: ControlPlane, bench: Bench, bell: Bell, command: tuple[str, ...], kind: str
) -> None:
    service = wants("tour", function("web", env={"MODE": "fast", "PASSWORD": Secret("DB_PASSWORD")}), on=bench.site)
    bench.turn(service)
    until(bell.quiet, "controllers are done")
    plane.kubectl("-n", f"{bench.site.name}-tour-edge-1", *command)

    assert bell.rung.wait(LONG)
    assert {step.address.rpartition(".")[2] for step in bench.plan(service).steps} == {kind}


def test_a_broken_stream_is_never_taken_for_an_empty_world(plane: ControlPlane, bench: Bench, gate: Gate) -> None:
    service = wants("tour", function("web"), on=bench.site)
    bench.turn(service)
    plane.stop("kube-apiserver")
    blind: list[Plan] = []

    def noticed() -> bool:
        blind.append(bench.plan(service))
        return len(blind[-1].unseen) == len(bench.wanted(service).resources)

    until(noticed, "the loss of every stream is noticed")
    plane.start_api_server()
    plane.kubectl("-n", f"{bench.site.name}-tour-edge-1", "scale", "deployment/web", "--replicas=3")
    wanted = {"web@edge-1.0:kubernetes.deployment": {"spec.replicas"}}
    until(lambda: {a: set(c) for a, c in changes(bench.plan(service)).items()} == wanted, "streams are taken up", 60)
    until(lambda: calls_of_a_look(bench, gate, service) == [], "looks cost nothing again", 60)

    assert all(plan.operations == () for plan in blind)

"""The newest version that server and provider both know is used."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.kubernetes_services import function
from tests.support.kubernetes_turns import Workbench, changes, failures, wants
from tests.testbed.kubernetes.control_plane import ControlPlane
from tests.testbed.kubernetes.gate import Gate

WISHES = {"autoscale": {"min": 1, "max": 3, "cpu": 70}, "disruption": {"maxUnavailable": 1}}
OLD = {"/apis/autoscaling/v2beta2/", "/apis/policy/v1beta1/"}
NEW = {"/apis/autoscaling/v2/", "/apis/policy/v1/"}


@pytest.mark.parametrize(("newer", "used"), [(False, OLD), (True, NEW)], ids=["old server", "newer server"])
def test_the_newest_version_of_both_is_used(
    plane: ControlPlane, workbench: Workbench, tmp_path: Path, newer: bool, used: set[str]
) -> None:
    with Gate(plane.url, plane.folder / "ca.crt", newer=newer).running() as gate:
        bench = workbench(kubeconfig=plane.kubeconfig_of(tmp_path / "gate", url=gate.url))
        service = wants("tour", function("web", kubernetes=WISHES), on=bench.site)
        report = bench.turn(service)
        namespace = f"{bench.site.name}-tour-edge-1"
        plane.kubectl("-n", namespace, "patch", "hpa", "web", "-p", '{"spec": {"maxReplicas": 9}}')
        drift = changes(bench.plan(service))
        healed = bench.turn(service)
        rest = bench.plan(service)
    paths = {call.split(" ")[1] for call in gate.calls}

    assert failures(report) == failures(healed) == {}
    assert drift == {"web@edge-1.0:kubernetes.horizontalpodautoscaler": {"spec.maxReplicas": (9, 3)}}
    assert rest.operations == ()
    assert {version for version in OLD | NEW if any(path.startswith(version) for path in paths)} == used

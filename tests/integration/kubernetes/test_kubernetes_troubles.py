"""What goes wrong in a cluster is told in words that help, and stops only what stands on it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from providers.base import Health, PermanentError, QuotaExceeded
from reconciler.pace import Patience
from specs.model import Node, Service
from tests.support.kubernetes_services import MANIFEST, ROOT, artifact, function
from tests.support.kubernetes_turns import PATIENT, Bench, Workbench, failures, until, wants
from tests.testbed.kubernetes.control_plane import ControlPlane
from tests.testbed.kubernetes.kubelet import LAST_WORDS

BRIEF: Patience = replace(PATIENT, health_deadline=timedelta(seconds=2))


def reason(bench: Bench, service: Service, address: str) -> str:
    """Say why something is not healthy now."""
    found = bench.look(service).seen.snapshots["kube"].present
    return next(present.reason for present in found if present.address == address)


def test_a_rollout_that_never_gets_ready_is_degraded_and_the_rest_is_done(workbench: Workbench) -> None:
    bench = workbench(progress_deadline=4)
    service = wants("tour", function("bad", image="never"), function("good"), function("top", "bad"), on=bench.site)
    report = bench.turn(service)
    seen = {p.address.split("/", 2)[2]: p for p in bench.look(service).seen.snapshots["kube"].present}
    stem = f"create {bench.site.name}/tour"

    why = failures(report)[f"{stem}/bad@edge-1.0:kubernetes.deployment"]
    assert "its rollout came to a stop" in why
    assert "ImagePullBackOff" in why
    assert failures(report)[f"{stem}/top@edge-1.0:kubernetes.deployment"].startswith("it waits for")
    assert seen["bad@edge-1.0:kubernetes.deployment"].health is Health.DEGRADED
    assert seen["good@edge-1.0:kubernetes.service"].health is Health.HEALTHY


def test_a_container_that_ends_again_and_again_is_quoted(workbench: Workbench) -> None:
    bench = workbench(progress_deadline=4)
    report = bench.turn(wants("tour", function("bad", image="crash"), on=bench.site))
    why = failures(report)[f"create {bench.site.name}/tour/bad@edge-1.0:kubernetes.deployment"]

    assert "CrashLoopBackOff" in why
    assert "it ended with 1 (Error)" in why
    assert LAST_WORDS in why


def test_a_container_that_runs_and_is_never_ready_is_quoted(workbench: Workbench) -> None:
    bench = workbench(progress_deadline=4)
    report = bench.turn(wants("tour", function("bad", image="deaf"), on=bench.site))
    why = failures(report)[f"create {bench.site.name}/tour/bad@edge-1.0:kubernetes.deployment"]

    assert "bad runs but is not ready" in why
    assert LAST_WORDS in why


def test_a_job_that_failed_is_quoted(workbench: Workbench) -> None:
    bench = workbench(manifests=["jobs.batch"])
    job = """{apiVersion: batch/v1, kind: Job, metadata: {name: migrate}, spec: {backoffLimit: 0, template: {spec: {
    restartPolicy: Never, containers: [{name: migrate, image: example.org/fail}]}}}}"""
    chart = Node(
        name="chart",
        types=("tosca.nodes.Container.Application", ROOT),
        artifacts={"all": artifact("all", MANIFEST, "job.yaml", job)},
    )
    [why] = failures(bench.turn(wants("tour", chart, on=bench.site))).values()

    assert "it failed: Job has reached the specified backoff limit" in why
    assert "migrate ended with 1 (Error)" in why
    assert LAST_WORDS in why


def test_a_stateful_set_that_does_not_come_up_says_why(bench: Bench) -> None:
    service = wants("tour", function("db", image="never", kubernetes={"stateful": True}), on=bench.site)
    bench.patience = BRIEF
    report = bench.turn(service)
    address = f"{bench.site.name}/tour/db@edge-1.0:kubernetes.statefulset"

    assert "it was not ready in time" in failures(report)[f"create {address}"]
    until(lambda: "ImagePullBackOff" in reason(bench, service, address), "the pod says why")


def test_a_finalizer_that_stays_is_reported_and_not_fought(plane: ControlPlane, bench: Bench) -> None:
    bench.turn(wants("tour", function("web", env={"A": "B"}), on=bench.site))
    path = f"/api/v1/namespaces/{bench.site.name}-tour-edge-1/configmaps/web"
    hold = {"metadata": {"finalizers": ["example.org/hold"]}}
    plane.call("PATCH", path, hold, "application/merge-patch+json")
    key = f"delete {bench.site.name}/tour/web@edge-1.0:kubernetes.configmap"
    bench.patience = BRIEF
    why = "waits for its finalizers: example.org/hold"
    until(lambda: why in failures(bench.turn()).get(key, ""), "what stands on it is gone, and it waits", 60)
    left = plane.call("GET", path)
    plane.call("PATCH", path, {"metadata": {"finalizers": None}}, "application/merge-patch+json")
    bench.patience = PATIENT
    second = bench.turn()

    assert left["metadata"]["finalizers"] == ["example.org/hold"]
    assert failures(second) == {}
    assert plane.get(path) is None


def test_a_quota_is_told_as_one(plane: ControlPlane, bench: Bench) -> None:
    bench.turn(wants("tour", function("web"), on=bench.site))
    namespace = f"{bench.site.name}-tour-edge-1"
    plane.kubectl("-n", namespace, "create", "quota", "few", "--hard=configmaps=1")
    more = wants("tour", function("web"), function("more", env={"A": "B"}), on=bench.site)
    report = bench.turn(more)
    why = failures(report)[f"create {bench.site.name}/tour/more@edge-1.0:kubernetes.configmap"]

    assert "exceeded quota: few" in why
    assert issubclass(QuotaExceeded, PermanentError)


def test_a_quota_on_pods_shows_in_the_health_of_the_workload(plane: ControlPlane, bench: Bench) -> None:
    bench.turn(wants("tour", function("web"), on=bench.site))
    plane.kubectl("-n", f"{bench.site.name}-tour-edge-1", "create", "quota", "few", "--hard=pods=1")
    bench.patience = BRIEF
    service = wants("tour", function("web"), function("more"), on=bench.site)
    report = bench.turn(service)
    address = f"{bench.site.name}/tour/more@edge-1.0:kubernetes.deployment"

    assert f"create {address}" in failures(report)
    until(lambda: "exceeded quota: few" in reason(bench, service, address), "the workload says why")


def test_what_the_server_refuses_is_told_at_plan_time(bench: Bench) -> None:
    bench.turn(wants("tour", function("web"), on=bench.site))
    wrong = wants("tour", function("web", kubernetes={"container": {"imagePullPolicy": "Sometimes"}}), on=bench.site)
    plan = bench.plan(wrong)

    assert "Unsupported value" in plan.held[0].why
    assert not plan.operations


def test_wrong_credentials_are_told_as_such(plane: ControlPlane, workbench: Workbench, tmp_path: Path) -> None:
    bench = workbench(kubeconfig=plane.kubeconfig_of(tmp_path / "wrong", token="no-such-token"))
    seen = bench.look(wants("tour", function("web"), on=bench.site))

    assert "the credentials are wrong or have expired" in seen.seen.snapshots["kube"].unknown["@edge-1"]


def test_a_server_that_is_not_who_it_should_be_is_not_trusted(
    plane: ControlPlane, workbench: Workbench, tmp_path: Path
) -> None:
    path = plane.kubeconfig_of(tmp_path / "wrong")
    path.write_text(path.read_text().replace(str(plane.folder / "ca.crt"), "/etc/ssl/certs/ca-certificates.crt"))
    bench = workbench(kubeconfig=path)
    seen = bench.look(wants("tour", function("web"), on=bench.site))

    assert "certificate is not trusted" in seen.seen.snapshots["kube"].unknown["@edge-1"]


@pytest.mark.parametrize(
    ("said", "words"), [({"kubeconfig": "/no/such/file"}, "cannot be used"), ({"context": "x"}, "x")]
)
def test_a_kubeconfig_that_does_not_work_is_named(workbench: Workbench, said: dict[str, str], words: str) -> None:
    bench = workbench(**said)
    seen = bench.look(wants("tour", function("web"), on=bench.site))

    assert words in seen.seen.snapshots["kube"].unknown["@edge-1"]


def test_an_api_server_that_goes_away_and_comes_back_loses_nothing(plane: ControlPlane, bench: Bench) -> None:
    service = wants("tour", *(function(f"f{number}", env={"A": "B"}) for number in range(12)), on=bench.site)
    bench.patience = replace(PATIENT, attempts=12, first_delay=timedelta(seconds=1), longest_delay=timedelta(seconds=4))
    stopped: list[str] = []

    def listen(progress: object) -> None:
        if not stopped and "configmap" in repr(progress):
            stopped.append("now")
            plane.stop("kube-apiserver")
            plane.start_api_server()

    report = bench.turn(service, listen=listen)

    assert stopped
    assert failures(report) == {}
    until(lambda: bench.plan(service).operations == (), "nothing is left to do")


def test_a_server_that_is_down_deletes_nothing(plane: ControlPlane, bench: Bench) -> None:
    service = wants("tour", function("web"), on=bench.site)
    bench.turn(service)
    plane.stop("kube-apiserver")
    plan = bench.plan()
    plane.start_api_server()

    assert plan.operations == ()
    assert plan.unseen
    until(lambda: bench.plan(service).operations == (), "nothing is left to do")

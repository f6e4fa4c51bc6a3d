"""Several managers of one object, and objects that were there before us."""

from __future__ import annotations

import json

import pytest

from providers.base import Mark, PermanentError, Scope
from specs.model import Address
from tests.support.kubernetes_services import function
from tests.support.kubernetes_turns import REPOSITORY, Bench, Workbench, changes, failures, steps, until, wants
from tests.testbed.kubernetes.control_plane import ControlPlane

DEPLOYMENT = "web@edge-1.0:kubernetes.deployment"


def applied_by_kubectl(plane: ControlPlane, namespace: str, replicas: int, *how: str) -> None:
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"replicas": replicas},
    }
    if "--server-side" not in how:
        live = plane.call("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/web")
        body["spec"] = {**live["spec"], "replicas": replicas}
    plane.kubectl("apply", "--validate=false", *how, "-f", "-", stdin=json.dumps(body))


def test_who_applies_a_field_of_ours_is_named_and_left_alone(plane: ControlPlane, bench: Bench) -> None:
    service = wants("tour", function("web"), on=bench.site)
    bench.turn(service)
    applied_by_kubectl(plane, f"{bench.site.name}-tour-edge-1", 4, "--server-side", "--force-conflicts")
    plan = bench.plan(service)
    report = bench.turn(service)

    assert changes(plan) == {}
    assert [held.step.address.split("/", 2)[2] for held in plan.held] == [DEPLOYMENT]
    assert "kubectl owns .spec.replicas" in plan.held[0].why
    assert "force: true" in plan.held[0].why
    assert report.finished == ()


def test_client_side_apply_is_a_manager_like_any_other(plane: ControlPlane, bench: Bench) -> None:
    service = wants("tour", function("web"), on=bench.site)
    bench.turn(service)
    applied_by_kubectl(plane, f"{bench.site.name}-tour-edge-1", 4)
    plan = bench.plan(service)

    assert "kubectl-client-side-apply owns .spec.replicas" in plan.held[0].why


def test_force_takes_the_field(plane: ControlPlane, bench: Bench) -> None:
    bench.turn(wants("tour", function("web"), on=bench.site))
    namespace = f"{bench.site.name}-tour-edge-1"
    applied_by_kubectl(plane, namespace, 4, "--server-side", "--force-conflicts")
    service = wants("tour", function("web", kubernetes={"force": True}), on=bench.site)
    plan = bench.plan(service)
    report = bench.turn(service)
    found = plane.call("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/web")

    assert changes(plan)[DEPLOYMENT]["spec.replicas"] == (4, 1)
    assert failures(report) == {}
    assert found["spec"]["replicas"] == 1
    assert bench.plan(service).operations == ()


def test_a_conflict_at_apply_names_the_owner(plane: ControlPlane, bench: Bench) -> None:
    service = wants("tour", function("web"), on=bench.site)
    bench.turn(service)
    provider = bench.providers["kube"]
    wanted = bench.wanted(service).resources
    address = Address(f"{bench.site.name}/tour/{DEPLOYMENT}")
    before = provider.observe(Scope(repository=REPOSITORY, site=bench.site.name, wanted=wanted)).present
    current = next(present for present in before if present.address == address)
    applied_by_kubectl(plane, f"{bench.site.name}-tour-edge-1", 4, "--server-side", "--force-conflicts")

    with pytest.raises(PermanentError, match=r"kubectl owns \.spec\.replicas"):
        provider.update(wanted[address], current, current.mark)


def test_an_object_of_the_same_name_is_reported_before_anything_is_done(plane: ControlPlane, bench: Bench) -> None:
    first = wants("tour", function("api"), on=bench.site)
    bench.turn(first)
    plane.kubectl("-n", f"{bench.site.name}-tour-edge-1", "create", "configmap", "web", "--from-literal=A=B")
    both = wants("tour", function("api"), function("web", env={"MODE": "fast"}), on=bench.site)
    plan = bench.plan(both)
    report = bench.turn(both)

    assert "is there already and is not ours" in next(held.why for held in plan.held)
    assert "web@edge-1.0:kubernetes.deployment" not in steps(plan)
    assert failures(report) == {}


def test_an_adopted_namespace_is_given_back_and_stays(plane: ControlPlane, bench: Bench) -> None:
    namespace = f"{bench.site.name}-tour-edge-1"
    made = plane.call("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    service = wants("tour", function("web"), on=bench.site)
    resources = bench.wanted(service).resources
    address = next(address for address in resources if address.endswith("namespace"))
    provider = bench.providers["kube"]
    held = bench.plan(service).held
    mark = Mark(REPOSITORY, address, resources[address].digest)
    provider.adopt(resources[address], f"edge-1:namespaces//{namespace}#{made['metadata']['uid']}", mark)
    report = bench.turn(service)
    bench.turn()
    left = plane.call("GET", f"/api/v1/namespaces/{namespace}")

    assert "is there already and is not ours" in held[0].why
    assert failures(report) == {}
    assert "deletionTimestamp" not in left["metadata"]
    assert not any(key.startswith("tosca-reconciler/") for key in left["metadata"].get("labels", {}))
    assert plane.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/web") is None


def test_a_given_namespace_is_neither_made_nor_deleted(plane: ControlPlane, workbench: Workbench) -> None:
    bench = workbench(namespace="shared")
    plane.kubectl("create", "namespace", "shared")
    service = wants("tour", function("web"), on=bench.site)
    report = bench.turn(service)
    found = plane.get("/apis/apps/v1/namespaces/shared/deployments/tour-web-edge-1")
    bench.turn()
    left = plane.get("/apis/apps/v1/namespaces/shared/deployments/tour-web-edge-1")

    assert failures(report) == {}
    assert found is not None
    assert left is None
    assert plane.call("GET", "/api/v1/namespaces/shared")["status"]["phase"] == "Active"


OTHERS = {
    "settings": ("ConfigMap theirs", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs"}}),
    "another repository": (
        "ConfigMap theirs",
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "theirs", "labels": {"tosca-reconciler/repository": "another"}},
        },
    ),
    "a pod of a job": (
        "Pod theirs-",
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "theirs"},
            "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}]}}},
        },
    ),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_a_namespace_that_others_use_is_not_deleted(plane: ControlPlane, bench: Bench, kind: str) -> None:
    words, body = OTHERS[kind]
    bench.turn(wants("tour", function("web"), on=bench.site))
    namespace = f"{bench.site.name}-tour-edge-1"
    plane.kubectl("-n", namespace, "create", "--validate=false", "-f", "-", stdin=json.dumps(body))
    name = words.partition(" ")[2]
    until(lambda: name in plane.kubectl("-n", namespace, "get", "pods,configmaps", "-o", "name"), "it is there")
    report = bench.turn()

    assert f"others have put {words}" in failures(report)[
        f"delete {bench.site.name}/tour/tour@edge-1:kubernetes.namespace"
    ]  # fmt: skip
    assert plane.call("GET", f"/api/v1/namespaces/{namespace}")["status"]["phase"] == "Active"
    assert plane.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/web") is None


def test_what_lost_our_mark_is_not_taken_with_its_namespace(plane: ControlPlane, bench: Bench) -> None:
    service = wants("tour", function("web"), on=bench.site)
    bench.turn(service)
    namespace = f"{bench.site.name}-tour-edge-1"
    plane.kubectl("-n", namespace, "label", "deployment/web", "tosca-reconciler/repository-")
    held = bench.plan(service).held
    report = bench.turn()

    assert "web is there already" in held[0].why
    assert "others have put Deployment web" in str(failures(report))
    assert plane.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/web") is not None

"""Manifests are brought as they are, in an order that works, and taken away again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from providers.base import PermanentError
from reconciler.desire import DesireError
from specs.model import Node
from tests.support.kubernetes_services import MANIFEST, ROOT, WIDGETS, artifact
from tests.support.kubernetes_turns import Bench, Workbench, changes, failures, steps, wants
from tests.testbed.kubernetes.control_plane import ControlPlane

CHART = """
apiVersion: example.org/v1
kind: Widget
metadata: {name: first}
spec: {size: 3}
---
# an empty document

---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: settings, namespace: NAMESPACE}
  data: {colour: blue}
- apiVersion: v1
  kind: Namespace
  metadata: {name: NAMESPACE}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.org}
spec:
  group: example.org
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              size: {type: integer}
              colour: {type: string, default: red}
"""


def chart(text: str) -> Node:
    return Node(
        name="chart",
        types=("tosca.nodes.Container.Application", ROOT),
        artifacts={"all": artifact("all", MANIFEST, "charts/all.yaml", text)},
    )


@pytest.fixture
def bench(plane: ControlPlane, workbench: Workbench) -> Iterator[Bench]:
    yield workbench(manifests=WIDGETS)
    plane.kubectl("delete", "crd", "widgets.example.org", "--ignore-not-found")


def test_definitions_and_namespaces_come_before_what_needs_them(plane: ControlPlane, bench: Bench) -> None:
    space = f"{bench.site.name}-extra"
    service = wants("tour", chart(CHART.replace("NAMESPACE", space)), on=bench.site)
    report = bench.turn(service)
    widget = plane.get(f"/apis/example.org/v1/namespaces/{bench.site.name}-tour-edge-1/widgets/first")

    assert failures(report) == {}
    assert widget is not None
    assert widget["spec"] == {"size": 3, "colour": "red"}
    assert plane.get(f"/api/v1/namespaces/{space}/configmaps/settings") is not None
    assert bench.plan(service).operations == ()


def test_what_a_manifest_no_longer_holds_goes(plane: ControlPlane, bench: Bench) -> None:
    text = CHART.replace("NAMESPACE", f"{bench.site.name}-extra")
    bench.turn(wants("tour", chart(text), on=bench.site))
    service = wants("tour", chart(text.partition("---")[2]), on=bench.site)
    plan = bench.plan(service)
    report = bench.turn(service)
    widgets = plane.call("GET", "/apis/example.org/v1/widgets")["items"]
    bench.turn()

    assert list(steps(plan).values()) == ["delete"]
    assert failures(report) == {}
    assert widgets == []
    assert plane.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.org") is None


def test_a_definition_that_others_use_is_not_deleted(plane: ControlPlane, bench: Bench) -> None:
    bench.turn(wants("tour", chart(CHART.replace("NAMESPACE", f"{bench.site.name}-extra")), on=bench.site))
    widget = {"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "theirs"}, "spec": {"size": 1}}
    path = "/apis/example.org/v1/namespaces/default/widgets"
    plane.call("POST", path, widget)
    report = bench.turn()
    kept = plane.get(f"{path}/theirs")
    plane.call("DELETE", f"{path}/theirs")

    assert "others have put Widget theirs into customresourcedefinition widgets" in str(failures(report))
    assert kept is not None
    assert failures(bench.turn()) == {}


def test_drift_of_a_custom_object_is_healed(plane: ControlPlane, bench: Bench) -> None:
    service = wants("tour", chart(CHART.replace("NAMESPACE", f"{bench.site.name}-extra")), on=bench.site)
    bench.turn(service)
    path = f"/apis/example.org/v1/namespaces/{bench.site.name}-tour-edge-1/widgets/first"
    plane.call("PATCH", path, {"spec": {"size": 9}}, "application/merge-patch+json")
    plan = bench.plan(service)
    report = bench.turn(service)

    assert list(changes(plan).values()) == [{"spec.size": (9, 3)}]
    assert failures(report) == {}
    assert plane.call("GET", path)["spec"]["size"] == 3


JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec:
  suspend: true
  template:
    spec:
      restartPolicy: Never
      containers:
      - {name: once, image: IMAGE}
"""


def test_what_cannot_change_in_place_is_replaced_in_the_plan(plane: ControlPlane, bench: Bench) -> None:
    job = JOB.replace("  suspend: true\n", "  parallelism: 0\n  completions: 0\n")
    bench.turn(wants("tour", chart(job.replace("IMAGE", "example/once:1")), on=bench.site))
    service = wants("tour", chart(job.replace("IMAGE", "example/once:2")), on=bench.site)
    plan = bench.plan(service)
    report = bench.turn(service)
    path = f"/apis/batch/v1/namespaces/{bench.site.name}-tour-edge-1/jobs/once"

    assert list(steps(plan).values()) == ["replace"]
    assert {change.name for step in plan.steps for change in step.changes} == {"in_place", "spec.template"}
    assert failures(report) == {}
    assert plane.call("GET", path)["spec"]["template"]["spec"]["containers"][0]["image"] == "example/once:2"


def test_a_cluster_wide_kind_we_take_for_a_namespaced_one_is_known_again(workbench: Workbench) -> None:
    bench = workbench(manifests=["csinodes.storage.k8s.io"])
    text = "{apiVersion: storage.k8s.io/v1, kind: CSINode, metadata: {name: NAME}, spec: {drivers: []}}"
    service = wants("tour", chart(text.replace("NAME", bench.site.name)), on=bench.site)
    report = bench.turn(service)
    bench.lose_store()
    plan = bench.plan(service)

    assert failures(report) == {}
    assert set(steps(plan).values()) == {"adopt"}
    assert failures(bench.turn()) == {}


def test_what_the_binding_does_not_allow_is_said_at_plan_time(bench: Bench) -> None:
    cron = """{apiVersion: batch/v1beta1, kind: CronJob, metadata: {name: c}, spec: {schedule: "* * * * *",
    jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: c}]}}}}}}"""
    plan = bench.plan(wants("tour", chart(cron), on=bench.site))

    assert "add cronjobs.batch to `manifests`" in plan.held[0].why


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind: ConfigMap", r"charts/all.yaml:1: an object needs apiVersion"),
        ("a: [1,", r"charts/all.yaml:\d+:\d+: error"),
        ("{apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {a: b}}", "a secret in git is none"),
        ("- 1", "no object of Kubernetes"),
        ("", "is empty"),
        ("{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n---\n" * 2, "is already in charts/all.yaml:1"),
    ],
)
def test_bad_manifests_are_named_with_their_line(bench: Bench, text: str, words: str) -> None:
    with pytest.raises((PermanentError, DesireError), match=words):
        bench.wanted(wants("tour", chart(text), on=bench.site))

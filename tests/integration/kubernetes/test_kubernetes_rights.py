"""The role we ask for is enough, and names what is missing where it is not granted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import providers.kubernetes
from tests.support.kubernetes_services import RAW, function, tour
from tests.support.kubernetes_turns import Bench, Workbench, failures, wants
from tests.testbed.kubernetes.control_plane import CONFINED, ROBOT, ControlPlane
from tests.testbed.kubernetes.gate import Gate

ROLES = Path(providers.kubernetes.__file__).with_name("rbac.yaml")
VERBS = {"PATCH": {"patch", "create"}, "DELETE": {"delete"}}


@pytest.fixture(scope="module")
def granted(plane: ControlPlane) -> None:
    """Grant the shipped roles, and for manifests a role like the guide says."""
    plane.kubectl("apply", "-f", str(ROLES))
    plane.kubectl("create", "clusterrolebinding", "robot", "--clusterrole=tosca-reconciler", "--user=robot")
    verbs = "--verb=get,list,watch,create,patch,delete"
    plane.kubectl("create", "clusterrole", "brought", verbs, f"--resource={','.join(RAW)}")
    plane.kubectl("create", "clusterrolebinding", "robot-brought", "--clusterrole=brought", "--user=robot")


@pytest.fixture
def gate(plane: ControlPlane) -> Iterator[Gate]:
    with Gate(plane.url, plane.folder / "ca.crt").running() as gate:
        yield gate


def used(gate: Gate) -> set[tuple[str, str]]:
    """Give the verbs and resources of the calls that were made."""
    found: set[tuple[str, str]] = set()
    pattern = r"/(?:api|apis/(?P<group>[^/]+))/[^/]+(?:/namespaces/[^/?]+(?=/))?/(?P<resource>[a-z]+)(?P<name>/[^?]+)?"
    for call in gate.calls:
        method, _, path = call.partition(" ")
        match = re.match(pattern, path)
        if match and match["resource"] != "apis":
            resource = "pods/log" if path.partition("?")[0].endswith("/log") else match["resource"]
            verbs = VERBS.get(method) or ({"get"} if match["name"] else {"list"})
            found |= {(verb, resource) for verb in verbs}
    return found


def allowed(plane: ControlPlane, role: str) -> set[tuple[str, str]]:
    """Give the verbs and resources of a shipped role."""
    rules = plane.call("GET", f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{role}")["rules"]
    return {(verb, resource) for rule in rules for verb in rule["verbs"] for resource in rule["resources"]}


def life(bench: Bench, plane: ControlPlane) -> None:
    """Do everything we ever do: make, fail, heal, change and take away every kind."""
    bad = function("bad", image="crash")
    whole = tour(bench.site.name)
    service = wants("tour", *whole.nodes.values(), bad, on=bench.site)
    report = bench.turn(service)
    assert {key.rpartition("/")[2] for key in failures(report)} <= {
        "bad@edge-1.0:kubernetes.deployment",
        "bad@edge-1.0:kubernetes.networkpolicy",
        "bad@edge-1.0:kubernetes.service",
    }
    namespace = bench.wanted(service).resources[next(iter(bench.wanted(service).resources))].properties["namespace"]
    plane.kubectl("-n", str(namespace), "scale", "statefulset/coder", "--replicas=3")
    assert "coder" in repr(bench.plan(service).drift)
    bench.turn(service)
    report = bench.turn()
    assert failures(report) == {}
    assert bench.store.inventory(bench.site.name) == {}


@pytest.mark.usefixtures("granted")
def test_the_shipped_role_is_enough_and_no_more(
    plane: ControlPlane, workbench: Workbench, gate: Gate, tmp_path: Path
) -> None:
    bench = workbench(kubeconfig=plane.kubeconfig_of(tmp_path / "robot", ROBOT, gate.url), progress_deadline=4)
    life(bench, plane)
    brought = {item.partition(".")[0] for item in RAW}
    needed = {(verb, resource) for verb, resource in used(gate) if resource not in brought}

    assert needed == {(verb, resource) for verb, resource in allowed(plane, "tosca-reconciler") if verb != "watch"}


@pytest.mark.usefixtures("granted")
def test_a_given_namespace_needs_rights_in_it_only(plane: ControlPlane, workbench: Workbench, tmp_path: Path) -> None:
    plane.kubectl("create", "namespace", "confined")
    role = "--clusterrole=tosca-reconciler-confined"
    plane.kubectl("-n", "confined", "create", "rolebinding", "confined", role, "--user=confined")
    kubeconfig = plane.kubeconfig_of(tmp_path / "confined", CONFINED)
    bench = workbench(kubeconfig=kubeconfig, namespace="confined", manifests=[])
    service = wants("tour", function("web", env={"A": "B"}), on=bench.site)
    report = bench.turn(service)

    assert failures(report) == {}
    assert bench.plan(service).operations == ()
    assert failures(bench.turn()) == {}


def test_what_may_not_be_seen_is_unknown_and_named(plane: ControlPlane, workbench: Workbench, tmp_path: Path) -> None:
    bench = workbench(kubeconfig=plane.kubeconfig_of(tmp_path / "confined", CONFINED), manifests=[])
    snapshot = bench.look(wants("tour", function("web"), on=bench.site)).seen.snapshots["kube"]

    assert snapshot.present == []
    assert 'User "confined" cannot list resource "deployments"' in snapshot.unknown["deployment@edge-1"]
    assert "grant it" in snapshot.unknown["deployment@edge-1"]

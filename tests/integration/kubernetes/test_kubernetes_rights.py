"""The role we ask for is enough, and names what is missing where it is not granted."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes.config import incluster_config

from tests.support.kubernetes_services import RAW, function, tour
from tests.support.kubernetes_turns import Bench, Workbench, failures, until, wants
from tests.testbed.kubernetes.control_plane import CONFINED, ControlPlane
from tests.testbed.kubernetes.gate import Gate

VERBS = {"PATCH": {"patch", "create"}, "DELETE": {"delete"}}


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


def test_the_shipped_role_is_enough_and_no_more(
    plane: ControlPlane, workbench: Workbench, gate: Gate, tmp_path: Path
) -> None:
    bench = workbench(kubeconfig=plane.kubeconfig_of(tmp_path / "robot", url=gate.url), progress_deadline=4)
    life(bench, plane)
    brought = {item.partition(".")[0] for item in RAW}
    needed = {(verb, resource) for verb, resource in used(gate) if resource not in brought}

    assert needed == {(verb, resource) for verb, resource in allowed(plane, "tosca-reconciler") if verb != "watch"}


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


def test_inside_a_pod_its_service_account_is_used(
    plane: ControlPlane, workbench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = "/api/v1/namespaces/default/serviceaccounts/reconciler"
    plane.kubectl("create", "serviceaccount", "reconciler")
    binding = ("clusterrolebinding", "reconciler", "--clusterrole=tosca-reconciler")
    plane.kubectl("create", *binding, "--serviceaccount=default:reconciler")
    until(lambda: bool(plane.call("GET", account).get("secrets")), "the account has a token")
    secret = plane.call("GET", account)["secrets"][0]["name"]
    token = base64.b64decode(plane.call("GET", f"/api/v1/namespaces/default/secrets/{secret}")["data"]["token"])
    mounted = tmp_path / "token"
    mounted.write_text("an old one")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(mounted))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(plane.folder / "ca.crt"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(plane.port))
    bench = workbench(in_cluster=True, kubeconfig="", manifests=[])
    service = wants("tour", function("web"), on=bench.site)
    before = bench.look(service).seen.snapshots["kube"]
    mounted.write_bytes(token)
    report = bench.turn(service)

    assert "the credentials are wrong or have expired" in before.unknown["@edge-1"]
    assert failures(report) == {}
    assert bench.plan(service).operations == ()

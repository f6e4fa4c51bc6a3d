"""Services come up in a real cluster, drift is seen and healed, and what is no longer wanted goes."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from providers.base import Health
from specs.model import LifecycleState, Node, Requirement
from specs.values import Reference, Secret, Value
from state.opening import open_store
from tests.support.kubernetes_services import ROOT, function
from tests.support.kubernetes_turns import PASSWORD, Bench, changes, failures, steps, until, wants
from tests.testbed.kubernetes.control_plane import ControlPlane

State = LifecycleState


def web(**more: Value) -> Node:
    return function("web", fqdn=["web.example.org"], env={"MODE": "fast", "PASSWORD": Secret("DB_PASSWORD")}, **more)


def namespace_of(bench: Bench, service: str = "tour", cluster: str = "edge-1") -> str:
    return f"{bench.site.name}-{service}-{cluster}"


def test_a_service_comes_up_and_then_nothing_is_left_to_do(plane: ControlPlane, bench: Bench) -> None:
    service = wants("tour", web(), function("api", "web"), on=bench.site)
    report = bench.turn(service)

    assert failures(report) == {}
    assert bench.plan(service).operations == ()
    namespace = namespace_of(bench)
    deployment = plane.call("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/web")
    assert deployment["status"]["availableReplicas"] == 1
    secret = plane.call("GET", f"/api/v1/namespaces/{namespace}/secrets/web")
    assert base64.b64decode(secret["data"]["PASSWORD"]).decode() == PASSWORD
    assert plane.get(f"/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses/web") is not None


def test_a_lost_state_store_changes_nothing(bench: Bench) -> None:
    service = wants("tour", web(), on=bench.site)
    bench.turn(service)
    bench.lose_store()
    plan = bench.plan(service)

    assert not plan.changes_world
    assert set(steps(plan).values()) == {"adopt"}


def test_states_raise_and_lower_what_there_is(plane: ControlPlane, bench: Bench) -> None:
    kinds = {}
    for state in (State.PLACED, State.BOOTED, State.CONNECTED, State.BOOTED, State.PLACED, State.UNPLACED):
        report = bench.turn(wants("tour", web(), on=bench.site, state=state))
        assert failures(report) == {}
        deployment = plane.get(f"/apis/apps/v1/namespaces/{namespace_of(bench)}/deployments/web")
        service = plane.get(f"/api/v1/namespaces/{namespace_of(bench)}/services/web")
        kinds[state] = (deployment and deployment["spec"]["replicas"], bool(service))

    assert kinds == {
        State.PLACED: (0, False),
        State.BOOTED: (1, False),
        State.CONNECTED: (1, True),
        State.UNPLACED: (None, False),
    }
    assert bench.store.inventory(bench.site.name) == {}


def test_instances_are_replicas(plane: ControlPlane, bench: Bench) -> None:
    node = web()
    scaled = replace(node, capabilities={**node.capabilities, "scalable": {"default_instances": 3}})
    bench.turn(wants("tour", scaled, on=bench.site))
    deployment = plane.call("GET", f"/apis/apps/v1/namespaces/{namespace_of(bench)}/deployments/web")

    assert deployment["status"]["readyReplicas"] == 3


def test_a_new_password_makes_new_pods(plane: ControlPlane, bench: Bench) -> None:
    bench.turn(wants("tour", web(), on=bench.site))
    before = plane.call("GET", f"/apis/apps/v1/namespaces/{namespace_of(bench)}/deployments/web")
    env: Value = {"MODE": "fast", "PASSWORD": Secret("OTHER_PASSWORD")}
    service = wants("tour", function("web", fqdn=["web.example.org"], env=env), on=bench.site)
    plan = bench.plan(service)
    bench.turn(service)
    after = plane.call("GET", f"/apis/apps/v1/namespaces/{namespace_of(bench)}/deployments/web")

    assert set(changes(plan)) == {"web@edge-1.0:kubernetes.deployment", "web@edge-1.0:kubernetes.secret"}
    assert PASSWORD not in repr(plan)
    assert after["metadata"]["generation"] > before["metadata"]["generation"]
    assert bench.plan(service).operations == ()


def patched(kind: str, patch: str, how: str = "strategic") -> tuple[str, ...]:
    return ("patch", kind, "web", f"--type={how}", "-p", patch)


DEPLOYMENT = "web@edge-1.0:kubernetes.deployment"
DRIFTS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "scaled": (("scale", "deployment/web", "--replicas=3"), DEPLOYMENT, "spec.replicas"),
    "image": (("set", "image", "deployment/web", "web=registry.example.org/evil:1"), DEPLOYMENT, "spec.template"),
    "resources": (
        patched("deployment", '[{"op": "remove", "path": "/spec/template/spec/containers/0/resources"}]', "json"),
        DEPLOYMENT,
        "spec.template",
    ),
    "label": (("label", "deployment/web", "tosca-reconciler/node-"), DEPLOYMENT, "labels"),
    "config": (patched("configmap", '{"data": {"MODE": "slow"}}'), "web@edge-1.0:kubernetes.configmap", "data"),
    "secret": (patched("secret", '{"data": {"PASSWORD": "eA=="}}'), "web@edge-1.0:kubernetes.secret", "data"),
    "port": (
        patched("service", '[{"op": "replace", "path": "/spec/ports/0/targetPort", "value": 9}]', "json"),
        "web@edge-1.0:kubernetes.service",
        "spec.ports",
    ),
    "policy": (
        patched("networkpolicy", '{"spec": {"ingress": [{}]}}', "merge"),
        "web@edge-1.0:kubernetes.networkpolicy",
        "spec.ingress",
    ),
}


@pytest.mark.parametrize("drift", DRIFTS)
def test_drift_is_shown_exactly_and_healed(plane: ControlPlane, bench: Bench, drift: str) -> None:
    command, address, name = DRIFTS[drift]
    service = wants("tour", web(), on=bench.site)
    bench.turn(service)
    plane.kubectl("-n", namespace_of(bench), *command)
    plan = bench.plan(service)
    report = bench.turn(service)

    assert {where: set(found) for where, found in changes(plan).items()} == {address: {name}}
    assert len(plan.drift) == 1
    assert failures(report) == {}
    assert bench.plan(service).operations == ()


def test_what_was_deleted_comes_back(plane: ControlPlane, bench: Bench) -> None:
    service = wants("tour", web(), on=bench.site)
    bench.turn(service)
    plane.kubectl("-n", namespace_of(bench), "delete", "deployment/web", "service/web", "--wait=true")
    plan = bench.plan(service)
    report = bench.turn(service)

    assert {a for a, action in steps(plan).items() if action == "create"} >= {
        "web@edge-1.0:kubernetes.deployment",
        "web@edge-1.0:kubernetes.service",
    }
    assert failures(report) == {}
    assert bench.plan(service).operations == ()


def test_what_others_add_is_no_drift(plane: ControlPlane, bench: Bench) -> None:
    service = wants("tour", web(), on=bench.site)
    bench.turn(service)
    namespace = namespace_of(bench)
    plane.kubectl("-n", namespace, "annotate", "deployment/web", "their.example.org/note=1")
    plane.kubectl("-n", namespace, "label", "service/web", "theirs=1")
    plane.kubectl("-n", namespace, "patch", "configmap", "web", "-p", '{"data": {"THEIRS": "1"}}')
    plane.kubectl("-n", namespace, "set", "env", "deployment/web", "THEIRS=1")

    assert bench.plan(service).operations == ()


def test_a_field_that_is_no_longer_wanted_goes(plane: ControlPlane, bench: Bench) -> None:
    bench.turn(
        wants("tour", web(kubernetes={"pod": {"priority": None, "terminationGracePeriodSeconds": 5}}), on=bench.site)
    )
    service = wants("tour", web(), on=bench.site)
    plan = bench.plan(service)
    bench.turn(service)
    deployment = plane.call("GET", f"/apis/apps/v1/namespaces/{namespace_of(bench)}/deployments/web")

    assert {address: set(found) for address, found in changes(plan).items()} == {
        "web@edge-1.0:kubernetes.deployment": {"spec.template"}
    }
    assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 30
    assert bench.plan(service).operations == ()


def test_an_address_of_another_function_is_known_after_apply(plane: ControlPlane, bench: Bench) -> None:
    site = bench.site.name
    target = f"{site}/tour/web@edge-1.0"
    client = function("client", "web", env={"WEB": Reference(target, "private_address")})
    service = wants("tour", web(), client, on=bench.site)
    report = bench.turn(service)
    namespace = namespace_of(bench)
    address = plane.call("GET", f"/api/v1/namespaces/{namespace}/services/web")["spec"]["clusterIP"]

    assert failures(report) == {}
    assert plane.call("GET", f"/api/v1/namespaces/{namespace}/configmaps/client")["data"] == {"WEB": address}
    assert bench.plan(service).operations == ()


def test_a_machine_with_a_disk_is_a_stateful_set(plane: ControlPlane, bench: Bench) -> None:
    def machine(disk: str) -> Node:
        node = function("db", hypervisor="kvm")
        return replace(node, capabilities={"host": {"num_cpus": 1, "mem_size": "1 GB", "disk_size": disk}})

    bench.turn(wants("tour", machine("4 GB"), on=bench.site))
    larger = wants("tour", machine("8 GB"), on=bench.site)
    plan = bench.plan(larger)
    report = bench.turn(larger)
    found = plane.call("GET", f"/apis/apps/v1/namespaces/{namespace_of(bench)}/statefulsets/db")

    assert steps(plan)["db@edge-1.0:kubernetes.statefulset"] == "replace"
    assert failures(report) == {}
    assert found["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] == "8G"
    assert bench.plan(larger).operations == ()


def test_a_function_changes_from_machine_to_container_and_back(plane: ControlPlane, bench: Bench) -> None:
    seen = []
    for hypervisor in ("kvm", "docker", "kvm"):
        node = replace(function("db", hypervisor=hypervisor), capabilities={"host": {"disk_size": "4 GB"}})
        service = wants("tour", node, on=bench.site)
        report = bench.turn(service)
        root = f"/apis/apps/v1/namespaces/{namespace_of(bench)}"
        there = [kind for kind in ("deployments", "statefulsets") if plane.get(f"{root}/{kind}/db") is not None]
        address = plane.call("GET", f"/api/v1/namespaces/{namespace_of(bench)}/services/db")["spec"]["clusterIP"]
        seen.append((failures(report), there, address == "None", bench.plan(service).operations))

    assert seen == [
        ({}, ["statefulsets"], True, ()),
        ({}, ["deployments"], False, ()),
        ({}, ["statefulsets"], True, ()),
    ]


def test_block_storage_is_a_claim_that_stays_when_its_function_moves_on(plane: ControlPlane, bench: Bench) -> None:
    disk = Node(name="disk", types=("tosca.nodes.BlockStorage", ROOT), properties={"size": "1 GB"})
    needs = (Requirement(name="storage", node="disk", properties={"location": "/srv"}),)
    service = wants("tour", replace(web(), requirements=needs), disk, on=bench.site)
    report = bench.turn(service)
    template = plane.call("GET", f"/apis/apps/v1/namespaces/{namespace_of(bench)}/deployments/web")["spec"]["template"]

    assert failures(report) == {}
    assert template["spec"]["volumes"][0]["persistentVolumeClaim"] == {"claimName": "disk"}
    assert bench.plan(service).operations == ()


def test_a_claim_that_cannot_be_resized_is_held_back(bench: Bench) -> None:
    def disk(size: str) -> Node:
        return Node(name="disk", types=("tosca.nodes.BlockStorage", ROOT), properties={"size": size})

    needs = (Requirement(name="storage", node="disk"),)
    bench.turn(wants("tour", replace(web(), requirements=needs), disk("2 GB"), on=bench.site))
    plan = bench.plan(wants("tour", replace(web(), requirements=needs), disk("1 GB"), on=bench.site))

    assert plan.operations == ()
    assert "spec is immutable after creation" in plan.held[0].why


def test_an_autoscaled_number_is_not_ours_to_compare(plane: ControlPlane, bench: Bench) -> None:
    service = wants("tour", web(kubernetes={"autoscale": {"min": 1, "max": 5, "cpu": 60}}), on=bench.site)
    report = bench.turn(service)
    plane.kubectl("-n", namespace_of(bench), "scale", "deployment/web", "--replicas=3")

    assert failures(report) == {}
    until(lambda: bench.plan(service).operations == (), "the rollout ends and nothing is left to do")


def test_a_cluster_that_does_not_answer_is_unknown(plane: ControlPlane, workbench: Callable[..., Bench]) -> None:
    bench = workbench()
    service = wants("tour", web(), on=bench.site)
    bench.turn(service)
    elsewhere = plane.kubeconfig_of(bench.folder / "elsewhere", url="http://127.0.0.1:9")
    blind = workbench(kubeconfig=elsewhere)
    blind.site = bench.site
    blind.store.close()
    blind.store = open_store("", bench.folder)
    plan = blind.plan(service)

    assert plan.operations == ()
    assert len(plan.unseen) == len(bench.wanted(service).resources)
    assert "does not answer" in plan.unseen[0].reason


def test_health_is_that_of_the_rollout(bench: Bench) -> None:
    service = wants("tour", web(), on=bench.site)
    bench.turn(service)
    seen = bench.look(service).seen.snapshots["kube"]

    assert {present.health for present in seen.present} == {Health.HEALTHY}


def test_pods_stay_when_an_autoscaler_takes_over_and_when_it_goes(plane: ControlPlane, bench: Bench) -> None:
    def scaled(**wishes: Value) -> Node:
        return replace(web(kubernetes=wishes), capabilities={"scalable": {"default_instances": 3}})

    def pods() -> int:
        found = plane.call("GET", f"/apis/apps/v1/namespaces/{namespace_of(bench)}/deployments/web")
        return int(found["spec"]["replicas"])

    bench.turn(wants("tour", scaled(), on=bench.site))
    autoscaled = wants("tour", scaled(autoscale={"min": 2, "max": 5}), on=bench.site)
    taken_over = bench.turn(autoscaled)
    after = pods()
    rest = bench.plan(autoscaled)
    plane.kubectl("-n", namespace_of(bench), "scale", "deployment/web", "--replicas=4")
    changed = scaled(autoscale={"min": 2, "max": 5}, pod={"terminationGracePeriodSeconds": 5})
    rolled = bench.turn(wants("tour", changed, on=bench.site))
    chosen = pods()
    given_back = bench.turn(wants("tour", scaled(), on=bench.site))

    assert failures(taken_over) == failures(rolled) == failures(given_back) == {}
    assert (after, chosen, pods()) == (3, 4, 3)
    assert rest.operations == ()

"""One service over machines and containers, and over several Kubernetes, in one plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from msgspec.structs import replace

from providers.kubernetes.naming import CLUSTER
from specs.model import Cluster, LifecycleState, Service
from specs.values import Reference
from tests.support.chains import bristol
from tests.support.kubernetes_services import function, site
from tests.support.kubernetes_turns import Bench, Workbench, failures, steps, until, wants
from tests.testbed.kubernetes.control_plane import ControlPlane
from tests.testbed.kubernetes.gate import Gate

BOTH = LifecycleState.CONNECTED


@pytest.fixture
def mixed(plane: ControlPlane, tmp_path: Path) -> Iterator[Bench]:
    """A city whose data centre is emulated and whose edge is Kubernetes, on one fabric."""
    city = bristol()
    kube = site("bristol", plane.kubeconfig_of(tmp_path / "kubeconfig")).bindings["kube"]
    clusters: dict[str, Cluster] = {
        name: replace(cluster, binding="kube" if name == "edge-1" else "city")
        for name, cluster in city.clusters.items()
    }
    bench = Bench(replace(city, clusters=clusters, bindings={**city.bindings, "kube": kube}), tmp_path)
    yield bench
    bench.close()
    plane.kubectl("delete", "namespace", "bristol-tour-edge-1", "--wait=false", "--ignore-not-found")


def spread() -> Service:
    store = replace(
        function(
            "store", hypervisor="kvm", image_url="https://repo.example.org/store.qcow2", fqdn=["store.example.org"]
        ),
        capabilities={"host": {"num_cpus": 1, "mem_size": "1 GB", "disk_size": "4 GB"}},
    )
    address = Reference("bristol/tour/store@dc-1.0", "private_address")
    web = replace(
        function("web", "store", fqdn=["web.example.org"], env={"STORE": address}),
        capabilities={"host": {"num_cpus": 0.5}, "scalable": {"default_instances": 2}},
    )
    states = {"store": {"dc-1": BOTH}, "web": {"edge-1": BOTH}}
    return Service(name="tour", nodes={"store": store, "web": web}, states=states)


def test_machines_and_pods_are_one_service(plane: ControlPlane, mixed: Bench) -> None:
    service = spread()
    plan = mixed.plan(service)
    report = mixed.turn(service)
    settings = plane.call("GET", "/api/v1/namespaces/bristol-tour-edge-1/configmaps/web")
    order = [operation.key for operation in plan.operations]
    machine = next(
        present
        for present in mixed.look(service).seen.snapshots["city"].present
        if present.address.endswith("sandpit.server")
    )

    assert {address.partition(":")[2].partition(".")[0] for address in steps(plan)} == {"kubernetes", "sandpit"}
    assert order.index("create bristol/tour/store@dc-1.0:sandpit.server") < order.index(
        "create bristol/tour/web@edge-1.0:kubernetes.deployment"
    )
    assert order.index("create bristol/tour/web@edge-1.0:kubernetes.service") < order.index(
        "create bristol/tour/web@edge-1.1:sandpit.name/web.example.org"
    )
    assert failures(report) == {}
    assert settings["data"]["STORE"] == machine.attributes["private_address"]
    assert mixed.plan(service).operations == ()


def test_several_clusters_of_one_server_stay_apart(plane: ControlPlane, workbench: Workbench) -> None:
    bench = workbench(clusters=("edge-1", "edge-2"))
    service = wants("tour", function("web"), on=bench.site)
    report = bench.turn(service)
    only_one = replace(service, states={"web": {"edge-1": BOTH}})
    second = bench.turn(only_one)
    labels = {
        cluster: plane.get(f"/apis/apps/v1/namespaces/{bench.site.name}-tour-{cluster}/deployments/web")
        for cluster in ("edge-1", "edge-2")
    }

    assert failures(report) == failures(second) == {}
    assert labels["edge-1"] is not None
    assert labels["edge-1"]["metadata"]["labels"][CLUSTER] == "edge-1"
    assert labels["edge-2"] is None


def test_one_server_that_is_down_hides_only_its_own_clusters(
    plane: ControlPlane, workbench: Workbench, tmp_path: Path
) -> None:
    bench = workbench(clusters=("edge-1", "edge-2"))
    elsewhere = str(plane.kubeconfig_of(tmp_path / "elsewhere", url="http://127.0.0.1:9"))
    away = replace(bench.site.clusters["edge-2"], properties={"kubeconfig": elsewhere})
    town = replace(bench.site, clusters={**bench.site.clusters, "edge-2": away})
    folder = tmp_path / "store"
    folder.mkdir()
    apart = Bench(town, folder)
    service = wants("tour", function("web"), on=town)
    report = apart.turn(service)
    plan = apart.plan(service)
    apart.close()

    assert failures(report) == {}
    assert {finished.operation.step.address.partition("@")[2].partition(":")[0] for finished in report.finished} == {
        "edge-1",
        "edge-1.0",
    }
    assert len(plan.unseen) == 5
    assert plan.operations == ()


@pytest.fixture
def two_ways(plane: ControlPlane, workbench: Workbench, tmp_path: Path) -> Iterator[Callable[..., tuple[Bench, Gate]]]:
    """Makes benches that reach the clusters of one API server by two ways, the second by a gate."""
    with ExitStack() as stack:

        def make(stir: Callable[[], None] | None) -> tuple[Bench, Gate]:
            gate = stack.enter_context(Gate(plane.url, plane.folder / "ca.crt").running())
            other = str(plane.kubeconfig_of(tmp_path / "other", url=gate.url))
            town = workbench(clusters=("edge-1", "edge-2")).site
            away = replace(town.clusters["edge-2"], properties={"kubeconfig": other})
            folder = tmp_path / "store"
            folder.mkdir()
            bench = Bench(replace(town, clusters={**town.clusters, "edge-2": away}), folder, stir=stir)
            stack.callback(bench.close)
            return bench, gate

        yield make


@pytest.mark.parametrize("stir", [None, lambda: None], ids=["lists", "watches"])
def test_two_ways_to_one_server_show_every_object_once(
    plane: ControlPlane,
    two_ways: Callable[..., tuple[Bench, Gate]],
    stir: Callable[[], None] | None,
) -> None:
    bench, _ = two_ways(stir)
    service = wants("tour", function("web"), on=bench.site)
    report = bench.turn(service)
    calm = bench.plan(service)
    plane.kubectl("-n", f"{bench.site.name}-tour-edge-2", "scale", "deployment/web", "--replicas=3")
    until(lambda: bool(bench.plan(service).operations), "drift is seen")
    drift = bench.turn(service)

    assert failures(report) == failures(drift) == {}
    assert calm.operations == ()
    assert [finished.operation.key for finished in drift.finished] == [
        f"update {bench.site.name}/tour/web@edge-2.0:kubernetes.deployment"
    ]


def test_what_only_the_wrong_way_shows_is_unknown(two_ways: Callable[..., tuple[Bench, Gate]]) -> None:
    bench, gate = two_ways(None)
    service = wants("tour", function("web"), on=bench.site)
    bench.turn(service)
    gate.take_down()
    plan = bench.plan(service)

    assert plan.operations == ()
    assert {unseen.address.partition("@")[2][:6] for unseen in plan.unseen} == {"edge-2"}

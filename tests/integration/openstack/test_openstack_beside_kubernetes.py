"""One service over machines of a real cloud and pods of a real cluster, in one plan."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from specs.model import LifecycleState, Service
from specs.values import Reference
from tests.support.kubernetes_services import function
from tests.support.kubernetes_services import site as kubernetes_site
from tests.support.kubernetes_turns import Bench, failures, steps
from tests.support.openstack_city import site as openstack_site
from tests.testbed.kubernetes.control_plane import ADMIN, ControlPlane, running_control_plane
from tests.testbed.openstack.cloud import Cloud
from tests.testbed.openstack.operator import Operator

State = LifecycleState
NAMESPACE = "bristol-tour-edge-1"


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane for this module."""
    with running_control_plane(tmp_path_factory.mktemp("kubernetes")) as plane:
        yield plane


@pytest.fixture
def alice(cloud: Cloud) -> Operator:
    """Somebody with a project of her own."""
    return Operator(cloud, "alice")


@pytest.fixture
def bench(
    cloud: Cloud,
    alice: Operator,
    plane: ControlPlane,
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Bench]:
    """A city whose data centre is OpenStack and whose edge is Kubernetes."""
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(cloud.clouds_yaml))
    monkeypatch.setenv("RECONCILER_IMAGES", str(images))
    alice.sweep()
    city = openstack_site("alice", flavors="choose")
    edge = replace(city.clusters["edge-1"], binding="kube", properties={})
    kube = kubernetes_site("bristol", plane.kubeconfig_of(tmp_path / "kubeconfig", ADMIN)).bindings["kube"]
    (tmp_path / "store").mkdir()
    place = replace(city, clusters={**city.clusters, "edge-1": edge}, bindings={**city.bindings, "kube": kube})
    bench = Bench(place, tmp_path / "store")
    yield bench
    bench.close()
    alice.sweep()


@pytest.mark.timeout(300)
def test_machines_and_pods_are_one_service(alice: Operator, plane: ControlPlane, bench: Bench) -> None:
    store = replace(
        function("store", hypervisor="kvm", image_url="file:tiny.raw", ports=[9000]),
        capabilities={"host": {"num_cpus": 1, "mem_size": "64 MB", "disk_size": "1 GB"}},
    )
    web = function("web", "store", env={"STORE": Reference("bristol/tour/store@dc-1.0", "private_address")})
    states = {"store": {"dc-1": State.CONNECTED}, "web": {"edge-1": State.CONNECTED}}
    service = Service(name="tour", nodes={"store": store, "web": web}, states=states)
    plan = bench.plan(service)
    made = bench.turn(service)
    calm = bench.plan(service)
    order = [operation.key for operation in plan.operations]
    seen = bench.look(service).seen.snapshots["city"].present
    [machine] = [present for present in seen if present.address.endswith("openstack.server")]
    told = plane.call("GET", f"/api/v1/namespaces/{NAMESPACE}/configmaps/web")["data"]

    assert {address.partition(":")[2].partition(".")[0] for address in steps(plan)} == {"kubernetes", "openstack"}
    assert order.index("create bristol/tour/store@dc-1.0:openstack.server") < order.index(
        "create bristol/tour/web@edge-1.0:kubernetes.configmap"
    )
    assert failures(made) == {}
    assert told == {"STORE": machine.attributes["private_address"]}
    assert calm.operations == ()

    plane.kubectl("-n", NAMESPACE, "delete", "deployment/web")
    alice.call("DELETE", "compute", f"/servers/{machine.provider_id}")
    alice.wait(lambda: not alice.ids("server"), "the server is gone")
    lost = bench.plan(service)
    healed = bench.turn(service)
    rest = bench.plan(service)
    gone = bench.turn()

    assert {address for address, action in steps(lost).items() if action == "create"} == {
        "store@dc-1.0:openstack.server",
        "web@edge-1.0:kubernetes.deployment",
    }
    assert failures(healed) == failures(gone) == {}
    assert rest.operations == ()
    assert alice.left() == []
    assert plane.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/web") is None

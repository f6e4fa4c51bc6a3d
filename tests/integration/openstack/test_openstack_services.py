"""Services come up on a real cloud, change their states, drift, are healed, and go."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from providers.base import Health
from reconciler.progress import Progress, Settling
from specs.model import LifecycleState, Node, Operation, Policy, Requirement, Service
from specs.values import Call, Reference, Secret, Value
from state.opening import open_store
from tests.support.chains import ROOT, function
from tests.support.kubernetes_turns import Bench, Workbench, changes, failures, steps
from tests.support.openstack_city import COMPUTE, site
from tests.testbed.openstack.cloud import Cloud
from tests.testbed.openstack.operator import Operator

pytestmark = pytest.mark.timeout(300)

State = LifecycleState


@pytest.fixture
def alice(cloud: Cloud) -> Iterator[Operator]:
    """Somebody with a project of her own and no special rights."""
    operator = Operator(cloud, "alice")
    operator.sweep()
    yield operator
    operator.sweep()


@pytest.fixture
def bench(workbench: Workbench, alice: Operator) -> Bench:
    return workbench(site("alice", flavors="choose"))


def tour(states: dict[str, State]) -> Service:
    """Give a storage that serves frontends, in some state on each cluster."""
    small: dict[str, Value] = {"num_cpus": 1, "mem_size": "64 MB", "disk_size": "1 GB"}
    storage = function("storage", image_url="file:tiny.raw", ports=[9000])
    address = Reference("bristol/tour/storage", "private_address")
    front = function("front", "storage", image_url="glance:tiny", env={"STORAGE": address, "MODE": "fast"})
    nodes = [replace(node, capabilities={"host": small}) for node in (storage, front)]
    return Service(
        name="tour",
        nodes={node.name: node for node in nodes},
        states={"storage": states, "front": {"dc-1": State.CONNECTED}},
    )


def test_states_raise_and_lower_what_there_is(bench: Bench, alice: Operator) -> None:
    """Three clusters; what a lower state keeps is the same object all the way down."""
    images: set[str] = set()
    servers: dict[State, int] = {}
    for state in (State.PLACED, State.BOOTED, State.CONNECTED, State.BOOTED, State.PLACED, State.UNPLACED):
        service = tour({"dc-1": State.CONNECTED, "edge-1": state, "edge-2": State.PLACED})
        report = bench.turn(service)
        assert failures(report) == {}
        assert bench.plan(service).operations == ()
        images |= set(alice.ids("image"))
        servers[state] = len(alice.ids("server"))

    assert servers == {State.PLACED: 2, State.BOOTED: 3, State.CONNECTED: 3, State.UNPLACED: 2}
    assert len(images) == 1
    bench.turn()
    assert alice.left() == []


def test_a_server_learns_the_address_of_another(bench: Bench, alice: Operator, admin: Operator) -> None:
    service = tour({"dc-1": State.CONNECTED})
    bench.turn(service)
    present = {one.address: one for one in bench.look(service).seen.snapshots["city"].present}
    storage = present["bristol/tour/storage@dc-1.0:openstack.server"].attributes["private_address"]  # type: ignore[index]
    front = present["bristol/tour/front@dc-1.0:openstack.server"]  # type: ignore[index]
    row = admin.get("compute", f"/servers/{front.provider_id}")["server"]
    script = json.loads(base64.b64decode(row["OS-EXT-SRV-ATTR:user_data"]).decode().removeprefix("#cloud-config\n"))
    files = {one["path"]: base64.b64decode(one["content"]).decode() for one in script["write_files"]}

    assert f"STORAGE={storage}\n" in files["/var/lib/tosca/environment"]
    assert row["OS-EXT-AZ:availability_zone"] == "bristol-hs"


def test_a_lost_state_store_changes_nothing(bench: Bench, alice: Operator) -> None:
    service = tour({"dc-1": State.CONNECTED, "edge-1": State.PLACED})
    bench.turn(service)
    bench.store.close()
    (bench.folder / "state.db").unlink()
    bench.store = open_store("", bench.folder)
    plan = bench.plan(service)

    assert not plan.changes_world
    assert set(steps(plan).values()) == {"adopt"}


# --- changes of the spec ---------------------------------------------------------------------------


def software(script: str = "#!/bin/sh\necho one\n", **host: Value) -> Service:
    """Give a machine with a script on it."""
    size: dict[str, Value] = {"num_cpus": 1, "mem_size": "64 MB", "disk_size": "1 GB", **host}
    url = Call("concat", ["postgresql://", Reference("bristol/web/db", "private_address"), "/shop"])
    operation = Operation(
        name="Standard.create",
        implementation="s.sh",
        content=script,
        inputs={"url": url, "word": Secret("DB_PASSWORD")},
    )
    nodes = [
        Node(name="db", types=COMPUTE, capabilities={"host": size, "os": {"distribution": "debian"}}),
        Node(
            name="dbms",
            types=("tosca.nodes.DBMS", "tosca.nodes.SoftwareComponent", ROOT),
            requirements=(Requirement(name="host", node="db"),),
            operations={"Standard.create": operation},
        ),
    ]
    return Service(name="web", nodes={node.name: node for node in nodes})


def test_size_and_scripts_change_in_place(bench: Bench, alice: Operator) -> None:
    assert failures(bench.turn(software())) == {}
    server = alice.ids("server")[0]
    larger = software(mem_size="1 GB", disk_size="10 GB")
    plan = bench.plan(larger)
    assert failures(bench.turn(larger)) == {}
    resized = alice.get("compute", f"/servers/{server}")["server"]
    other = software("#!/bin/sh\necho two\n", mem_size="1 GB", disk_size="10 GB")
    rebuilt_plan = bench.plan(other)
    assert failures(bench.turn(other)) == {}

    assert changes(plan)["db@dc-1.0:openstack.server"] == {"ram_mib": (62, 954), "disk_gib": (1, 10)}
    assert {step.action.value for step in (*plan.steps, *rebuilt_plan.steps)} == {"update"}
    assert resized["flavor"]["original_name"] == "m1.small"
    assert resized["status"] == "ACTIVE"
    assert set(changes(rebuilt_plan)["db@dc-1.0:openstack.server"]) == {"software"}
    assert alice.ids("server") == [server]
    assert bench.plan(other).operations == ()


def test_a_site_can_forbid_to_build_anew(workbench: Workbench, alice: Operator) -> None:
    bench = workbench(site("alice", flavors="choose", rebuild="refuse"))
    bench.turn(software())
    report = bench.turn(software("#!/bin/sh\necho two\n"))

    assert "does not let servers be built anew" in next(iter(failures(report).values()))


def test_another_zone_replaces_the_server(bench: Bench, workbench: Workbench, alice: Operator) -> None:
    service = software()
    bench.turn(service)
    server = alice.ids("server")[0]
    clusters = {
        name: replace(cluster, properties={"availability_zone": "bristol-ms"})
        for name, cluster in bench.site.clusters.items()
    }
    moved = workbench(replace(bench.site, clusters=clusters))
    plan = moved.plan(service)

    assert steps(plan)["db@dc-1.0:openstack.server"] == "replace"
    assert failures(moved.turn(service)) == {}
    assert server not in alice.ids("server")


# --- when it does not work -------------------------------------------------------------------------


@pytest.fixture
def faulty(cloud: Cloud) -> Iterator[Cloud]:
    yield cloud
    cloud.spoil()


def test_a_build_that_fails_is_told_and_made_good_later(faulty: Cloud, bench: Bench, alice: Operator) -> None:
    service = tour({"dc-1": State.CONNECTED, "edge-1": State.CONNECTED})
    faulty.spoil(spawn_abort_names=["tour-storage-edge-1-0"])
    report = bench.turn(service)
    failed = failures(report)
    faulty.spoil()
    plan = bench.plan(service)

    assert set(failed) == {"create bristol/tour/storage@edge-1.0:openstack.server"}
    assert "the test wants it to end" in failed["create bristol/tour/storage@edge-1.0:openstack.server"]
    assert len(alice.ids("server")) == 3
    assert steps(plan)["storage@edge-1.0:openstack.server"] == "replace"
    assert failures(bench.turn(service)) == {}
    assert bench.plan(service).operations == ()


def test_a_server_that_cannot_be_removed_is_told_at_once(faulty: Cloud, bench: Bench, alice: Operator) -> None:
    assert failures(bench.turn(software())) == {}
    faulty.spoil(destroy_fail_names=["web-db-dc-1-0"])
    report = failures(bench.turn())
    faulty.spoil()

    failed = {key: message for key, message in report.items() if "it waits for" not in message}
    assert failed == {
        "delete bristol/web/db@dc-1.0:openstack.server": "it could not be removed: the test wants it to stay"
    }
    assert failures(bench.turn()) == {}
    assert alice.left() == []


def apart(instances: int, name: str = "db") -> Service:
    """Give instances that must not share a host; two hosts are there."""
    policy = Policy(
        name="apart",
        types=("eu.ict-flame.policies.Placement", "tosca.policies.Placement"),
        targets=(name,),
        properties={"clusters": ["dc-1"], "anti_affinity": True},
    )
    service = software()
    db = replace(
        service.nodes["db"],
        name=name,
        capabilities={**service.nodes["db"].capabilities, "scalable": {"default_instances": instances}},
    )
    return replace(service, nodes={name: db}, policies={"apart": policy})


def test_no_valid_host_stops_only_what_needs_it(bench: Bench, alice: Operator) -> None:
    report = bench.turn(apart(3))
    failed = failures(report)

    assert len(failed) == 1
    assert "no host takes 1 vCPU, 64 MiB memory, 1 GiB disk" in next(iter(failed.values()))
    assert len(alice.ids("server")) == 3
    assert failures(bench.turn(apart(2))) == {}
    assert len(alice.ids("server")) == 2
    assert bench.plan(apart(2)).operations == ()


def test_servers_wait_for_the_hosts_of_those_they_take_the_place_of(
    faulty: Cloud, bench: Bench, alice: Operator
) -> None:
    assert failures(bench.turn(apart(2))) == {}
    faulty.spoil(destroy_held=True)

    def let_go(progress: Progress) -> None:
        if isinstance(progress, Settling) and "no host takes" in progress.why:
            faulty.spoil()

    report = bench.turn(apart(2, "store"), listen=let_go)

    assert failures(report) == {}
    assert sorted(row["name"] for row in alice.get("compute", "/servers/detail")["servers"]) == [
        "web-store-dc-1-0",
        "web-store-dc-1-1",
    ]
    assert bench.plan(apart(2, "store")).operations == ()


def test_a_quota_is_seen_in_the_plan_and_met_in_the_middle(bench: Bench, alice: Operator, admin: Operator) -> None:
    service = tour({"dc-1": State.CONNECTED, "edge-1": State.CONNECTED, "edge-2": State.CONNECTED})

    def allow(instances: int) -> None:
        admin.call("PUT", "compute", f"/os-quota-sets/{alice.project}", {"quota_set": {"instances": instances}})

    cuts = iter([2])

    def cut(progress: object) -> None:
        for instances in cuts:  # at the first thing that is told
            allow(instances)

    allow(2)
    try:
        look = bench.look(service)
        told = [finding.message for findings in look.findings.values() for finding in findings]
        first = bench.turn(service)
        allow(100)
        second = bench.turn(service, listen=cut)
    finally:
        allow(100)

    assert any("quota of instances: 0 of 2 are used, this plan needs 4 more" in message for message in told)
    assert failures(first) == {}
    assert set(failures(second)) == {
        "create bristol/tour/storage@edge-1.0:openstack.server",
        "create bristol/tour/storage@edge-2.0:openstack.server",
    }
    assert all("already used 2 of 2 instances" in message for message in failures(second).values())
    assert (len(alice.ids("server")), len(alice.ids("port"))) == (2, 4)
    assert failures(bench.turn(service)) == {}
    assert len(alice.ids("server")) == 4
    assert bench.plan(service).operations == ()


def test_what_the_cloud_lacks_is_a_finding(bench: Bench, alice: Operator) -> None:
    service = software()
    data = Node(name="data", types=("tosca.nodes.BlockStorage", ROOT), properties={"size": "1 GB"})
    need = Requirement(name="local_storage", node="data")
    db = replace(
        service.nodes["db"],
        requirements=(need,),
        capabilities={"host": {"num_cpus": 64}, "os": {"distribution": "plan9"}},
    )
    look = bench.look(replace(service, nodes={**service.nodes, "db": db, "data": data}))
    told = [finding.message for findings in look.findings.values() for finding in findings]

    assert any("the cloud has no volumes (block-storage service)" in message for message in told)
    assert any("no image of the cloud carries os_distro=plan9" in message for message in told)
    assert any("no flavor has 64 vCPU" in message for message in told)


def test_two_projects_do_not_see_one_another(workbench: Workbench, alice: Operator, cloud: Cloud) -> None:
    """The same service of the same repository in two projects of one cloud."""
    bob = Operator(cloud, "bob")
    try:
        service = tour({"dc-1": State.CONNECTED})
        benches = [workbench(site(user, flavors="choose")) for user in ("alice", "bob")]
        for bench in benches:
            assert failures(bench.turn(service)) == {}
        seen = [{one.provider_id for one in b.look(service).seen.snapshots["city"].present} for b in benches]
        benches[0].turn()

        assert not seen[0] & seen[1]
        assert alice.left() == []
        assert benches[1].plan(service).operations == ()
        health = {one.health for one in benches[1].look(service).seen.snapshots["city"].present}
        assert health == {Health.HEALTHY}
    finally:
        bob.sweep()
    assert bob.left() == []

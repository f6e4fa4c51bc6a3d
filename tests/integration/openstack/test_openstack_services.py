"""Services come up on a real cloud, change their states, drift, are healed, and go."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from providers.base import Health
from specs.model import LifecycleState, Node, Operation, Policy, Requirement, Service, Site
from specs.values import Call, Reference, Secret, Value
from state.opening import open_store
from tests.support.chains import ROOT, function
from tests.support.kubernetes_turns import Bench, changes, failures, steps
from tests.support.openstack_city import COMPUTE, site
from tests.testbed.openstack.cloud import Cloud
from tests.testbed.openstack.operator import Operator

State = LifecycleState
Workbench = Callable[[Site], Bench]


@pytest.fixture
def workbench(cloud: Cloud, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workbench]:
    """Makes benches; what they made in the project of alice is removed."""
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(cloud.clouds_yaml))
    monkeypatch.setenv("RECONCILER_IMAGES", str(images))
    made: list[Bench] = []

    def make(place: Site) -> Bench:
        made.append(Bench(place, tmp_path / f"{len(made)}"))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


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


# --- drift -----------------------------------------------------------------------------------------


def machine(**metadata: str) -> Service:
    """Give a database with everything that can drift."""
    nodes = [
        Node(name="front", types=("tosca.nodes.network.Network", ROOT), properties={"cidr": "10.9.0.0/24"}),
        Node(
            name="eth0",
            types=("tosca.nodes.network.Port", ROOT),
            properties={"order": 0, "ip_address": "10.9.0.9"},
            requirements=(Requirement(name="link", node="front"), Requirement(name="binding", node="db")),
        ),
        Node(
            name="eth1",
            types=("tosca.nodes.network.Port", ROOT),
            properties={"order": 1},
            requirements=(Requirement(name="link", node="front"), Requirement(name="binding", node="db")),
        ),
        Node(
            name="db",
            types=COMPUTE,
            capabilities={
                "host": {"num_cpus": 1, "mem_size": "64 MB", "disk_size": "1 GB"},
                "os": {"distribution": "debian", "version": "12"},
                "endpoint": {"port": 5432, "protocol": "tcp", "network_name": "PUBLIC"},
            },
            metadata={"team": "video", "tags": "blue", **metadata},
        ),
    ]
    return Service(name="shop", nodes={node.name: node for node in nodes})


def number_of(bench: Bench, service: Service, end: str) -> str:
    """Give the id of an object by the end of its address."""
    return next(
        one.provider_id for one in bench.look(service).seen.snapshots["city"].present if one.address.endswith(end)
    )


def test_drift_is_shown_exactly_and_healed(bench: Bench, alice: Operator) -> None:
    """Everything people do to a service, at once: the plan names each of it, the next turn undoes all of it."""
    service = machine()
    assert failures(bench.turn(service)) == {}
    server = number_of(bench, service, "db@dc-1.0:openstack.server")
    group = number_of(bench, service, "db:openstack.security_group")
    port = number_of(bench, service, "eth0@dc-1.0:openstack.port")
    second = number_of(bench, service, "eth1@dc-1.0:openstack.port")
    router = number_of(bench, service, "router/own")
    public = number_of(bench, service, "floating_ip")
    default = next(
        row["id"] for row in alice.get("network", "/security-groups")["security_groups"] if row["name"] == "default"
    )

    rule = {"security_group_id": group, "direction": "ingress", "protocol": "tcp", "ethertype": "IPv4"}
    alice.call("POST", "network", "/security-group-rules", {"security_group_rule": rule})
    alice.write_network("port", port, security_groups=[default])
    alice.write_network("router", router, name="mine")
    alice.write_network("floating_ip", public, port_id=None)
    alice.call("PUT", "compute", f"/servers/{server}/metadata/team", {"meta": {"team": "nobody"}})
    alice.call("PUT", "compute", f"/servers/{server}", {"server": {"name": "mine"}})
    alice.call("DELETE", "compute", f"/servers/{server}/tags/blue")
    alice.call("DELETE", "compute", f"/servers/{server}/os-interface/{second}")
    alice.wait(lambda: not alice.get("network", f"/ports/{second}")["port"]["device_id"], "the port is off")
    alice.call("POST", "compute", f"/servers/{server}/action", {"os-stop": None})
    alice.wait(lambda: alice.get("compute", f"/servers/{server}")["server"]["status"] == "SHUTOFF", "it is off")
    plan = bench.plan(service)
    found = changes(plan)

    assert {where: set(names) for where, names in found.items()} == {
        "db:openstack.security_group": {"rules"},
        "db@dc-1.0:openstack.floating_ip": {"port"},
        "db@dc-1.0:openstack.server": {"metadata", "name", "ports", "running", "tags"},
        "eth0@dc-1.0:openstack.port": {"security_groups"},
        "shop:openstack.router/own": {"name"},
    }
    assert len(plan.drift) >= 5
    assert {step.action.value for step in plan.steps} <= {"update", "create"}
    assert failures(bench.turn(service)) == {}
    assert bench.plan(service).operations == ()
    assert alice.get("compute", f"/servers/{server}")["server"]["status"] == "ACTIVE"


def test_what_was_deleted_comes_back(bench: Bench, alice: Operator) -> None:
    service = tour({"dc-1": State.CONNECTED})
    bench.turn(service)
    alice.call("DELETE", "compute", f"/servers/{number_of(bench, service, 'storage@dc-1.0:openstack.server')}")
    alice.call("DELETE", "image", f"/images/{alice.ids('image')[0]}")
    alice.wait(lambda: len(alice.ids("server")) == 1, "the server is gone")
    plan = bench.plan(service)

    created = {where for where, action in steps(plan).items() if action == "create"}
    assert created == {"storage:openstack.image", "storage@dc-1.0:openstack.server"}
    assert failures(bench.turn(service)) == {}
    assert bench.plan(service).operations == ()


def test_a_server_in_error_is_brought_back(bench: Bench, alice: Operator, admin: Operator) -> None:
    service = tour({"dc-1": State.CONNECTED})
    bench.turn(service)
    server = number_of(bench, service, "storage@dc-1.0:openstack.server")
    admin.call("POST", "compute", f"/servers/{server}/action", {"os-resetState": {"state": "error"}})
    plan = bench.plan(service)

    assert changes(plan)["storage@dc-1.0:openstack.server"] == {"running": (False, True)}
    assert failures(bench.turn(service)) == {}
    assert alice.get("compute", f"/servers/{server}")["server"]["status"] == "ACTIVE"


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


def apart(instances: int) -> Service:
    """Give instances that must not share a host; two hosts are there."""
    policy = Policy(
        name="apart",
        types=("eu.ict-flame.policies.Placement", "tosca.policies.Placement"),
        targets=("db",),
        properties={"clusters": ["dc-1"], "anti_affinity": True},
    )
    service = software()
    db = replace(
        service.nodes["db"],
        capabilities={**service.nodes["db"].capabilities, "scalable": {"default_instances": instances}},
    )
    return replace(service, nodes={"db": db}, policies={"apart": policy})


def test_no_valid_host_stops_only_what_needs_it(bench: Bench, alice: Operator) -> None:
    report = bench.turn(apart(3))
    failed = failures(report)

    assert len(failed) == 1
    assert "no host takes 1 vCPU, 64 MiB memory, 1 GiB disk" in next(iter(failed.values()))
    assert len(alice.ids("server")) == 3
    assert failures(bench.turn(apart(2))) == {}
    assert len(alice.ids("server")) == 2
    assert bench.plan(apart(2)).operations == ()


def test_a_quota_is_seen_in_the_plan_and_met_in_the_middle(bench: Bench, alice: Operator, admin: Operator) -> None:
    service = tour({"dc-1": State.CONNECTED, "edge-1": State.CONNECTED, "edge-2": State.CONNECTED})

    def allow(instances: int) -> None:
        admin.call("PUT", "compute", f"/os-quota-sets/{alice.project}", {"quota_set": {"instances": instances}})

    allow(2)
    try:
        look = bench.look(service)
        told = [finding.message for findings in look.findings.values() for finding in findings]
        first = bench.turn(service)
        allow(3)
        second = bench.turn(service, listen=lambda progress: allow(2) if not alice.ids("server")[2:] else None)
    finally:
        allow(100)

    assert any("quota of instances: 0 of 2 are used, this plan needs 4 more" in message for message in told)
    assert failures(first) == {}
    assert len(alice.ids("server")) in (2, 3)
    assert all("uota" in message for message in failures(second).values())
    assert failures(bench.turn(service)) == {}
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

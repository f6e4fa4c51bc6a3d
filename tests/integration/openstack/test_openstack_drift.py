"""Whatever people do to a service with the `openstack` command line is shown as it is, and healed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from providers.base import Present
from specs.model import LifecycleState, Node, Policy, Requirement, Service
from specs.values import Value
from tests.support.chains import ROOT, function
from tests.support.kubernetes_turns import Bench, Workbench, changes, failures, steps
from tests.support.openstack_city import COMPUTE, site
from tests.testbed.openstack.operator import Operator

pytestmark = pytest.mark.timeout(300)

ON_FRONT = Requirement(name="link", node="front")
OF_DB = Requirement(name="binding", node="db")


@pytest.fixture
def owner(admin: Operator) -> Iterator[Operator]:
    """Somebody who may do everything, QoS policies and states of servers included."""
    admin.sweep()
    yield admin
    admin.sweep()


@pytest.fixture
def bench(workbench: Workbench, owner: Operator) -> Bench:
    return workbench(site("admin", flavors="choose"))


def shop() -> Service:
    """Give a database and a cache with everything that can drift."""
    host: dict[str, Value] = {"num_cpus": 1, "mem_size": "64 MB", "disk_size": "1 GB"}
    port = ("tosca.nodes.network.Port", ROOT)
    nodes = [
        Node(name="front", types=("tosca.nodes.network.Network", ROOT), properties={"cidr": "10.9.0.0/24"}),
        Node(
            name="eth0",
            types=port,
            properties={"order": 0, "ip_address": "10.9.0.9"},
            requirements=(ON_FRONT, OF_DB),
        ),
        Node(name="eth1", types=port, properties={"order": 1}, requirements=(ON_FRONT, OF_DB)),
        Node(
            name="db",
            types=COMPUTE,
            capabilities={
                "host": host,
                "os": {"distribution": "debian", "version": "12"},
                "endpoint": {"port": 5432, "protocol": "tcp", "network_name": "PUBLIC"},
            },
            metadata={"team": "video", "tags": "blue"},
        ),
        replace(
            function("cache", image_url="file:tiny.raw"),
            capabilities={"host": host},
            requirements=(ON_FRONT,),
        ),
    ]
    quality = Policy(
        name="quality", types=("eu.ict-flame.policies.Qos",), targets=("db",), properties={"traffic_class": "GOLD"}
    )
    return Service(
        name="shop",
        nodes={node.name: node for node in nodes},
        policies={"quality": quality},
        states={"cache": {"dc-1": LifecycleState.CONNECTED}},
    )


def there(bench: Bench) -> dict[str, Present]:
    """Give what is there, by the end of its address."""
    present = bench.look(shop()).seen.snapshots["city"].present
    return {one.address.split("/", 2)[2].replace(":openstack.", " "): one for one in present}


def ids(bench: Bench) -> dict[str, str]:
    """Give the ids of what is there, by the end of its address."""
    return {end: one.provider_id for end, one in there(bench).items()}


def status(owner: Operator, server: str) -> str:
    return str(owner.get("compute", f"/servers/{server}")["server"]["status"])


def test_what_is_known_after_creation_is_filled_in(bench: Bench) -> None:
    assert failures(bench.turn(shop())) == {}
    found = there(bench)
    server, public = found["db@dc-1.0 server"].attributes, found["db@dc-1.0 floating_ip"].attributes

    assert server["private_address"] == "10.9.0.9"
    assert server["public_address"] == public["floating_ip_address"]
    assert server["networks"]["shop-front"]["addresses"][0] == "10.9.0.9"  # type: ignore[index,call-overload]
    assert [one["port_id"] for one in server["ports"].values()] == [  # type: ignore[union-attr,index,call-overload]
        found["eth0@dc-1.0 port"].provider_id,
        found["eth1@dc-1.0 port"].provider_id,
    ]


def test_what_was_changed_is_changed_back(bench: Bench, owner: Operator) -> None:
    assert failures(bench.turn(shop())) == {}
    found = ids(bench)
    server, cache, quality = found["db@dc-1.0 server"], found["cache@dc-1.0 server"], found["db qos_policy"]
    port = found["eth1@dc-1.0 port"]
    limits = owner.get("network", f"/qos/policies/{quality}")["policy"]["rules"]
    owner.openstack(
        f"security group rule create --ingress --protocol tcp --dst-port 22 {found['db security_group']}",
        f"router set --name mine {found['shop router/own']}",
        f"floating ip unset --port {found['db@dc-1.0 floating_ip']}",
        f"network set --name mine {found['front network']}",
        f"subnet set --name mine {found['front subnet']}",
        f"network qos rule delete {quality} {limits[0]['id']}",
        f"image set --name mine {found['cache image']}",
        f"server resize --flavor m1.small {cache}",
        f"server set --name mine --property team=nobody {server}",
        f"server unset --tag blue {server}",
        f"server remove port {server} {port}",
    )
    owner.wait(lambda: not owner.get("network", f"/ports/{port}")["port"]["device_id"], "the port is off")
    owner.openstack(f"port set --no-security-group {port}", f"port unset --qos-policy {port}", f"server stop {server}")
    owner.wait(lambda: status(owner, server) == "SHUTOFF", "it is off")
    owner.wait(lambda: status(owner, cache) == "VERIFY_RESIZE", "it has another size")
    plan = bench.plan(shop())

    assert {where: set(names) for where, names in changes(plan).items()} == {
        "cache:openstack.image": {"name"},
        "cache@dc-1.0:openstack.server": {"disk_gib", "ram_mib", "vcpus"},
        "db:openstack.qos_policy": {"rules"},
        "db:openstack.security_group": {"rules"},
        "db@dc-1.0:openstack.floating_ip": {"port"},
        "db@dc-1.0:openstack.server": {"metadata", "name", "ports", "running", "tags"},
        "eth1@dc-1.0:openstack.port": {"qos_policy", "security_groups"},
        "front:openstack.network": {"name"},
        "front:openstack.subnet": {"name"},
        "shop:openstack.router/own": {"name"},
    }
    assert len(plan.drift) == len(changes(plan))
    assert set(steps(plan).values()) == {"update"}
    assert failures(bench.turn(shop())) == {}
    assert bench.plan(shop()).operations == ()
    assert {status(owner, one) for one in (server, cache)} == {"ACTIVE"}
    assert ids(bench) == found


def test_what_was_removed_moved_or_broken_is_made_good(bench: Bench, owner: Operator) -> None:
    assert failures(bench.turn(shop())) == {}
    found = ids(bench)
    server, subnet = found["db@dc-1.0 server"], found["front subnet"]
    owner.openstack(
        f"server delete --wait {found['cache@dc-1.0 server']}",
        f"image delete {found['cache image']}",
        f'keypair delete "{found["shop keypair/own"]}"',
        f"floating ip unset --port {found['db@dc-1.0 floating_ip']}",
        f"port set --no-fixed-ip --fixed-ip subnet={subnet},ip-address=10.9.0.50 {found['eth0@dc-1.0 port']}",
        f"server set --auto-approve --state error {server}",
    )
    plan = bench.plan(shop())

    assert steps(plan) == {
        "cache:openstack.image": "create",
        "cache@dc-1.0:openstack.server": "create",
        "db@dc-1.0:openstack.floating_ip": "update",
        "db@dc-1.0:openstack.server": "update",
        "eth0@dc-1.0:openstack.port": "replace",
        "shop:openstack.keypair/own": "create",
    }
    assert changes(plan)["db@dc-1.0:openstack.server"]["running"] == (False, True)
    assert failures(bench.turn(shop())) == {}
    assert bench.plan(shop()).operations == ()
    assert status(owner, server) == "ACTIVE"
    assert there(bench)["db@dc-1.0 server"].attributes["private_address"] == "10.9.0.9"
    assert failures(bench.turn()) == {}
    assert owner.left() == []

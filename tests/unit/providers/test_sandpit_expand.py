"""Endpoints become stacks of resources, by lifecycle state and type."""

from __future__ import annotations

import pytest

from providers.base import PermanentError
from providers.sandpit.expand import expand
from specs.model import Deployment, LifecycleState, Node, Operation, Requirement, Resource, Service
from specs.values import Reference, digest
from tests.support.chains import ROOT, SHOP, TOUR, Where, deployed, function, shop, tour

State = LifecycleState


def stack(deployment: Deployment) -> dict[str, Resource]:
    """Give resources by address without the site."""
    return {resource.address.partition("/")[2]: resource for resource in expand(deployment, "city")}


def one(node: Node, state: State = State.CONNECTED, *others: Node) -> dict[str, Resource]:
    """Expand one node on `dc-1`, others beside it."""
    nodes = {item.name: item for item in (node, *others)}
    where: Where = {name: [("dc-1", 0, state if name == node.name else State.CONNECTED)] for name in nodes}
    return stack(deployed(Service(name="tour", nodes=nodes), where))


def test_a_placed_machine_is_an_image_and_a_network() -> None:
    assert list(one(function("coder"), State.PLACED)) == [
        "tour/coder@dc-1:sandpit.image",
        "tour/tour@dc-1:sandpit.network",
    ]


@pytest.mark.parametrize("state", [State.BOOTED, State.CONNECTED])
@pytest.mark.parametrize("hypervisor", ["kvm", "lxd"])
def test_a_booted_machine_has_a_port_and_a_server(hypervisor: str, state: State) -> None:
    found = one(function("coder", hypervisor=hypervisor), state)
    server, port = found["tour/coder@dc-1.0:sandpit.server"], found["tour/coder@dc-1.0:sandpit.port"]

    assert port.properties["network"] == Reference("bristol/tour/tour@dc-1:sandpit.network", "id")
    assert port.requires == ("bristol/tour/tour@dc-1:sandpit.network",)
    assert list(found) == [
        "tour/coder@dc-1.0:sandpit.port",
        "tour/coder@dc-1.0:sandpit.server",
        "tour/coder@dc-1:sandpit.image",
        "tour/tour@dc-1:sandpit.network",
    ]
    assert server.stands
    assert server.properties == {
        "name": "tour/coder@dc-1.0",
        "cluster": "dc-1",
        "vcpus": 1,
        "memory_mb": 1000,
        "disk_gb": 4,
        "hypervisor": hypervisor,
        "image": Reference("bristol/tour/coder@dc-1:sandpit.image", "id"),
        "ports": [Reference("bristol/tour/coder@dc-1.0:sandpit.port", "id")],
    }
    assert server.requires == ("bristol/tour/coder@dc-1.0:sandpit.port", "bristol/tour/coder@dc-1:sandpit.image")


@pytest.mark.parametrize(("state", "replicas"), [(State.PLACED, 0), (State.BOOTED, 1), (State.CONNECTED, 1)])
def test_a_container_has_replicas_once_it_is_booted(state: State, replicas: int) -> None:
    found = one(function("coder", hypervisor="docker"), state)

    assert list(found) == ["tour/coder@dc-1.0:sandpit.workload", "tour/tour@dc-1:sandpit.network"]
    assert found["tour/coder@dc-1.0:sandpit.workload"].properties["replicas"] == replicas
    assert found["tour/coder@dc-1.0:sandpit.workload"].stands


def test_endpoints_on_one_cluster_share_image_and_network() -> None:
    where: Where = {"storage": [("dc-1", index, State.BOOTED) for index in range(3)]}
    found = stack(deployed(tour(), where))

    assert sum(":sandpit.image" in address for address in found) == 1
    assert sum(":sandpit.network" in address for address in found) == 1
    assert sum(":sandpit.server" in address for address in found) == 3


def test_the_network_of_a_service_is_not_a_network_node_of_the_same_name() -> None:
    lan = Node(name="tour", types=("tosca.nodes.network.Network", ROOT))
    balancer = Node(name="lb", types=("tosca.nodes.LoadBalancer", ROOT))
    everywhere: Where = {name: [("", -1, State.CONNECTED)] for name in ("lb", "tour")}
    found = stack(deployed(Service(name="tour", nodes={"lb": balancer, "tour": lan}), everywhere))

    assert list(found) == ["tour/lb:sandpit.workload", "tour/tour:sandpit.network", "tour/tour:sandpit.network/own"]


def test_only_what_the_spec_says_is_a_property() -> None:
    bare = Node(name="bare", types=("tosca.nodes.Compute", ROOT))
    server = one(bare)["tour/bare@dc-1.0:sandpit.server"]

    assert set(server.properties) == {"name", "cluster", "ports"}


def test_a_function_requires_those_it_depends_on() -> None:
    found = stack(deployed(tour(), TOUR))

    assert "bristol/tour/coder@edge-1.0" in found["tour/web@edge-1.0:sandpit.workload"].requires
    assert "bristol/tour/coder" in found["tour/web@edge-1.1:sandpit.workload"].requires
    assert "bristol/tour/storage" in found["tour/coder@edge-1.0:sandpit.server"].requires


def test_a_requirement_on_what_is_not_deployed_is_left_out() -> None:
    where = {name: places for name, places in TOUR.items() if name != "storage"}
    server = stack(deployed(tour(), where))["tour/coder@edge-1.0:sandpit.server"]

    assert all("storage" not in needed for needed in server.requires)


def test_endpoints_of_other_bindings_are_left_to_them() -> None:
    assert expand(deployed(tour(), TOUR, binding="elsewhere"), "city") == ()


def test_a_written_port_hangs_its_machine_on_its_network() -> None:
    found = stack(deployed(shop(), SHOP))
    server, port = found["shop/db@dc-1.0:sandpit.server"], found["shop/eth0@dc-1.0:sandpit.port"]

    assert server.properties["ports"] == [Reference("bristol/shop/eth0@dc-1.0", "id")]
    assert "bristol/shop/eth0@dc-1.0" in server.requires
    assert port.properties["network"] == Reference("bristol/shop/front", "id")
    assert port.properties["ip_address"] == "10.9.0.9"
    assert port.requires == ("bristol/shop/front",)
    assert "shop/db@dc-1.0:sandpit.port" not in found


def test_ports_come_in_the_order_of_the_spec() -> None:
    def port(name: str, order: int) -> Node:
        needs = (Requirement(name="link", node="lan"), Requirement(name="binding", node="vm"))
        return Node(
            name=name, types=("tosca.nodes.network.Port", ROOT), properties={"order": order}, requirements=needs
        )

    lan = Node(name="lan", types=("tosca.nodes.network.Network", ROOT))
    machine = Node(name="vm", types=("tosca.nodes.Compute", ROOT))
    found = one(machine, State.CONNECTED, lan, port("a", 10), port("b", 9))

    assert found["tour/vm@dc-1.0:sandpit.server"].properties["ports"] == [
        Reference("bristol/tour/b@dc-1.0", "id"),
        Reference("bristol/tour/a@dc-1.0", "id"),
    ]


def test_a_volume_is_attached_where_the_spec_says() -> None:
    found = stack(deployed(shop(), SHOP))

    assert found["shop/data@dc-1.0:sandpit.volume"].properties["size_gb"] == 20
    assert found["shop/db@dc-1.0:sandpit.server"].properties["volumes"] == [
        {"volume": Reference("bristol/shop/data@dc-1.0", "id"), "location": "/var/lib/db"}
    ]


def test_the_os_capability_becomes_an_image() -> None:
    image = stack(deployed(shop(), SHOP))["shop/db@dc-1:sandpit.image"]

    assert image.properties == {"name": "shop/db@dc-1", "cluster": "dc-1", "distribution": "debian", "version": "12"}


def test_a_network_keeps_what_the_spec_says_of_it() -> None:
    node = Node(
        name="lan",
        types=("tosca.nodes.network.Network", ROOT),
        properties={"network_name": "blue", "cidr": "10.1.0.0/24", "unknown": 1},
    )

    assert one(node)["tour/lan@dc-1.0:sandpit.network"].properties == {
        "name": "blue",
        "cluster": "dc-1",
        "cidr": "10.1.0.0/24",
        "configuration": {"unknown": 1},
    }


def test_what_a_function_says_of_its_image_is_kept() -> None:
    node = function("coder", image={"checksum": "sha256:1", "name": "coder 2"})

    assert one(node)["tour/coder@dc-1:sandpit.image"].properties == {
        "name": "coder 2",
        "cluster": "dc-1",
        "url": "https://repo.example.org/coder.tar.gz",
        "checksum": "sha256:1",
    }


@pytest.mark.parametrize(("hypervisor", "kind"), [("lxd", "server"), ("docker", "workload")])
def test_environment_and_open_ports_reach_what_runs(hypervisor: str, kind: str) -> None:
    node = function("coder", hypervisor=hypervisor, env={"A": "1"}, ports=[80])
    properties = one(node)[f"tour/coder@dc-1.0:sandpit.{kind}"].properties

    assert (properties["env"], properties["open_ports"]) == ({"A": "1"}, [80])
    assert "configuration" not in properties


def test_what_no_kind_has_a_word_for_is_kept() -> None:
    script = Operation(name="Standard.configure", implementation="set.sh", content="echo")
    node = Node(
        name="vm",
        types=("acme.Server", "tosca.nodes.Compute", ROOT),
        properties={"rack": 7},
        operations={"Standard.configure": script},
    )
    properties = one(node)["tour/vm@dc-1.0:sandpit.server"].properties

    assert properties["configuration"] == {"rack": 7}
    assert properties["operations"] == {"Standard.configure": {"implementation": "set.sh", "digest": digest("echo")}}


def test_connection_points_of_nfv_are_ports() -> None:
    link = Node(name="vl", types=("tosca.nodes.nfv.VL", "tosca.nodes.network.Network", ROOT))
    needs = (Requirement(name="virtualLink", node="vl"), Requirement(name="virtualBinding", node="vdu"))
    point = Node(name="cp", types=("tosca.nodes.nfv.CP", "tosca.nodes.network.Port", ROOT), requirements=needs)
    found = one(Node(name="vdu", types=("tosca.nodes.nfv.VDU", "tosca.nodes.Compute", ROOT)), State.BOOTED, link, point)

    assert found["tour/vdu@dc-1.0:sandpit.server"].properties["ports"] == [Reference("bristol/tour/cp@dc-1.0", "id")]
    assert found["tour/cp@dc-1.0:sandpit.port"].requires == ("bristol/tour/vl@dc-1.0",)


def test_a_store_of_objects_is_a_volume() -> None:
    node = Node(
        name="bucket", types=("tosca.nodes.ObjectStorage", ROOT), properties={"name": "films", "maxsize": "2 TB"}
    )

    assert one(node)["tour/bucket@dc-1.0:sandpit.volume"].properties == {
        "name": "films",
        "cluster": "dc-1",
        "size_gb": 2000,
    }


def test_software_stands_on_its_host() -> None:
    software = stack(deployed(shop(), SHOP))["shop/dbms@dc-1.0:sandpit.software"]

    assert software.properties["host"] == Reference("bristol/shop/db@dc-1.0", "id")
    assert software.properties["version"] == "15.2"
    assert software.requires == ("bristol/shop/db@dc-1.0",)


def test_scripts_appear_by_digest_only() -> None:
    software = stack(deployed(shop(), SHOP))["shop/dbms@dc-1.0:sandpit.software"]
    operations = software.properties["operations"]

    assert isinstance(operations, dict)
    assert operations["Standard.create"].keys() == {"implementation", "digest", "inputs"}
    assert "apt-get" not in repr(operations)


def test_a_load_balancer_spreads_over_every_endpoint_that_runs() -> None:
    balancer = Node(
        name="lb", types=("tosca.nodes.LoadBalancer", ROOT), requirements=(Requirement(name="application", node="web"),)
    )
    nodes = {"lb": balancer, "web": function("web")}
    places = [("dc-1", 0, State.CONNECTED), ("edge-1", 0, State.BOOTED), ("edge-2", 0, State.PLACED)]
    found = stack(deployed(Service(name="tour", nodes=nodes), {"lb": [("dc-1", 0, State.CONNECTED)], "web": places}))

    assert found["tour/lb@dc-1.0:sandpit.workload"].properties["members"] == [
        Reference("bristol/tour/web@dc-1.0", "private_address"),
        Reference("bristol/tour/web@edge-1.0", "private_address"),
    ]


def test_protection_is_on_what_stands_for_the_node() -> None:
    found = stack(deployed(shop(), SHOP))

    assert [address for address, resource in found.items() if resource.protect] == ["shop/db@dc-1.0:sandpit.server"]


def test_derived_types_are_made_like_what_they_derive_from() -> None:
    derived = Node(name="own", types=("acme.Server", "tosca.nodes.Compute", ROOT))

    assert "tour/own@dc-1.0:sandpit.server" in one(derived)


def test_a_type_the_sandpit_cannot_make_is_an_error() -> None:
    strange = Node(name="odd", types=("acme.Teapot", ROOT))

    with pytest.raises(PermanentError, match=r"bristol/tour/odd@dc-1\.0: the sandpit cannot make a acme\.Teapot"):
        one(strange)


@pytest.mark.parametrize(("size", "expected"), [("512 MB", 512), ("1 GB", 1000), ("1 GiB", 1073.741824), ("0 B", 0)])
def test_sizes_are_counted_in_megabytes(size: str, expected: float) -> None:
    node = Node(name="vm", types=("tosca.nodes.Compute", ROOT), capabilities={"host": {"mem_size": size}})

    assert one(node)["tour/vm@dc-1.0:sandpit.server"].properties["memory_mb"] == expected


def test_expanding_is_pure() -> None:
    deployment = deployed(tour(), TOUR)
    before = repr(deployment)
    expand(deployment, "city")

    assert repr(deployment) == before

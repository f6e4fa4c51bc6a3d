"""What a service becomes on OpenStack."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from providers.base import PermanentError
from providers.openstack.expand import expand
from providers.openstack.settings import Settings, Zone
from specs.model import (
    Artifact,
    Deployment,
    LifecycleState,
    Node,
    Operation,
    Policy,
    Requirement,
    Resource,
    Service,
    parse_address,
)
from specs.values import Properties, Reference, Value
from tests.support.chains import ROOT, TOUR, Where, deployed, function, tour

State = LifecycleState
COMPUTE = ("tosca.nodes.Compute", ROOT)
OS: Properties = {"distribution": "debian"}
ZONES = {"dc-1": Zone(availability_zone="core"), "edge-1": Zone(availability_zone="street")}


def without_containers(service: Service) -> Service:
    return replace(service, nodes={name: node for name, node in service.nodes.items() if name != "web"})


def resources(deployment: Deployment, **settings: object) -> dict[str, Resource]:
    found = expand(deployment, "city", Settings(zones=ZONES, **settings))  # type: ignore[arg-type]  # each test gives its own
    return {resource.address.split("/", 2)[2]: resource for resource in found}


def lone(
    *nodes: Node, policies: tuple[Policy, ...] = (), state: State = State.CONNECTED, **settings: object
) -> dict[str, Resource]:
    """Expand nodes that all stand on dc-1, networks aside."""
    service = Service(
        name="shop",
        nodes={node.name: node for node in nodes},
        policies={policy.name: policy for policy in policies},
    )
    spread = ("Network", "FP")
    where: Where = {
        node.name: [("", -1, state)] if node.types[0].endswith(spread) else [("dc-1", 0, state)] for node in nodes
    }
    return resources(deployed(service, where), **settings)


def compute(name: str = "db", *needs: Requirement, **capabilities: Properties) -> Node:
    return Node(name=name, types=COMPUTE, capabilities={"os": OS, **capabilities}, requirements=needs)


def network(name: str = "front", **said: Value) -> Node:
    return Node(name=name, types=("tosca.nodes.network.Network", ROOT), properties=said)


def port(name: str, machine: str, on: str = "front", **said: Value) -> Node:
    needs = (Requirement(name="link", node=on), Requirement(name="binding", node=machine))
    return Node(name=name, types=("tosca.nodes.network.Port", ROOT), properties=said, requirements=needs)


def kinds(found: dict[str, Resource]) -> list[str]:
    return sorted({parse_address(resource.address).kind for resource in found.values()})


def test_a_placed_endpoint_has_its_image_and_network_but_no_server() -> None:
    where = {"storage": [("edge-1", 0, State.PLACED)]}
    service = replace(tour(), nodes={"storage": tour().nodes["storage"]})
    found = resources(deployed(service, where))

    assert kinds(found) == ["image", "network", "security_group", "subnet"]


def test_a_booted_endpoint_has_port_and_server() -> None:
    found = resources(deployed(without_containers(tour()), {k: v for k, v in TOUR.items() if k != "web"}))
    server = found["coder@edge-1.0:openstack.server"]

    assert server.stands
    assert server.properties["availability_zone"] == "street"
    assert server.properties["image"] == Reference("bristol/tour/coder:openstack.image", "id")
    assert "bristol/tour/storage" in server.requires
    assert "coder@edge-2.0:openstack.server" not in found


def test_containers_are_refused() -> None:
    with pytest.raises(PermanentError, match="hypervisor docker"):
        lone(function("web", hypervisor="docker"))


def test_a_network_becomes_a_range_and_a_router() -> None:
    found = lone(
        network(cidr="10.9.0.7/24", gateway_ip="10.9.0.1"), port("eth0", "db"), compute(), external_network="public"
    )

    assert found["front:openstack.subnet"].properties["cidr"] == "10.9.0.0/24"
    router = found["shop:openstack.router/own"]
    assert router.properties["interfaces"] == {
        "bristol/shop/front:openstack.subnet": Reference("bristol/shop/front:openstack.subnet", "id")
    }
    assert "shop:openstack.network/own" not in found


def test_a_network_that_is_there_is_named_and_not_made() -> None:
    found = lone(network(network_name="campus"), port("eth0", "db"), compute())

    assert "front:openstack.network" not in found
    assert found["eth0@dc-1.0:openstack.port"].properties["network_name"] == "campus"


def test_ports_come_in_their_order() -> None:
    found = lone(network(cidr="10.9.0.0/24"), port("b", "db", order=0), port("a", "db", order=1), compute())

    assert found["db@dc-1.0:openstack.server"].properties["ports"] == [
        Reference("bristol/shop/b@dc-1.0", "id"),
        Reference("bristol/shop/a@dc-1.0", "id"),
    ]


def test_a_port_lets_through_the_addresses_it_is_told() -> None:
    router = port("r", "db", allowed_address_pairs=["10.8.7.6/16", "10.9.0.100"])
    found = lone(network(cidr="10.9.0.0/24"), router, compute())["r@dc-1.0:openstack.port"]

    assert found.properties["allowed_address_pairs"] == [{"ip_address": "10.8.0.0/16"}, {"ip_address": "10.9.0.100"}]


def test_a_cluster_says_where_its_servers_go_and_a_site_what_they_boot_from() -> None:
    zone = Zone(availability_zone="core", scheduler_hints={"query": "[]"}, flavor_extra_specs={"rack": "1"})
    found = expand(
        deployed(Service(name="shop", nodes={"db": compute()}), {"db": [("dc-1", 0, State.CONNECTED)]}),
        "city",
        Settings(zones={"dc-1": zone}, boot_volume_gb=20),
    )
    server = next(one for one in found if one.kind == "server").properties

    assert server["availability_zone"] == "core"
    assert server["scheduler_hints"] == {"query": "[]"}
    assert server["boot_volume_gb"] == 20
    assert server["extra_specs"] == {"rack": "1"}


def test_what_listens_is_let_in() -> None:
    web = Node(
        name="nginx",
        types=("tosca.nodes.WebServer", "tosca.nodes.SoftwareComponent", ROOT),
        capabilities={"data_endpoint": {"port": 443, "protocol": "https"}, "other": {"port": 53, "protocol": "udp"}},
        requirements=(Requirement(name="host", node="db"),),
    )
    rules = lone(compute(), web)["db:openstack.security_group"].properties["rules"]

    assert rules == [
        {"direction": "egress", "ethertype": "IPv4"},
        {"direction": "egress", "ethertype": "IPv6"},
        {"direction": "ingress", "ethertype": "IPv4", "ports": [443, 443], "protocol": "tcp"},
        {"direction": "ingress", "ethertype": "IPv4", "ports": [53, 53], "protocol": "udp"},
        {"direction": "ingress", "ethertype": "IPv4", "remote": "10.240.0.0/16"},
    ]


def script(name: str, host: str, *needs: str, **inputs: Value) -> Node:
    wants = (Requirement(name="host", node=host), *(Requirement(name="dependency", node=need) for need in needs))
    operation = Operation(name="Standard.create", implementation=f"{name}.sh", content=f"echo {name}", inputs=inputs)
    return Node(
        name=name,
        types=("tosca.nodes.SoftwareComponent", ROOT),
        requirements=wants,
        operations={"Standard.create": operation},
    )


def test_software_is_installed_hosts_first() -> None:
    nodes = (compute(), script("a-app", "z-server"), script("z-server", "db"), script("b-app", "z-server", "a-app"))
    steps = lone(*nodes)["db@dc-1.0:openstack.server"].properties["software"]

    assert isinstance(steps, list)
    assert [step["name"] for step in steps] == ["z-server.create", "a-app.create", "b-app.create"]


def test_references_to_software_mean_its_machine_and_to_oneself_the_port() -> None:
    other = Reference("bristol/shop/dbms", "private_address")
    own = Reference("bristol/shop/app", "private_address")
    nodes = (compute(), compute("web"), script("dbms", "db"), script("app", "web", "dbms", other=other, own=own))
    server = lone(*nodes)["web@dc-1.0:openstack.server"]

    assert server.properties["software"][0]["inputs"] == {  # type: ignore[index,call-overload]  # steps are mappings
        "other": Reference("bristol/shop/db", "private_address"),
        "own": Reference("bristol/shop/web@dc-1.0:openstack.port", "private_address"),
    }
    assert "bristol/shop/db" in server.requires


def test_machines_that_depend_on_one_another_both_come_up() -> None:
    nodes = (compute("a"), compute("b"), script("x", "a", "y"), script("y", "b", "x"))
    found = lone(*nodes)
    needs = {name: found[f"{name}@dc-1.0:openstack.server"].requires for name in ("a", "b")}

    assert ("bristol/shop/b" in needs["a"]) != ("bristol/shop/a" in needs["b"])


def test_a_public_endpoint_gets_an_address_before_its_server() -> None:
    node = compute("db", endpoint={"port": 80, "network_name": "PUBLIC"})
    found = lone(node, external_network="public")
    server = found["db@dc-1.0:openstack.server"]

    assert found["db@dc-1.0:openstack.floating_ip"].properties["network_name"] == "public"
    assert found["db@dc-1.0:openstack.floating_ip"].address in server.requires
    with pytest.raises(PermanentError, match="external_network"):
        lone(node)


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        ({}, "affinity"),
        ({"anti_affinity": True}, "anti-affinity"),
        ({"spread": True}, "soft-anti-affinity"),
        ({"clusters": ["dc-1"]}, None),
        ({"affinity": "soft-affinity"}, "soft-affinity"),
    ],
)
def test_placement_policies_become_server_groups(said: Properties, rule: str | None) -> None:
    policy = Policy(name="where", types=("tosca.policies.Placement",), targets=("db",), properties=said)
    found = lone(compute(), policies=(policy,))
    group = found.get("shop@dc-1:openstack.server_group/where")

    assert (group and group.properties["policy"]) == rule


@pytest.mark.parametrize(
    ("said", "kbps"),
    [({"traffic_class": "silver"}, 50000), ({"traffic_class": "GOLD", "max_bandwidth_mbps": 7}, 7000), ({}, None)],
)
def test_quality_limits_ports(said: Properties, kbps: int | None) -> None:
    policy = Policy(name="q", types=("eu.ict-flame.policies.Qos",), targets=("db",), properties=said)
    found = lone(compute(), policies=(policy,))
    quality = found.get("db:openstack.qos_policy")
    rules = quality.properties["rules"] if quality else []

    assert isinstance(rules, list)
    assert [rule["max_kbps"] for rule in rules] == ([] if kbps is None else [kbps, kbps])
    assert ("qos_policy" in found["db@dc-1.0:openstack.port"].properties) == bool(rules)


def test_sizes_are_chosen_or_made() -> None:
    node = compute("db", host={"num_cpus": 2, "mem_size": "2 GB", "disk_size": "10 GB"})
    chosen = lone(node)["db@dc-1.0:openstack.server"].properties
    made = lone(node, flavors="create")

    assert {name: chosen[name] for name in ("vcpus", "ram_mib", "disk_gib")} == {
        "vcpus": 2,
        "ram_mib": 1908,
        "disk_gib": 10,
    }
    assert made["db:openstack.flavor"].properties["name"] == "shop-db-2c-1908m-10g"
    assert made["db@dc-1.0:openstack.server"].properties["flavor"] == Reference(
        "bristol/shop/db:openstack.flavor", "name"
    )


def test_a_forwarding_path_becomes_a_chain() -> None:
    path = Node(
        name="path",
        types=("tosca.nodes.nfv.FP", ROOT),
        properties={"policy": "protocol=tcp, ports=80:90"},
        requirements=(Requirement(name="forwarder", node="eth0"), Requirement(name="forwarder", node="web")),
    )
    found = lone(network(cidr="10.9.0.0/24"), port("eth0", "db"), compute(), compute("web"), path)

    assert found["path:openstack.port_chain"].properties["groups"] == [
        Reference("bristol/shop/path:openstack.port_pair_group/0", "id"),
        Reference("bristol/shop/path:openstack.port_pair_group/1", "id"),
    ]
    assert found["path:openstack.flow_classifier"].properties["ports"] == "80:90"
    assert "bristol/shop/db@dc-1.0" in found["path:openstack.port_pair/0-shop-eth0-dc-1-0"].requires
    assert found["path:openstack.port_pair/1-shop-web-dc-1-0"].properties["ingress"] == Reference(
        "bristol/shop/web@dc-1.0:openstack.port", "id"
    )


def test_a_heat_template_is_a_stack() -> None:
    hot = Artifact(name="heat", type="tosca.artifacts.File", file="a.hot", content="heat_template_version: 2018-08-31")
    node = Node(name="legacy", types=("example.Legacy", ROOT), properties={"size": 3}, artifacts={"heat": hot})
    stack = lone(node)["legacy@dc-1.0:openstack.stack"]

    assert stack.properties["parameters"] == {"size": 3}
    with pytest.raises(PermanentError, match="not in the repository"):
        lone(replace(node, artifacts={"heat": replace(hot, content="")}))


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (Node(name="x", types=("tosca.nodes.LoadBalancer", ROOT)), "cannot make a tosca.nodes.LoadBalancer"),
        (Node(name="x", types=("tosca.nodes.SoftwareComponent", ROOT)), "needs a host"),
        (Node(name="x", types=COMPUTE), "has no image"),
        (function("x", image_url="ftp://example.org/a.img"), "write a URL of http"),
        (network("x", cidr="10.9.0.0/99"), "cidr"),
        (network("x", ip_version=6), "needs a cidr"),
        (port("x", "db", allowed_address_pairs=["there"]), "write addresses or ranges"),
    ],
)
def test_what_cannot_be_is_refused(node: Node, words: str) -> None:
    with pytest.raises(PermanentError, match=words):
        lone(node)

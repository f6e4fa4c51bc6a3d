from __future__ import annotations

import pytest

from policies.placement import capacity_findings, place
from specs.model import (
    Capacity,
    Cluster,
    Deployment,
    LifecycleState,
    Node,
    Policy,
    Requirement,
    Service,
    Site,
    SiteSelector,
    Tier,
)
from tests.support.spec_files import service, service_document

FUNCTION = "{type: eu.ict-flame.nodes.ServiceFunction, properties: {image_url: x}, capabilities: {CAPS}}"
STATE = "eu.ict-flame.sfe.state.lifecycle."


def cluster(name: str, tier: Tier = Tier.EDGE, *, binding: str = "pit", location: str = "", rack: str = "") -> Cluster:
    """Make a cluster of 4 CPUs."""
    return Cluster(
        name=name,
        tier=tier,
        location=location,
        capacity=Capacity(vcpus=4, memory_mb=8000, disk_gb=100),
        binding=binding,
        properties={"labels": {"rack": rack}} if rack else {},
    )


CLUSTERS = (
    cluster("dc-1", Tier.DATA_CENTRE, location="cellar", rack="one"),
    cluster("dc-2", Tier.DATA_CENTRE, binding="other", rack="two"),
    cluster("edge-1", location="square", rack="one"),
    cluster("edge-2", binding="other", location="square"),
)
SITE = Site(name="lab", clusters={one.name: one for one in CLUSTERS})


def placed(nodes: str, rest: str = "", site: Site = SITE) -> Deployment:
    """Put a service of these nodes on the site."""
    return place(site, service(service_document(nodes, rest)))


def subjects(deployment: Deployment) -> list[str]:
    """Give the endpoints without site and service."""
    return [endpoint.subject.removeprefix("lab/shop/") for endpoint in deployment.endpoints]


def policy(properties: str, targets: str = "box") -> str:
    """Write a placement policy."""
    return (
        f"policies: [p: {{type: eu.ict-flame.policies.Placement, targets: [{targets}], properties: {{{properties}}}}}]"
    )


def chain(states: str, instances: str = "") -> str:
    """Write a service function with its initial states."""
    capabilities = f"scalable: {{properties: {{{instances}}}}}" if instances else ""
    nodes = f"f: {FUNCTION.replace('CAPS', capabilities)}"
    begin = f"{{condition: {{constraint: initialise}}, action: {{f: {{lifecycle_actions: {{{states}}}}}}}}}"
    policies = f"policies: [p: {{type: eu.ict-flame.policies.InitialPolicy, triggers: {{begin: {begin}}}}}]"
    return service_document(nodes, policies)


def test_functions_go_where_the_initial_policy_says() -> None:
    text = chain(f"dc-1: {STATE}connected, edge-1: {STATE}placed", "max_instances: 3, default_instances: 2")

    found = place(SITE, service(text))

    assert subjects(found) == ["f@dc-1.0", "f@dc-1.1", "f@edge-1.0", "f@edge-1.1"]
    assert [one.state for one in found.endpoints] == [LifecycleState.CONNECTED] * 2 + [LifecycleState.PLACED] * 2
    assert {one.binding for one in found.endpoints} == {"pit"}


def test_unplaced_functions_have_no_endpoint() -> None:
    assert subjects(place(SITE, service(chain(f"dc-1: {STATE}unplaced")))) == []


def test_a_cluster_the_site_lacks_is_passed_over() -> None:
    small = Site(name="lab", clusters={"edge-1": CLUSTERS[2]})
    found = place(small, service(chain(f"dc-1: {STATE}booted, edge-1: {STATE}booted")))

    assert subjects(found) == ["f@edge-1.0"]


def test_a_server_goes_to_the_first_data_centre() -> None:
    assert subjects(placed("box: {type: Compute}")) == ["box@dc-1.0"]


def test_a_server_goes_to_the_first_cluster_where_there_is_no_data_centre() -> None:
    edges = Site(name="lab", clusters={one.name: one for one in reversed(CLUSTERS[2:])})

    assert subjects(placed("box: {type: Compute}", site=edges)) == ["box@edge-1.0"]


def test_metadata_name_the_cluster_of_a_server() -> None:
    assert subjects(placed("box: {type: Compute, metadata: {cluster: edge-2}}")) == ["box@edge-2.0"]
    assert subjects(placed("box: {type: Compute, metadata: {cluster: [dc-1, edge-1]}}")) == [
        "box@dc-1.0",
        "box@edge-1.0",
    ]


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ("clusters: [edge-2]", ["box@edge-2.0"]),
        ("clusters: [edge-2, dc-1, none]", ["box@dc-1.0", "box@edge-2.0"]),
        ("tier: edge", ["box@edge-1.0", "box@edge-2.0"]),
        ("location: cellar", ["box@dc-1.0"]),
        ("labels: {rack: one}", ["box@dc-1.0", "box@edge-1.0"]),
        ("tier: edge, labels: {rack: one}", ["box@edge-1.0"]),
        ("location: moon", []),
        ("", ["box@dc-1.0"]),
    ],
)
def test_a_policy_says_where_its_targets_go(properties: str, expected: list[str]) -> None:
    assert subjects(placed("box: {type: Compute}", policy(properties))) == expected


def test_a_policy_over_a_group_means_its_members() -> None:
    groups = "groups: {pair: {type: tosca.groups.Root, members: [a, b]}}\n"
    found = placed("a: {type: Compute}\nb: {type: Compute}", groups + policy("clusters: [edge-1]", "pair"))

    assert subjects(found) == ["a@edge-1.0", "b@edge-1.0"]


def test_a_policy_counts_more_than_metadata() -> None:
    found = placed("box: {type: Compute, metadata: {cluster: edge-2}}", policy("clusters: [edge-1]"))

    assert subjects(found) == ["box@edge-1.0"]


def test_instances_are_dealt_out_over_clusters_when_asked() -> None:
    nodes = "box: {type: Compute, capabilities: {scalable: {properties: {max_instances: 5, default_instances: 3}}}}"

    assert subjects(placed(nodes, policy("tier: edge, spread: true"))) == [
        "box@edge-1.0",
        "box@edge-1.1",
        "box@edge-2.0",
    ]


def test_targets_that_avoid_each_other_go_to_clusters_in_turn() -> None:
    nodes = "a: {type: Compute}\nb: {type: Compute}\nc: {type: Compute}"

    found = placed(nodes, policy("tier: edge, anti_affinity: true", "a, b, c"))

    assert subjects(found) == ["a@edge-1.0", "b@edge-2.0", "c@edge-1.0"]


HOSTED = """
box:
  type: Compute
  capabilities: {scalable: {properties: {max_instances: 2, default_instances: 2}}}
  requirements: [{local_storage: disk}]
disk: {type: BlockStorage, properties: {size: 1 GB}}
web: {type: WebServer, requirements: [{host: box}]}
app: {type: WebApplication, requirements: [{host: web}]}
net: {type: network.Network}
port: {type: network.Port, requirements: [{binding: box}, {link: net}]}
address: {type: network.FloatingIP, properties: {floating_network: out}, requirements: [{link: port}]}
bucket: {type: ObjectStorage, properties: {name: b}}
lb: {type: LoadBalancer, requirements: [{application: {node: app, capability: app_endpoint}}]}
"""


def test_what_is_hosted_bound_or_attached_goes_with_its_server() -> None:
    found = subjects(placed(HOSTED, policy("clusters: [edge-2]")))

    for name in ("box", "disk", "web", "app", "port", "address"):
        assert [one for one in found if one.startswith(f"{name}@")] == [f"{name}@edge-2.0", f"{name}@edge-2.1"]


def test_what_belongs_to_the_site_is_there_once_with_the_binding_of_its_users() -> None:
    found = {endpoint.node: endpoint for endpoint in placed(HOSTED, policy("clusters: [edge-2]")).endpoints}

    for name in ("net", "lb"):
        assert (found[name].cluster, found[name].index, found[name].binding) == ("", -1, "other")
    assert (found["bucket"].cluster, found["bucket"].index, found["bucket"].binding) == ("", -1, "pit")


def test_a_volume_that_several_share_belongs_to_the_site() -> None:
    nodes = """
    a: {type: Compute, requirements: [{local_storage: disk}]}
    b: {type: Compute, requirements: [{local_storage: disk}]}
    disk: {type: BlockStorage, properties: {size: 1 GB}}
    """

    assert subjects(placed(nodes)) == ["a@dc-1.0", "b@dc-1.0", "disk"]


def test_containers_without_a_host_are_placed_like_servers() -> None:
    nodes = "app: {type: Container.Application}\nother: {type: Container.Application, metadata: {cluster: edge-1}}"

    assert subjects(placed(nodes)) == ["app@dc-1.0", "other@edge-1.0"]


def test_a_site_without_clusters_has_no_place_and_no_crash() -> None:
    assert subjects(placed("box: {type: Compute}\nnet: {type: network.Network}", site=Site(name="lab"))) == ["net"]


def test_endpoints_come_in_the_order_of_their_subjects() -> None:
    found = placed(HOSTED)

    assert list(found.endpoints) == sorted(found.endpoints, key=lambda one: one.subject)


def test_a_site_without_clusters_is_told() -> None:
    site = Site(name="lab")

    assert capacity_findings(site, [placed("box: {type: Compute}", site=site)]) == (
        "no cluster of lab fits the placement of shop/box; clusters: none",
    )


# --- capacity ---


def server(name: str, cpus: int, where: str, state: LifecycleState = LifecycleState.CONNECTED) -> Deployment:
    """Deploy a service of one server."""
    host = f"{{host: {{properties: {{num_cpus: {cpus}, mem_size: 1 GB}}}}}}"
    nodes = f"box: {{type: Compute, metadata: {{cluster: {where}}}, capabilities: {host}}}"
    compiled = service(service_document(nodes))
    named = Service(name=name, sites=SiteSelector(), nodes=compiled.nodes)
    return place(SITE, named)


def test_capacity_is_counted_over_all_services_of_the_site() -> None:
    deployments = [server("vr-tour", 4, "edge-1"), server("shop", 2, "edge-1"), server("mail", 4, "dc-1")]

    assert capacity_findings(SITE, deployments) == ("edge-1 has 4 vCPU, services on it need 6 (shop 2, vr-tour 4)",)


def test_what_just_fits_is_no_finding() -> None:
    assert capacity_findings(SITE, [server("a", 2, "edge-1"), server("b", 2, "edge-1")]) == ()


def test_memory_and_disk_are_counted_too() -> None:
    nodes = "box: {type: Compute, capabilities: {host: {properties: {mem_size: 9 GB, disk_size: 1 TB}}}}"

    assert capacity_findings(SITE, [placed(nodes)]) == (
        "dc-1 has 8000 MB memory, services on it need 9000 (shop 9000)",
        "dc-1 has 100 GB disk, services on it need 1000 (shop 1000)",
    )


@pytest.mark.parametrize(("state", "counted"), [("placed", False), ("booted", True), ("connected", True)])
def test_an_endpoint_takes_its_capacity_from_booted_on(state: str, counted: bool) -> None:
    text = chain(f"edge-1: {STATE}{state}").replace(
        "capabilities: {}", "capabilities: {host: {properties: {num_cpus: 9}}}"
    )

    assert bool(capacity_findings(SITE, [place(SITE, service(text))])) is counted


def test_every_instance_takes_capacity_and_what_it_hosts_takes_none() -> None:
    nodes = """
    box:
      type: Compute
      capabilities:
        host: {properties: {num_cpus: 2}}
        scalable: {properties: {max_instances: 3, default_instances: 3}}
    runtime: {type: Container.Runtime, capabilities: {host: {properties: {num_cpus: 2}}}, requirements: [{host: box}]}
    """

    assert capacity_findings(SITE, [placed(nodes)]) == ("dc-1 has 4 vCPU, services on it need 6 (shop 6)",)


@pytest.mark.parametrize(
    ("nodes", "rest"),
    [
        ("box: {type: Compute}", policy("location: moon")),
        ("box: {type: Compute, metadata: {cluster: none}}", ""),
        ("box: {type: BlockStorage, properties: {size: 1 GB}, metadata: {cluster: none}}", ""),
    ],
)
def test_a_placement_that_fits_nowhere_is_told(nodes: str, rest: str) -> None:
    found = capacity_findings(SITE, [placed(nodes, rest)])

    assert found == ("no cluster of lab fits the placement of shop/box; clusters: dc-1, dc-2, edge-1, edge-2",)


def test_very_many_nodes_are_placed_without_comparing_each_with_all() -> None:
    number = 20_000
    boxes = {f"box-{n}": Node(name=f"box-{n}", types=("tosca.nodes.Abstract.Compute",)) for n in range(number)}
    nets = {
        f"net-{n}": Node(name=f"net-{n}", types=(), requirements=(Requirement(name="dependency", node=f"net-{n - 1}"),))
        for n in range(number)
    }
    apart = Policy(
        name="apart",
        types=("tosca.policies.Placement",),
        targets=tuple(boxes),
        properties={"anti_affinity": True},
    )

    assert len(place(SITE, Service(name="nets", nodes=nets)).endpoints) == number
    assert len(place(SITE, Service(name="boxes", nodes=boxes, policies={"apart": apart})).endpoints) == number


def test_more_endpoints_than_anybody_can_mean_are_told_and_not_made() -> None:
    crowd = "capabilities: {scalable: {properties: {default_instances: 1000, max_instances: 1000}}}"
    deployment = placed("\n".join(f"s{number}: {{type: tosca.nodes.Compute, {crowd}}}" for number in range(21)))

    assert deployment.endpoints == ()
    assert capacity_findings(SITE, [deployment]) == ("shop would have 21000 endpoints on lab; at most 20000 are kept",)


def test_a_number_no_type_bounds_is_bounded_all_the_same() -> None:
    spec = (
        service_document("a: {type: my.Crowd}\nb: {type: my.Debt}")
        + """
capability_types:
  my.Many: {derived_from: tosca.capabilities.Root, properties: {default_instances: {type: integer, default: COUNT}}}
  my.Less: {derived_from: tosca.capabilities.Root, properties: {default_instances: {type: integer, default: -COUNT}}}
node_types:
  my.Crowd: {derived_from: tosca.nodes.Container.Application, capabilities: {scalable: {type: my.Many}}}
  my.Debt: {derived_from: tosca.nodes.Container.Application, capabilities: {scalable: {type: my.Less}}}
""".replace("COUNT", "1000000000000000000")
    )
    deployment = place(SITE, service(spec))

    assert deployment.endpoints == ()
    assert "1000000000000000000 endpoints" in capacity_findings(SITE, [deployment])[0]

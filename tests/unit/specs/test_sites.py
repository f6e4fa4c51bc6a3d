from __future__ import annotations

import pytest

from specs.model import Budget, Capacity, Role, Site, Tier
from tests.support.spec_files import SITE, catalogue_of, codes

SITE_FILE = "sites/lab.yaml"
RICH = """\
tosca_definitions_version: tosca_simple_yaml_1_3
metadata:
  site: bristol
  labels: {country: uk, level: 3}
imports: [flame_definitions.yaml]
topology_template:
  inputs: {cores: {type: integer, default: 8}}
  node_templates:
    cloud:
      type: eu.ict-flame.nodes.Provider
      properties:
        plugin: openstack
        roles: [compute]
        settings: {cloud: bristol, deep: {list: [1]}}
        budget: {concurrency: 2, calls_per_second: 5}
    pods:
      type: eu.ict-flame.nodes.Provider
      properties: {plugin: kubernetes, roles: [compute]}
    fabric:
      type: eu.ict-flame.nodes.Provider
      properties: {plugin: sdn, roles: [network]}
    dc:
      type: eu.ict-flame.nodes.Cluster
      properties:
        tier: data_centre
        location: here
        latitude: 51
        provider: cloud
        capacity: {num_cpus: {get_input: cores}, mem_size: 16 GiB, disk_size: 1 TB}
        labels: {rack: one}
        properties: {zone: nova}
    edge:
      type: eu.ict-flame.nodes.Cluster
      properties: {provider: pods, capacity: {num_cpus: 4, mem_size: 8 GB, disk_size: 10 GB}}
    switch: {type: eu.ict-flame.nodes.Switch, properties: {dpid: "0x1f", area: west, properties: {vendor: x}}}
    point: {type: eu.ict-flame.nodes.AccessPoint, properties: {location: square, properties: {ssid: flame}}}
    cable:
      type: eu.ict-flame.nodes.Link
      properties: {source: dc, target: switch, target_port: 3, latency_ms: 2, cost: 5}
    air: {type: eu.ict-flame.nodes.Link, properties: {source: point, target: switch}}
  policies:
    - video: {type: eu.ict-flame.policies.Qos, properties: {traffic_class: video, priority: 5}}
"""


def site(text: str = RICH) -> Site:
    """Compile a site that must be valid."""
    found = catalogue_of({SITE_FILE: text})
    found.raise_if_invalid()
    (only,) = found.sites.values()
    return only


def test_a_site_has_clusters_with_capacity_and_whatever_else_is_said() -> None:
    found = site()

    dc = found.clusters["dc"]
    assert (found.name, found.labels) == ("bristol", {"country": "uk", "level": "3"})
    assert (dc.tier, dc.location, dc.binding) == (Tier.DATA_CENTRE, "here", "cloud")
    assert dc.capacity == Capacity(vcpus=8, memory_mb=17179.869184, disk_gb=1000)
    assert dc.properties == {"zone": "nova", "latitude": 51.0, "labels": {"rack": "one"}}
    assert (dc.position.file, dc.position.line) == (SITE_FILE, 22)
    assert (found.clusters["edge"].tier, found.clusters["edge"].location) == (Tier.EDGE, "")


def test_a_site_has_bindings_of_provider_plugins() -> None:
    found = site().bindings

    assert (found["cloud"].plugin, found["cloud"].roles) == ("openstack", frozenset({Role.COMPUTE}))
    assert found["cloud"].settings == {"cloud": "bristol", "deep": {"list": [1]}}
    assert found["cloud"].budget == Budget(concurrency=2, calls_per_second=5.0)
    assert found["fabric"].budget == Budget()


def test_a_site_has_a_fabric() -> None:
    found = site()

    assert found.switches["switch"].properties == {"dpid": "0x1f", "area": "west", "vendor": "x"}
    cable = found.links["cable"]
    assert (cable.source, cable.target, cable.source_port, cable.target_port) == ("dc", "switch", 0, 3)
    assert (cable.latency_ms, cable.bandwidth_mbps, cable.cost) == (2.0, 1000.0, 5.0)


def test_a_site_says_more_to_all_providers() -> None:
    assert site().properties == {
        "access_points": {"point": {"location": "square", "ssid": "flame"}},
        "traffic_classes": {"video": {"traffic_class": "video", "priority": 5}},
    }


def test_a_site_without_metadata_is_called_as_its_file() -> None:
    assert site(SITE.replace("metadata: {site: lab}\n", "")).name == "lab"


def test_the_only_provider_that_hosts_need_not_be_named() -> None:
    assert {cluster.binding for cluster in site(SITE).clusters.values()} == {"sandpit"}


def test_a_cluster_of_ones_own_type_makes_a_site_too() -> None:
    own = "{derived_from: eu.ict-flame.nodes.Cluster, properties: {rack: {type: string, default: a}}}"
    text = SITE.replace("eu.ict-flame.nodes.Cluster", "my.Cluster") + f"node_types: {{my.Cluster: {own}}}\n"

    assert site(text).clusters["dc-1"].properties == {"rack": "a"}


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("plugin: openstack", "plug: openstack", "unknown-property"),
        ("roles: [network]", "roles: [netwrk]", "constraint"),
        ("provider: cloud", "provider: clod", "unknown-provider"),
        ("provider: cloud", "provider: fabric", "unknown-provider"),
        ("        provider: cloud\n", "", "missing-provider"),
        ("mem_size: 16 GiB", "mem_size: 16", "wrong-type"),
        (", mem_size: 8 GB", "", "missing-property"),
        ("tier: data_centre", "tier: center", "constraint"),
        ("latitude: 51", "latitude: 151", "constraint"),
        ("{source: dc, target: switch,", "{source: dc, target: swich,", "unknown-node"),
        ("{source: dc, ", "{source: cable, ", "unknown-node"),
        ('dpid: "0x1f"', 'dpid: "0xg"', "constraint"),
        ("site: bristol", "site: bristol uk", "bad-name"),
        ("level: 3", "level: {a: b}", "wrong-shape"),
        ("    switch: {type: eu.ict-flame.nodes.Switch", "    switch: {type: tosca.nodes.Root", "not-of-a-site"),
        ("    edge:", "    edge one:", "bad-name"),
    ],
)
def test_what_is_wrong_with_a_site_is_found(old: str, new: str, code: str) -> None:
    assert code in codes(catalogue_of({SITE_FILE: RICH.replace(old, new)}))


def test_a_site_without_provider_is_refused() -> None:
    text = "".join(part for part in SITE.split("    sandpit:")[0:1]) + "    dc-1:" + SITE.split("    dc-1:")[1]

    assert "missing-provider" in codes(catalogue_of({SITE_FILE: text}))


def test_two_sites_of_one_name_are_refused() -> None:
    found = catalogue_of({"sites/a.yaml": SITE, "sites/b.yaml": SITE})

    assert [(one.file, one.code) for one in found.diagnostics] == [("sites/b.yaml", "duplicate-site")]

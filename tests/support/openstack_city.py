"""A service with every kind OpenStack can make in it, and the site it runs on."""

from __future__ import annotations

from msgspec.structs import replace

from specs.model import (
    Artifact,
    Binding,
    Deployment,
    Group,
    LifecycleState,
    Node,
    Operation,
    Policy,
    Requirement,
    Service,
    Site,
)
from specs.values import Secret, Value
from tests.support.chains import PLENTY, ROOT, Where, bristol, deployed, function

State = LifecycleState
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHl2Zm9vYmFyYmF6cXV4cXV1eGNvcmdlZ3JhdWx0Z2Fy operator@example.org"
COMPUTE = ("tosca.nodes.Compute", "tosca.nodes.Abstract.Compute", ROOT)
HOT = "heat_template_version: 2018-08-31\nresources:\n  nothing:\n    type: OS::Heat::None\n"


def site(cloud: str, *, plugin: str = "openstack", **settings: Value) -> Site:
    """Give a site of four clusters, served by one project of a cloud."""
    said: dict[str, Value] = {
        "cloud": cloud,
        "external_network": "public",
        "ssh_key": KEY,
        "flavors": "create",
        **settings,
    }
    found = bristol(plugin=plugin, settings=said, capacity=PLENTY)
    zones = {"dc-1": "bristol-hs", "edge-1": "bristol-ms", "edge-2": "bristol-ms", "edge-3": "bristol-ms"}
    clusters = {
        name: replace(cluster, properties={"availability_zone": zones[name]})
        for name, cluster in found.clusters.items()
    }
    return replace(found, clusters=clusters, bindings={"city": replace(found.bindings["city"])})


def everything(image_url: str) -> Service:
    """Give a service that needs each kind once."""
    nodes = [
        replace(
            function("cache", image_url=image_url, ports=[80]), requirements=(Requirement(name="link", node="front"),)
        ),
        Node(name="front", types=("tosca.nodes.network.Network", ROOT), properties={"cidr": "10.9.0.0/24"}),
        Node(
            name="eth0",
            types=("tosca.nodes.network.Port", ROOT),
            properties={"order": 0, "ip_address": "10.9.0.9"},
            requirements=(Requirement(name="link", node="front"), Requirement(name="binding", node="db")),
        ),
        Node(
            name="outside",
            types=("tosca.nodes.network.FloatingIP", ROOT),
            properties={"floating_network": "public"},
            requirements=(Requirement(name="link", node="eth0"),),
        ),
        Node(
            name="db",
            types=COMPUTE,
            properties={"env": {"CITY": "Bristol"}},
            capabilities={
                "host": {"num_cpus": 1, "mem_size": "64 MB", "disk_size": "1 GB"},
                "os": {"distribution": "debian", "version": "12"},
            },
            metadata={"protect": "true", "team": "video", "tags": "tour,blue"},
        ),
        Node(
            name="dbms",
            types=("tosca.nodes.DBMS", "tosca.nodes.SoftwareComponent", ROOT),
            requirements=(Requirement(name="host", node="db"),),
            operations={
                "Standard.create": Operation(
                    name="Standard.create",
                    implementation="scripts/db.sh",
                    content="#!/bin/sh\napt-get install db\n",
                    inputs={"password": Secret("DB_PASSWORD", "d1")},
                )
            },
        ),
        Node(
            name="path",
            types=("tosca.nodes.nfv.FP", ROOT),
            properties={"policy": "protocol=tcp, ports=80"},
            requirements=(Requirement(name="forwarder", node="eth0"),),
        ),
    ]
    policies = {
        "quality": Policy(
            name="quality",
            types=("eu.ict-flame.policies.Qos",),
            targets=("db",),
            properties={"traffic_class": "GOLD"},
        ),
        "apart": Policy(
            name="apart",
            types=("tosca.policies.Placement",),
            targets=("databases",),
            properties={"anti_affinity": True},
        ),
    }
    groups = {"databases": Group(name="databases", types=("tosca.groups.Root",), members=("db",))}
    return Service(name="shop", nodes={node.name: node for node in nodes}, policies=policies, groups=groups)


def with_volume(service: Service) -> Service:
    """Add a volume, which the database keeps its files on."""
    data = Node(name="data", types=("tosca.nodes.BlockStorage", ROOT), properties={"size": "1 GB"})
    need = Requirement(name="local_storage", node="data", properties={"location": "/var/lib/db"})
    db = replace(service.nodes["db"], requirements=(*service.nodes["db"].requirements, need))
    return replace(service, nodes={**service.nodes, "db": db, "data": data})


def with_stack(service: Service) -> Service:
    """Add a Heat template."""
    stack = Node(
        name="legacy",
        types=("example.Legacy", ROOT),
        artifacts={"heat": Artifact(name="heat", type="tosca.artifacts.File", file="legacy.hot", content=HOT)},
    )
    return replace(service, nodes={**service.nodes, "legacy": stack})


EVERYTHING: Where = {
    "cache": [("edge-1", 0, State.PLACED)],
    "front": [("", -1, State.CONNECTED)],
    "path": [("", -1, State.CONNECTED)],
    **{name: [("dc-1", 0, State.CONNECTED)] for name in ("eth0", "outside", "db", "dbms")},
}


def contract(image_url: str, place: Site, **more: Binding) -> Deployment:
    """Put that service on the site."""
    return deployed(everything(image_url), EVERYTHING, place)

"""A site of four clusters and two services on it, as values: what providers are tried with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from specs.model import (
    Artifact,
    Binding,
    Capacity,
    Cluster,
    Deployment,
    Endpoint,
    LifecycleState,
    Link,
    Node,
    Operation,
    Requirement,
    Service,
    Site,
    Switch,
    Tier,
)
from specs.values import Properties, Secret, Value

FUNCTION = ("eu.ict-flame.nodes.ServiceFunction", "tosca.nodes.Root")
ROOT = "tosca.nodes.Root"
PLENTY = Capacity(vcpus=10**6, memory_mb=10**9, disk_gb=10**9)
"""A capacity no test uses up."""


def bristol(
    *bindings: Binding, plugin: str = "sandpit", settings: Properties | None = None, capacity: Capacity | None = None
) -> Site:
    """Give a site: `dc-1` and three edges around three switches, served by one binding unless others are given."""
    lone = Binding(name="city", plugin=plugin, settings=settings or {})
    served = {binding.name: binding for binding in bindings or (lone,)}
    offers = capacity or Capacity(vcpus=16, memory_mb=32000, disk_gb=500)
    tiers = {"dc-1": Tier.DATA_CENTRE, "edge-1": Tier.EDGE, "edge-2": Tier.EDGE, "edge-3": Tier.FAR_EDGE}
    cables = [
        ("a", "dc-1", "s1"), ("b", "s1", "s2"), ("c", "s2", "s3"), ("d", "s1", "s3"),
        ("e", "edge-1", "s1"), ("f", "edge-2", "s2"), ("g", "edge-3", "s3"),
    ]  # fmt: skip
    return Site(
        name="bristol",
        clusters={
            name: Cluster(name=name, tier=tier, location="Bristol", capacity=offers, binding=min(served))
            for name, tier in tiers.items()
        },
        switches={name: Switch(name=name) for name in ("s1", "s2", "s3")},
        links={name: Link(name=name, source=source, target=target) for name, source, target in cables},
        bindings=served,
    )


def function(name: str, *needs: str, hypervisor: str = "kvm", **more: Value) -> Node:
    """Give a service function of one vCPU that requires others."""
    return Node(
        name=name,
        types=FUNCTION,
        properties={
            "hypervisor": hypervisor,
            "image_url": f"https://repo.example.org/{name}.tar.gz",
            "fqdn": [f"{name}.tour.example.org"],
            **more,
        },
        capabilities={"host": {"num_cpus": 1, "mem_size": "1 GB", "disk_size": "4 GB"}},
        requirements=tuple(Requirement(name="dependency", node=need) for need in needs),
    )


def tour() -> Service:
    """Give a chain in the FLAME dialect: a machine, a system container and containers."""
    nodes = [function("storage"), function("coder", "storage", hypervisor="lxd")]
    nodes.append(function("web", "coder", hypervisor="docker"))
    return Service(name="tour", nodes={node.name: node for node in nodes})


def shop() -> Service:
    """Give a service of normative types, with a secret in it."""
    nodes = [
        Node(name="front", types=("tosca.nodes.network.Network", ROOT), properties={"cidr": "10.9.0.0/24"}),
        Node(
            name="eth0",
            types=("tosca.nodes.network.Port", ROOT),
            properties={"order": 0, "ip_address": "10.9.0.9"},
            requirements=(Requirement(name="link", node="front"), Requirement(name="binding", node="db")),
        ),
        Node(name="data", types=("tosca.nodes.BlockStorage", ROOT), properties={"size": "20 GB"}),
        Node(
            name="db",
            types=("tosca.nodes.Compute", "tosca.nodes.Abstract.Compute", ROOT),
            capabilities={
                "host": {"num_cpus": 2, "mem_size": "2 GB"},
                "os": {"distribution": "debian", "version": "12"},
            },
            requirements=(Requirement(name="local_storage", node="data", properties={"location": "/var/lib/db"}),),
            metadata={"protect": "true"},
        ),
        Node(
            name="dbms",
            types=("tosca.nodes.DBMS", "tosca.nodes.SoftwareComponent", ROOT),
            properties={"component_version": "15.2", "root_password": Secret("DB_PASSWORD", "d1")},
            requirements=(Requirement(name="host", node="db"),),
            operations={
                "Standard.create": Operation(
                    name="Standard.create",
                    implementation="scripts/db.sh",
                    content="apt-get install db",
                    inputs={"password": Secret("DB_PASSWORD", "d1")},
                )
            },
        ),
        Node(
            name="cart",
            types=("tosca.nodes.Container.Application", ROOT),
            requirements=(Requirement(name="database", node="dbms"), Requirement(name="network", node="front")),
            artifacts={
                "image": Artifact(
                    name="image", type="tosca.artifacts.Deployment.Image.Container.Docker", file="example/cart:2"
                )
            },
        ),
        Node(
            name="balancer",
            types=("tosca.nodes.LoadBalancer", ROOT),
            properties={"algorithm": "round-robin"},
            requirements=(Requirement(name="application", node="cart"),),
        ),
    ]
    return Service(name="shop", nodes={node.name: node for node in nodes})


State = LifecycleState
Where = Mapping[str, Iterable[tuple[str, int, State]]]

TOUR: Where = {
    "storage": [("dc-1", 0, State.CONNECTED)],
    "coder": [("edge-1", 0, State.CONNECTED), ("edge-2", 0, State.PLACED)],
    "web": [("edge-1", 0, State.CONNECTED), ("edge-1", 1, State.CONNECTED), ("edge-3", 0, State.PLACED)],
}
SHOP: Where = {
    "front": [("", -1, State.CONNECTED)],
    "cart": [("edge-1", 0, State.CONNECTED), ("edge-1", 1, State.CONNECTED)],
    **{name: [("dc-1", 0, State.CONNECTED)] for name in ("eth0", "data", "db", "dbms", "balancer")},
}


def deployed(service: Service, where: Where, site: Site | None = None, binding: str = "city") -> Deployment:
    """Put endpoints of a service on a site."""
    site = site or bristol()
    endpoints = [
        Endpoint(
            site=site.name, service=service.name, node=node, cluster=cluster, index=index, state=state, binding=binding
        )
        for node, places in where.items()
        for cluster, index, state in places
    ]
    return Deployment(
        site=site, service=service, endpoints=tuple(sorted(endpoints, key=lambda endpoint: endpoint.subject))
    )

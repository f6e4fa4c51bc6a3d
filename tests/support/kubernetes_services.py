"""Sites and services as values, for the tests on a real API server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from specs.model import (
    Artifact,
    Binding,
    Capacity,
    Cluster,
    Deployment,
    Endpoint,
    LifecycleState,
    Node,
    Policy,
    Requirement,
    Service,
    Site,
    Tier,
)
from specs.values import Properties, Secret, Value

FUNCTION = ("eu.ict-flame.nodes.ServiceFunction", "tosca.nodes.Root")
ROOT = "tosca.nodes.Root"
MANIFEST = "reconciler.artifacts.kubernetes.Manifest"
State = LifecycleState

EXTRAS = """
# what a chart might bring
apiVersion: v1
kind: ConfigMap
metadata:
  name: extra
data:
  colour: blue
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata:
  name: {site}-low
value: 10
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      containers:
      - name: agent
        image: registry.example.org/agent:1
        ports: [{containerPort: 9100, protocol: TCP}]
"""
RAW = ["daemonsets.apps", "priorityclasses.scheduling.k8s.io"]
WIDGETS = ["customresourcedefinitions.apiextensions.k8s.io", "widgets.example.org", "jobs.batch"]
BROUGHT = [*RAW, *WIDGETS, "csinodes.storage.k8s.io"]
"""What manifests of the tests bring."""


def site(name: str, kubeconfig: Path | str, clusters: Iterable[str] = ("edge-1",), **settings: Value) -> Site:
    """Give a site whose clusters are all namespaces of one Kubernetes."""
    pattern = f"{name}-{{service}}-{{cluster}}"
    said: Properties = {"kubeconfig": str(kubeconfig), "namespace": pattern, "manifests": RAW, **settings}
    return Site(
        name=name,
        clusters={
            cluster: Cluster(
                name=cluster,
                tier=Tier.EDGE,
                location="Bristol",
                capacity=Capacity(vcpus=1000, memory_mb=1e6, disk_gb=1e5),
                binding="kube",
            )
            for cluster in clusters
        },
        bindings={"kube": Binding(name="kube", plugin="kubernetes", settings=said)},
    )


def function(name: str, *needs: str, image: Value = "", **more: Value) -> Node:
    """Give a container function with one port that requires others."""
    properties: dict[str, Value] = {
        "hypervisor": "docker",
        "image_url": f"docker://registry.example.org/{image or name}:1",
        "ports": [8080],
        **more,
    }
    return Node(
        name=name,
        types=FUNCTION,
        properties={key: value for key, value in properties.items() if value is not None},
        capabilities={"host": {"num_cpus": 0.5, "mem_size": "256 MB"}},
        requirements=tuple(Requirement(name="peer", node=need) for need in needs),
    )


def artifact(name: str, kind: str, file: str, content: str = "") -> Artifact:
    """Give an artifact."""
    return Artifact(name=name, type=kind, file=file, content=content)


def tour(site_name: str) -> Service:
    """Give a service with something of every kind."""
    machine = Node(
        name="coder",
        types=FUNCTION,
        properties={"hypervisor": "kvm", "image_url": "docker://registry.example.org/coder:1", "ports": [9000]},
        capabilities={"host": {"num_cpus": 2, "mem_size": "2 GB", "disk_size": "4 GB"}},
    )
    web = function(
        "web",
        "coder",
        fqdn=["web.tour.example.org"],
        env={"MODE": "fast", "PASSWORD": Secret("DB_PASSWORD", "d1")},
        kubernetes={
            "autoscale": {"min": 1, "max": 3, "cpu": 70},
            "disruption": {"maxUnavailable": 1},
            "files": {"/etc/web/app.conf": "colour = blue\n"},
        },
    )
    storage = Node(name="disk", types=("tosca.nodes.BlockStorage", ROOT), properties={"size": "1 GB"})
    store = Node(
        name="store",
        types=("tosca.nodes.Container.Application", ROOT),
        requirements=(Requirement(name="storage", node="disk", properties={"location": "/srv"}),),
        capabilities={"endpoint": {"port": 5432, "protocol": "tcp"}},
        artifacts={"image": artifact("image", "tosca.artifacts.Deployment.Image.Container.Docker", "example/store:2")},
    )
    extra = Node(
        name="extra",
        types=("tosca.nodes.Container.Application", ROOT),
        artifacts={"all": artifact("all", MANIFEST, "charts/extra.yaml", EXTRAS.replace("{site}", site_name))},
    )
    nodes = [machine, web, storage, store, extra]
    return Service(name="tour", nodes={node.name: node for node in nodes})


Where = Mapping[str, Iterable[tuple[str, int, State]]]

TOUR: Where = {
    "coder": [("edge-1", 0, State.CONNECTED)],
    "web": [("edge-1", 0, State.CONNECTED), ("edge-1", 1, State.CONNECTED)],
    "disk": [("edge-1", -1, State.CONNECTED)],
    "store": [("edge-1", 0, State.PLACED)],
    "extra": [("edge-1", -1, State.CONNECTED)],
}


def deployed(service: Service, where: Where, on: Site) -> Deployment:
    """Put endpoints of a service on a site."""
    endpoints = [
        Endpoint(
            site=on.name, service=service.name, node=node, cluster=cluster, index=index, state=state, binding="kube"
        )
        for node, places in where.items()
        for cluster, index, state in places
    ]
    return Deployment(site=on, service=service, endpoints=tuple(sorted(endpoints, key=lambda e: e.subject)))


def service(name: str, *nodes: Node, policies: Iterable[Policy] = ()) -> Service:
    """Give a service of some nodes."""
    return Service(
        name=name, nodes={node.name: node for node in nodes}, policies={policy.name: policy for policy in policies}
    )


def everywhere(service: Service, on: Site, state: State = State.CONNECTED, count: int = 1) -> Deployment:
    """Put every node of a service on every cluster of a site."""
    places = [(cluster, index, state) for cluster in on.clusters for index in range(count)]
    return deployed(service, dict.fromkeys(service.nodes, places), on)

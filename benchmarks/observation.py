"""Takes the figures of looking: what it costs to read what Kubernetes and OpenStack answer.

    python -m benchmarks.observation

A thousand Deployments and a thousand servers as their APIs write them, from the bytes to what a provider shows: the
first time it looks, and again when nothing has changed. Beside it the typed client of Kubernetes and the objects of
openstacksdk. Processor time; no server is asked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.figures import Figure, collect, middle, timed
from providers.base import Context, Mark, Provider, Scope
from providers.kubernetes import kinds
from providers.kubernetes.connection import Call, Connection
from providers.kubernetes.provider import Kubernetes
from providers.kubernetes.shape import manifest_of
from providers.openstack import neutron
from providers.openstack.cloud import Cloud, Service
from providers.openstack.marks import mapping
from providers.openstack.provider import OpenStack
from providers.openstack.record import PREFIX, pack
from specs.model import Address, Binding, Capacity, Cluster, Resource, Site, Tier
from specs.tosca.collector import at_rest
from specs.values import Value

COUNT = 1000
_ROUNDS = 7
REPOSITORY = "0123456789ab"
_SITE = "bristol"
_MOMENT = "2026-03-04T12:00:00Z"


def figures() -> Iterator[Figure]:
    """Measure both systems."""
    yield from _compared("kubernetes", "Deployments", "typed", kubernetes, typed())
    yield from _compared("openstack", "servers", "objects", openstack, sdk())


def _compared(
    name: str, what: str, others: str, begin: Callable[[], Callable[[], object]], theirs: Callable[[], object]
) -> Iterator[Figure]:
    looks = [begin() for _ in range(_ROUNDS)]
    first = median(timed(look) for look in looks)
    again = middle(looks[0], rounds=7 * _ROUNDS)
    other = middle(theirs, rounds=1)
    yield Figure(f"first look at {COUNT:,} {what} of {name}", first, name=f"{name} first")
    yield Figure("the next look, nothing changed", again, name=name)
    yield Figure(f"the same as {others} of the SDK", other)
    yield Figure(f"{others} over the first look", other / first, unit="x")
    yield Figure(f"{others} over the next look", other / again, unit="x", name=f"{name}/{others}")


# --- Kubernetes ------------------------------------------------------------------------------------


def deployments() -> tuple[dict[Address, Resource], list[bytes]]:
    """Give resources, and the objects that stand for them as the API server writes them."""
    wanted, texts = {}, []
    for number in range(COUNT):
        address = Address(f"{_SITE}/tour-{number // 20}/web-{number % 20}@edge-1:kubernetes.deployment")
        labels = {"app": f"web-{number}"}
        container = {
            "name": "web",
            "image": f"registry.example.org/web:{number}",
            "ports": [{"containerPort": 80}],
            "resources": {"requests": {"cpu": "500m", "memory": "256Mi"}},
        }
        properties: dict[str, Any] = {
            "cluster": "edge-1",
            "name": f"web-{number}",
            "namespace": "tour",
            "spec.replicas": 2,
            "spec.selector": {"matchLabels": labels},
            "spec.template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        }
        resource = Resource(address=address, binding="clusters", properties=properties)
        mark = Mark(REPOSITORY, address, resource.digest)
        wanted[address] = resource
        texts.append(_written(manifest_of(resource, "apps/v1", "Deployment", mark), number))
    return wanted, texts


def _written(body: dict[str, Any], number: int) -> bytes:
    """Add what the server adds."""
    fields: dict[str, Any] = {"f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {}}}}}
    body["metadata"] |= {
        "uid": f"uid-{number}",
        "resourceVersion": str(1000 + number),
        "generation": 1,
        "creationTimestamp": _MOMENT,
        "managedFields": [
            {"manager": "tosca-reconciler", "operation": "Apply", "apiVersion": "apps/v1", "fieldsV1": fields}
        ],
    }
    container = body["spec"]["template"]["spec"]["containers"][0]
    container |= {"imagePullPolicy": "IfNotPresent", "terminationMessagePath": "/dev/termination-log"}
    body["spec"]["template"]["spec"] |= {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst"}
    body["spec"] |= {"strategy": {"type": "RollingUpdate"}, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}
    condition = {"status": "True", "lastUpdateTime": _MOMENT, "lastTransitionTime": _MOMENT, "message": "as it should"}
    body["status"] = {
        "observedGeneration": 1,
        "replicas": 2,
        "updatedReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 2,
        "conditions": [
            {"type": "Available", "reason": "MinimumReplicasAvailable", **condition},
            {"type": "Progressing", "reason": "NewReplicaSetAvailable", **condition},
        ],
    }
    return json.dumps(body).encode()


class _Plane(Connection):
    """An API server of 1,000 Deployments and nothing else."""

    wanted, texts = deployments()
    text = b'{"kind":"DeploymentList","metadata":{"resourceVersion":"9"},"items":[' + b",".join(texts) + b"]}"

    def fetch(self, call: Call) -> bytes:
        """Answer with bytes, as the wire does."""
        if call.path == "/apis":
            versions = [(form.group, form.versions[0]) for form in kinds.FORMS.values()]
            return json.dumps({"groups": [{"name": g, "versions": [{"version": v}]} for g, v in versions]}).encode()
        return self.text if call.path.endswith("/deployments") else b'{"metadata":{},"items":[]}'


def kubernetes() -> Callable[[], object]:
    """Give looks at a cluster; the first reads all of it."""
    binding = Binding(name="clusters", plugin="kubernetes")
    cluster = Cluster(name="edge-1", tier=Tier.EDGE, location="", capacity=Capacity(), binding="clusters")
    site = Site(name=_SITE, bindings={"clusters": binding}, clusters={"edge-1": cluster})
    context = Context(binding=binding, site=site, state_dir=Path())
    return _looks(Kubernetes(context, connect=_Plane), _Plane.wanted)


def _looks(provider: Provider, wanted: Mapping[Address, Resource]) -> Callable[[], object]:
    scope = Scope(repository=REPOSITORY, site=_SITE, wanted=wanted)

    def look() -> object:
        with at_rest():
            seen = provider.observe(scope)
        if len(seen.present) != COUNT or seen.unknown or seen.findings:
            raise RuntimeError(f"{len(seen.present)} seen, {seen.unknown}, {seen.findings}")
        return seen

    return look


def typed() -> Callable[[], object]:
    """Give the way of the official client: a list of typed objects."""
    client = import_module("kubernetes.client")
    api = client.ApiClient()
    return lambda: api.deserialize(_Plane.text.decode(), "V1DeploymentList", "application/json")


# --- OpenStack -------------------------------------------------------------------------------------


def servers() -> bytes:
    """Give a list as Nova writes it."""
    rows = []
    for number in range(COUNT):
        address = Address(f"{_SITE}/tour-{number // 20}/web-{number % 20}@dc-1.0:openstack.server")
        asked: dict[str, Value] = {
            "ports": [f"port-{number}"],
            "vcpus": 1,
            "ram_mib": 2048,
            "disk_gib": 20,
            "image_name": "debian-12",
        }
        metadata = {
            **mapping(Mark(REPOSITORY, address, f"{number:032x}"), PREFIX),
            **pack(asked, {"flavor": "m1.small", "image": "image-1"}),
        }
        rows.append(
            {
                "id": f"server-{number}",
                "name": f"web-{number}",
                "status": "ACTIVE",
                "tenant_id": "project-1",
                "user_id": "user-1",
                "metadata": metadata,
                "hostId": f"{number:056x}",
                "image": {"id": "image-1", "links": []},
                "flavor": {"original_name": "m1.small", "vcpus": 1, "ram": 2048, "disk": 20, "ephemeral": 0, "swap": 0},
                "created": _MOMENT,
                "updated": _MOMENT,
                "addresses": {"net": [{"version": 4, "addr": "10.0.0.5", "OS-EXT-IPS:type": "fixed"}]},
                "key_name": None,
                "tags": ["tosca-reconciler"],
                "config_drive": "",
                "OS-DCF:diskConfig": "MANUAL",
                "OS-EXT-AZ:availability_zone": "nova",
                "OS-EXT-STS:power_state": 1,
                "OS-EXT-STS:task_state": None,
                "OS-EXT-STS:vm_state": "active",
                "OS-SRV-USG:launched_at": _MOMENT,
                "os-extended-volumes:volumes_attached": [],
                "security_groups": [{"name": "default"}],
            }
        )
    return json.dumps({"servers": rows}).encode()


class _Project(Cloud):
    """A project of 1,000 servers and nothing else."""

    text = servers()
    project = "project-1"

    def fetch(self, service: Service, method: str, path: str, **more: object) -> bytes:
        """Answer with bytes, as the wire does."""
        name = path.partition("?")[0].removesuffix("/detail").rpartition("/")[2].removeprefix("os-").replace("-", "_")
        return self.text if name == "servers" else json.dumps({name: []}).encode()

    def has(self, service: Service) -> bool:
        """Offer every service."""
        return True

    def extensions(self) -> frozenset[str]:
        """Offer every kind of network objects."""
        return frozenset(form.extension for form in neutron.FORMS.values())


def openstack() -> Callable[[], object]:
    """Give looks at a project; the first reads all of it."""
    binding = Binding(name="city", plugin="openstack")
    site = Site(name=_SITE, bindings={"city": binding})
    return _looks(OpenStack(Context(binding=binding, site=site, state_dir=Path()), _Project), {})


def sdk() -> Callable[[], object]:
    """Give the way of openstacksdk: an object for every server."""
    server = import_module("openstack.compute.v2.server").Server
    text = servers()
    return lambda: [server.existing(**row) for row in json.loads(text)["servers"]]


if __name__ == "__main__":
    collect(figures())

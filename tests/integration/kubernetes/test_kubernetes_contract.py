"""The Kubernetes provider keeps the contract of every provider, on a real API server, with the rights it asks for."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from msgspec.structs import replace

from providers.base import Context, Mark, Provider
from providers.kubernetes.identity import parse_identity
from providers.kubernetes.kinds import FORMS
from providers.kubernetes.naming import Json
from providers.kubernetes.provider import Kubernetes
from providers.kubernetes.shape import manifest_of
from specs.model import Address, Deployment, Resource
from specs.values import Value
from tests.contract.provider_suite import ProviderCase, ProviderSuite
from tests.support.kubernetes_services import TOUR, deployed, site, tour
from tests.testbed.kubernetes.control_plane import ControlPlane
from tests.testbed.kubernetes.gate import Gate, Trouble

CHANGES: dict[str, tuple[str, Value]] = {
    "configmap": ("data", {"MODE": "slow"}),
    "deployment": ("spec.replicas", 5),
    "statefulset": ("spec.replicas", 2),
    "poddisruptionbudget": ("spec.maxUnavailable", 2),
    "horizontalpodautoscaler": ("spec.maxReplicas", 7),
}
ROOTS = {
    "daemonsets.apps": "/apis/apps/v1",
    "priorityclasses.scheduling.k8s.io": "/apis/scheduling.k8s.io/v1",
    "horizontalpodautoscalers.autoscaling": "/apis/autoscaling/v1",
    "poddisruptionbudgets.policy": "/apis/policy/v1beta1",
}
numbers = count(1)


class KubernetesCase:
    """A site of its own, in namespaces of its own, behind a gate that can be spoiled."""

    def __init__(self, plane: ControlPlane, gate: Gate, folder: Path) -> None:
        self.plane = plane
        self.gate = gate
        self.folder = folder
        self.site = site(f"contract{next(numbers)}", plane.kubeconfig_of(folder / "kubeconfig", url=gate.url))
        self.deployments: tuple[Deployment, ...] = (deployed(tour(self.site.name), TOUR, self.site),)

    def connect(self) -> Provider:
        return Kubernetes(Context(binding=self.site.bindings["kube"], site=self.site, state_dir=self.folder))

    def changed(self, resource: Resource) -> Resource | None:
        if resource.kind not in CHANGES:
            return None
        name, value = CHANGES[resource.kind]
        return replace(resource, properties={**resource.properties, name: value})

    def exists(self, provider_id: str) -> bool:
        found = self.plane.get(self.path(provider_id))
        return (
            found is not None
            and found["metadata"]["uid"] == parse_identity(provider_id).uid
            and "deletionTimestamp" not in found["metadata"]
        )

    def add_foreign(self, resource: Resource) -> str:
        name = f"{resource.properties['name']}-foreign"
        properties = {**resource.properties, "name": name}
        body = self.unowned(replace(resource, properties=properties))
        namespace = body["metadata"].get("namespace", "")
        if namespace and self.plane.get(f"/api/v1/namespaces/{namespace}") is None:
            self.plane.call("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        made = self.plane.call("POST", self.collection(resource, namespace), body)
        return f"edge-1:{self.resource_of(resource)}/{namespace}/{name}#{made['metadata']['uid']}"

    def unowned(self, resource: Resource) -> Json:
        """Write an object as somebody else would."""
        mark = Mark("x", Address(resource.address), "")
        form = FORMS.get(resource.kind)
        version = str(resource.properties["api_version"]) if form is None else self.version(form.id)
        kind = str(resource.properties["object_kind"]) if form is None else form.object
        body = manifest_of(resource, version, kind, mark)
        body["metadata"]["labels"] = {"theirs": "true"}
        body["metadata"].pop("annotations")
        if kind == "HorizontalPodAutoscaler":
            body["spec"].pop("metrics")
        return body

    def version(self, resource: str) -> str:
        return self.root(resource).removeprefix("/apis/").removeprefix("/api/")

    def root(self, resource: str) -> str:
        if resource in ROOTS:
            return ROOTS[resource]
        group = resource.partition(".")[2]
        return f"/apis/{group}/v1" if group else "/api/v1"

    def resource_of(self, resource: Resource) -> str:
        if resource.kind in FORMS:
            return FORMS[resource.kind].id
        kinds = {"ConfigMap": "configmaps", "PriorityClass": "priorityclasses.scheduling.k8s.io"}
        return kinds.get(str(resource.properties["object_kind"]), "daemonsets.apps")

    def collection(self, resource: Resource, namespace: str) -> str:
        name = self.resource_of(resource)
        inside = f"/namespaces/{namespace}" if namespace else ""
        return f"{self.root(name)}{inside}/{name.partition('.')[0]}"

    def path(self, provider_id: str) -> str:
        identity = parse_identity(provider_id)
        inside = f"/namespaces/{identity.namespace}" if identity.namespace else ""
        return f"{self.root(identity.resource)}{inside}/{identity.resource.partition('.')[0]}/{identity.name}"

    def unmark(self, provider_id: str) -> None:
        none = {"tosca-reconciler/repository": None}
        patch = {"metadata": {"labels": none, "annotations": {"tosca-reconciler/address": None}}}
        self.plane.call("PATCH", self.path(provider_id), patch, "application/merge-patch+json")

    def time_out(self, verb: str, kind: str) -> None:
        self.gate.spoil(verb, self.plural(kind), Trouble.TIME_OUT)

    def refuse(self, verb: str, kind: str) -> None:
        self.gate.spoil(verb, self.plural(kind), Trouble.REFUSE)

    def lose_answer(self, verb: str, kind: str) -> None:
        self.gate.spoil(verb, self.plural(kind), Trouble.LOSE, times=1)

    def cut_short(self, kind: str) -> None:
        self.gate.spoil("list", self.plural(kind), Trouble.CUT)

    def plural(self, kind: str) -> str:
        return FORMS[kind].resource if kind in FORMS else "(configmaps|daemonsets|priorityclasses)"

    def take_down(self) -> None:
        self.gate.take_down()

    def mend(self) -> None:
        self.gate.mend()


@pytest.fixture(scope="module")
def gate(plane: ControlPlane) -> Iterator[Gate]:
    with Gate(plane.url, plane.folder / "ca.crt").running() as gate:
        yield gate


class TestKubernetes(ProviderSuite):
    @pytest.fixture
    def case(self, plane: ControlPlane, gate: Gate, tmp_path: Path) -> Iterator[ProviderCase]:
        case = KubernetesCase(plane, gate, tmp_path)
        yield case
        gate.mend()
        for namespace in plane.call("GET", "/api/v1/namespaces")["items"]:
            if namespace["metadata"]["name"].startswith(f"{case.site.name}-"):
                plane.kubectl("delete", "namespace", namespace["metadata"]["name"], "--wait=false")

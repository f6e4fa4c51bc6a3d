"""What the provider can make in a cluster, how each kind behaves and how Kubernetes calls it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from msgspec import Struct

from providers.base import Kind

_PLACE = frozenset({"cluster", "namespace", "name"})
_LATER = frozenset({"force"})
_SOON = timedelta(minutes=2)
_ROLLOUT = timedelta(minutes=12)
"""Longer than Kubernetes itself waits for the progress of a rollout, so that its own verdict comes first."""


class Form(Struct, frozen=True, kw_only=True):
    """How Kubernetes knows a kind."""

    kind: str
    """Our word; `object` for whatever a manifest brings."""
    object: str
    group: str
    versions: tuple[str, ...]
    """Those we can write, newest first."""
    resource: str
    namespaced: bool = True
    metadata_only: bool = False
    """Whether its ownership record tells all there is to know, so that its content need not be read."""

    @property
    def id(self) -> str:
        """The resource with its group, e.g. `deployments.apps`."""
        return f"{self.resource}.{self.group}" if self.group else self.resource


_KINDS = (
    Kind(
        name="namespace",
        description="The namespace of a service on a cluster; one we did not create is never deleted",
        replaced_by=_PLACE,
        ignored=_LATER,
        attributes=frozenset({"id"}),
    ),
    Kind(
        name="serviceaccount",
        description="Who a workload is towards the API; without a token unless the spec asks for one",
        replaced_by=_PLACE,
        ignored=_LATER,
        attributes=frozenset({"id"}),
        stands_on=("namespace",),
        dies_with=frozenset({"namespace"}),
        deadline=_SOON,
    ),
    Kind(
        name="configmap",
        description="Environment and files of a workload",
        replaced_by=_PLACE,
        ignored=_LATER,
        attributes=frozenset({"id"}),
        stands_on=("namespace",),
        dies_with=frozenset({"namespace"}),
        deadline=_SOON,
    ),
    Kind(
        name="secret",
        description="Secret environment and files of a workload; compared by digest, its content is never read",
        replaced_by=_PLACE | {"type"},
        ignored=_LATER | {"type"},
        sensitive=frozenset({"data"}),
        attributes=frozenset({"id"}),
        stands_on=("namespace",),
        dies_with=frozenset({"namespace"}),
        deadline=_SOON,
    ),
    Kind(
        name="persistentvolumeclaim",
        description="Storage that outlives the pods which mount it",
        replaced_by=_PLACE | {"spec.accessModes", "spec.storageClassName", "spec.volumeMode"},
        ignored=_LATER,
        attributes=frozenset({"id", "volume_id"}),
        stands_on=("namespace",),
        dies_with=frozenset({"namespace"}),
        deadline=_SOON,
    ),
    Kind(
        name="deployment",
        description="Pods of one image that are all alike, as many as `spec.replicas`",
        replaced_by=_PLACE | {"spec.selector"},
        ignored=_LATER,
        attributes=frozenset({"id"}),
        stands_on=("configmap", "secret", "serviceaccount", "persistentvolumeclaim", "namespace"),
        dies_with=frozenset({"namespace"}),
        deadline=_ROLLOUT,
    ),
    Kind(
        name="statefulset",
        description="Pods with a name and storage of their own, for functions that keep state",
        replaced_by=_PLACE
        | {"spec.selector", "spec.serviceName", "spec.podManagementPolicy", "spec.volumeClaimTemplates"},
        ignored=_LATER,
        attributes=frozenset({"id"}),
        stands_on=("configmap", "secret", "serviceaccount", "persistentvolumeclaim", "namespace"),
        dies_with=frozenset({"namespace"}),
        deadline=_ROLLOUT,
    ),
    Kind(
        name="horizontalpodautoscaler",
        description="Lets the cluster choose the number of pods; the number is then not ours to compare",
        replaced_by=_PLACE,
        ignored=_LATER,
        attributes=frozenset({"id"}),
        stands_on=("deployment", "statefulset", "namespace"),
        dies_with=frozenset({"namespace"}),
        deadline=_SOON,
    ),
    Kind(
        name="poddisruptionbudget",
        description="How many pods may be away at once when nodes are maintained",
        replaced_by=_PLACE,
        ignored=_LATER,
        attributes=frozenset({"id"}),
        stands_on=("deployment", "statefulset", "namespace"),
        dies_with=frozenset({"namespace"}),
        deadline=_SOON,
    ),
    Kind(
        name="networkpolicy",
        description="Who may talk to the pods of a workload",
        replaced_by=_PLACE,
        ignored=_LATER,
        attributes=frozenset({"id"}),
        stands_on=("deployment", "statefulset", "namespace"),
        dies_with=frozenset({"namespace"}),
        deadline=_SOON,
    ),
    Kind(
        name="service",
        description="One stable address in front of the pods of a workload",
        replaced_by=_PLACE | {"spec.clusterIP"},
        ignored=_LATER,
        attributes=frozenset({"id", "private_address", "public_address"}),
        stands_on=("deployment", "statefulset", "networkpolicy", "namespace"),
        dies_with=frozenset({"namespace"}),
        deadline=timedelta(minutes=5),
    ),
    Kind(
        name="ingress",
        description="The names under which a service is reached from outside the cluster",
        replaced_by=_PLACE,
        ignored=_LATER,
        attributes=frozenset({"id", "public_address"}),
        stands_on=("service", "namespace"),
        dies_with=frozenset({"namespace"}),
        deadline=_SOON,
    ),
    Kind(
        name="object",
        description="Anything else a manifest brings, as it is written there",
        replaced_by=_PLACE | {"api_version", "object_kind", "in_place"},
        ignored=_LATER,
        attributes=frozenset({"id"}),
        stands_on=("namespace",),
        dies_with=frozenset({"namespace"}),
        deadline=_ROLLOUT,
    ),
)

KINDS: Final[Mapping[str, Kind]] = {kind.name: kind for kind in _KINDS}

FORMS: Final[Mapping[str, Form]] = {
    form.kind: form
    for form in (
        Form(kind="namespace", object="Namespace", group="", versions=("v1",), resource="namespaces", namespaced=False),
        Form(kind="serviceaccount", object="ServiceAccount", group="", versions=("v1",), resource="serviceaccounts"),
        Form(kind="configmap", object="ConfigMap", group="", versions=("v1",), resource="configmaps"),
        Form(kind="secret", object="Secret", group="", versions=("v1",), resource="secrets", metadata_only=True),
        Form(
            kind="persistentvolumeclaim",
            object="PersistentVolumeClaim",
            group="",
            versions=("v1",),
            resource="persistentvolumeclaims",
        ),
        Form(kind="deployment", object="Deployment", group="apps", versions=("v1",), resource="deployments"),
        Form(kind="statefulset", object="StatefulSet", group="apps", versions=("v1",), resource="statefulsets"),
        Form(
            kind="horizontalpodautoscaler",
            object="HorizontalPodAutoscaler",
            group="autoscaling",
            versions=("v2", "v2beta2"),
            resource="horizontalpodautoscalers",
        ),
        Form(
            kind="poddisruptionbudget",
            object="PodDisruptionBudget",
            group="policy",
            versions=("v1", "v1beta1"),
            resource="poddisruptionbudgets",
        ),
        Form(
            kind="networkpolicy",
            object="NetworkPolicy",
            group="networking.k8s.io",
            versions=("v1",),
            resource="networkpolicies",
        ),
        Form(kind="service", object="Service", group="", versions=("v1",), resource="services"),
        Form(kind="ingress", object="Ingress", group="networking.k8s.io", versions=("v1",), resource="ingresses"),
    )
}
"""Of every kind but `object`, which takes any form."""

BY_RESOURCE: Final[Mapping[str, Form]] = {form.id: form for form in FORMS.values()}

"""What a site spec may say about its Kubernetes: in the settings of the binding and the properties of its clusters."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from providers.base import PermanentError
from specs.model import Binding, Cluster, Site
from specs.tosca.units import seconds
from specs.values import Properties, Value

_PLACE_TEXTS = ("kubeconfig", "context", "namespace", "ingress_class", "storage_class")
_PLACE = (*_PLACE_TEXTS, "in_cluster", "node_selector", "tolerations")
_BINDING = (*_PLACE, "manifests", "progress_deadline", "force")

OWN_NAMESPACE = "{service}-{cluster}"


class Access(Struct, frozen=True, order=True):
    """How to reach an API server; equal values share a connection."""

    kubeconfig: str = ""
    """Path; empty: `KUBECONFIG` or `~/.kube/config`."""
    context: str = ""
    """Empty: the current one."""
    in_cluster: bool = False
    """Use the service account of the pod we run in."""

    def __str__(self) -> str:
        if self.in_cluster:
            return "the API server of our own pod"
        return f"context {self.context or '(current)'} of {self.kubeconfig or 'the default kubeconfig'}"


class Spot(Struct, frozen=True, kw_only=True):
    """One cluster of the site: where it is in Kubernetes."""

    access: Access = Access()
    namespace: str = OWN_NAMESPACE
    """A namespace that exists, or a pattern with `{service}` for namespaces we make."""
    node_selector: Mapping[str, Value] = field(default_factory=dict)
    tolerations: tuple[Value, ...] = ()
    ingress_class: str = ""
    storage_class: str = ""

    @property
    def given(self) -> bool:
        """Whether the namespace is somebody else's."""
        return "{service}" not in self.namespace


class Settings(Struct, frozen=True, kw_only=True):
    """How one binding works."""

    spots: Mapping[str, Spot]
    """By cluster, for the clusters the binding serves."""
    manifests: frozenset[str] = frozenset()
    """Which further resources manifests may bring, e.g. `cronjobs.batch`."""
    progress_deadline: int = 0
    """Seconds without progress after which a rollout has failed; 0: what Kubernetes takes itself, ten minutes."""
    force: bool = False
    """Take fields from other managers everywhere."""

    def accesses(self) -> Mapping[Access, tuple[str, ...]]:
        """Give the clusters behind every API server."""
        found: dict[Access, list[str]] = {}
        for name in sorted(self.spots):
            found.setdefault(self.spots[name].access, []).append(name)
        return {access: tuple(names) for access, names in sorted(found.items())}


def read_settings(site: Site, binding: Binding) -> Settings:
    """Read the settings of a binding and its clusters; `PermanentError` for what cannot be used."""
    where = f"binding {binding.name} of {site.name}"
    if unknown := sorted(binding.settings.keys() - set(_BINDING)):
        raise PermanentError(f"{where}: unknown setting {', '.join(unknown)}; Kubernetes knows {', '.join(_BINDING)}")
    common = {name: value for name, value in binding.settings.items() if name in _PLACE}
    spots = {
        cluster.name: _spot(f"cluster {cluster.name} of {site.name}", _own(common, cluster))
        for cluster in site.clusters.values()
        if cluster.binding == binding.name
    }
    manifests = binding.settings.get("manifests", [])
    if not isinstance(manifests, list) or not all(isinstance(item, str) for item in manifests):
        raise PermanentError(f"{where}: manifests is {manifests!r}; write a list such as [cronjobs.batch]")
    return Settings(
        spots=spots,
        manifests=frozenset(str(item) for item in manifests),
        progress_deadline=_deadline(where, binding.settings.get("progress_deadline", 0)),
        force=_flag(where, "force", binding.settings.get("force", False)),
    )


def _own(common: Properties, cluster: Cluster) -> Properties:
    return {**common, **{name: value for name, value in cluster.properties.items() if name in _PLACE}}


def _spot(where: str, said: Properties) -> Spot:
    texts = {name: said.get(name, "") for name in _PLACE_TEXTS}
    for name, value in texts.items():
        if not isinstance(value, str):
            raise PermanentError(f"{where}: {name} is {value!r}; write text")
    labels, tolerations = said.get("node_selector", {}), said.get("tolerations", [])
    if not isinstance(labels, Mapping):
        raise PermanentError(f"{where}: node_selector is {labels!r}; write a mapping of labels")
    if not isinstance(tolerations, list):
        raise PermanentError(f"{where}: tolerations is {tolerations!r}; write a list")
    access = Access(
        str(texts["kubeconfig"]), str(texts["context"]), _flag(where, "in_cluster", said.get("in_cluster", False))
    )
    return Spot(
        access=access,
        namespace=str(texts["namespace"]) or OWN_NAMESPACE,
        node_selector=labels,
        tolerations=tuple(tolerations),
        ingress_class=str(texts["ingress_class"]),
        storage_class=str(texts["storage_class"]),
    )


def _flag(where: str, name: str, value: Value) -> bool:
    if not isinstance(value, bool):
        raise PermanentError(f"{where}: {name} is {value!r}; write true or false")
    return value


def _deadline(where: str, value: Value) -> int:
    try:
        found = seconds(value) if isinstance(value, str) else value
    except ValueError as error:
        raise PermanentError(f"{where}: progress_deadline: {error}") from error
    if not isinstance(found, int | float) or isinstance(found, bool) or found < 0:
        raise PermanentError(f"{where}: progress_deadline is {value!r}; write a time such as 5 m")
    return int(found)

"""One node on one cluster: all its endpoints there together, because pods of one workload are alike. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from providers.base import PermanentError
from providers.kubernetes.naming import CLUSTER, NODE, SERVICE, dns_label, label_value
from providers.kubernetes.settings import Settings, Spot
from providers.kubernetes.wishes import Wishes, read_wishes
from specs.model import (
    Address,
    Deployment,
    Endpoint,
    LifecycleState,
    Node,
    Requirement,
    Resource,
    Subject,
    address,
    subject,
)
from specs.values import Properties, Value

PROVIDER = "kubernetes"


class Layout:
    """A deployment, indexed once so that a large service costs no more per endpoint than a small one."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.nodes = deployment.service.nodes
        self.endpoints: dict[str, list[Endpoint]] = {}
        """By node; a node that is not deployed has no key."""
        for endpoint in deployment.endpoints:
            self.endpoints.setdefault(endpoint.node, []).append(endpoint)
        self.callers: dict[str, list[Node]] = {}
        """Which nodes require a node."""
        for node in self.nodes.values():
            for target in sorted({requirement.node for requirement in node.requirements}):
                self.callers.setdefault(target, []).append(node)


class Place(Struct, frozen=True, kw_only=True):
    """One node on one cluster, where its resources are made."""

    layout: Layout
    node: Node
    endpoints: tuple[Endpoint, ...]
    """Those of the node on this cluster, by number."""
    spot: Spot
    settings: Settings
    wishes: Wishes
    binding: str

    @property
    def first(self) -> Endpoint:
        """The endpoint whose address the resources carry."""
        return self.endpoints[0]

    @property
    def cluster(self) -> str:
        """Where it is."""
        return self.first.cluster

    @property
    def replicas(self) -> int:
        """How many pods should run."""
        return sum(endpoint.state.reaches(LifecycleState.BOOTED) for endpoint in self.endpoints)

    def reaches(self, state: LifecycleState) -> bool:
        """Tell whether any endpoint should be that far."""
        return any(endpoint.state.reaches(state) for endpoint in self.endpoints)

    @property
    def name(self) -> str:
        """The name of its objects: the node's, or in a namespace of somebody else's one that says more."""
        if self.spot.given:
            return dns_label(f"{self.first.service}-{self.node.name}-{self.cluster}", limit=52)
        return dns_label(self.node.name, limit=52)

    @property
    def namespace(self) -> str:
        """The namespace of its objects."""
        try:
            wanted = self.spot.namespace.format(site=self.first.site, service=self.first.service, cluster=self.cluster)
        except (KeyError, IndexError, ValueError) as error:
            raise PermanentError(
                f"cluster {self.cluster} of {self.first.site}: namespace {self.spot.namespace!r} is no pattern;"
                " it may name {site}, {service} and {cluster}"
            ) from error
        return dns_label(wanted)

    @property
    def labels(self) -> dict[str, Value]:
        """What its objects and pods are labelled with, and its pods found by."""
        return {
            SERVICE: label_value(self.first.service),
            NODE: label_value(self.node.name),
            CLUSTER: label_value(self.cluster),
        }

    @property
    def namespace_address(self) -> Address | None:
        """The namespace as a resource, unless it is somebody else's."""
        if self.spot.given:
            return None
        return address(self._shared(self.first.service), PROVIDER, "namespace")

    def _shared(self, node: str) -> Subject:
        return subject(self.first.site, self.first.service, node, self.cluster)

    def address(self, kind: str, name: str = "") -> Address:
        """Give the address of one of its resources."""
        return address(self.first.subject, PROVIDER, kind, name)

    def make(self, kind: str, parts: Properties, requires: Iterable[str] = (), name: str = "") -> Resource:
        """Make one of its resources, which needs the namespace in any case."""
        base: dict[str, Value] = {
            "cluster": self.cluster,
            "namespace": self.namespace,
            "name": name or self.name,
            "labels": self.labels,
        }
        if self.wishes.force or self.settings.force:
            base["force"] = True
        ground = {self.namespace_address} if self.namespace_address else set()
        return Resource(
            address=self.address(kind, name),
            binding=self.binding,
            properties={**base, **parts},
            requires=tuple(sorted({*ground, *requires})),
            protect=self.node.protect,
        )

    def namespace_resource(self) -> Iterator[Resource]:
        """Make the namespace, unless it is somebody else's."""
        if self.namespace_address:
            yield Resource(
                address=self.namespace_address,
                binding=self.binding,
                properties={
                    "cluster": self.cluster,
                    "name": self.namespace,
                    "labels": {name: value for name, value in self.labels.items() if name != NODE},
                },
            )

    def targets(self) -> Iterator[tuple[Requirement, Node]]:
        """Walk the requirements that name another node which is deployed here."""
        for requirement in self.node.requirements:
            if requirement.node in self.layout.endpoints and requirement.node != self.node.name:
                yield requirement, self.layout.nodes[requirement.node]

    def peer(self, node: str) -> Subject:
        """Name the endpoint that speaks for another node on this cluster, or the node as a whole."""
        beside = [other for other in self.layout.endpoints.get(node, ()) if other.cluster == self.cluster]
        if beside:
            return min(beside, key=lambda other: other.index).subject
        return subject(self.first.site, self.first.service, node)

    def needs(self) -> set[str]:
        """Name what must stand before the workload does."""
        return {self.peer(node.name) for _, node in self.targets()}


def standing(resource: Resource) -> Resource:
    """Let a resource stand for its endpoint."""
    return replace(resource, stands=True)


def places(layout: Layout, settings: Settings, binding: str) -> Iterator[Place]:
    """Group the endpoints a binding serves by node and cluster, in the order of their addresses."""
    groups: dict[tuple[str, str], list[Endpoint]] = {}
    for endpoint in layout.deployment.endpoints:
        if endpoint.binding == binding:
            groups.setdefault((endpoint.node, endpoint.cluster), []).append(endpoint)
    for (name, cluster), endpoints in groups.items():
        node = layout.nodes[name]
        where = f"{layout.deployment.service.name}/{name}"
        yield Place(
            layout=layout,
            node=node,
            endpoints=tuple(sorted(endpoints, key=lambda endpoint: endpoint.index)),
            spot=_spot(settings.spots, cluster),
            settings=settings,
            wishes=read_wishes(node, where),
            binding=binding,
        )


def _spot(spots: Mapping[str, Spot], cluster: str) -> Spot:
    return spots[cluster] if cluster in spots else Spot()

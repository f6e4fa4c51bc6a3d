"""Decides which endpoints a service has on a site: where each node goes, how often, and who hosts it.

- Service functions go where InitialPolicy says.
- Servers and containers go where a placement policy says, else their `metadata.cluster`, else the data centre.
- What is hosted on, bound or attached to these goes with them, instance by instance.
- All else, e.g. a network, is there once for the site.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from msgspec import Struct

from specs.model import (
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
from specs.tosca import units
from specs.tosca.flame import FUNCTION, SCALING
from specs.values import Properties

_PLACEMENT = "tosca.policies.Placement"
_HOSTS = ("tosca.nodes.Abstract.Compute", "tosca.nodes.Container.Application", "tosca.nodes.SoftwareComponent")
_VOLUME = "tosca.nodes.BlockStorage"
_HOSTED = "tosca.relationships.HostedOn"
_BOUND = "tosca.relationships.network.BindsTo"
_FOLLOWED = frozenset({"host", "binding", "virtualBinding"})
"""Names of requirements that mean to be hosted or bound where no relationship is said."""
_FLOATING_IP = "tosca.nodes.network.FloatingIP"
_PLACES = ("clusters", "tier", "location", "labels", "spread", "anti_affinity")
"""The properties by which a placement policy says where its targets go."""
MOST_ENDPOINTS = 20_000
"""Of one service on one site; a mistyped number must not fill the memory."""


class _Row(Struct, frozen=True):
    """Some instances of a node on a cluster, with indexes from `first` on."""

    cluster: str
    count: int
    first: int = 0
    state: LifecycleState = LifecycleState.CONNECTED


def place(site: Site, service: Service) -> Deployment:
    """Put a service on a site; what has no place there (see `capacity_findings`) gets no endpoint."""
    return Deployment(site=site, service=service, endpoints=_Placement(site, service).endpoints())


class _Placement:
    def __init__(self, site: Site, service: Service) -> None:
        self._site = site
        self._service = service
        self._rows: dict[str, Sequence[_Row]] = {}
        self._leaders = _leaders(service)
        self._policies = _placement_policies(service)

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Give every endpoint in the order of subjects; none if there are more than anybody can mean."""
        if self.number() > MOST_ENDPOINTS:
            return ()
        found: list[Endpoint] = []
        for name, node in self._service.nodes.items():
            if name in self._located:
                for row in self._rows_of(node, ()):
                    found.extend(self._on_clusters(name, row))
            else:
                found.append(self._of_site(name))
        return tuple(sorted(found, key=lambda endpoint: endpoint.subject))

    def number(self) -> int:
        """Count the endpoints on clusters without making them."""
        return sum(row.count for node in self._located.values() for row in self._rows_of(node, ()))

    def _on_clusters(self, node: str, row: _Row) -> Iterable[Endpoint]:
        for index in range(row.first, row.first + row.count):
            yield Endpoint(
                site=self._site.name,
                service=self._service.name,
                node=node,
                cluster=row.cluster,
                index=index,
                state=row.state,
                binding=self._site.clusters[row.cluster].binding,
            )

    def _of_site(self, node: str) -> Endpoint:
        return Endpoint(
            site=self._site.name, service=self._service.name, node=node, binding=self._binding_of_users(node)
        )

    # --- located nodes ---

    @cached_property
    def _located(self) -> Mapping[str, Node]:
        """The nodes that stand on clusters, by themselves or with another."""
        return {
            name: node
            for name, node in self._service.nodes.items()
            if name in self._leaders or "cluster" in node.metadata or _is_host(node)
        }

    def _rows_of(self, node: Node, followers: tuple[str, ...]) -> Sequence[_Row]:
        if node.name not in self._rows:
            leader = self._leaders.get(node.name)
            if node.is_a(FUNCTION):
                rows = self._of_function(node)
            elif leader is not None and leader.name not in followers:
                rows = self._rows_of(leader, (*followers, node.name)) if leader.name in self._located else ()
            else:
                rows = self._chosen(node)
            self._rows[node.name] = rows
        return self._rows[node.name]

    @cached_property
    def _default(self) -> Cluster | None:
        return default_cluster(self._site)

    @cached_property
    def _pools(self) -> Mapping[str, Policy]:
        return _pools(self._service)

    def _of_function(self, node: Node) -> Sequence[_Row]:
        """Give the instances on every cluster, and behind those that are connected the idle ones of the pool."""
        count = _instances(node)
        pool = _pool(self._pools[node.name], node) if node.name in self._pools else 0
        found: list[_Row] = []
        for cluster, state in self._service.states.get(node.name, {}).items():
            if cluster not in self._site.clusters or state is LifecycleState.UNPLACED:
                continue
            found.append(_Row(cluster, count, state=state))
            if state is LifecycleState.CONNECTED:
                found.append(_Row(cluster, pool, first=count, state=LifecycleState.BOOTED))
        return found

    def _chosen(self, node: Node) -> Sequence[_Row]:
        clusters, spread = self._clusters_for(node)
        count = _instances(node)
        if not spread or not clusters:
            return [_Row(cluster, count) for cluster in clusters]
        each, rest = divmod(count, len(clusters))
        return [_Row(cluster, each + (number < rest)) for number, cluster in enumerate(clusters)]

    def _clusters_for(self, node: Node) -> tuple[Sequence[str], bool]:
        """Give the clusters a node goes to, and whether its instances are dealt out among them."""
        if node.name in self._policies:
            policy, rank = self._policies[node.name]
            fitting = [
                name for name in sorted(self._site.clusters) if _fits(self._site.clusters[name], policy.properties)
            ]
            if policy.properties.get("anti_affinity") is True and fitting:
                fitting = [fitting[rank % len(fitting)]]
            return fitting, policy.properties.get("spread") is True
        if "cluster" in node.metadata:
            names = [name.strip() for name in node.metadata["cluster"].split(",")]
            return [name for name in names if name in self._site.clusters], False
        return ([self._default.name], False) if self._default is not None else ([], False)

    # --- nodes of the whole site ---

    def _binding_of_users(self, name: str) -> str:
        """Find who serves the nearest located nodes around a node, else who serves the default cluster."""
        return self._nearest.get(name, self._default.binding if self._default is not None else "")

    @cached_property
    def _nearest(self) -> Mapping[str, str]:
        """Go out from all located nodes at once; of several that are equally near the first by name counts."""
        found: dict[str, str] = {}
        for name, node in self._located.items():
            bindings = [self._site.clusters[row.cluster].binding for row in self._rows_of(node, ()) if row.count]
            if bindings:
                found[name] = min(bindings)
        neighbours = _neighbours(self._service)
        ring = dict(found)
        while ring:
            further: dict[str, str] = {}
            for name, binding in ring.items():
                for other in neighbours[name]:
                    if other not in found:
                        further[other] = min(binding, further.get(other, binding))
            found.update(further)
            ring = further
        return found

    def unplaced(self) -> Iterable[str]:
        """Give the nodes that should stand on clusters, go with no other and find no cluster that fits."""
        for name, node in self._located.items():
            if name not in self._leaders and not node.is_a(FUNCTION) and not self._clusters_for(node)[0]:
                yield name


def _is_host(node: Node) -> bool:
    return node.is_a(FUNCTION) or any(map(node.is_a, _HOSTS))


def _leads(node: Node, requirement: Requirement) -> bool:
    if (
        requirement.is_a(_HOSTED)
        or requirement.is_a(_BOUND)
        or (not requirement.types and requirement.name in _FOLLOWED)
    ):
        return bool(requirement.node)
    return node.is_a(_FLOATING_IP) and requirement.name == "link"


def _leaders(service: Service) -> Mapping[str, Node]:
    """Give the node that another goes with, by that one's name: its host, its server, the port of its address."""
    attached = _attachments(service)
    found: dict[str, Node] = {}
    for name, node in service.nodes.items():
        leader = next((one.node for one in node.requirements if _leads(node, one)), "") or attached.get(name, "")
        if leader in service.nodes:
            found[name] = service.nodes[leader]
    return found


def _attachments(service: Service) -> Mapping[str, str]:
    """Give the node each volume is attached to; one that several share belongs to the site."""
    users: dict[str, list[str]] = {}
    for name, node in service.nodes.items():
        for requirement in node.requirements:
            target = service.nodes.get(requirement.node)
            if target is not None and target.is_a(_VOLUME):
                users.setdefault(target.name, []).append(name)
    return {volume: names[0] for volume, names in users.items() if len(names) == 1}


def _neighbours(service: Service) -> Mapping[str, Iterable[str]]:
    """Give the nodes next to each: those it requires and those that require it."""
    found: dict[str, set[str]] = {name: set() for name in service.nodes}
    for name, node in service.nodes.items():
        for requirement in node.requirements:
            if requirement.node in found:
                found[name].add(requirement.node)
                found[requirement.node].add(name)
    return found


def _instances(node: Node) -> int:
    """Give how many instances a node begins with on each of its clusters."""
    scalable = node.capabilities.get("scalable", {})
    for key in ("default_instances", "min_instances"):
        value = scalable.get(key)
        if isinstance(value, int):
            return max(0, value)
    return 1


def _pools(service: Service) -> Mapping[str, Policy]:
    """Give the first policy that keeps a pool, by node."""
    found: dict[str, Policy] = {}
    for policy in service.policies.values():
        if policy.is_a(SCALING) and isinstance(policy.properties.get("pool_size"), int):
            for node in _targets(service, policy):
                found.setdefault(node, policy)
    return found


def _pool(policy: Policy, node: Node) -> int:
    """Give how many booted instances wait behind those of a function; never more than could be connected."""
    size, scalable = policy.properties.get("pool_size"), node.capabilities.get("scalable", {})
    greatest = [given.get("max_instances") for given in (policy.properties, scalable)]
    left = [number - _instances(node) for number in greatest if isinstance(number, int)]
    return max(0, min([size, *left])) if isinstance(size, int) else 0


# --- clusters ---


def default_cluster(site: Site) -> Cluster | None:
    """Give the first data centre by name, else the first cluster; None if there is no cluster."""
    ordered = [site.clusters[name] for name in sorted(site.clusters)]
    centres = [cluster for cluster in ordered if cluster.tier is Tier.DATA_CENTRE]
    return next(iter(centres or ordered), None)


def _placement_policies(service: Service) -> Mapping[str, tuple[Policy, int]]:
    """Give the first policy, by name, that says where a node goes, itself or in a group; and its number among them."""
    found: dict[str, tuple[Policy, int]] = {}
    for name in sorted(service.policies):
        policy = service.policies[name]
        if policy.is_a(_PLACEMENT) and any(key in policy.properties for key in _PLACES):
            for rank, node in enumerate(sorted(_targets(service, policy))):
                found.setdefault(node, (policy, rank))
    return found


def _targets(service: Service, policy: Policy) -> frozenset[str]:
    found: set[str] = set()
    for target in policy.targets:
        found.update(service.groups[target].members if target in service.groups else (target,))
    return frozenset(found)


def _fits(cluster: Cluster, wanted: Properties) -> bool:
    names, labels = wanted.get("clusters"), wanted.get("labels")
    own_labels = cluster.properties.get("labels")
    if isinstance(names, list) and cluster.name not in names:
        return False
    if "tier" in wanted and wanted["tier"] != cluster.tier:
        return False
    if "location" in wanted and wanted["location"] != cluster.location:
        return False
    if isinstance(labels, Mapping):
        return isinstance(own_labels, Mapping) and labels.items() <= own_labels.items()
    return True


# --- capacity ---


class Demand(Struct, frozen=True):
    """What one service takes of a site."""

    service: str
    taken: Mapping[str, Capacity]
    """By cluster; an endpoint takes its capacity from the state `booted` on."""
    unplaced: tuple[str, ...]
    """What is to be said of nodes that have no place on the site."""


def capacity_findings(site: Site, deployments: Iterable[Deployment]) -> tuple[str, ...]:
    """Say which clusters would be asked for more than they have, and which nodes have no place on the site."""
    demands = [demand_of(deployment) for deployment in deployments]
    return (*(finding for demand in demands for finding in demand.unplaced), *overloads(site, demands))


def demand_of(deployment: Deployment) -> Demand:
    """Add up what a service takes on each cluster."""
    taken: dict[str, Capacity] = {}
    for endpoint in deployment.endpoints:
        node = deployment.service.nodes[endpoint.node]
        if endpoint.cluster and endpoint.state.reaches(LifecycleState.BOOTED) and not _is_hosted(node):
            more = units.capacity(node.capabilities.get("host", {}))
            taken[endpoint.cluster] = taken.get(endpoint.cluster, Capacity()) + more
    return Demand(deployment.service.name, taken, tuple(_unplaced(deployment.site, deployment)))


def overloads(site: Site, demands: Iterable[Demand]) -> tuple[str, ...]:
    """Say which clusters would be asked for more than they have."""
    takers: dict[str, list[Demand]] = {name: [] for name in site.clusters}
    for demand in demands:
        for cluster in demand.taken:
            if cluster in takers:
                takers[cluster].append(demand)
    return tuple(finding for name in sorted(takers) for finding in _overload(site.clusters[name], takers[name]))


def _unplaced(site: Site, deployment: Deployment) -> Iterable[str]:
    service = deployment.service
    placement = _Placement(site, service)
    if not deployment.endpoints and (number := placement.number()) > MOST_ENDPOINTS:
        yield f"{service.name} would have {number} endpoints on {site.name}; at most {MOST_ENDPOINTS} are kept"
    for name in placement.unplaced():
        yield f"no cluster of {site.name} fits the placement of {service.name}/{name}; clusters: {_names(site)}"


def _names(site: Site) -> str:
    return ", ".join(sorted(site.clusters)) or "none"


def _is_hosted(node: Node) -> bool:
    return any(one.is_a(_HOSTED) or (not one.types and one.name == "host") for one in node.requirements)


def _overload(cluster: Cluster, demands: Sequence[Demand]) -> Iterable[str]:
    takers = [(demand.service, demand.taken[cluster.name]) for demand in demands]
    for word, offered, taken in (
        ("vCPU", cluster.capacity.vcpus, {name: one.vcpus for name, one in takers}),
        ("MB memory", cluster.capacity.memory_mb, {name: one.memory_mb for name, one in takers}),
        ("GB disk", cluster.capacity.disk_gb, {name: one.disk_gb for name, one in takers}),
    ):
        needed = sum(taken.values())
        if needed > offered:
            each = ", ".join(f"{name} {taken[name]:g}" for name in sorted(taken) if taken[name])
            yield f"{cluster.name} has {offered:g} {word}, services on it need {needed:g} ({each})"

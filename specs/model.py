"""What the documents mean: sites, services, endpoints, and the resources a provider manages.

Everything here is an immutable value in a stable order. Units stand in the names: `_mb` is 10^6
bytes, `_gb` 10^9 bytes, `_ms` milliseconds, `_mbps` 10^6 bit/s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property, lru_cache
from sys import intern
from typing import NewType

from msgspec import Struct, field

from specs.values import Properties, Reference, Secret, Value, digest, expressions

Address = NewType("Address", str)
"""`<site>/<service>/<node>[@<cluster>][.<n>]:<provider>.<kind>[/<name>]`: stable, printable, shell-safe.

Resources of the site itself carry `-` as their service. `provider` is the name of the plugin. What is wanted, recorded
and seen of a resource is spoken of by one and the same text (`sys.intern`), and so are its digests: that is a third of
the memory, and quickly compared.
"""

Subject = NewType("Subject", str)
"""An address without its type: the endpoint or node a stack of resources belongs to."""

_NAME = r"[A-Za-z0-9_][A-Za-z0-9_-]*"
_ADDRESS = re.compile(
    rf"(?P<site>{_NAME})/(?P<service>-|{_NAME})/(?P<node>{_NAME})(?:@(?P<cluster>{_NAME}))?(?:\.(?P<index>\d+))?"
    rf":(?P<provider>{_NAME})\.(?P<kind>{_NAME})(?:/(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]*))?"
)


class AddressParts(Struct, frozen=True):
    """An address taken apart; `cluster` and `name` are empty and `index` is -1 where they are absent."""

    site: str
    service: str
    node: str
    cluster: str
    index: int
    provider: str
    kind: str
    name: str

    @property
    def subject(self) -> Subject:
        """Whose stack the resource belongs to."""
        return subject(self.site, self.service, self.node, self.cluster, self.index)


def subject(site: str, service: str, node: str, cluster: str = "", index: int = -1) -> Subject:
    """Name an endpoint (or, without cluster and index, a node) of a service on a site."""
    place = f"@{cluster}" if cluster else ""
    number = f".{index}" if index >= 0 else ""
    return Subject(f"{site}/{service}/{node}{place}{number}")


def address(owner: Subject, provider: str, kind: str, name: str = "") -> Address:
    """Give the address of one resource in the stack of a subject."""
    return Address(intern(f"{owner}:{provider}.{kind}/{name}" if name else f"{owner}:{provider}.{kind}"))


@lru_cache(2048)
def parse_address(text: str) -> AddressParts:
    """Take an address apart; `ValueError` says what an address looks like."""
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{text!r} is not an address; it should look like bristol/vr-tour/storage@edge-1.0:sandpit.server"
        )
    parts = match.groupdict(default="")
    return AddressParts(
        site=parts["site"],
        service=parts["service"],
        node=parts["node"],
        cluster=parts["cluster"],
        index=int(parts["index"]) if parts["index"] else -1,
        provider=parts["provider"],
        kind=parts["kind"],
        name=parts["name"],
    )


# --- sites -----------------------------------------------------------------------------------------


class Tier(StrEnum):
    """How far from the core a cluster stands."""

    DATA_CENTRE = "data_centre"
    EDGE = "edge"
    FAR_EDGE = "far_edge"
    MIST = "mist"


class Role(StrEnum):
    """What a provider binding does for a site; each role has one binding, except compute."""

    COMPUTE = "compute"
    NETWORK = "network"
    MONITORING = "monitoring"


class Position(Struct, frozen=True, gc=False):
    """Where something is written: file, and line and column from 1."""

    file: str
    line: int = 0
    column: int = 0


class Capacity(Struct, frozen=True, kw_only=True):
    """What a cluster offers or an endpoint takes."""

    vcpus: float = 0
    memory_mb: float = 0
    disk_gb: float = 0

    def __add__(self, other: Capacity) -> Capacity:
        return Capacity(
            vcpus=self.vcpus + other.vcpus,
            memory_mb=self.memory_mb + other.memory_mb,
            disk_gb=self.disk_gb + other.disk_gb,
        )


class Cluster(Struct, frozen=True, kw_only=True):
    """A place of a site that can host endpoints."""

    name: str
    tier: Tier
    location: str
    capacity: Capacity
    binding: str
    """The provider binding that serves it, a key of `Site.bindings`."""
    properties: Properties = field(default_factory=dict)
    """What else the spec says, e.g. availability zone or kube context: for the provider."""
    position: Position = Position("")


class Switch(Struct, frozen=True, kw_only=True):
    """A switch of the site's fabric."""

    name: str
    properties: Properties = field(default_factory=dict)
    """Data path id, ports, area, queues: for the SDN provider."""
    position: Position = Position("")


class Link(Struct, frozen=True, kw_only=True):
    """A cable between two ports; `source` and `target` are names of switches or clusters."""

    name: str
    source: str
    target: str
    source_port: int = 0
    target_port: int = 0
    latency_ms: float = 1.0
    bandwidth_mbps: float = 1000.0
    cost: float = 1.0
    properties: Properties = field(default_factory=dict)
    position: Position = Position("")


class Budget(Struct, frozen=True, kw_only=True):
    """How many calls a provider may make: at once, and in a second (0 = as many as it can)."""

    concurrency: int = 8
    calls_per_second: float = 0.0


class Binding(Struct, frozen=True, kw_only=True):
    """One provider plugin, configured for one site."""

    name: str
    plugin: str
    """Name in the entry-point group `reconciler.providers`."""
    roles: frozenset[Role] = frozenset()
    """Empty: whatever the plugin offers and no other binding claims."""
    settings: Properties = field(default_factory=dict)
    budget: Budget = Budget()
    position: Position = Position("")


class Site(Struct, frozen=True, kw_only=True):
    """One replica: its places, its fabric and the providers that serve it."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    clusters: Mapping[str, Cluster] = field(default_factory=dict)
    switches: Mapping[str, Switch] = field(default_factory=dict)
    links: Mapping[str, Link] = field(default_factory=dict)
    bindings: Mapping[str, Binding] = field(default_factory=dict)
    properties: Properties = field(default_factory=dict)
    """Traffic classes, access points and whatever else the site says to all providers."""
    position: Position = Position("")


# --- services --------------------------------------------------------------------------------------


class LifecycleState(StrEnum):
    """What is wanted of an endpoint; each state stands on the ones before it."""

    UNPLACED = "unplaced"
    PLACED = "placed"
    BOOTED = "booted"
    CONNECTED = "connected"

    def reaches(self, other: LifecycleState) -> bool:
        """Tell whether this state includes `other`."""
        return _REACH[self] >= _REACH[other]


_REACH = {state: number for number, state in enumerate(LifecycleState)}


class Requirement(Struct, frozen=True, kw_only=True):
    """What a node needs of another node of the service; `node` is its name, empty when left open."""

    name: str
    node: str
    capability: str = ""
    relationship: str = ""
    types: tuple[str, ...] = ()
    """The type of its relationship and that type's ancestors, nearest first."""
    properties: Properties = field(default_factory=dict)

    def is_a(self, type_name: str) -> bool:
        """Tell whether the relationship's type is or derives from `type_name`."""
        return type_name in self.types


class Artifact(Struct, frozen=True, kw_only=True):
    """A file that belongs to a node, e.g. an image or a script; `content` is set for text in the repository."""

    name: str
    type: str
    file: str
    content: str = ""
    properties: Properties = field(default_factory=dict)


class Operation(Struct, frozen=True, kw_only=True):
    """One operation of an interface, e.g. `Standard.create`, with its script and inputs."""

    name: str
    implementation: str = ""
    """Path in the repository, or the name of an artifact."""
    content: str = ""
    """The script's text where `implementation` is a file of the repository."""
    inputs: Properties = field(default_factory=dict)


class Node(Struct, frozen=True, kw_only=True, gc=False):
    """One node template of a service, its functions resolved as far as git alone allows."""

    name: str
    types: tuple[str, ...]
    """Its type and that type's ancestors, nearest first."""
    properties: Properties = field(default_factory=dict)
    capabilities: Mapping[str, Properties] = field(default_factory=dict)
    requirements: tuple[Requirement, ...] = ()
    artifacts: Mapping[str, Artifact] = field(default_factory=dict)
    operations: Mapping[str, Operation] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    position: Position = Position("")

    def is_a(self, type_name: str) -> bool:
        """Tell whether the node's type is or derives from `type_name`."""
        return type_name in self.types

    @property
    def protect(self) -> bool:
        """Whether `metadata: {protect: true}` forbids to delete or replace what stands for it."""
        return self.metadata.get("protect", "").lower() == "true"


class Trigger(Struct, frozen=True, kw_only=True):
    """When a policy acts (`condition`, `event`) and what it then does (`action`), as written."""

    name: str
    event: str = ""
    condition: Properties = field(default_factory=dict)
    action: Value = None
    position: Position = Position("")


class Policy(Struct, frozen=True, kw_only=True):
    """A policy of a service spec or an alerts spec."""

    name: str
    types: tuple[str, ...]
    targets: tuple[str, ...] = ()
    properties: Properties = field(default_factory=dict)
    triggers: Mapping[str, Trigger] = field(default_factory=dict)
    position: Position = Position("")

    def is_a(self, type_name: str) -> bool:
        """Tell whether the policy's type is or derives from `type_name`."""
        return type_name in self.types


class Group(Struct, frozen=True, kw_only=True):
    """Nodes that policies speak of together."""

    name: str
    types: tuple[str, ...]
    members: tuple[str, ...]
    properties: Properties = field(default_factory=dict)


class SiteSelector(Struct, frozen=True, kw_only=True):
    """Which sites a service runs on: named ones, those with all `labels`, or every one."""

    names: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    everywhere: bool = False

    def selects(self, site: Site) -> bool:
        """Tell whether the service runs on `site`."""
        if self.everywhere or site.name in self.names:
            return True
        return bool(self.labels) and self.labels.items() <= site.labels.items()


class Service(Struct, frozen=True, kw_only=True):
    """One service spec, compiled with the inputs of one site."""

    name: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    sites: SiteSelector = SiteSelector()
    nodes: Mapping[str, Node] = field(default_factory=dict)
    states: Mapping[str, Mapping[str, LifecycleState]] = field(default_factory=dict)
    """What InitialPolicy says now: node → cluster → state; only for service functions."""
    groups: Mapping[str, Group] = field(default_factory=dict)
    policies: Mapping[str, Policy] = field(default_factory=dict)
    outputs: Properties = field(default_factory=dict)
    position: Position = Position("")


class Alerts(Struct, frozen=True, kw_only=True):
    """One alerts spec: its chain, its instance and its policies, as written."""

    name: str
    sfc: str
    sfci: str
    policies: Mapping[str, Policy] = field(default_factory=dict)
    position: Position = Position("")


class Endpoint(Struct, frozen=True, kw_only=True):
    """One deployed instance of a node; nodes without a place (networks) have an empty cluster."""

    site: str
    service: str
    node: str
    cluster: str = ""
    index: int = -1
    state: LifecycleState = LifecycleState.CONNECTED
    binding: str = ""
    """The provider binding that hosts it."""

    @property
    def subject(self) -> Subject:
        """The stem of the addresses of its resources."""
        return subject(self.site, self.service, self.node, self.cluster, self.index)


class Deployment(Struct, frozen=True, kw_only=True):
    """One service placed on one site: what providers turn into resources.

    `endpoints` are in the order of their subjects; unplaced ones are not among them.
    """

    site: Site
    service: Service
    endpoints: tuple[Endpoint, ...]
    alerts: tuple[Alerts, ...] = ()
    """Every alerts spec of the commit; those of other chain instances are not for this service."""

    def of(self, node: str) -> tuple[Endpoint, ...]:
        """Give the endpoints of one node."""
        return tuple(endpoint for endpoint in self.endpoints if endpoint.node == node)


# --- resources -------------------------------------------------------------------------------------


class Resource(Struct, frozen=True, kw_only=True, dict=True):
    """One thing a provider manages.

    `requires` and references may name a *subject* instead of an address: linking replaces it by the
    address of the resource with `stands=True` of that endpoint or node. So a provider can require
    what another provider makes without knowing its kinds.
    """

    address: Address
    binding: str
    properties: Properties
    """Only what the spec says or the profile fixes, never defaults of the service behind."""
    requires: tuple[str, ...] = ()
    """Addresses (or, before linking, subjects), sorted."""
    stands: bool = False
    """Whether it stands for its endpoint: `get_attribute` of the node reads its attributes."""
    protect: bool = False

    @property
    def kind(self) -> str:
        """The kind, e.g. `server`."""
        return parse_address(self.address).kind

    @cached_property
    def digest(self) -> str:
        """Digest of the properties, references unresolved."""
        return intern(digest(self.properties))

    @property
    def references(self) -> tuple[Reference, ...]:
        """Every reference inside the properties, in order."""
        return tuple(item for item in expressions(self.properties) if isinstance(item, Reference))

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Every secret inside the properties, in order."""
        return tuple(item for item in expressions(self.properties) if isinstance(item, Secret))

    def __hash__(self) -> int:
        return hash((self.address, self.digest))

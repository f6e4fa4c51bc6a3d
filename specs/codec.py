"""Models as JSON and back, for the cache; what comes back is equal to what went in.

Nodes are lists, not mappings, and repeated lineages are written once: twenty thousand nodes are read in
a fraction of a second.
"""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, Mapping, Sequence, ValuesView
from functools import lru_cache
from sys import intern
from typing import Any

import msgspec

from specs import values
from specs.errors import Diagnostic, Severity
from specs.model import (
    Alerts,
    Artifact,
    Binding,
    Budget,
    Capacity,
    Cluster,
    Group,
    LifecycleState,
    Link,
    Node,
    Operation,
    Policy,
    Position,
    Requirement,
    Role,
    Service,
    Site,
    SiteSelector,
    Switch,
    Tier,
    Trigger,
)
from specs.values import Call, Reference, Secret, Value, rewrite

ANY_SITE = "-"
"""Stands for the site in subjects of a service that is compiled once for several sites; no site is called so."""

Json = Any
"""Plain JSON data, as `json` takes and gives it."""

_Decode = Callable[[Json], Any]

_EMPTY: Mapping[str, Any] = {}
"""One for all: most nodes have no artifacts, operations or metadata. Texts that repeat are shared as well."""


def encode_diagnostic(diagnostic: Diagnostic) -> Json:
    """Write a diagnostic."""
    return [
        diagnostic.file,
        diagnostic.line,
        diagnostic.column,
        diagnostic.severity.value,
        diagnostic.code,
        diagnostic.message,
    ]


def decode_diagnostic(data: Json) -> Diagnostic:
    """Read a diagnostic."""
    file, line, column, severity, code, message = data
    return Diagnostic(file, line, column, Severity(severity), code, message)


def encode_position(position: Position) -> Json:
    """Write a position."""
    return [position.file, position.line, position.column]


def decode_position(data: Json) -> Position:
    """Read a position."""
    file, line, column = data
    return Position(intern(file), line, column)


# --- services ---


def encode_service(service: Service) -> Json:
    """Write a service; `late` tells whether anything in it is known only later and may name the site."""
    lineages: dict[tuple[str, ...], int] = {}
    for section in (service.nodes, service.policies, service.groups):
        for item in section.values():
            lineages.setdefault(item.types, len(lineages))
    for node in service.nodes.values():
        for requirement in node.requirements:
            lineages.setdefault(requirement.types, len(lineages))
    return {
        "name": service.name,
        "metadata": service.metadata,
        "sites": encode_selector(service.sites),
        "lineages": list(lineages),
        "nodes": [_encode_node(node, lineages) for node in service.nodes.values()],
        "states": service.states,
        "groups": [
            [group.name, lineages[group.types], group.members, values.encode(group.properties)]
            for group in service.groups.values()
        ],
        "policies": [_encode_policy(policy, lineages) for policy in service.policies.values()],
        "outputs": values.encode(service.outputs),
        "position": encode_position(service.position),
        "late": _is_late(service),
    }


def _is_late(service: Service) -> bool:
    """Tell whether any value must be decoded, because it holds an expression or a key like one."""
    found: list[Value] = [service.outputs, *(group.properties for group in service.groups.values())]
    for node in service.nodes.values():
        found += [node.properties, *node.capabilities.values(), *(one.properties for one in node.requirements)]
        found += [
            *(one.properties for one in node.artifacts.values()),
            *(one.inputs for one in node.operations.values()),
        ]
    for policy in service.policies.values():
        found.append(policy.properties)
        for trigger in policy.triggers.values():
            found += [trigger.condition, trigger.action]
    return any(map(_needs_decoding, found))


def _needs_decoding(value: Value) -> bool:
    match value:
        case Mapping():
            return any(key.startswith("$") or _needs_decoding(item) for key, item in value.items())
        case list():
            return any(map(_needs_decoding, value))
        case str() | int() | float() | None:
            return False
    return True


def decode_service(data: Json, site: str) -> Service:
    """Read a service as it is on one site; without late values it is the same on all."""
    decode = _at_site(site) if data["late"] else _plain
    lineages = [tuple(map(intern, lineage)) for lineage in data["lineages"]]
    groups = (
        Group(name=name, types=lineages[types], members=tuple(members), properties=decode(properties))
        for name, types, members, properties in data["groups"]
    )
    policies = (_decode_policy(policy, lineages, decode) for policy in data["policies"])
    return Service(
        name=data["name"],
        metadata=data["metadata"],
        sites=decode_selector(data["sites"]),
        nodes=Nodes(data["nodes"], lineages, decode),
        states={
            node: {cluster: LifecycleState(state) for cluster, state in states.items()}
            for node, states in data["states"].items()
        },
        groups={group.name: group for group in groups},
        policies={policy.name: policy for policy in policies},
        outputs=decode(data["outputs"]),
        position=Position(*data["position"]),
    )


class Nodes(Mapping[str, Node]):
    """The nodes of a service, as JSON until somebody looks at them, and again when many others were looked at since."""

    __slots__ = ("_data", "_decode", "_lineages")
    __hash__ = object.__hash__

    def __init__(self, data: Json, lineages: Sequence[tuple[str, ...]], decode: _Decode) -> None:
        self._data, self._lineages, self._decode = data, lineages, decode

    def __getitem__(self, name: str) -> Node:
        return _decoded(self)[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_decoded(self))

    def __len__(self) -> int:
        return len(_decoded(self))

    def __contains__(self, name: object) -> bool:
        return name in _decoded(self)

    def items(self) -> ItemsView[str, Node]:
        """Give names and nodes; what `Mapping` has looks each one up."""
        return _decoded(self).items()

    def values(self) -> ValuesView[Node]:
        """Give the nodes."""
        return _decoded(self).values()

    def __repr__(self) -> str:
        return repr(_decoded(self))

    def read(self) -> Mapping[str, Node]:
        """Decode them all."""
        data = msgspec.json.decode(self._data) if isinstance(self._data, msgspec.Raw) else self._data
        nodes = (_decode_node(node, self._lineages, self._decode) for node in data)
        return {node.name: node for node in nodes}


@lru_cache(16)
def _decoded(nodes: Nodes) -> Mapping[str, Node]:
    return nodes.read()


def _plain(data: Json) -> Json:
    return data


def _at_site(site: str) -> _Decode:
    """Build a decoder that puts the site into references."""
    anywhere = f"{ANY_SITE}/"

    def relocate(expression: Reference | Secret | Call) -> Value:
        if isinstance(expression, Reference) and expression.target.startswith(anywhere):
            return Reference(f"{site}/{expression.target[len(anywhere) :]}", expression.attribute, expression.path)
        return expression

    def decode(data: Json) -> Json:
        return rewrite(values.decode(data), relocate)

    return decode


def encode_selector(selector: SiteSelector) -> Json:
    """Write which sites a service runs on."""
    return [list(selector.names), dict(selector.labels), selector.everywhere]


def decode_selector(data: Json) -> SiteSelector:
    """Read which sites a service runs on."""
    names, labels, everywhere = data
    return SiteSelector(names=tuple(names), labels=labels, everywhere=everywhere)


def _encode_node(node: Node, lineages: Mapping[tuple[str, ...], int]) -> Json:
    return [
        node.name,
        lineages[node.types],
        values.encode(node.properties),
        {name: values.encode(properties) for name, properties in node.capabilities.items()},
        [
            [r.name, r.node, r.capability, r.relationship, lineages[r.types], values.encode(r.properties)]
            for r in node.requirements
        ],
        [[a.name, a.type, a.file, a.content, values.encode(a.properties)] for a in node.artifacts.values()],
        [[o.name, o.implementation, o.content, values.encode(o.inputs)] for o in node.operations.values()],
        node.metadata,
        encode_position(node.position),
    ]


def _decode_node(data: Json, lineages: Sequence[tuple[str, ...]], decode: _Decode) -> Node:
    name, types, properties, capabilities, requirements, artifacts, operations, metadata, position = data
    return Node(
        name=intern(name),
        types=lineages[types],
        properties=decode(properties) or _EMPTY,
        capabilities={key: decode(item) or _EMPTY for key, item in capabilities.items()} or _EMPTY,
        requirements=tuple(
            Requirement(
                name=intern(r),
                node=intern(node),
                capability=intern(capability),
                relationship=intern(relationship),
                types=lineages[kinds],
                properties=decode(given) or _EMPTY,
            )
            for r, node, capability, relationship, kinds, given in requirements
        ),
        artifacts={
            a: Artifact(
                name=a, type=intern(its_type), file=intern(file), content=content, properties=decode(given) or _EMPTY
            )
            for a, its_type, file, content, given in artifacts
        }
        or _EMPTY,
        operations={
            o: Operation(name=o, implementation=implementation, content=content, inputs=decode(given) or _EMPTY)
            for o, implementation, content, given in operations
        }
        or _EMPTY,
        metadata=metadata or _EMPTY,
        position=decode_position(position),
    )


def _encode_policy(policy: Policy, lineages: Mapping[tuple[str, ...], int]) -> Json:
    return [
        policy.name,
        lineages[policy.types],
        list(policy.targets),
        values.encode(policy.properties),
        [
            [t.name, t.event, values.encode(t.condition), values.encode(t.action), encode_position(t.position)]
            for t in policy.triggers.values()
        ],
        encode_position(policy.position),
    ]


def _decode_policy(data: Json, lineages: Sequence[tuple[str, ...]], decode: _Decode) -> Policy:
    name, types, targets, properties, triggers, position = data
    return Policy(
        name=name,
        types=lineages[types],
        targets=tuple(targets),
        properties=decode(properties),
        triggers={
            t: Trigger(
                name=t, event=event, condition=decode(condition), action=decode(action), position=Position(*place)
            )
            for t, event, condition, action, place in triggers
        },
        position=Position(*position),
    )


# --- alerts ---


def encode_alerts(alerts: Alerts) -> Json:
    """Write an alerts spec."""
    lineages: dict[tuple[str, ...], int] = {}
    for policy in alerts.policies.values():
        lineages.setdefault(policy.types, len(lineages))
    return {
        "name": alerts.name,
        "sfc": alerts.sfc,
        "sfci": alerts.sfci,
        "lineages": list(lineages),
        "policies": [_encode_policy(policy, lineages) for policy in alerts.policies.values()],
        "position": encode_position(alerts.position),
    }


def decode_alerts(data: Json) -> Alerts:
    """Read an alerts spec."""
    lineages = [tuple(lineage) for lineage in data["lineages"]]
    policies = (_decode_policy(policy, lineages, values.decode) for policy in data["policies"])
    return Alerts(
        name=data["name"],
        sfc=data["sfc"],
        sfci=data["sfci"],
        policies={policy.name: policy for policy in policies},
        position=Position(*data["position"]),
    )


# --- sites ---


def encode_site(site: Site) -> Json:
    """Write a site."""
    return {
        "name": site.name,
        "labels": site.labels,
        "clusters": [_encode_cluster(cluster) for cluster in site.clusters.values()],
        "switches": [
            [switch.name, values.encode(switch.properties), encode_position(switch.position)]
            for switch in site.switches.values()
        ],
        "links": [_encode_link(link) for link in site.links.values()],
        "bindings": [_encode_binding(binding) for binding in site.bindings.values()],
        "properties": values.encode(site.properties),
        "position": encode_position(site.position),
    }


def decode_site(data: Json) -> Site:
    """Read a site."""
    clusters = map(_decode_cluster, data["clusters"])
    switches = (
        Switch(name=name, properties=_mapping(properties), position=Position(*position))
        for name, properties, position in data["switches"]
    )
    links = map(_decode_link, data["links"])
    bindings = map(_decode_binding, data["bindings"])
    return Site(
        name=data["name"],
        labels=data["labels"],
        clusters={cluster.name: cluster for cluster in clusters},
        switches={switch.name: switch for switch in switches},
        links={link.name: link for link in links},
        bindings={binding.name: binding for binding in bindings},
        properties=_mapping(data["properties"]),
        position=Position(*data["position"]),
    )


def _mapping(data: Json) -> Mapping[str, Value]:
    return values.decode(data)  # type: ignore[return-value] # a mapping was written


def _encode_cluster(cluster: Cluster) -> Json:
    capacity = cluster.capacity
    return {
        "name": cluster.name,
        "tier": cluster.tier,
        "location": cluster.location,
        "capacity": [capacity.vcpus, capacity.memory_mb, capacity.disk_gb],
        "binding": cluster.binding,
        "properties": values.encode(cluster.properties),
        "position": encode_position(cluster.position),
    }


def _decode_cluster(data: Json) -> Cluster:
    vcpus, memory_mb, disk_gb = data["capacity"]
    return Cluster(
        name=data["name"],
        tier=Tier(data["tier"]),
        location=data["location"],
        capacity=Capacity(vcpus=vcpus, memory_mb=memory_mb, disk_gb=disk_gb),
        binding=data["binding"],
        properties=_mapping(data["properties"]),
        position=Position(*data["position"]),
    )


def _encode_link(link: Link) -> Json:
    return {
        "name": link.name,
        "source": link.source,
        "target": link.target,
        "source_port": link.source_port,
        "target_port": link.target_port,
        "latency_ms": link.latency_ms,
        "bandwidth_mbps": link.bandwidth_mbps,
        "cost": link.cost,
        "properties": values.encode(link.properties),
        "position": encode_position(link.position),
    }


def _decode_link(data: Json) -> Link:
    position, properties = Position(*data["position"]), _mapping(data["properties"])
    return Link(**{**data, "position": position, "properties": properties})


def _encode_binding(binding: Binding) -> Json:
    return {
        "name": binding.name,
        "plugin": binding.plugin,
        "roles": sorted(binding.roles),
        "settings": values.encode(binding.settings),
        "budget": [binding.budget.concurrency, binding.budget.calls_per_second],
        "position": encode_position(binding.position),
    }


def _decode_binding(data: Json) -> Binding:
    concurrency, calls_per_second = data["budget"]
    return Binding(
        name=data["name"],
        plugin=data["plugin"],
        roles=frozenset(map(Role, data["roles"])),
        settings=_mapping(data["settings"]),
        budget=Budget(concurrency=concurrency, calls_per_second=calls_per_second),
        position=Position(*data["position"]),
    )

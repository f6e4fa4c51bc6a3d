"""Turns a compiled site spec into a site: clusters, switches, links, and the providers that serve them."""

from __future__ import annotations

from collections.abc import Mapping

from specs.model import (
    Binding,
    Budget,
    Cluster,
    Link,
    Node,
    Role,
    Site,
    Switch,
    Tier,
)
from specs.tosca import units
from specs.tosca.cursor import Cursor
from specs.tosca.flame import ACCESS_POINT, CLUSTER, LINK, PROVIDER, QOS, SWITCH
from specs.tosca.grouping import policies
from specs.tosca.interfaces import Files
from specs.tosca.naming import is_name, need_name
from specs.tosca.nodes import nodes, plain_text
from specs.tosca.topology import NodeTemplate, Setting, Topology
from specs.tosca.wording import suggest
from specs.values import Properties, Value

_KINDS = (CLUSTER, SWITCH, LINK, ACCESS_POINT, PROVIDER)


def compile_site(top: Cursor, setting: Setting, files: Files) -> Site:
    """Compile a site spec; what is wrong is reported to the faults of `top`."""
    topology = Topology(top.fields()["topology_template"], setting)
    topology.check_inputs()
    compiled = {node.name: node for node in nodes(topology, files)}
    return _Reader(top, topology, dict(sorted(compiled.items()))).site()


class _Reader:
    def __init__(self, top: Cursor, topology: Topology, compiled: Mapping[str, Node]) -> None:
        self._top = top
        self._topology = topology
        self._nodes = compiled
        self._metadata = _raw(top.fields().get("metadata"))
        self._ends = {name for kind in (SWITCH, CLUSTER, ACCESS_POINT) for name, _ in self._of(kind)}
        """Where a link can end."""

    def site(self) -> Site:
        self._check_kinds()
        bindings = {name: self._binding(node) for name, node in self._of(PROVIDER)}
        if not bindings:
            self._top.error(
                "missing-provider", f"a site needs a node of type {PROVIDER}, which names a plugin", key=True
            )
        clusters = {name: self._cluster(node, bindings) for name, node in self._of(CLUSTER)}
        switches = {
            name: Switch(name=name, properties=_flat(node.properties), position=node.position)
            for name, node in self._of(SWITCH)
        }
        return Site(
            name=self._name(),
            labels=self._labels(),
            clusters=clusters,
            switches=switches,
            links={name: self._link(node) for name, node in self._of(LINK)},
            bindings=bindings,
            properties=self._properties(),
            position=self._top.position(),
        )

    def _of(self, type_name: str) -> list[tuple[str, Node]]:
        return [(name, node) for name, node in self._nodes.items() if node.is_a(type_name)]

    def _check_kinds(self) -> None:
        for name, node in self._nodes.items():
            if node.types and not any(map(node.is_a, _KINDS)):
                parts = ", ".join(kind.rpartition(".")[2] for kind in _KINDS)
                message = f"{name!r} is a {node.types[0]}; a site consists of {parts}, services have their own files"
                self._template(name).cursor.error("not-of-a-site", message, key=True)

    def _template(self, name: str) -> NodeTemplate:
        return self._topology.nodes[name]

    def _name(self) -> str:
        written = self._metadata.get("site")
        if written is not None:
            text = plain_text(written.value) or ""
            return text if need_name(text, "site", written, key=False) else ""
        stem = self._top.source.path.rpartition("/")[2].rpartition(".")[0]
        if not is_name(stem):
            need_name(stem, "site", self._top)
        return stem

    def _labels(self) -> Mapping[str, str]:
        found = {}
        for key, item in self._metadata["labels"].fields().items() if "labels" in self._metadata else ():
            text = plain_text(item.value)
            if text is None:
                item.error("wrong-shape", f"the label {key!r} must be text")
            else:
                found[key] = text
        return found

    def _place(self, name: str, key: str) -> Cursor:
        """Find where a property is written, or the node if it is not."""
        template = self._template(name)
        return template.section("properties").get(key, template.cursor)

    # --- parts ---

    def _binding(self, node: Node) -> Binding:
        budget = node.properties.get("budget")
        given = budget if isinstance(budget, Mapping) else {}
        return Binding(
            name=node.name,
            plugin=_text(node.properties, "plugin"),
            roles=frozenset(Role(role) for role in _words(node.properties, "roles") if role in tuple(Role)),
            settings=_mapping(node.properties, "settings"),
            budget=Budget(
                concurrency=int(_number(given, "concurrency", 8)),
                calls_per_second=_number(given, "calls_per_second", 0.0),
            ),
            position=node.position,
        )

    def _cluster(self, node: Node, bindings: Mapping[str, Binding]) -> Cluster:
        properties = node.properties
        tier = _text(properties, "tier")
        return Cluster(
            name=node.name,
            tier=Tier(tier) if tier in tuple(Tier) else Tier.EDGE,
            location=_text(properties, "location"),
            capacity=units.capacity(_sound(_mapping(properties, "capacity"))),
            binding=self._binding_of(node, bindings),
            properties=_flat(properties, "tier", "location", "capacity", "provider"),
            position=node.position,
        )

    def _binding_of(self, node: Node, bindings: Mapping[str, Binding]) -> str:
        wanted = _text(node.properties, "provider")
        hosts = [name for name, one in bindings.items() if not one.roles or Role.COMPUTE in one.roles]
        if wanted and wanted not in bindings:
            self._place(node.name, "provider").error(
                "unknown-provider", f"there is no Provider node {wanted!r}{suggest(wanted, bindings)}"
            )
        elif wanted and wanted not in hosts:
            self._place(node.name, "provider").error(
                "unknown-provider", f"the provider {wanted!r} has not the role compute{suggest(wanted, hosts)}"
            )
        elif not wanted and len(hosts) != 1 and bindings:
            message = f"{node.name!r} needs 'provider': the one that hosts its endpoints{suggest('', hosts)}"
            self._place(node.name, "provider").error("missing-provider", message, key=True)
        return wanted or (hosts[0] if hosts else "")

    def _link(self, node: Node) -> Link:
        properties = node.properties
        for end in ("source", "target"):
            self._check_end(node, end)
        return Link(
            name=node.name,
            source=_text(properties, "source"),
            target=_text(properties, "target"),
            source_port=int(_number(properties, "source_port", 0)),
            target_port=int(_number(properties, "target_port", 0)),
            latency_ms=_number(properties, "latency_ms", 1.0),
            bandwidth_mbps=_number(properties, "bandwidth_mbps", 1000.0),
            cost=_number(properties, "cost", 1.0),
            properties=_mapping(properties, "properties"),
            position=node.position,
        )

    def _check_end(self, node: Node, end: str) -> None:
        name = node.properties.get(end)
        if isinstance(name, str) and name not in self._ends:
            hint = suggest(name, self._ends)
            self._place(node.name, end).error(
                "unknown-node", f"there is no switch, cluster or access point {name!r}{hint}"
            )

    def _properties(self) -> Properties:
        """Gather what all providers may want to know: access points and traffic classes."""
        points: dict[str, Value] = {name: _flat(node.properties) for name, node in self._of(ACCESS_POINT)}
        classes: dict[str, Value] = {
            name: policy.properties for name, policy in policies(self._topology).items() if policy.is_a(QOS)
        }
        found: dict[str, Value] = {}
        if points:
            found["access_points"] = points
        if classes:
            found["traffic_classes"] = classes
        return found


def _raw(cursor: Cursor | None) -> Mapping[str, Cursor]:
    return cursor.fields() if cursor is not None else {}


def _flat(properties: Properties, *left_out: str) -> Properties:
    """Join the free `properties` of a node with those its type names."""
    named = {key: value for key, value in properties.items() if key != "properties" and key not in left_out}
    return {**_mapping(properties, "properties"), **named}


def _text(properties: Properties, name: str) -> str:
    value = properties.get(name)
    return value if isinstance(value, str) else ""


def _words(properties: Properties, name: str) -> list[str]:
    value = properties.get(name)
    return [word for word in value if isinstance(word, str)] if isinstance(value, list) else []


def _mapping(properties: Properties, name: str) -> Properties:
    value = properties.get(name)
    return value if isinstance(value, Mapping) else {}


def _number(properties: Properties, name: str, default: float) -> float:
    value = properties.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else default


def _sound(properties: Properties) -> Properties:
    """Leave out sizes that cannot be read; they are reported where they are written."""
    found = {}
    for name, value in properties.items():
        try:
            units.capacity({name: value})
        except ValueError:
            continue
        found[name] = value
    return found

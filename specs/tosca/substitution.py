"""Expands an abstract node into the topology of another template that substitutes its type.

The inner nodes join the service as `<abstract>_<inner>`; requirements, attributes and properties lead through the
mappings. Mapped interfaces and substitution filters are not followed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from specs.model import Requirement
from specs.tosca.cursor import Cursor
from specs.tosca.definitions import Kind, Type
from specs.tosca.topology import NodeTemplate, Topology
from specs.tosca.wording import suggest
from specs.values import Value

MAX_NESTED = 8
"""How deep substitutions may stand in each other."""


def anchor(node: NodeTemplate, capability: str, cursor: Cursor) -> tuple[NodeTemplate, str]:
    """Find the node that really offers a capability, inside of what stands in for the one that is asked."""
    inner = node.inner
    if inner is None or not inner.nodes:
        return node, capability
    mapped = inner.mappings["capabilities"].fields().get(capability) if "capabilities" in inner.mappings else None
    target = _mapped(mapped)
    if target is not None and target[0] in inner.nodes:
        return anchor(inner.nodes[target[0]], target[1], cursor)
    if capability != "feature":
        source = inner.cursor.source.path
        cursor.error("unmapped", f"{source} substitutes {node.name!r} and does not map its capability {capability!r}")
    return anchor(next(iter(inner.nodes.values())), "feature", cursor)


def inner_requirements(node: NodeTemplate, requirements: Sequence[Requirement]) -> Mapping[str, Sequence[Requirement]]:
    """Hand the requirements of an abstract node to the inner nodes they are mapped to, or to all of them."""
    inner = node.inner
    found: dict[str, list[Requirement]] = {}
    if inner is None:
        return found
    written = inner.mappings["requirements"].fields() if "requirements" in inner.mappings else {}
    for requirement in requirements:
        target = _mapped(written.get(requirement.name))
        if target is not None:
            found.setdefault(target[0], []).append(replace(requirement, name=target[1]))
        else:
            for name in inner.nodes:
                found.setdefault(name, []).append(replace(requirement, name="dependency"))
    return found


def _mapped(cursor: Cursor | None) -> tuple[str, str] | None:
    match cursor.value if cursor is not None else None:
        case [str() as node, str() as name] | {"mapping": [str() as node, str() as name]}:
            return node, name
    return None


def inner_inputs(node: NodeTemplate, mappings: Mapping[str, Cursor], declared: frozenset[str]) -> Mapping[str, Cursor]:
    """Give the properties of an abstract node as inputs: where they are mapped to, or by equal names."""
    renamed = {}
    for name, cursor in mappings["properties"].fields().items() if "properties" in mappings else ():
        match cursor.value:
            case [str() as target]:
                renamed[name] = target
            case str() as target:
                renamed[name] = target
    found = {}
    written = node.section("properties")
    for name in node.type.properties:
        target = renamed.get(name, name)
        value: Value = node.property(name) if target in declared else None
        if value is not None:
            place = written.get(name, node.cursor)
            found[target] = place.at(name, value) if place is node.cursor else _with_value(place, value)
    return found


def _with_value(cursor: Cursor, value: Value) -> Cursor:
    return Cursor(cursor.source, cursor.faults, cursor.pointer, value)


def check_mappings(topology: Topology) -> None:
    """Check what a template says it substitutes: the type, and that every mapping leads somewhere."""
    if not topology.mappings:
        if "substitution_mappings" in topology.fields:
            topology.fields["substitution_mappings"].error(
                "missing-key", "'substitution_mappings' needs 'node_type'", key=True
            )
        return
    if "node_type" not in topology.mappings:
        topology.fields["substitution_mappings"].error(
            "missing-key", "'substitution_mappings' needs 'node_type'", key=True
        )
        return
    its_type = topology.space.need(Kind.NODE, topology.mappings["node_type"])
    if its_type is None or its_type.broken:
        return
    for section, outer in (("capabilities", its_type.capabilities), ("requirements", its_type.requirements)):
        for name, cursor in topology.mappings[section].fields().items() if section in topology.mappings else ():
            _check_mapping(section, name, cursor, (its_type, outer), topology)
    for name, cursor in topology.mappings["properties"].fields().items() if "properties" in topology.mappings else ():
        if name not in its_type.properties:
            hint = suggest(name, its_type.properties)
            cursor.error("unknown-property", f"{its_type.name} has no property {name!r}{hint}", key=True)
    for key in ("interfaces", "substitution_filter"):
        if key in topology.mappings:
            topology.mappings[key].warning("not-run", f"{key!r} of a substitution is not followed", key=True)


def _check_mapping(
    section: str, name: str, cursor: Cursor, of: tuple[Type, Mapping[str, object]], topology: Topology
) -> None:
    its_type, outer = of
    word = {"capabilities": "capability", "requirements": "requirement"}[section]
    if name not in outer:
        cursor.error(f"unknown-{word}", f"{its_type.name} has no {word} {name!r}{suggest(name, outer)}", key=True)
    target = _mapped(cursor)
    if target is None:
        if section == "capabilities" or not isinstance(cursor.value, dict):
            cursor.error("wrong-shape", f"a mapping of a {word} is a list, e.g. [node, {word}]")
        return
    node = topology.nodes.get(target[0])
    if node is None:
        cursor.error("unknown-node", f"there is no node template {target[0]!r}{suggest(target[0], topology.nodes)}")
    elif not node.type.broken:
        known = node.type.capabilities if section == "capabilities" else node.type.requirements
        if target[1] not in known:
            cursor.error(f"unknown-{word}", f"{node.name!r} has no {word} {target[1]!r}{suggest(target[1], known)}")

"""Turns the node templates of a topology, and of those that stand in for them, into nodes of the model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from specs.model import Node, Requirement
from specs.tosca.cursor import Cursor
from specs.tosca.interfaces import Files, artifacts, operations
from specs.tosca.requirements import Bond
from specs.tosca.substitution import anchor, inner_requirements
from specs.tosca.topology import NodeTemplate, Topology
from specs.tosca.wording import kind_of, suggest
from specs.values import Properties


def nodes(topology: Topology, files: Files, outer: Mapping[str, Sequence[Requirement]] | None = None) -> Iterable[Node]:
    """Compile every node; `outer` are requirements that substitution adds to nodes of this topology."""
    for template in topology.nodes.values():
        added = (outer or {}).get(template.name, ())
        if template.inner is None:
            yield _node(template, files, added)
        else:
            template.properties.all(complete=not template.type.broken)
            requirements = (*_requirements(template), *added)
            yield from nodes(template.inner, files, inner_requirements(template, requirements))


def _node(template: NodeTemplate, files: Files, added: Sequence[Requirement]) -> Node:
    topology = template.topology
    whole = not template.type.broken
    _check_sections(template)
    _check_instances(template)
    return Node(
        name=topology.naming.node(template.name),
        types=template.type.lineage,
        properties=template.properties.all(complete=whole) if whole else {},
        capabilities={name: template.capability(name).all() for name in template.type.capabilities},
        requirements=(*_requirements(template), *added),
        artifacts=artifacts(template, files),
        operations=operations(template, files) if whole else {},
        metadata=metadata(template.field("metadata")),
        position=template.cursor.position(),
    )


def _check_sections(template: NodeTemplate) -> None:
    """Report assignments to capabilities and attributes that the type does not have."""
    if template.type.broken:
        return
    for section, known in (("capabilities", template.type.capabilities), ("attributes", template.type.attributes)):
        for name, cursor in template.section(section).items():
            if name not in known:
                word = {"capabilities": "capability", "attributes": "attribute"}[section]
                message = f"{template.type.name} has no {word} {name!r}{suggest(name, known)}"
                cursor.error(f"unknown-{word}", message, key=True)


def _check_instances(template: NodeTemplate) -> None:
    """Report numbers of instances that contradict each other."""
    for name, definition in template.type.capabilities.items():
        if not definition.type.is_a("tosca.capabilities.Scalable"):
            continue
        ends = [
            template.capability_property(name, key) for key in ("min_instances", "default_instances", "max_instances")
        ]
        counts = [count for count in ends if isinstance(count, int)]
        if counts != sorted(counts):
            place = template.section("capabilities").get(name, template.cursor)
            message = (
                f"{name!r} of {template.name!r} must rise from min_instances over default_instances to max_instances"
            )
            place.error("constraint", message, key=True)


def _requirements(template: NodeTemplate) -> tuple[Requirement, ...]:
    return tuple(_requirement(template, bond) for bond in template.bonds)


def _requirement(template: NodeTemplate, bond: Bond) -> Requirement:
    target, capability = anchor(template.topology.nodes[bond.target], bond.capability, bond.cursor)
    properties: Properties = bond.properties.all(complete=bond.explicit) if bond.properties is not None else {}
    return Requirement(
        name=bond.name,
        node=target.topology.naming.node(target.name),
        capability=capability,
        relationship=bond.relationship,
        types=bond.types,
        properties=properties,
    )


def metadata(cursor: Cursor | None) -> Mapping[str, str]:
    """Read metadata: texts; numbers and truth values as they are written, lists joined by commas."""
    if cursor is None:
        return {}
    found = {}
    for key, item in cursor.fields().items():
        text = plain_text(item.value)
        if text is None:
            item.error("wrong-shape", f"the metadata {key!r} must be text, not {kind_of(item.value)}")
        else:
            found[key] = text
    return found


def plain_text(value: object) -> str | None:
    """Give a scalar, or a list of them, as one text; None for anything else."""
    match value:
        case bool():
            return "true" if value else "false"
        case str() | int() | float():
            return str(value)
        case list():
            parts = [plain_text(item) for item in value]
            return None if None in parts else ",".join(part for part in parts if part)
    return None

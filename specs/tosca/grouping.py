"""Groups and policies of a topology: whom they speak of, and what their triggers say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from specs.model import Group, Policy, Trigger
from specs.tosca.assignments import Assignments
from specs.tosca.cursor import Cursor
from specs.tosca.definitions import Kind, Type
from specs.tosca.functions import Frame, evaluate
from specs.tosca.topology import NodeTemplate, Topology
from specs.tosca.wording import suggest
from specs.values import Properties, Value

_GROUP_KEYS = frozenset({"type", "description", "metadata", "properties", "attributes", "members", "interfaces"})
_POLICY_KEYS = frozenset({"type", "description", "metadata", "properties", "targets", "triggers"})
_TRIGGER_KEYS = frozenset(
    {"description", "event", "event_type", "schedule", "target_filter", "metric", "metadata", "condition", "action"}
)
CONDITION_KEYS = frozenset(
    {
        "constraint",
        "period",
        "evaluations",
        "method",
        "granularity",
        "aggregation_method",
        "threshold",
        "comparison_operator",
        "resource_type",
        "state",
    }
)
_BESIDE = ("metric", "schedule", "target_filter", "metadata")
"""What stands beside a condition and belongs to it."""
_LOGIC = frozenset({"and", "or", "not", "assert"})


def groups(topology: Topology) -> Mapping[str, Group]:
    """Read the groups; members are nodes of the service."""
    found = {}
    for name, cursor in topology.fields["groups"].fields().items() if "groups" in topology.fields else ():
        given = cursor.fields(_GROUP_KEYS, ("type",))
        its_type = topology.space.need(Kind.GROUP, given["type"]) if "type" in given else None
        if its_type is None:
            continue
        members = [
            name
            for item in (given["members"].items() if "members" in given else ())
            if (node := _node(item, topology, "member")) is not None and _is_allowed(its_type, node, item)
            for name in model_names(node)
        ]
        found[topology.naming.node(name)] = Group(
            name=topology.naming.node(name),
            types=its_type.lineage,
            members=tuple(dict.fromkeys(members)),
            properties=_properties(f"the group {name!r}", its_type, given, cursor, topology),
        )
    return found


def policies(topology: Topology) -> Mapping[str, Policy]:
    """Read the policies; targets are nodes or groups of the service."""
    found: dict[str, Policy] = {}
    for name, cursor in topology.fields["policies"].named_items() if "policies" in topology.fields else ():
        policy = _policy(name, cursor, topology)
        if policy is None:
            continue
        if policy.name in found:
            cursor.error("duplicate-policy", f"there are two policies {name!r}; rename one", key=True)
        found.setdefault(policy.name, policy)
    return found


def _policy(name: str, cursor: Cursor, topology: Topology) -> Policy | None:
    given = cursor.fields(_POLICY_KEYS, ("type",))
    its_type = topology.space.need(Kind.POLICY, given["type"]) if "type" in given else None
    if its_type is None:
        return None
    targets = [
        target
        for item in (given["targets"].items() if "targets" in given else ())
        for target in _targets(item, its_type, topology)
    ]
    return Policy(
        name=topology.naming.node(name),
        types=its_type.lineage,
        targets=tuple(dict.fromkeys(targets)),
        properties=_properties(f"the policy {name!r}", its_type, given, cursor, topology),
        triggers=_triggers(given["triggers"], topology) if "triggers" in given else {},
        position=cursor.position(),
    )


def _targets(item: Cursor, its_type: Type, topology: Topology) -> Iterable[str]:
    """Give what a target means in the service: one node, several that stand in for it, or a group."""
    written = topology.fields["groups"].fields() if "groups" in topology.fields else {}
    if isinstance(item.value, str) and item.value in written:
        return (topology.naming.node(item.value),)
    node = _node(item, topology, "target")
    if node is None or not _is_allowed(its_type, node, item):
        return ()
    return model_names(node)


def _node(item: Cursor, topology: Topology, role: str) -> NodeTemplate | None:
    name = item.text()
    node = topology.nodes.get(name)
    if item.is_text and node is None:
        item.error("unknown-node", f"the {role} {name!r} is no node template{suggest(name, topology.nodes)}")
    return node


def _is_allowed(its_type: Type, node: NodeTemplate, item: Cursor) -> bool:
    if not its_type.members or node.type.broken or node.type.is_any(its_type.members):
        return True
    item.error(
        "wrong-target",
        f"{its_type.name} is for {', '.join(its_type.members)}, but {node.name!r} is a {node.type.name}",
    )
    return False


def model_names(node: NodeTemplate) -> tuple[str, ...]:
    """Give the names a node has in the service: its own, or those of the nodes that stand in for it."""
    if node.inner is None:
        return (node.topology.naming.node(node.name),)
    return tuple(name for inner in node.inner.nodes.values() for name in model_names(inner))


def _properties(
    label: str, its_type: Type, given: Mapping[str, Cursor], home: Cursor, topology: Topology
) -> Properties:
    assigned = given["properties"].fields() if "properties" in given else {}
    return Assignments(
        label, its_type.properties, assigned, frame=Frame(topology), space=topology.space, home=home
    ).all(complete=not its_type.broken)


# --- triggers ---


def _triggers(cursor: Cursor, topology: Topology) -> Mapping[str, Trigger]:
    return {name: _trigger(name, item, topology) for name, item in cursor.fields().items()}


def _trigger(name: str, cursor: Cursor, topology: Topology) -> Trigger:
    given = cursor.fields(_TRIGGER_KEYS)
    event = given.get("event") or given.get("event_type")
    return Trigger(
        name=name,
        event=_event(event) if event is not None else "",
        condition=_condition(given, topology),
        action=evaluate(given["action"], Frame(topology)) if "action" in given else None,
        position=cursor.position(),
    )


def _event(cursor: Cursor) -> str:
    if isinstance(cursor.value, dict):
        return str(cursor.value.get("type", ""))
    return cursor.text()


def _condition(given: Mapping[str, Cursor], topology: Topology) -> Mapping[str, Value]:
    """Read when a trigger fires: the condition, with the metric, schedule and filter that stand beside it."""
    frame = Frame(topology)
    found = {key: evaluate(given[key], frame) for key in _BESIDE if key in given}
    cursor = given.get("condition")
    if cursor is None or cursor.value is None:
        return found
    if isinstance(cursor.value, list):
        return {**found, "clauses": evaluate(cursor, frame)}
    if isinstance(cursor.value, dict) and len(cursor.value) == 1 and next(iter(cursor.value)) in _LOGIC:
        return {**found, "clauses": [evaluate(cursor, frame)]}
    return {**found, **{key: evaluate(item, frame) for key, item in cursor.fields(CONDITION_KEYS).items()}}

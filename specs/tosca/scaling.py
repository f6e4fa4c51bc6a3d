"""Checks what scaling policies say: whom alerts may scale, by how much, and that their own triggers can be watched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from specs.model import Policy, Service, Trigger
from specs.tosca.cursor import Cursor
from specs.tosca.flame import CONSTRAINT_PREFIX, INITIAL_POLICY, SCALING, STATE_CHANGE, TOSCA_SCALING
from specs.tosca.topology import NodeTemplate, Topology
from specs.tosca.watches import Unmapped, auto_scale_entries, is_of_tosca, trigger_rule
from specs.tosca.wording import kind_of, suggest

STEPS = ("scale_out", "scale_in", "scale_out_to", "scale_in_to")
"""What the action of a Scaling trigger may ask for."""


def check_scaling(topology: Topology, policies: Mapping[str, Policy]) -> None:
    """Report what is wrong with the scaling policies of a topology, and triggers that nothing can watch."""
    written = topology.fields["policies"].named_items() if "policies" in topology.fields else ()
    for name, cursor in written:
        policy = policies.get(topology.naming.node(name))
        if policy is None or not isinstance(cursor.value, dict):
            continue
        if policy.is_a(SCALING):
            _check_policy(cursor, policy, topology)
        if not (policy.is_a(INITIAL_POLICY) or policy.is_a(STATE_CHANGE)):
            _check_watched(cursor, policy)


def _check_policy(cursor: Cursor, policy: Policy, topology: Topology) -> None:
    least, most = (policy.properties.get(key) for key in ("min_instances", "max_instances"))
    if isinstance(least, int) and isinstance(most, int) and least > most:
        cursor.error("wrong-value", f"min_instances is {least}, more than max_instances, {most}", key=True)
    names = [str(entry.get("name")) for entry in auto_scale_entries(policy)]
    for name in sorted({name for name in names if names.count(name) > 1}):
        cursor.error("duplicate-policy", f"there are two entries {name!r} in auto_scale_policy; rename one", key=True)
    if names and not policy.targets and not _all_name_targets(policy):
        cursor.error("missing-key", f"{cursor.name} needs 'targets': whom auto_scale_policy scales", key=True)
    given = cursor.fields()
    for trigger in given["triggers"].fields().values() if "triggers" in given else ():
        _check_trigger(trigger, policy.triggers.get(str(trigger.pointer[-1])), topology)


def _all_name_targets(policy: Policy) -> bool:
    actions = [entry.get("actions") for entry in auto_scale_entries(policy)]
    each = [action for some in actions for action in (some if isinstance(some, list) else [])]
    return all(isinstance(action, Mapping) and action.get("target") for action in each)


def _check_trigger(cursor: Cursor, trigger: Trigger | None, topology: Topology) -> None:
    if trigger is None or is_of_tosca(trigger):
        return
    constraint = trigger.condition.get("constraint")
    if not isinstance(constraint, str) or not constraint.removeprefix(CONSTRAINT_PREFIX).strip():
        cursor.error(
            "wrong-constraint",
            "a trigger of a Scaling has a condition 'constraint: clmc::<trigger of the alerts document>', or one of "
            "TOSCA 1.3",
        )
        return
    given = cursor.fields()
    for name, action in given["action"].fields().items() if "action" in given else ():
        _check_node(action, topology.nodes.get(name), name, topology)
        _check_steps(action)
    if "action" not in given:
        cursor.error("missing-key", f"{cursor.name} needs 'action'", key=True)


def _check_node(cursor: Cursor, node: NodeTemplate | None, name: str, topology: Topology) -> None:
    if node is None:
        cursor.error("unknown-node", f"there is no node {name!r} to scale{suggest(name, topology.nodes)}", key=True)


def _check_steps(cursor: Cursor) -> None:
    steps = cursor.fields(frozenset({*STEPS, "fqdn"}))
    asked = [step for key, step in steps.items() if key in STEPS]
    if len(asked) != 1:
        cursor.error("wrong-action", f"{cursor.name} needs exactly one of {', '.join(STEPS)}", key=True)
    for step in asked:
        if isinstance(step.value, bool) or not isinstance(step.value, int) or step.value < 0:
            step.error("wrong-type", f"{step.name} must be a whole number from 0, not {kind_of(step.value)}")


def _check_watched(cursor: Cursor, policy: Policy) -> None:
    """Warn of triggers of TOSCA 1.3 that nothing can watch, or that ask for what nobody does."""
    given = cursor.fields()
    for trigger in given["triggers"].fields().values() if "triggers" in given else ():
        found = policy.triggers.get(str(trigger.pointer[-1]))
        if found is None:
            continue
        for reason in _reasons(policy, found):
            trigger.warning("not-watched", f"{trigger.name} is not watched: {reason}", key=True)


def _reasons(policy: Policy, trigger: Trigger) -> Iterable[str]:
    rule = trigger_rule(Service(name=""), policy, trigger)
    if isinstance(rule, Unmapped):
        yield rule.reason
    elif rule is not None and not policy.is_a(TOSCA_SCALING) and not policy.targets:
        yield "it names no target"

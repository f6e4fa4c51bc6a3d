"""What the policies of a service spec ask for when an alert fires: states to go to, instances to add. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from specs.model import LifecycleState, Policy, Service, Trigger
from specs.tosca.flame import CONSTRAINT_PREFIX, INITIAL_POLICY, STATE_CHANGE, STATE_PREFIX
from specs.tosca.watches import auto_scale_entries, is_of_tosca
from specs.values import Properties, Value

_BATON = {
    "SCALE_OUT": "scale_out",
    "SCALE_IN": "scale_in",
    "SCALE_OUT_TO": "scale_out_to",
    "SCALE_IN_TO": "scale_in_to",
}


class Enter(Struct, frozen=True):
    """A function is wanted in a state on a cluster."""

    node: str
    cluster: str
    state: LifecycleState


class Scale(Struct, frozen=True):
    """A node is wanted so many times more, or fewer."""

    node: str
    by: int


class ScaleTo(Struct, frozen=True):
    """A node is wanted so many times, unless it is `out` and there are more already, or in and fewer."""

    node: str
    count: int
    out: bool


Move = Enter | Scale | ScaleTo


def moves(service: Service, policy_name: str, trigger_name: str) -> tuple[Move, ...]:
    """Give what a trigger of an alert asks for, in the order it is written."""
    policy = service.policies.get(policy_name)
    if policy is None or policy.is_a(INITIAL_POLICY):
        return ()
    return tuple(_moves(service, policy, trigger_name))


def _moves(service: Service, policy: Policy, trigger_name: str) -> Iterator[Move]:
    for trigger in policy.triggers.values():
        if is_of_tosca(trigger):
            if trigger.name == trigger_name:
                yield from _of_activities(service, policy, trigger)
        elif trigger.condition.get("constraint") == f"{CONSTRAINT_PREFIX}{trigger_name}":
            yield from _of_states(trigger) if policy.is_a(STATE_CHANGE) else _of_steps(trigger)
    for entry in auto_scale_entries(policy):
        if entry.get("name") == trigger_name:
            yield from _of_baton(policy, entry)


def _of_states(trigger: Trigger) -> Iterator[Move]:
    for node, action in _items(trigger.action):
        actions = action.get("lifecycle_actions") if isinstance(action, Mapping) else None
        for cluster, state in _items(actions):
            yield Enter(node, cluster, LifecycleState(str(state).removeprefix(STATE_PREFIX)))


def _of_steps(trigger: Trigger) -> Iterator[Move]:
    for node, action in _items(trigger.action):
        for step, amount in _items(action):
            if isinstance(amount, int):
                yield from _step(node, step, amount)


def _of_baton(policy: Policy, entry: Properties) -> Iterator[Move]:
    actions = entry.get("actions")
    for action in actions if isinstance(actions, list) else []:
        if isinstance(action, Mapping):
            target = action.get("target")
            nodes = [str(target)] if target else list(policy.targets)
            for node in nodes:
                yield from _step(node, _BATON[str(action["type"])], int(str(action["value"])))


def _of_activities(service: Service, policy: Policy, trigger: Trigger) -> Iterator[Move]:
    """Read the activities of TOSCA 1.3: calls of `scale_out` and `scale_in`, and `set_state`."""
    nodes = _targets(policy, trigger)
    activities = trigger.action if isinstance(trigger.action, list) else [trigger.action]
    for activity in activities:
        match activity:
            case {"call_operation": {"operation": str() as operation, "inputs": {"value": int() as amount}}}:
                pass
            case {"call_operation": {"operation": str() as operation}} | {"call_operation": str() as operation}:
                amount = _increment(policy)
            case {"set_state": str() as state} if state.removeprefix(STATE_PREFIX) in tuple(LifecycleState):
                wanted = LifecycleState(state.removeprefix(STATE_PREFIX))
                for node in nodes:
                    yield from (Enter(node, cluster, wanted) for cluster in service.states.get(node, {}))
                continue
            case _:
                continue
        for node in nodes:
            yield from _step(node, operation.rpartition(".")[2], amount)


def _targets(policy: Policy, trigger: Trigger) -> tuple[str, ...]:
    match trigger.condition.get("target_filter"):
        case {"node": str() as node}:
            return (node,)
    return policy.targets


def _increment(policy: Policy) -> int:
    found = policy.properties.get("increment")
    return found if isinstance(found, int) else 1


def _step(node: str, step: str, amount: int) -> Iterator[Move]:
    match step:
        case "scale_out":
            yield Scale(node, amount)
        case "scale_in":
            yield Scale(node, -amount)
        case "scale_out_to" | "scale_in_to":
            yield ScaleTo(node, amount, out=step == "scale_out_to")


def _items(value: Value) -> Iterator[tuple[str, Value]]:
    if isinstance(value, Mapping):
        yield from value.items()

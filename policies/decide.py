"""What an alert changes in a spec, within its bounds: a patch, or why there is none. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from msgspec import Struct, field
from msgspec.structs import replace

from policies.moves import Enter, Move, Scale, ScaleTo, moves
from specs.model import LifecycleState, Node, Policy, Service
from specs.patch import Change, CountSet, Mode, Reason, SpecPatch, StateSet
from specs.tosca.units import seconds
from specs.tosca.watches import auto_scale_entries
from specs.values import Value


class AlertLimits(Struct, frozen=True, kw_only=True):
    """How far alerts may go on their own."""

    mode: Mode = Mode.COMMIT
    """What becomes of patches whose policy says nothing else: `commit`, `propose` or `report`."""
    cooldown: timedelta = timedelta(minutes=1)
    """How long a policy rests after a change, unless it says otherwise itself."""
    commits_per_hour: int = 30
    """How many changes alerts may make to one service in an hour."""
    flaps: int = 4
    """How often the same value may be turned back within `flap_window`."""
    flap_window: timedelta = timedelta(minutes=10)


class Deed(Struct, frozen=True, kw_only=True):
    """A change that alerts have made before."""

    service: str
    policy: str
    at: datetime
    ways: frozenset[str] = field(default_factory=frozenset)
    """What was changed, and which way: `Change.way`."""


class Held(Struct, frozen=True):
    """Something is to be changed, but not now, or not by an alert."""

    reason: str


class Nothing(Struct, frozen=True):
    """Nothing is to be changed."""

    reason: str


Decision = SpecPatch | Held | Nothing


def decide(service: Service, reason: Reason, deeds: Iterable[Deed], limits: AlertLimits, now: datetime) -> Decision:
    """Decide what an alert changes in a service spec."""
    policy = service.policies.get(reason.policy)
    if policy is None:
        return Nothing(f"{service.name} has no policy {reason.policy}")
    asked = moves(service, policy.name, reason.trigger)
    if not asked:
        return Nothing(f"the policy {policy.name} of {service.name} does nothing about {reason.trigger}")
    remarks: list[str] = []
    changes = tuple(_changes(service, policy, asked, remarks))
    if not changes:
        return Nothing("; ".join(dict.fromkeys(remarks)) or "everything is as the policy wants it")
    hindrance = _hindrance(service, policy, changes, list(deeds), limits, now)
    if hindrance:
        return Held(hindrance)
    mode = Mode(str(policy.properties.get("mode", limits.mode)))
    return SpecPatch(service=service.name, file=service.position.file, changes=changes, mode=mode, reason=reason)


# --- changes ---------------------------------------------------------------------------------------


def _changes(service: Service, policy: Policy, asked: Sequence[Move], remarks: list[str]) -> Iterator[Change]:
    for move in asked:
        match move:
            case Enter(node, cluster, state):
                before = service.states.get(node, {}).get(cluster, LifecycleState.UNPLACED)
                if before is not state:
                    yield StateSet(node, cluster, before, state)
                else:
                    remarks.append(f"{node} on {cluster} is {state} already")
            case Scale(node) | ScaleTo(node):
                yield from _counted(service, policy, node, move, remarks)


def _counted(
    service: Service, policy: Policy, name: str, move: Scale | ScaleTo, remarks: list[str]
) -> Iterator[Change]:
    node = service.nodes.get(name)
    if node is None:
        remarks.append(f"{service.name} has no node {name}")
        return
    before = instances(node)
    least, most = bounds(policy, node)
    match move:
        case Scale(_, by):
            wanted = before + by
        case ScaleTo(_, count, out):
            wanted = max(before, count) if out else min(before, count)
    after = min(max(wanted, least), most)
    if (after - before) * (wanted - before) > 0:
        yield CountSet(name, before, after)
        return
    limit = f"its {'greatest' if wanted > before else 'least'} number, " if wanted != before else ""
    remarks.append(f"{name} has {limit}{before} {'instance' if before == 1 else 'instances'} already")


def instances(node: Node) -> int:
    """Give how many instances of a node there are on each of its clusters."""
    scalable = node.capabilities.get("scalable", {})
    return _whole(scalable.get("default_instances", scalable.get("min_instances")), 1)


def bounds(policy: Policy, node: Node) -> tuple[int, int]:
    """Give the least and the greatest number of instances: the narrower of what policy and node say.

    Without any word of a greatest number alerts add nothing.
    """
    scalable = node.capabilities.get("scalable", {})
    least = max(_whole(policy.properties.get("min_instances"), 0), _whole(scalable.get("min_instances"), 0))
    greatest = [_whole(given.get("max_instances"), -1) for given in (policy.properties, scalable)]
    known = [number for number in greatest if number >= 0]
    return least, max(least, min(known)) if known else max(least, instances(node))


def _whole(value: Value, usual: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else usual


# --- bounds ----------------------------------------------------------------------------------------


def _hindrance(
    service: Service,
    policy: Policy,
    changes: Sequence[Change],
    deeds: Sequence[Deed],
    limits: AlertLimits,
    now: datetime,
) -> str:
    """Say why nothing may be changed now; empty if it may."""
    own = [deed for deed in deeds if deed.service == service.name]
    rest = cooldown(policy, limits)
    last = max((deed.at for deed in own if deed.policy == policy.name), default=None)
    if last is not None and now < last + rest:
        return f"the policy {policy.name} rests until {last + rest:%H:%M:%S} UTC after its last change"
    lately = [deed for deed in own if deed.at > now - timedelta(hours=1)]
    if len(lately) >= limits.commits_per_hour:
        return f"alerts have made {len(lately)} changes to {service.name} in an hour; that is the limit"
    for change in changes:
        turns = _turns([deed for deed in own if deed.at > now - limits.flap_window], change)
        if turns >= limits.flaps:
            minutes = f"{limits.flap_window.total_seconds() / 60:g}"
            return (
                f"{change.subject} would turn back {turns} times in {minutes} minutes:"
                " it flaps, and a person should look"
            )
    return ""


def _turns(deeds: Iterable[Deed], change: Change) -> int:
    """Count how often a value went one way and then the other, with the change that is to be made."""
    before = [way for deed in sorted(deeds, key=lambda deed: deed.at) for way in sorted(deed.ways)]
    ways = [way for way in before if way[1:] == change.subject]
    return sum(one != next_ for one, next_ in pairwise([*ways, change.way]))


def cooldown(policy: Policy, limits: AlertLimits) -> timedelta:
    """Give how long a policy rests after a change."""
    said = policy.properties.get("cooldown")
    longest = [seconds(said)] if isinstance(said, str) else []
    given = [entry.get("cooldown") for entry in auto_scale_entries(policy)]
    longest.extend(float(pause) for pause in given if isinstance(pause, int))
    return timedelta(seconds=max(longest)) if longest else limits.cooldown


# --- what would be ---------------------------------------------------------------------------------


def with_changes(service: Service, changes: Iterable[Change]) -> Service:
    """Give the service as it would be with changes made; for looking ahead."""
    states = {node: dict(of_node) for node, of_node in service.states.items()}
    nodes = dict(service.nodes)
    for change in changes:
        match change:
            case StateSet(node, cluster, _, after):
                states.setdefault(node, {})[cluster] = after
            case CountSet(node, _, after):
                nodes[node] = _with_instances(nodes[node], after)
    return replace(service, states=states, nodes=nodes)


def _with_instances(node: Node, count: int) -> Node:
    scalable = {**node.capabilities.get("scalable", {}), "default_instances": count}
    return replace(node, capabilities={**node.capabilities, "scalable": scalable})

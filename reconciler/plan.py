"""Turn differences into a plan: what will be done in which order, and what is held back and why.

A plan is data, made from one commit and one observation; equal input gives an equal plan, and apply does what it
says and nothing else. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from msgspec import Struct, field

from providers.base import Finding, Kind
from reconciler.diff import Comparison, Seen
from reconciler.difference import Changed, Difference, Gone, Missing, Origin, Recognised, Surplus, Unseen
from reconciler.holds import Held, Limits, hold
from reconciler.order import Operation, operations
from reconciler.step import Action, Reason, Step
from specs.desired import Desired
from specs.errors import ReconcilerError, Severity
from specs.model import Address, parse_address
from specs.shares import ByService
from state.store import Item

_BY_SPEC = frozenset({Origin.PENDING, Origin.CONFLICT})
_BY_WORLD = frozenset({Origin.DRIFT, Origin.CONFLICT})


class PlanError(ReconcilerError):
    """The plan cannot be made or cannot be used."""


class StalePlanError(PlanError):
    """The world or the branch has moved since the plan was made."""


class Plan(Struct, frozen=True, kw_only=True):
    """Everything one run for one site would do, and everything it would not and why."""

    site: str
    commit: str
    created_at: datetime
    operations: tuple[Operation, ...]
    """In an order in which they could be done one after another."""
    drift: tuple[Difference, ...] = ()
    """What the world changed, whether or not a step corrects it."""
    held: tuple[Held, ...] = ()
    findings: tuple[Finding, ...] = ()
    unseen: tuple[Unseen, ...] = ()
    unchanged: int = 0
    tripped: str = ""
    """Why the mass-change breaker stops this plan; empty when it does not."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """Each step once, in the order of its first operation."""
        return tuple({id(operation.step): operation.step for operation in self.operations}.values())

    @property
    def changes_world(self) -> bool:
        """Whether a step calls a provider; adopting and forgetting only write records."""
        return any(step.action not in (Action.ADOPT, Action.FORGET) for step in self.steps)

    def count(self, action: Action) -> int:
        """Count the steps with one action."""
        return sum(step.action is action for step in self.steps)


class Case(Struct, frozen=True, kw_only=True):
    """What a plan is made from."""

    desired: Desired
    applied: ByService[Address, Item]
    seen: Seen
    comparison: Comparison
    findings: Mapping[str, tuple[Finding, ...]] = field(default_factory=dict)
    """By binding: what its snapshot and its provider's `examine` say."""


def make_plan(case: Case, limits: Limits, now: datetime) -> Plan:
    """Plan one site: what others need comes first, deletes come last."""
    steps = tuple(_steps(case))
    unseen = tuple(d for d in case.comparison.differences if isinstance(d, Unseen))
    doing, held = hold(steps, unseen, _blocked(steps, case.findings), limits)
    return Plan(
        site=case.desired.site,
        commit=case.desired.commit,
        created_at=now,
        operations=operations(doing, case.seen.kinds),
        drift=tuple(d for d in case.comparison.differences if is_drift(d)),
        held=held,
        findings=tuple(f for name in sorted(case.findings) for f in case.findings[name]),
        unseen=unseen,
        unchanged=case.comparison.unchanged,
        tripped=_tripped(case, doing, limits),
    )


def is_drift(difference: Difference) -> bool:
    """Tell whether the world moved away from what was applied."""
    match difference:
        case Missing(item=Item()):
            return True
        case Changed(changes=changes):
            return any(change.origin in _BY_WORLD for change in changes)
    return False


def _steps(case: Case) -> Iterator[Step]:
    for difference in case.comparison.differences:
        match difference:
            case Missing():
                yield _create(difference)
            case Changed():
                yield _change(difference, case.seen.kinds)
            case Recognised(resource=resource, present=present):
                yield Step(
                    address=resource.address,
                    action=Action.ADOPT,
                    reason=Reason.RECOGNISED,
                    binding=resource.binding,
                    resource=resource,
                    present=present,
                    requires=_addresses(resource.requires),
                )
            case Surplus():
                yield _delete(difference, case.desired)
            case Gone(item=item):
                yield Step(
                    address=item.address,
                    action=Action.FORGET,
                    reason=Reason.RECORD_ONLY,
                    binding=item.binding,
                    item=item,
                    requires=item.requires,
                )


def _create(missing: Missing) -> Step:
    resource = missing.resource
    return Step(
        address=resource.address,
        action=Action.CREATE,
        reason=Reason.NEW if missing.item is None else Reason.VANISHED,
        binding=resource.binding,
        resource=resource,
        item=missing.item,
        requires=_addresses(resource.requires),
        spec_moved=missing.item is None,
        world_moved=missing.item is not None,
    )


def _change(changed: Changed, kinds: Mapping[str, Mapping[str, Kind]]) -> Step:
    resource = changed.resource
    kind = kinds[resource.binding][parse_address(resource.address).kind]
    return Step(
        address=resource.address,
        action=Action.REPLACE if changed.replaces else Action.UPDATE,
        reason=_why(changed),
        binding=resource.binding,
        resource=resource,
        present=changed.present,
        item=changed.item,
        changes=changed.changes,
        lost_with=changed.lost_with,
        requires=_addresses(resource.requires),
        create_before_delete=kind.create_before_delete,
        spec_moved=bool(changed.origins & _BY_SPEC),
        world_moved=bool(changed.origins & _BY_WORLD),
    )


def _why(changed: Changed) -> Reason:
    if changed.lost_with is not None:
        return Reason.LOST_WITH_HOST
    if changed.replaces:
        return Reason.CANNOT_UPDATE
    match bool(changed.origins & _BY_SPEC), bool(changed.origins & _BY_WORLD):
        case True, True:
            return Reason.CONFLICT
        case True, False:
            return Reason.SPEC_CHANGED
        case False, True:
            return Reason.DRIFTED
    return Reason.FOLLOWS


def _delete(surplus: Surplus, desired: Desired) -> Step:
    parts = parse_address(surplus.address)
    if surplus.deposed:
        reason = Reason.DEPOSED
    elif parts.node in desired.nodes.get(parts.service, ()):
        reason = Reason.LOWERED
    else:
        reason = Reason.NOT_IN_SPEC
    return Step(
        address=surplus.address,
        action=Action.DELETE,
        reason=reason,
        binding=surplus.binding,
        present=surplus.present,
        item=surplus.item,
        requires=surplus.item.requires if surplus.item else (),
        deposed=surplus.deposed,
        spec_moved=reason is Reason.LOWERED,
    )


def _blocked(steps: Iterable[Step], findings: Mapping[str, tuple[Finding, ...]]) -> dict[Address, str]:
    """Say which addresses must not be touched: protected ones and those a provider warns of."""
    errors = [(name, f) for name, found in findings.items() for f in found if f.severity is Severity.ERROR]
    blocked = {f.address: f.message for _, f in errors if f.address}
    bindings = {name: f.message for name, f in errors if not f.address}
    for step in steps:
        if step.binding in bindings:
            blocked[step.address] = bindings[step.binding]
        elif step.action in (Action.DELETE, Action.REPLACE) and _protected(step):
            blocked[step.address] = "it is protected; set `protect: false` in the node's metadata and apply that first"
    return blocked


def _protected(step: Step) -> bool:
    """Ask the spec, or for what the spec forgot, the record."""
    if step.resource is not None:
        return step.resource.protect
    return step.item is not None and step.item.protect


def _tripped(case: Case, doing: tuple[Step, ...], limits: Limits) -> str:
    vanished = sum(isinstance(d, Missing) and d.item is not None for d in case.comparison.differences)
    deleted = sum(step.action is Action.DELETE for step in doing)
    lost = vanished + deleted
    if lost <= limits.breaker_count:
        return ""
    total = len(case.applied.keys() | case.comparison.present.keys())
    if lost > limits.breaker_share * total:
        return (
            f"{lost} of {total} resources of {case.desired.site} would vanish ({vanished}) or be deleted ({deleted});"
            " look at the plan, then apply it with --allow-mass-change"
        )
    return ""


def _addresses(requires: Iterable[str]) -> tuple[Address, ...]:
    return tuple(Address(needed) for needed in requires)

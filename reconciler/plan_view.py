"""A plan as it is shown: every value fit to be seen, for text and for JSON alike. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b

from msgspec import Struct, field
from msgspec.structs import replace

from providers.base import Finding, Kind, Present
from reconciler.diff import Seen
from reconciler.difference import NOTHING, Change, Changed, Difference, Missing, Nothing, Origin, Unseen
from reconciler.plan import Plan
from reconciler.shown import Marker, Shown, ShownProperties, cover_all, show, show_all
from reconciler.step import Action, Step
from specs.model import Address, Resource, parse_address
from specs.values import Properties


class PropertyView(Struct, frozen=True, kw_only=True):
    """One property that differs, or one of something that comes or goes."""

    name: str
    before: Shown | Nothing
    after: Shown | Nothing
    origin: Origin | None = None
    """Who moved; `None` where the whole resource comes or goes."""
    replaces: bool = False


class StepView(Struct, frozen=True, kw_only=True):
    """One step, and what may be seen of it."""

    step: Step
    before: ShownProperties | None
    """Everything that is compared, as it is; of what goes, everything there is."""
    after: ShownProperties | None
    changes: tuple[PropertyView, ...]
    attributes: ShownProperties = field(default_factory=dict)
    """What else is known of what is there; only where somebody asked for it."""


class DriftView(Struct, frozen=True, kw_only=True):
    """One resource the world moved: from what was applied to what is seen."""

    address: Address
    before: ShownProperties
    after: ShownProperties | None
    """`None`: it is gone."""
    changes: tuple[PropertyView, ...] = ()


class HeldView(Struct, frozen=True, kw_only=True):
    """A step that will not be done, and why."""

    view: StepView
    why: str


class PlanView(Struct, frozen=True, kw_only=True):
    """Everything that is shown of a plan for one site."""

    site: str
    commit: str
    observed_digest: str
    steps: tuple[StepView, ...]
    drift: tuple[DriftView, ...] = ()
    held: tuple[HeldView, ...] = ()
    findings: tuple[Finding, ...] = ()
    unseen: tuple[Unseen, ...] = ()
    unchanged: int = 0
    tripped: str = ""

    def count(self, *actions: Action) -> int:
        """Count the steps with one of the actions."""
        return sum(view.step.action in actions for view in self.steps)

    @property
    def changes_world(self) -> bool:
        """Whether a step calls a provider."""
        return any(view.step.action not in (Action.ADOPT, Action.FORGET) for view in self.steps)


def view_plan(plan: Plan, seen: Seen, present: Mapping[Address, Present]) -> PlanView:
    """Make everything in a plan fit to be seen; `seen` and `present` are what it was made from."""
    steps = (*plan.steps, *(held.step for held in plan.held))
    renewed = {step.address for step in steps if step.action in (Action.CREATE, Action.REPLACE)}
    viewer = _Viewer(seen.kinds, {address: there for address, there in present.items() if address not in renewed})
    return PlanView(
        site=plan.site,
        commit=plan.commit,
        observed_digest=observed_digest(seen),
        steps=tuple(viewer.step(step) for step in plan.steps),
        drift=tuple(_Viewer(seen.kinds, present).drifts(plan.drift)),
        held=tuple(HeldView(view=viewer.step(held.step), why=held.why) for held in plan.held),
        findings=plan.findings,
        unseen=plan.unseen,
        unchanged=plan.unchanged,
        tripped=plan.tripped,
    )


def with_attributes(view: PlanView) -> PlanView:
    """Add to every step what is known beyond its properties: ids, addresses, the bits of a port."""
    steps = (
        replace(item, attributes=show_all(item.step.present.attributes, frozenset(), lambda address: None))
        if item.step.present is not None
        else item
        for item in view.steps
    )
    return replace(view, steps=tuple(steps))


def observed_digest(seen: Seen) -> str:
    """Give one digest for everything seen: equal digests, equal world."""
    total = blake2b(digest_size=16)
    for name in sorted(seen.snapshots):
        snapshot = seen.snapshots[name]
        lines = sorted(f"{p.address} {p.provider_id} {p.seen} {p.mark.digest}" for p in snapshot.present)
        blind = sorted(snapshot.unknown)
        total.update("\n".join((name, *lines, *blind, "")).encode())
    return total.hexdigest()


class _Viewer(Struct, frozen=True):
    kinds: Mapping[str, Mapping[str, Kind]]
    present: Mapping[Address, Present]
    """What is there and stays; attributes of anything else are known later."""

    def step(self, step: Step) -> StepView:
        """View a step; both sides of a property are covered where any version of it is secret."""
        wanted, seen, applied = self._versions(step)
        match step.action:
            case Action.CREATE:
                return StepView(step=step, before=None, after=wanted, changes=_listed(wanted, arriving=True))
            case Action.DELETE:
                return StepView(step=step, before=seen, after=None, changes=_listed(seen, arriving=False))
            case Action.FORGET:
                return StepView(step=step, before=applied, after=None, changes=())
        compared = {name: seen[name] for name in sorted(wanted.keys() | applied.keys()) if name in seen}
        changes = tuple(self._change(step, change, (wanted, seen, applied)) for change in step.changes)
        for change in changes:  # what is written but never given back is known from the records
            if change.before is not NOTHING and change.name not in compared:
                compared[change.name] = _value(change.before)
        after = wanted if step.action is not Action.ADOPT else compared
        return StepView(step=step, before=compared, after=after, changes=changes)

    def _versions(self, step: Step) -> tuple[dict[str, Shown], dict[str, Shown], dict[str, Shown]]:
        """Show what is wanted, what is seen and what was applied."""
        sensitive = self._sensitive(step.binding, step.address)
        wanted = self._shown(step.resource.properties if step.resource else {}, sensitive)
        seen = self._shown(step.present.properties if step.present else {}, sensitive)
        applied = self._shown(step.item.properties if step.item else {}, sensitive)
        return (
            cover_all(wanted, seen, applied),
            cover_all(seen, wanted, applied),
            cover_all(applied, wanted, seen),
        )

    def _change(self, step: Step, change: Change, versions: tuple[ShownProperties, ...]) -> PropertyView:
        before, after = show(change.before, self.present.get), show(change.after, self.present.get)
        hidden = change.name in self._sensitive(step.binding, step.address)
        shown = []
        for side, value in ((change.before, before), (change.after, after)):
            covered = cover_all({"": value}, *({"": v[change.name]} for v in versions if change.name in v))[""]
            shown.append(NOTHING if side is NOTHING else Marker.SENSITIVE if hidden else covered)
        return PropertyView(
            name=change.name,
            before=shown[0],
            after=shown[1],
            origin=change.origin,
            replaces=change.replaces,
        )

    def drifts(self, differences: Iterable[Difference]) -> Iterable[DriftView]:
        """View what the world moved."""
        for difference in differences:
            match difference:
                case Missing(resource=resource, item=item) if item is not None:
                    before = self._shown(item.properties, self._sensitive(resource.binding, resource.address))
                    yield DriftView(address=difference.address, before=before, after=None)
                case Changed():
                    yield self._moved(difference)

    def _moved(self, changed: Changed) -> DriftView:
        resource: Resource = changed.resource
        sensitive = self._sensitive(resource.binding, resource.address)
        applied = self._shown(changed.item.properties if changed.item else resource.properties, sensitive)
        seen = self._shown(changed.present.properties, sensitive)
        wanted = self._shown(resource.properties, sensitive)
        applied, seen = cover_all(applied, seen, wanted), cover_all(seen, applied, wanted)
        moved = [change for change in changed.changes if change.origin in (Origin.DRIFT, Origin.CONFLICT)]
        return DriftView(
            address=changed.address,
            before=applied,
            after={name: seen[name] for name in applied if name in seen},
            changes=tuple(
                PropertyView(
                    name=change.name,
                    before=applied.get(change.name, NOTHING),
                    after=seen.get(change.name, NOTHING),
                    origin=change.origin,
                )
                for change in moved
            ),
        )

    def _shown(self, properties: Properties, sensitive: frozenset[str]) -> dict[str, Shown]:
        return show_all(properties, sensitive, self.present.get)

    def _sensitive(self, binding: str, address: Address) -> frozenset[str]:
        kind = self.kinds.get(binding, {}).get(parse_address(address).kind)
        return kind.sensitive if kind else frozenset()


def _listed(properties: ShownProperties, *, arriving: bool) -> tuple[PropertyView, ...]:
    return tuple(
        PropertyView(name=name, before=NOTHING, after=value)
        if arriving
        else PropertyView(name=name, before=value, after=NOTHING)
        for name, value in properties.items()
    )


def _value(side: Shown | Nothing) -> Shown:
    return None if isinstance(side, Nothing) else side

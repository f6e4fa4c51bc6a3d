"""Looks at sites and plans them as a person asked; nothing here changes anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from reconciler.choice import Choice
from reconciler.look import Ground, Look, limits_by_hand, look, make
from reconciler.plan import Plan
from reconciler.plan_document import Document, plan_document
from reconciler.plan_view import PlanView, view_plan
from reconciler.render_plan import NOT_TARGETED
from specs.errors import ReconcilerError
from specs.model import Address, parse_address


class Planned(Struct, frozen=True, kw_only=True):
    """One site, looked at and planned."""

    site: str
    look: Look
    plan: Plan
    view: PlanView


def addresses(seen: Look) -> tuple[Address, ...]:
    """Give every address a look speaks of: wanted, applied or there."""
    return tuple(sorted(seen.desired.resources.keys() | seen.applied.keys() | seen.comparison.present.keys()))


def plan_site(ground: Ground, site: str, choice: Choice, *, unmanaged: bool = False) -> Planned:
    """Look at a site and plan what was asked for; `SettingsError` for a target that names nothing."""
    seen = look(ground, site, unmanaged=unmanaged)
    known = addresses(seen)
    plan = make(ground, seen, choice.limit(limits_by_hand(ground.settings, site), site, known))
    view = view_plan(plan, seen.seen, seen.comparison.present)
    if choice.is_partial:
        view = _narrowed(view, choice.ask(site, known))
    if choice.refresh_only:
        view = replace(view, held=())
    return Planned(site=site, look=seen, plan=plan, view=view)


def _narrowed(view: PlanView, asked: frozenset[str]) -> PlanView:
    """Leave out what was not asked for; what was asked for may need more, and such steps stay."""
    return replace(
        view,
        drift=tuple(item for item in view.drift if item.address in asked),
        held=tuple(item for item in view.held if item.why == NOT_TARGETED or item.view.step.address in asked),
        unseen=tuple(item for item in view.unseen if item.address in asked),
        findings=tuple(item for item in view.findings if item.address is None or item.address in asked),
    )


def document_of(
    ground: Ground, planned: Iterable[Planned], failed: Mapping[str, ReconcilerError] | None = None
) -> Document:
    """Put plans, and the errors of sites that could not be planned, into one document."""
    views = [item.view for item in planned]
    errors = [f"{site}: {error}" for site, error in (failed or {}).items()]
    return plan_document(ground.catalogue.commit, ground.clock(), views, errors)


def left_behind(ground: Ground, choice: Choice) -> dict[str, str]:
    """Say of every site that git no longer knows what is still there, unless single sites were asked for.

    Nothing can be planned there: what serves such a site is not known any more.
    """
    gone = () if choice.sites else sorted(set(ground.store.sites()).difference(ground.catalogue.sites))
    return {site: _left_behind(len(ground.store.inventory(site))) for site in gone}


def _left_behind(number: int) -> str:
    there = "1 resource of it was" if number == 1 else f"{number} resources of it were"
    advice = "to delete them, bring its site spec back without services, and apply with `prune` on"
    return f"it is no longer in git, and {there} never deleted; {advice}"


def services_of(ground: Ground, sites: Iterable[str]) -> set[str]:
    """Give the name of every service git or the records know on some sites."""
    names = {service.name for site in sites for service in ground.catalogue.services_on(site)}
    for site in sites:
        names |= {parse_address(address).service for address in ground.store.inventory(site)}
    return names

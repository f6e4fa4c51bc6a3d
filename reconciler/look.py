"""One site as wanted, as applied and as seen, and the plan that follows from it; nothing is changed anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from msgspec import Struct, field

from providers.base import Finding, Provider, Scope, Snapshot
from reconciler.connections import Connections
from reconciler.desire import Wish
from reconciler.diff import Comparison, Seen
from reconciler.holds import Limits, Switches
from reconciler.kept import Kept
from reconciler.lines import count
from reconciler.pace import Patience
from reconciler.plan import Case, Plan, make_plan
from reconciler.secrets import Secrets
from reconciler.settings import Settings, Sync
from specs.catalogue import Catalogue
from specs.desired import Desired
from specs.errors import Severity
from specs.model import Address, Role
from specs.shares import ByService
from state.store import Item, Store


class Ground(Struct, frozen=True, kw_only=True):
    """What every turn stands on: one commit, read, and everything needed to act on it."""

    repository: str
    """The repository's identity in owner marks."""
    catalogue: Catalogue
    settings: Settings
    connections: Connections
    secrets: Secrets
    store: Store
    clock: Callable[[], datetime]
    kept: Kept = field(default_factory=Kept)
    """What earlier turns worked out of the same."""
    patience: Patience = Patience()


class Look(Struct, frozen=True, kw_only=True):
    """One site as wanted, as applied and as seen at one moment."""

    desired: Desired
    applied: ByService[Address, Item]
    seen: Seen
    comparison: Comparison
    findings: Mapping[str, tuple[Finding, ...]]
    """By binding; what is about none of them under an empty name."""
    providers: Mapping[str, Provider]
    """By binding."""


def look(ground: Ground, site: str, *, unmanaged: bool = False) -> Look:
    """Look at a site; `unmanaged` also reports objects that are not ours."""
    wish = Wish(
        commit=ground.catalogue.commit,
        site=ground.catalogue.sites[site],
        services=ground.catalogue.services_on(site),
        providers=ground.connections.of(ground.catalogue.sites[site]),
        alerts=ground.catalogue.alerts,
    )
    desired = ground.kept.desired(wish, ground.secrets.digest)
    applied = ground.kept.applied(ground.store, site)
    wanted = {name: desired.by_binding.get(name, ByService({})) for name in wish.providers}
    scopes = {
        name: Scope(repository=ground.repository, site=site, wanted=wanted[name], unmanaged=unmanaged)
        for name in wish.providers
    }
    snapshots = _observe(wish.providers, scopes)
    seen = Seen(snapshots=snapshots, kinds={name: provider.kinds for name, provider in wish.providers.items()})
    findings = {
        name: (*snapshots[name].findings, *provider.examine(wanted[name], snapshots[name]))
        for name, provider in wish.providers.items()
    }
    if unwatched := tuple(_unwatched(wish, desired)):
        findings[""] = unwatched
    return Look(
        desired=desired,
        applied=applied,
        seen=seen,
        comparison=ground.kept.compared(desired, applied, seen),
        findings=findings,
        providers=wish.providers,
    )


def _unwatched(wish: Wish, desired: Desired) -> Iterator[Finding]:
    """Say whose alerts nobody watches, because the site names no provider that monitors."""
    if any(Role.MONITORING in provider.roles for provider in wish.providers.values()):
        return
    for service, number in desired.rules.items():
        what = f"{service} has {count(number, 'alert')}, and nobody watches"
        yield Finding(Severity.WARNING, f"{what}: {wish.site.name} names no provider that monitors, e.g. clmc")


def _observe(providers: Mapping[str, Provider], scopes: Mapping[str, Scope]) -> dict[str, Snapshot]:
    """Look at all bindings at once."""
    if len(providers) < 2:
        return {name: provider.observe(scopes[name]) for name, provider in providers.items()}
    with ThreadPoolExecutor(len(providers), thread_name_prefix="observe") as pool:
        return dict(
            zip(providers, pool.map(lambda name: providers[name].observe(scopes[name]), providers), strict=True)
        )


def make(ground: Ground, seen: Look, limits: Limits) -> Plan:
    """Plan what a look showed."""
    case = Case(
        desired=seen.desired,
        applied=seen.applied,
        seen=seen.seen,
        comparison=seen.comparison,
        findings=seen.findings,
    )
    return make_plan(case, limits, ground.clock())


def limits_by_hand(settings: Settings, site: str) -> Limits:
    """What a person's `apply` may do: everything the plan shows; pruning only where it is switched on."""
    return _limits(settings, site, lambda sync: Switches(prune=sync.prune))


def limits_of_loop(settings: Settings, site: str) -> Limits:
    """What the loop may do on its own."""
    return _limits(
        settings,
        site,
        lambda sync: Switches(prune=sync.prune, self_heal=sync.self_heal, auto_apply=sync.auto_apply),
    )


def _limits(settings: Settings, site: str, switches: Callable[[Sync], Switches]) -> Limits:
    own = settings.of(site)
    return Limits(
        switches={name: switches(sync) for name, sync in own.services.items()},
        default=switches(own.sync),
        breaker_share=own.breaker.share,
        breaker_count=own.breaker.count,
    )

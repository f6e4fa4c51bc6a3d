"""One turn for one site: look, plan, carry out, and write down what happened.

`look` and `make` change nothing anywhere. `working_on` takes the site's lock for everything else.
"""

from __future__ import annotations

import secrets as randomness
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime

from msgspec import Struct, field
from msgspec.structs import replace

from providers.base import Finding, Provider, Scope, Snapshot
from reconciler import chronicle
from reconciler.apply import apply
from reconciler.connections import Connections
from reconciler.desire import Wish
from reconciler.diff import Comparison, Seen
from reconciler.holds import Limits, Switches
from reconciler.kept import Kept
from reconciler.lines import count
from reconciler.pace import Patience
from reconciler.plan import Case, Plan, PlanError, make_plan
from reconciler.progress import Listener, Report
from reconciler.secrets import Secrets
from reconciler.settings import Settings, Sync
from reconciler.work import Hands
from specs.catalogue import Catalogue
from specs.desired import Desired
from specs.errors import Severity
from specs.model import Address, Role
from specs.shares import ByService
from state.process import is_gone, this_process
from state.store import Item, Outcome, Run, Store

RUNS_KEPT = 1000
"""How many runs of a site are remembered, with their journals."""


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


@contextmanager
def working_on(ground: Ground, site: str) -> Iterator[None]:
    """Hold the site's lock; `LockedError` if somebody else does. Clears up after a killed run first."""
    lock = this_process(site, ground.clock())
    ground.store.lock(lock, is_gone)
    try:
        _close_killed_runs(ground, site)
        yield
    finally:
        ground.store.unlock(lock)


def _close_killed_runs(ground: Ground, site: str) -> None:
    """Give an outcome to what a killed process left open; what it really did, the next look shows."""
    now = ground.clock()
    message = "its process was killed; what it had done by then was found by the next look"
    entries = ground.store.journal(site, outcome=Outcome.OPEN)
    if entries:
        ground.store.record(replace(e, outcome=Outcome.CANCELLED, message=message, ended_at=now) for e in entries)
    for run in ground.store.runs(site):
        if run.outcome is Outcome.OPEN:
            ground.store.save_run(replace(run, outcome=Outcome.CANCELLED, message=message, ended_at=now))


def carry_out(
    ground: Ground,
    seen: Look,
    plan: Plan,
    cause: str,
    listen: Listener = lambda progress: None,
    interrupted: Callable[[], str] = lambda: "",
) -> Report:
    """Apply a plan under the lock of its site and record the run; refuses what the breaker stops."""
    if plan.tripped:
        raise PlanError(plan.tripped)
    run = Run(
        id=f"{ground.clock():%Y%m%dT%H%M%S}-{randomness.token_hex(3)}",
        site=plan.site,
        commit=plan.commit,
        cause=cause,
        started_at=ground.clock(),
    )
    ground.store.save_run(run)
    own = ground.settings.of(plan.site)
    patience = ground.patience
    if own.health_deadline is not None:
        patience = replace(patience, health_deadline=own.health_deadline)
    hands = Hands(
        providers=seen.providers,
        budgets={name: binding.budget for name, binding in ground.catalogue.sites[plan.site].bindings.items()},
        store=ground.store,
        repository=ground.repository,
        run=run.id,
        clock=ground.clock,
        unseal=ground.secrets.unseal,
        parallelism=own.parallelism,
        patience=patience,
    )
    report = apply(plan, seen.desired, hands, present=seen.comparison.present, listen=listen, interrupted=interrupted)
    ground.store.save_run(_ended(run, report, ground.clock()))
    chronicle.record(report, ground.catalogue, cause, ground.clock(), seen.providers)
    ground.store.trim_history(plan.site, RUNS_KEPT)
    return report


def _ended(run: Run, report: Report, now: datetime) -> Run:
    done = Counter(str(f.operation.step.action) for f in report.finished if f.outcome is Outcome.DONE)
    failures = [f for f in report.finished if f.outcome is Outcome.FAILED]
    if report.interrupted:
        outcome, message = Outcome.CANCELLED, report.interrupted
    elif failures:
        outcome, message = Outcome.FAILED, f"{failures[0].operation.key}: {failures[0].message}"
    else:
        outcome, message = Outcome.DONE, ""
    summary = {**done, "failed": len(failures)} if failures else dict(done)
    return replace(run, outcome=outcome, message=message, summary=summary, ended_at=now)

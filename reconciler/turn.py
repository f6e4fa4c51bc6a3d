"""The half of a turn that changes things: take the lock of a site, carry out its plan, and write down what happened."""

from __future__ import annotations

import secrets as randomness
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from msgspec.structs import replace

from reconciler import chronicle
from reconciler.apply import apply
from reconciler.look import Ground, Look
from reconciler.plan import Plan, PlanError
from reconciler.progress import Listener, Report
from reconciler.work import Hands
from state.process import is_gone, this_process
from state.store import Outcome, Run

RUNS_KEPT = 1000
"""How many runs of a site are remembered, with their journals."""


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

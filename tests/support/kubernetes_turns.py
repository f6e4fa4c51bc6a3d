"""Turns of the core on a real API server, without documents or git."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from providers.base import Context, Finding, Provider, Scope, Snapshot
from providers.registry import connect
from reconciler.apply import apply
from reconciler.desire import Wish, desire
from reconciler.diff import Comparison, Seen, diff
from reconciler.holds import Limits, Switches
from reconciler.pace import Patience
from reconciler.plan import Case, Plan, make_plan
from reconciler.progress import Listener, Report
from reconciler.work import Hands
from specs.desired import Desired
from specs.model import LifecycleState, Node, Policy, Service, Site
from specs.values import Secret
from state.opening import open_store
from state.store import Outcome, Store
from tests.support.kubernetes_services import FUNCTION

REPOSITORY = "0123456789ab"
PASSWORD = "correct-horse-battery-staple"
EVERYTHING = Limits(default=Switches(prune=True), breaker_count=10_000)
PATIENT = Patience(
    attempts=5,
    first_delay=timedelta(seconds=0.2),
    poll=timedelta(seconds=0.1),
    longest_poll=timedelta(seconds=0.5),
    health_deadline=timedelta(seconds=40),
)


@dataclass(frozen=True, slots=True)
class Look:
    """One site as wanted and as seen."""

    desired: Desired
    seen: Seen
    comparison: Comparison
    findings: Mapping[str, tuple[Finding, ...]]


@dataclass
class Bench:
    """Providers, a store and a site to turn."""

    site: Site
    folder: Path
    providers: dict[str, Provider] = field(default_factory=dict)
    store: Store = field(init=False)
    limits: Limits = EVERYTHING
    patience: Patience = PATIENT
    stir: Callable[[], None] | None = None
    _runs: count[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.store = open_store("", self.folder)
        for name, binding in self.site.bindings.items():
            context = Context(binding=binding, site=self.site, state_dir=self.folder, stir=self.stir)
            self.providers[name] = connect(context)

    def close(self) -> None:
        """Let go of everything."""
        for provider in self.providers.values():
            provider.close()
        self.store.close()

    def lose_store(self) -> None:
        """Forget everything that was kept."""
        self.store.close()
        (self.folder / "state.db").unlink()
        self.store = open_store("", self.folder)

    def wanted(self, *services: Service) -> Desired:
        """Work out what services want."""
        wish = Wish(commit="c1", site=self.site, services=services, providers=self.providers)
        return desire(wish, lambda name: f"digest-of-{name}")

    def look(self, *services: Service) -> Look:
        """See the site."""
        desired = self.wanted(*services)
        snapshots: dict[str, Snapshot] = {}
        findings: dict[str, tuple[Finding, ...]] = {}
        for name, provider in self.providers.items():
            own = {a: r for a, r in desired.resources.items() if r.binding == name}
            snapshots[name] = provider.observe(Scope(repository=REPOSITORY, site=self.site.name, wanted=own))
            findings[name] = (*snapshots[name].findings, *provider.examine(own, snapshots[name]))
        seen = Seen(snapshots=snapshots, kinds={name: p.kinds for name, p in self.providers.items()})
        comparison = diff(desired, self.store.inventory(self.site.name), seen)
        return Look(desired, seen, comparison, findings)

    def plan(self, *services: Service, seen: Look | None = None) -> Plan:
        """Plan without doing anything."""
        look = seen or self.look(*services)
        case = Case(
            desired=look.desired,
            applied=self.store.inventory(self.site.name),
            seen=look.seen,
            comparison=look.comparison,
            findings=look.findings,
        )
        return make_plan(case, self.limits, datetime.now(UTC))

    def turn(self, *services: Service, listen: Listener = lambda progress: None) -> Report:
        """Plan and apply."""
        look = self.look(*services)
        hands = Hands(
            providers=self.providers,
            budgets={name: binding.budget for name, binding in self.site.bindings.items()},
            store=self.store,
            repository=REPOSITORY,
            run=f"run-{next(self._runs)}",
            clock=lambda: datetime.now(UTC),
            unseal=lambda secret: secret.unsealed(PASSWORD) if isinstance(secret, Secret) else secret,
            patience=self.patience,
        )
        return apply(self.plan(seen=look), look.desired, hands, present=look.comparison.present, listen=listen)


Workbench = Callable[..., Bench]
"""Makes benches, each with a site of its own, by the settings of its binding."""


def failures(report: Report) -> dict[str, str]:
    """Give what did not end well, with its message."""
    return {f.operation.key: f.message for f in report.finished if f.outcome is not Outcome.DONE}


def steps(plan: Plan) -> dict[str, str]:
    """Give what a plan does: the end of the address → the action."""
    return {step.address.split("/", 2)[2]: step.action.value for step in plan.steps}


def changes(plan: Plan) -> dict[str, dict[str, tuple[object, object]]]:
    """Give what a plan changes: the end of the address → property → before and after."""
    return {
        step.address.split("/", 2)[2]: {change.name: (change.before, change.after) for change in step.changes}
        for step in plan.steps
        if step.changes
    }


def wants(
    name: str, *nodes: Node, on: Site, state: LifecycleState = LifecycleState.CONNECTED, policies: Iterable[Policy] = ()
) -> Service:
    """Give a service whose functions are in one state on every cluster of a site."""
    states = {node.name: dict.fromkeys(on.clusters, state) for node in nodes if FUNCTION[0] in node.types}
    return Service(
        name=name,
        nodes={node.name: node for node in nodes},
        states=states,
        policies={policy.name: policy for policy in policies},
    )


def until(condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Wait for something with a deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.05)

"""Turns of the core on the memory world: look, plan, apply, without documents or git."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path

from providers.base import Scope
from reconciler.apply import apply
from reconciler.diff import Comparison, Seen, diff
from reconciler.holds import Limits, Switches
from reconciler.kept import Kept
from reconciler.pace import Patience
from reconciler.plan import Case, Plan, make_plan
from reconciler.progress import Listener, Report
from reconciler.step import Action
from reconciler.work import Hands
from specs.desired import Desired
from specs.model import Address, Budget
from specs.shares import ByService
from state.opening import open_store
from state.store import Item, Store
from tests.support.world import KINDS, NOW, REPOSITORY, Memory, World, clock

HASTY = Patience(
    attempts=3,
    first_delay=timedelta(0),
    longest_delay=timedelta(0),
    poll=timedelta(0),
    longest_poll=timedelta(0),
    health_deadline=timedelta(seconds=5),
)
"""Patience of tests: tries again at once."""

EVERYTHING = Limits(default=Switches(prune=True), breaker_count=1000)
"""Lets a plan do all it finds."""


@dataclass
class Bench:
    """A world, a store and what happened last."""

    store: Store
    world: World = field(default_factory=World)
    budget: Budget = field(default_factory=Budget)
    patience: Patience = HASTY
    kept: Kept = field(default_factory=Kept)
    """What is kept between turns, as the loop does."""
    _runs: count[int] = field(default_factory=count)

    def seen(self, desired: Desired) -> Seen:
        """Look at the world."""
        scope = Scope(repository=REPOSITORY, site="bristol", wanted=desired.resources)
        return Seen(snapshots={"memory": Memory(self.world).observe(scope)}, kinds={"memory": KINDS})

    def compare(self, desired: Desired) -> Comparison:
        """Give the differences."""
        return diff(desired, self.inventory(), self.seen(desired))

    def inventory(self) -> ByService[Address, Item]:
        """Give the records."""
        return self.store.inventory("bristol")

    def plan(self, desired: Desired, limits: Limits = EVERYTHING) -> Plan:
        """Plan without doing anything."""
        applied, seen = self.kept.applied(self.store, "bristol"), self.seen(desired)
        comparison = self.kept.compared(desired, applied, seen)
        assert applied == self.inventory(), "what is kept is not what there is"
        assert comparison == diff(desired, applied, seen), "what is kept is not what would be found anew"
        case = Case(
            desired=desired,
            applied=applied,
            seen=seen,
            comparison=comparison,
            findings={"memory": self.world.findings},
        )
        return make_plan(case, limits, NOW)

    def carry_out(
        self,
        desired: Desired,
        plan: Plan,
        listen: Listener = lambda progress: None,
        interrupted: Callable[[], str] = lambda: "",
    ) -> Report:
        """Apply a plan that was made just now."""
        self.world.replacing = {step.address for step in plan.steps if step.action is Action.REPLACE}
        recorded = {address: item.requires for address, item in self.inventory().items()}
        self.world.requires = {**recorded, **{a: r.requires for a, r in desired.resources.items()}}
        hands = Hands(
            providers={"memory": Memory(self.world)},
            budgets={"memory": self.budget},
            store=self.store,
            repository=REPOSITORY,
            run=f"run-{next(self._runs)}",
            clock=clock,
            unseal=lambda secret: secret,
            patience=self.patience,
        )
        present = diff(desired, self.inventory(), self.seen(desired)).present
        return apply(plan, desired, hands, present=present, listen=listen, interrupted=interrupted)

    def turn(self, desired: Desired, limits: Limits = EVERYTHING) -> Report:
        """Plan and apply."""
        return self.carry_out(desired, self.plan(desired, limits))


def bench(folder: Path) -> Bench:
    """Give a bench with a new store in a folder."""
    return Bench(store=open_store("", folder))

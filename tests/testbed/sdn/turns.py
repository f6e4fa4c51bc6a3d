"""Turns of the real core on a fabric: look, plan, apply, with the addresses of hosts in the place of endpoints'."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from msgspec.structs import replace

from providers.base import Context, Scope
from providers.sdn.controller import Controller
from providers.sdn.ovsdb import Database, Ovsdb
from providers.sdn.provider import Sdn
from providers.sdn.settings import Settings, connect
from reconciler.apply import apply
from reconciler.diff import Comparison, Seen, diff
from reconciler.holds import Limits, Switches
from reconciler.pace import Patience
from reconciler.plan import Case, Plan, make_plan
from reconciler.progress import Report
from reconciler.work import Hands
from specs.desired import Desired
from specs.model import Address, Deployment, Resource, Site
from specs.shares import ByService
from specs.values import Reference, Value, rewrite
from state.opening import open_store
from state.store import Item, Store

REPOSITORY = "0123456789ab"
LIMITS = Limits(default=Switches(prune=True), breaker_count=100_000)
PATIENCE = Patience(attempts=4, first_delay=timedelta(milliseconds=50), longest_delay=timedelta(milliseconds=400))


@dataclass
class Tenant:
    """One repository at work on a fabric."""

    provider: Sdn
    store: Store
    site: Site
    address_of: Callable[[str], str]
    """Subject → the address of the endpoint."""
    _runs: count[int] = field(default_factory=count)

    def desired(self, *deployments: Deployment) -> Desired:
        """Give what the site and some services want."""
        found = list(self.provider.foundation(self.site))
        for deployment in deployments:
            found += self.provider.expand(deployment)
        known = {resource.address for resource in found}
        linked = {one.address: self._linked(one, known) for one in sorted(found, key=lambda one: one.address)}
        return Desired(site=self.site.name, commit="c0ffee", resources=ByService.of(linked.items()))

    def _linked(self, resource: Resource, known: set[Address]) -> Resource:
        def settle(expression: object) -> Value:
            assert isinstance(expression, Reference)
            return self.address_of(expression.target)

        properties = {name: rewrite(value, settle) for name, value in resource.properties.items()}
        requires = tuple(sorted(name for name in resource.requires if name in known))
        return replace(resource, properties=properties, requires=requires)

    def seen(self, desired: Desired) -> Seen:
        """Look at the fabric."""
        scope = Scope(repository=REPOSITORY, site=self.site.name, wanted=desired.resources)
        return Seen(snapshots={"fabric": self.provider.observe(scope)}, kinds={"fabric": self.provider.kinds})

    def inventory(self) -> ByService[Address, Item]:
        """Give the records."""
        return self.store.inventory(self.site.name)

    def compare(self, *deployments: Deployment) -> Comparison:
        """Give the differences."""
        desired = self.desired(*deployments)
        return diff(desired, self.inventory(), self.seen(desired))

    def compare_down(self, *deployments: Deployment) -> frozenset[str]:
        """Look, and give the links that carry nothing."""
        self.compare(*deployments)
        return self.provider.down

    def plan(self, *deployments: Deployment) -> tuple[Plan, Desired, Comparison]:
        """Plan without doing anything."""
        desired = self.desired(*deployments)
        applied, seen = self.inventory(), self.seen(desired)
        comparison = diff(desired, applied, seen)
        findings = {"fabric": tuple(self.provider.examine(desired.resources, seen.snapshots["fabric"]))}
        case = Case(desired=desired, applied=applied, seen=seen, comparison=comparison, findings=findings)
        return make_plan(case, LIMITS, datetime.now(UTC)), desired, comparison

    def turn(self, *deployments: Deployment) -> Report:
        """Plan and apply."""
        plan, desired, comparison = self.plan(*deployments)
        return self.carry_out(plan, desired, comparison)

    def carry_out(self, plan: Plan, desired: Desired, comparison: Comparison) -> Report:
        """Apply a plan."""
        hands = Hands(
            providers={"fabric": self.provider},
            budgets={"fabric": self.site.bindings["fabric"].budget},
            store=self.store,
            repository=REPOSITORY,
            run=f"run-{next(self._runs)}",
            clock=lambda: datetime.now(UTC),
            unseal=lambda secret: secret,
            patience=PATIENCE,
        )
        return apply(plan, desired, hands, present=comparison.present)

    def close(self) -> None:
        """Let go of everything."""
        self.provider.close()
        self.store.close()


def tenant(
    site: Site,
    folder: Path,
    address_of: Callable[[str], str],
    open_controller: Callable[[Settings], Controller] = connect,
    open_database: Callable[[str, float], Database] = Ovsdb,
) -> Tenant:
    """Set up a repository with its state in a folder."""
    folder.mkdir(exist_ok=True)
    context = Context(binding=site.bindings["fabric"], site=site, state_dir=folder)
    provider = Sdn(context, open_controller, open_database=open_database)
    return Tenant(provider, open_store("", folder), site, address_of)

"""From any emulated site, with any failing call, plan and apply reach what is wanted, and then do nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from providers.base import Context, Health, Present, Scope
from providers.sandpit import faults, sabotage
from providers.sandpit.faults import Fault, Trouble
from providers.sandpit.provider import Sandpit
from reconciler.apply import apply
from reconciler.desire import Wish, desire
from reconciler.diff import Seen, diff
from reconciler.kept import Kept
from reconciler.plan import Case, Plan, make_plan
from reconciler.work import Hands
from specs.desired import Desired
from specs.model import Budget, LifecycleState, Node, Service
from state.opening import open_store
from state.store import Store
from tests.support.chains import PLENTY, function, shop
from tests.support.sandpits import REPOSITORY, Pit, pit
from tests.support.turns import EVERYTHING, HASTY

TURNS = 6
"""How many turns may pass until nothing is left to do; each scripted fault may cost one."""
STATES = st.sampled_from([LifecycleState.PLACED, LifecycleState.BOOTED, LifecycleState.CONNECTED])


@dataclass
class Site:
    """An emulated site with a store, and turns over it."""

    city: Pit
    store: Store
    turn: int = 0
    kept: Kept = field(default_factory=Kept)

    def desired(self, services: Sequence[Service]) -> Desired:
        wish = Wish(commit="c1", site=self.city.site, services=tuple(services), providers={"city": self.city.provider})
        found = self.kept.desired(wish, lambda secret: f"digest of {secret}")

        assert found == desire(wish, lambda secret: f"digest of {secret}"), "what is kept is not what is wanted"
        return found

    def plan(self, desired: Desired) -> Plan:
        scope = Scope(repository=REPOSITORY, site="bristol", wanted=desired.resources)
        provider = self.city.provider
        calm = provider.world.version() is not None
        seen = Seen(snapshots={"city": provider.observe(scope)}, kinds={"city": provider.kinds})
        applied = self.kept.applied(self.store, "bristol")
        self.comparison = self.kept.compared(desired, applied, seen)

        assert not calm or seen.snapshots["city"].present == self.look_anew(scope), "what is kept is not what is there"
        assert applied == self.store.inventory("bristol"), "what is kept is not what is recorded"
        assert self.comparison == diff(desired, applied, seen), "what is kept is not what differs"
        findings = tuple(provider.examine(desired.resources, seen.snapshots["city"]))
        case = Case(
            desired=desired, applied=applied, seen=seen, comparison=self.comparison, findings={"city": findings}
        )
        return make_plan(case, EVERYTHING, self.city.now)

    def look_anew(self, scope: Scope) -> Sequence[Present]:
        """See the site over a connection that has seen nothing yet."""
        context = Context(binding=self.city.site.bindings["city"], site=self.city.site, state_dir=self.city.folder)
        with closing(Sandpit(context, lambda: self.city.now)) as provider:
            return provider.observe(scope).present

    def apply(self, desired: Desired) -> bool:
        """Take one turn; tells whether there was nothing to do."""
        plan = self.plan(desired)
        self.turn += 1
        hands = Hands(
            providers={"city": self.city.provider},
            budgets={"city": Budget()},
            store=self.store,
            repository=REPOSITORY,
            run=f"run-{self.turn}",
            clock=lambda: self.city.now,
            unseal=lambda secret: secret.unsealed("s3cret"),
            parallelism=3,
            patience=HASTY,
        )
        apply(plan, desired, hands, present=self.comparison.present)
        return not plan.operations

    def converge(self, desired: Desired) -> None:
        for _ in range(TURNS):
            if self.apply(desired):
                break
        plan = self.plan(desired)

        assert [(operation.verb, operation.step.address) for operation in plan.operations] == []
        assert not plan.held
        assert {present.address for present in self.city.look().present} == desired.resources.keys()
        assert {present.health for present in self.city.look().present} <= {Health.HEALTHY}
        assert self.store.inventory("bristol").keys() == desired.resources.keys()


@contextmanager
def new_site() -> Iterator[Site]:
    with tempfile.TemporaryDirectory() as folder:
        city = pit(Path(folder), capacity=PLENTY)
        with closing(open_store("", Path(folder))) as store, closing(city):
            yield Site(city, store)


@st.composite
def tours(draw: st.DrawFn) -> Service:
    """Draw one version of a chain: functions come and go, change, require one another, move and scale."""
    nodes: dict[str, Node] = {}
    for name in draw(st.lists(st.sampled_from(["storage", "coder", "web", "cache"]), unique=True, max_size=4)):
        needs = sorted(draw(st.sets(st.sampled_from(sorted(nodes)), max_size=2))) if nodes else []
        node = function(name, *needs, hypervisor=draw(st.sampled_from(["kvm", "lxd", "docker"])))
        image = f"https://repo.example.org/{name}-{draw(st.integers(1, 2))}.tar.gz"
        scalable = {"default_instances": draw(st.integers(1, 2))}
        nodes[name] = replace(
            node,
            properties={**node.properties, "image_url": image},
            capabilities={"host": {"num_cpus": draw(st.integers(1, 2))}, "scalable": scalable},
        )
    places = st.dictionaries(st.sampled_from(["dc-1", "edge-1", "edge-2"]), STATES, max_size=2)
    return Service(name="tour", nodes=nodes, states={name: draw(places) for name in nodes})


@st.composite
def shops(draw: st.DrawFn) -> Service:
    """Draw one version of a service of normative types: networks, volumes, hosts and software change."""
    service = shop()
    cidr = draw(st.sampled_from(["10.9.0.0/24", "10.9.0.0/16"]))
    volume: dict[str, str] = draw(
        st.sampled_from([{"size": "20 GB"}, {"size": "30 GB"}, {"size": "1 GB", "snapshot_id": "x"}])
    )
    version = draw(st.sampled_from(["12", "13"]))
    changes = {
        "front": replace(service.nodes["front"], properties={"cidr": cidr}),
        "data": replace(service.nodes["data"], properties=volume),
        "db": replace(
            service.nodes["db"],
            capabilities={"host": {"num_cpus": draw(st.integers(1, 3))}, "os": {"version": version}},
            metadata={},
        ),
    }
    kept = [name for name in service.nodes if name != draw(st.sampled_from(["", "cart", "balancer", "dbms"]))]
    nodes = {name: {**service.nodes, **changes}[name] for name in kept}
    return replace(service, nodes=nodes)


VERSIONS = st.lists(
    st.lists(st.one_of(tours(), shops()), max_size=2, unique_by=lambda service: service.name), max_size=3
)
FAULTS = st.lists(
    st.builds(
        Fault,
        call=st.sampled_from(["create:*", "update:*", "delete:*", "create:server", "delete:network", "list:port"]),
        trouble=st.sampled_from([Trouble.TIMEOUT, Trouble.FAIL, Trouble.LOSE, Trouble.REFUSE]),
        times=st.integers(1, 2),
    ),
    max_size=2,
)
HARM = st.lists(
    st.tuples(st.integers(0, 99), st.sampled_from(["delete", "unmark", "name", "vcpus", "links"])), max_size=3
)


def harm(city: Pit, number: int, how: str) -> None:
    """Do something to one of our objects behind our back; what loses its mark goes as well, or its name is taken."""
    ours = [row for row in sabotage.listed(city.provider.world.database) if row["owner"]]
    if ours:
        what = str(ours[number % len(ours)]["id"])
        if how == "unmark":
            sabotage.unmarked(city.provider.world.database, what)
        if how in ("delete", "unmark"):
            sabotage.deleted(city.provider.world.database, what)
        else:
            sabotage.changed(city.provider.world.database, what, how, f"meddled with {what}")


@settings(max_examples=25, deadline=None)
@given(versions=VERSIONS, troubles=FAULTS, harms=HARM)
def test_every_version_is_reached_through_faults_and_harm(
    versions: list[list[Service]], troubles: list[Fault], harms: list[tuple[int, str]]
) -> None:
    with new_site() as site:
        site.city.look()
        for services in versions:
            for fault in troubles:
                faults.add(site.city.provider.world.database, fault)
            desired = site.desired(services)
            site.apply(desired)
            for number, how in harms:
                harm(site.city, number, how)
            faults.clear(site.city.provider.world.database)
            site.converge(desired)


@settings(max_examples=10, deadline=None)
@given(services=st.lists(st.one_of(tours(), shops()), max_size=2, unique_by=lambda service: service.name))
def test_foreign_objects_are_never_touched(services: list[Service]) -> None:
    with new_site() as site:
        site.city.look()
        database = site.city.provider.world.database
        for kind in ("server", "network", "port", "name"):
            sabotage.added(database, "city", kind, {"name": f"somebody's {kind}", "cluster": "edge-1"})
        before = [sabotage.shown(database, str(row["id"])) for row in sabotage.listed(database)]
        site.converge(site.desired(services))
        site.converge(site.desired([]))

        assert [sabotage.shown(database, str(row["id"])) for row in sabotage.listed(database)] == before


@settings(max_examples=10, deadline=None)
@given(services=st.lists(st.one_of(tours(), shops()), min_size=1, max_size=2, unique_by=lambda service: service.name))
def test_without_the_store_everything_is_recognised(services: list[Service]) -> None:
    with new_site() as site:
        desired = site.desired(services)
        site.converge(desired)
        with tempfile.TemporaryDirectory() as folder, closing(open_store("", Path(folder))) as store:
            plan = Site(site.city, store).plan(desired)

        assert not plan.changes_world

"""Whatever is done to an emulated site, its books stay right; whatever is wanted of it can be built and taken apart."""

from __future__ import annotations

import tempfile
from contextlib import closing, suppress
from itertools import pairwise
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from providers.base import Present, ProviderError, TransientError
from providers.sandpit import faults, sabotage
from providers.sandpit.fabric import ways_from
from providers.sandpit.faults import Fault, Trouble
from providers.sandpit.objects import select
from specs.model import Capacity, Deployment, LifecycleState, Link, Node, Service, Site
from specs.values import Value
from tests.contract.provider_suite import build, expanded, linked, look, take_apart
from tests.support.chains import PLENTY, bristol, deployed, function
from tests.support.sandpits import REPOSITORY, Pit, by_address, mark_of, pit, thing

CLUSTERS = ("dc-1", "edge-1")
NAMES = ("a", "b", "c")
LIMIT = Capacity(vcpus=6, memory_mb=6000, disk_gb=60)


class Books(RuleBasedStateMachine):
    """Does random things to a site; what the site has counted must be what is there."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.city: Pit = pit(Path(self.folder.name), capacity=LIMIT)
        self.city.look()
        self.database = self.city.provider.world.database
        self.foreign = False

    def teardown(self) -> None:
        self.city.close()
        self.folder.cleanup()

    def present(self) -> list[Present]:
        return sorted(self.city.look().present, key=lambda present: present.provider_id)

    def ids(self, kind: str) -> list[str]:
        return [p.provider_id for p in self.present() if p.provider_id.startswith(f"{kind}-")]

    @rule(kind=st.sampled_from(["server", "workload"]), name=st.sampled_from(NAMES), cluster=st.sampled_from(CLUSTERS),
          vcpus=st.integers(0, 4), data=st.data())  # fmt: skip
    def create_machine(self, kind: str, name: str, cluster: str, vcpus: int, data: st.DataObject) -> None:
        properties: dict[str, Value] = {"vcpus": vcpus, "memory_mb": 1000}
        ports, networks = self.ids("port"), self.ids("network")
        if kind == "server" and ports:
            properties["ports"] = [data.draw(st.sampled_from(ports))]
        if kind == "workload":
            properties["replicas"] = data.draw(st.integers(0, 2))
        if kind == "workload" and networks:
            properties["network"] = data.draw(st.sampled_from(networks))
        self.attempt(lambda: self.city.create(thing(kind, name, cluster, **properties)))

    @rule(kind=st.sampled_from(["network", "volume"]), name=st.sampled_from(NAMES))
    def create_base(self, kind: str, name: str) -> None:
        size: dict[str, Value] = {"cidr": "10.0.0.0/29"} if kind == "network" else {"size_gb": 20}
        self.attempt(lambda: self.city.create(thing(kind, name, "edge-1", **size)))

    @rule(kind=st.sampled_from(["port", "software"]), name=st.sampled_from(NAMES), data=st.data())
    def create_upon(self, kind: str, name: str, data: st.DataObject) -> None:
        below = self.ids("network") if kind == "port" else self.ids("server") + self.ids("software")
        if below:
            on = {"network" if kind == "port" else "host": data.draw(st.sampled_from(below))}
            self.attempt(lambda: self.city.create(thing(kind, name, "edge-1", **on)))

    @rule(data=st.data(), vcpus=st.integers(0, 8))
    def update(self, data: st.DataObject, vcpus: int) -> None:
        if present := self.present():
            current = data.draw(st.sampled_from(present))
            kind = current.provider_id.partition("-")[0]
            wanted = thing(kind, **{**current.properties, "vcpus": vcpus, "size_gb": vcpus})
            mark = current.mark
            self.attempt(lambda: self.city.provider.update(wanted, current, mark))

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        if present := self.present():
            current = data.draw(st.sampled_from(present))
            self.attempt(lambda: self.city.provider.delete(current))

    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        if present := self.present():
            sabotage.deleted(self.database, data.draw(st.sampled_from(present)).provider_id)

    @rule(data=st.data(), vcpus=st.integers(0, 3))
    def meddle(self, data: st.DataObject, vcpus: int) -> None:
        self.foreign = True
        if present := self.present():
            sabotage.changed(self.database, data.draw(st.sampled_from(present)).provider_id, "vcpus", vcpus)

    @rule(kind=st.sampled_from(["server", "network"]))
    def add_foreign(self, kind: str) -> None:
        self.foreign = True
        sabotage.added(self.database, "city", kind, {"name": "x", "cluster": "edge-1", "vcpus": 1})

    @rule(verb=st.sampled_from(["create", "update", "delete"]))
    def lose_an_answer(self, verb: str) -> None:
        faults.add(self.database, Fault(call=f"{verb}:*", trouble=Trouble.LOSE, times=1))

    def attempt(self, call: object) -> None:
        assert callable(call)
        with suppress(ProviderError):
            call()

    @invariant()
    def usage_is_what_is_there(self) -> None:
        with self.database.reading() as connection:
            things = select(connection, "1")
        counted = {(row["cluster"], row["kind"]): row for row in sabotage.usage(self.database)}
        assert counted.keys() == {(thing.cluster, thing.kind) for thing in things}
        for (cluster, kind), row in counted.items():
            same = [thing for thing in things if (thing.cluster, thing.kind) == (cluster, kind)]
            total = sum((thing.takes for thing in same), Capacity())
            assert row["objects"] == len(same)
            assert (row["vcpus"], row["memory_mb"], row["disk_gb"]) == (total.vcpus, total.memory_mb, total.disk_gb)

    @invariant()
    def no_cluster_holds_more_than_it_can(self) -> None:
        if not self.foreign:
            for cluster in CLUSTERS:
                room = self.city.provider.world.room(cluster)
                assert min(room.vcpus, room.memory_mb, room.disk_gb) >= 0

    @invariant()
    def addresses_belong_to_what_is_there(self) -> None:
        with self.database.reading() as connection:
            numbers = {thing.number for thing in select(connection, "1")}
            rows = connection.execute("SELECT network, owner FROM addresses").fetchall()
            users = {row[0] for row in connection.execute("SELECT user FROM uses")}
        assert {owner for _, owner in rows} <= numbers
        assert {network for network, _ in rows} <= numbers | {-1}
        assert users <= numbers

    @invariant()
    def what_is_stored_is_what_is_seen(self) -> None:
        with self.database.reading() as connection:
            ours = select(connection, "repository = ?", REPOSITORY)
        assert {(t.id, t.seen, t.mark) for t in ours} == {(p.provider_id, p.seen, p.mark) for p in self.present()}

    @invariant()
    def one_address_and_digest_is_one_object(self) -> None:
        marks = [present.mark for present in self.present()]
        assert len(set(marks)) == len(marks)


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


# --- services --------------------------------------------------------------------------------------

STATES = st.sampled_from([LifecycleState.PLACED, LifecycleState.BOOTED, LifecycleState.CONNECTED])


@st.composite
def chains(draw: st.DrawFn) -> Deployment:
    """Draw a service of functions that require earlier ones, in random states on random clusters."""
    site = bristol(capacity=PLENTY)
    names = [f"sf{number}" for number in range(draw(st.integers(1, 5)))]
    nodes: dict[str, Node] = {}
    for name in names:
        needs = draw(st.sets(st.sampled_from(sorted(nodes)), max_size=2)) if nodes else set()
        hypervisor = draw(st.sampled_from(["kvm", "lxd", "docker"]))
        nodes[name] = function(name, *sorted(needs), hypervisor=hypervisor)
    places = st.dictionaries(st.tuples(st.sampled_from(sorted(site.clusters)), st.integers(0, 2)), STATES, max_size=4)
    where = {name: [(*place, state) for place, state in sorted(draw(places).items())] for name in names}
    return deployed(Service(name="tour", nodes=nodes), where, site)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chain=chains(), spoiled=st.booleans())
def test_every_chain_can_be_built_and_taken_apart(tmp_path: Path, chain: Deployment, spoiled: bool) -> None:
    with tempfile.TemporaryDirectory(dir=tmp_path) as folder, closing(pit(Path(folder), capacity=PLENTY)) as city:
        provider = city.provider
        wanted = linked(expanded(provider, [chain]))
        assert wanted == linked(expanded(provider, [chain]))
        if not wanted:
            return
        if spoiled:
            city.look()
            faults.add(provider.world.database, Fault(call="create:*", trouble=Trouble.LOSE, times=1))
            with suppress(TransientError):
                build(provider, wanted)
        made = build(provider, wanted)

        assert {present.address for present in look(provider, wanted).present} == wanted.keys()
        assert len(look(provider, wanted).present) == len(wanted)
        assert list(provider.examine(wanted, look(provider, wanted))) == []
        take_apart(provider, wanted, made)
        assert sabotage.listed(provider.world.database) == []


TEXT = st.text(st.characters())
"""Any text, lone surrogates too: YAML can write them."""
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=TEXT, value=JSON)
def test_any_property_comes_back_as_it_was(tmp_path: Path, name: str, value: Value) -> None:
    with tempfile.TemporaryDirectory(dir=tmp_path) as folder, closing(pit(Path(folder))) as city:
        wanted = thing("software", name=name, configuration=value)
        made = city.create(wanted)
        [seen] = city.look(wanted).present

        assert seen.properties["configuration"] == value
        assert seen == made
        assert list(city.provider.examine(by_address(wanted), city.look())) == []
        assert seen.mark == mark_of(wanted)


# --- ways ------------------------------------------------------------------------------------------

PLACES = "abcdef"
CABLES = st.lists(
    st.tuples(st.sampled_from(PLACES), st.sampled_from(PLACES), st.integers(1, 9)), max_size=12
)  # fmt: skip


@given(cables=CABLES)
def test_ways_are_connected_and_cheapest(cables: list[tuple[str, str, int]]) -> None:
    links = {
        f"l{number}": Link(name=f"l{number}", source=one, target=other, cost=cost)
        for number, (one, other, cost) in enumerate(cables)
    }
    cost = {(one, other): 0 if one == other else 10**6 for one in PLACES for other in PLACES}
    for one, other, price in cables:
        cost[one, other] = cost[other, one] = min(cost[one, other], price)
    for middle in PLACES:
        for one in PLACES:
            for other in PLACES:
                cost[one, other] = min(cost[one, other], cost[one, middle] + cost[middle, other])
    ways = ways_from(Site(name="ring", links=links), "a")

    assert ways.keys() == {place for place in PLACES if cost["a", place] < 10**6}
    for place, way in ways.items():
        assert sum(links[name].cost for name in way) == cost["a", place]
        assert follow(links, way) == place


def follow(links: dict[str, Link], way: tuple[str, ...]) -> str:
    """Walk a way from `a` and tell where it ends."""
    at = "a"
    for name in way:
        ends = {links[name].source, links[name].target}
        assert at in ends
        at = next(iter(ends - {at}), at)
    assert all(one != other for one, other in pairwise(way))
    return at

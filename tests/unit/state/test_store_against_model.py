"""Whatever is done to a store in whatever order, it answers like a few dicts in memory."""

from __future__ import annotations

import tempfile
from datetime import UTC
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace

from specs.model import Address
from specs.values import Call, Reference, Secret, Value
from state.opening import open_store
from state.store import Entry, Item, Lock, LockedError, Outcome, Run, Store, Suspension
from tests.support.structs import structs

SITES = ("bristol", "bristol-2", "oulu")
KEYS = ("a", "b", "c", "d", "e")

sites = st.sampled_from(SITES)
keys = st.sampled_from(KEYS)
words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
moments = st.datetimes(timezones=st.just(UTC))
addresses = st.builds(
    lambda site, service, node: Address(f"{site}/{service}/{node}:sandpit.server"),
    sites,
    st.sampled_from(["-", "shop", "Shop"]),
    st.sampled_from(["web", "web.1", "web@edge.0", "db_2"]),
)

atoms: st.SearchStrategy[Value] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=8),
    st.builds(Secret, st.text(max_size=8), st.text(max_size=8)),
    st.builds(Reference, st.text(max_size=8), st.text(max_size=8), st.tuples(st.integers() | st.text(max_size=4))),
)
names = st.text(max_size=8) | st.sampled_from(["$reference", "$secret", "$call", "$$", "$"])
values: st.SearchStrategy[Value] = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(names, inner, max_size=3),
        st.builds(Call, st.sampled_from(["concat", "token"]), st.lists(inner, max_size=3)),
    ),
    max_leaves=6,
)
items = structs(
    Item,
    address=addresses,
    binding=words,
    provider_id=words,
    digest=words,
    properties=st.dictionaries(names, values, max_size=3),
    requires=st.lists(addresses, max_size=3).map(tuple),
    protect=st.booleans(),
    seen=words,
    commit=words,
    updated_at=moments,
)
entries = st.builds(
    Entry,
    id=keys,
    run=keys,
    site=sites,
    address=addresses,
    action=words,
    digest=words,
    started_at=moments,
    outcome=st.sampled_from(Outcome),
    message=words,
    ended_at=st.none() | moments,
)
runs = st.builds(
    Run,
    id=keys,
    site=sites,
    commit=words,
    cause=words,
    started_at=moments,
    outcome=st.sampled_from(Outcome),
    summary=st.dictionaries(words, st.integers(0, 9), max_size=3),
    message=words,
    ended_at=st.none() | moments,
)
locks = st.builds(Lock, site=sites, owner=words, host=words, pid=st.integers(1, 2**22), born=words, since=moments)
suspensions = st.builds(Suspension, site=sites, service=st.just("") | words, reason=words, owner=words, since=moments)


class StoreAgainstModel(RuleBasedStateMachine):
    """Does to a store and to dicts what hypothesis says."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="reconciler-model-")
        self.store: Store = open_store("", Path(self.folder.name))
        self.items: dict[Address, Item] = {}
        self.journal: dict[str, Entry] = {}
        self.runs: dict[str, Run] = {}
        self.locks: dict[str, Lock] = {}
        self.suspensions: dict[tuple[str, str], Suspension] = {}
        self.cache: dict[str, bytes] = {}
        """In the order of writing."""

    @rule()
    def open_again(self) -> None:
        self.store.close()
        self.store = open_store("", Path(self.folder.name))

    @rule(kept=st.lists(items, max_size=4), forgotten=st.lists(addresses, max_size=2))
    def remember(self, kept: list[Item], forgotten: list[Address]) -> None:
        self.store.remember(kept, forgotten)
        self._keep(kept, forgotten)

    @rule(
        written=st.lists(entries, max_size=3),
        kept=st.lists(items, max_size=2),
        forgotten=st.lists(addresses, max_size=2),
    )
    def record(self, written: list[Entry], kept: list[Item], forgotten: list[Address]) -> None:
        self.store.record(written, kept, forgotten)
        self.journal |= {entry.id: entry for entry in written}
        self._keep(kept, forgotten)

    @rule(run=runs)
    def save_run(self, run: Run) -> None:
        self.store.save_run(run)
        self.runs[run.id] = run

    @rule(wanted=locks, dead=st.booleans())
    def lock(self, wanted: Lock, dead: bool) -> None:
        holder = self.locks.get(wanted.site)
        if holder is None or dead:
            self.store.lock(wanted, lambda _: dead)
            self.locks[wanted.site] = wanted
            return
        with pytest.raises(LockedError) as refused:
            self.store.lock(wanted, lambda _: dead)
        assert refused.value.lock == holder

    @rule(site=sites, broken=st.booleans())
    def unlock(self, site: str, broken: bool) -> None:
        held = self.locks.get(site)
        if held is None:
            return
        self.store.unlock(replace(held, pid=held.pid + 1) if broken else held)
        if not broken:
            del self.locks[site]

    @rule(site=sites)
    def break_lock(self, site: str) -> None:
        assert self.store.break_lock(site) == self.locks.pop(site, None)

    @rule(suspension=suspensions)
    def suspend(self, suspension: Suspension) -> None:
        self.store.suspend(suspension)
        self.suspensions[suspension.site, suspension.service] = suspension

    @rule(site=sites, service=st.just("") | words)
    def resume(self, site: str, service: str) -> None:
        assert self.store.resume(site, service) == (self.suspensions.pop((site, service), None) is not None)

    @rule(written=st.dictionaries(keys, st.binary(max_size=4), max_size=3))
    def put(self, written: dict[str, bytes]) -> None:
        self.store.put(written)
        for key in sorted(written):
            self.cache.pop(key, None)
            self.cache[key] = written[key]

    @rule(keep=st.integers(0, len(KEYS)))
    def trim(self, keep: int) -> None:
        self.store.trim(keep)
        self.cache = dict(list(self.cache.items())[len(self.cache) - min(keep, len(self.cache)) :])

    @rule(site=sites, run=st.just("") | keys, outcome=st.none() | st.sampled_from(Outcome))
    def ask_the_journal(self, site: str, run: str, outcome: Outcome | None) -> None:
        asked = [
            entry
            for entry in self.journal.values()
            if entry.site == site and run in ("", entry.run) and outcome in (None, entry.outcome)
        ]

        assert self.store.journal(site, run, outcome) == tuple(asked)

    @rule(site=st.just("") | sites, limit=st.integers(0, 6))
    def ask_for_runs(self, site: str, limit: int) -> None:
        latest = sorted(self.runs.values(), key=lambda run: (run.started_at, run.id), reverse=True)

        assert self.store.runs(site, limit) == tuple(run for run in latest if site in ("", run.site))[:limit]

    @invariant()
    def it_holds_what_the_model_holds(self) -> None:
        for site in SITES:
            expected = [self.items[address] for address in sorted(self.items) if address.startswith(f"{site}/")]
            assert list(self.store.inventory(site).values()) == expected
        assert self.store.locks() == tuple(self.locks[site] for site in sorted(self.locks))
        assert self.store.suspensions() == tuple(self.suspensions[key] for key in sorted(self.suspensions))
        assert self.store.get_many(list(KEYS)) == self.cache

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    def _keep(self, kept: list[Item], forgotten: list[Address]) -> None:
        for address in forgotten:
            self.items.pop(address, None)
        self.items |= {item.address: item for item in kept}


TestStoreAgainstModel = StoreAgainstModel.TestCase
TestStoreAgainstModel.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)

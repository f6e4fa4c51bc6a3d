"""What every store must do. Each backend's tests subclass `StoreSuite` and say where the store is.

They give four fixtures: `url` and `state_dir` for `open_store`, of a place nobody has used yet, `sql`,
which runs statements behind the store's back, and `old_store`, which fills the place with the tables
and rows of an older version, kept in `tests/unit/state/stores/`.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from itertools import cycle, pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace

from specs.model import Address
from specs.values import Secret, digest
from state.migrations import LATEST
from state.opening import open_store
from state.process import is_gone, this_process
from state.store import AlertStatus, Item, Lock, LockedError, Outcome, Store, StoreError, Suspension
from tests.contract.store_values import (
    NOON,
    PROPERTIES,
    OldStore,
    Opened,
    Sql,
    alert_state,
    alive,
    at_once,
    begin_and_die,
    entry,
    firing,
    in_process,
    item,
    lock,
    open_and_remember,
    run,
)


class StoreSuite:
    """The tests of every backend."""

    @pytest.fixture
    def opened(self, url: str, state_dir: Path) -> Iterator[Opened]:
        stores: list[Store] = []

        def another() -> Store:
            stores.append(open_store(url, state_dir))
            return stores[-1]

        yield another
        for store in stores:
            store.close()

    @pytest.fixture
    def store(self, opened: Opened) -> Store:
        return opened()

    # --- opening -----------------------------------------------------------------------------------

    def test_a_new_store_is_empty(self, store: Store) -> None:
        assert store.inventory("bristol") == {}
        assert store.journal("bristol") == ()
        assert store.runs() == ()
        assert store.locks() == ()
        assert store.suspensions() == ()

    def test_what_was_written_is_there_after_opening_again(self, store: Store, opened: Opened) -> None:
        store.remember([item("bristol/shop/web:sandpit.server")])
        store.close()

        assert list(opened().inventory("bristol")) == ["bristol/shop/web:sandpit.server"]

    def test_two_open_stores_see_each_other(self, store: Store, opened: Opened) -> None:
        other = opened()
        store.save_run(run(1))

        assert other.runs() == (run(1),)

    def test_threads_may_open_a_new_store_at_once(self, url: str, state_dir: Path) -> None:
        def work() -> int:
            with closing(open_store(url, state_dir)) as store:
                return len(store.runs())

        assert at_once(8, work) == [0] * 8

    def test_processes_may_open_a_new_store_at_once(self, url: str, state_dir: Path, opened: Opened) -> None:
        context = multiprocessing.get_context("spawn")
        names = ["a", "b", "c"]
        processes = [context.Process(target=open_and_remember, args=(url, state_dir, name)) for name in names]
        for process in processes:
            process.start()
        for process in processes:
            process.join(timeout=30)

        assert [process.exitcode for process in processes] == [0, 0, 0]
        assert len(opened().inventory("bristol")) == 3

    def test_a_store_of_a_newer_release_names_the_release_it_needs(
        self, store: Store, opened: Opened, sql: Sql
    ) -> None:
        store.close()
        sql("INSERT INTO versions VALUES (99, '7.3.0')")

        with pytest.raises(StoreError, match=r"tables of version 99, .* install tosca-reconciler 7\.3\.0 or later"):
            opened()

    @pytest.mark.parametrize("version", range(1, LATEST + 1))
    def test_a_store_of_an_older_release_keeps_what_it_holds(
        self, version: int, old_store: OldStore, opened: Opened
    ) -> None:
        old_store(version)
        store = opened()

        assert list(store.inventory("bristol").values()) == [item("bristol/shop/web:sandpit.server")]
        assert store.journal("bristol") == (
            entry(1, outcome=Outcome.DONE, message="it's done", ended_at=NOON),
            entry(2),
        )
        assert store.runs() == (run(1, summary={"create": 2}),)
        assert store.locks() == (lock(),)
        assert store.suspensions() == (Suspension(site="oulu", service="shop", reason="r", owner="o", since=NOON),)
        assert store.get("key") == b"\x00\xff"

    def test_a_store_that_knew_alerts_keeps_them(self, old_store: OldStore, opened: Opened) -> None:
        old_store(2)
        store = opened()

        assert store.alert_states() == (alert_state(),)
        assert store.firings() == (
            firing(
                outcome=Outcome.DONE,
                message="it's done",
                commit="c1",
                subjects=("storage@edge-1",),
                settled_at=NOON,
            ),
        )

    def test_a_store_of_an_older_release_can_be_written(self, old_store: OldStore, opened: Opened) -> None:
        old_store(1)
        store = opened()
        store.record([entry(3)])
        store.put({"later": b""})
        store.trim(1)

        assert [line.id for line in store.journal("bristol")] == ["entry-1", "entry-2", "entry-3"]
        assert store.get_many(["key", "later"]) == {"later": b""}

    def test_a_store_belongs_to_the_thread_that_opened_it(self, store: Store) -> None:
        (answer,) = at_once(1, store.locks)

        assert isinstance(answer, StoreError)
        assert "another thread" in str(answer)

    def test_closing_twice_is_fine(self, store: Store) -> None:
        store.close()
        store.close()

    def test_a_closed_store_says_so(self, store: Store) -> None:
        store.close()

        with pytest.raises(StoreError, match="closed"):
            store.locks()

    # --- inventory ---------------------------------------------------------------------------------

    def test_every_field_of_an_item_comes_back(self, store: Store) -> None:
        wanted = item("bristol/shop/web:sandpit.server")
        store.remember([wanted])

        found = store.inventory("bristol")[wanted.address]
        assert found == wanted
        assert {name: getattr(found, name) for name in Item.__struct_fields__} == {
            name: getattr(wanted, name) for name in Item.__struct_fields__
        }

    def test_defaults_of_an_item_come_back(self, store: Store) -> None:
        bare = Item(address=Address("a/-/b:c.d"), binding="", provider_id="", digest="", properties={}, updated_at=NOON)
        store.remember([bare])

        assert store.inventory("a") == {bare.address: bare}

    def test_stored_properties_have_the_digest_of_the_original(self, store: Store) -> None:
        store.remember([item("bristol/shop/web:sandpit.server")])
        (found,) = store.inventory("bristol").values()

        assert digest(found.properties) == digest(PROPERTIES)

    def test_stored_items_can_be_remembered_again(self, store: Store) -> None:
        store.remember([item("bristol/shop/web:sandpit.server")])
        (found,) = store.inventory("bristol").values()
        store.remember([replace(found, seen="s2")])

        assert list(store.inventory("bristol").values()) == [item("bristol/shop/web:sandpit.server", seen="s2")]

    def test_the_text_of_a_secret_is_not_kept(self, store: Store) -> None:
        secret = Secret("db-password", "d1", text="hunter2")
        store.remember([item("bristol/shop/web:sandpit.server", properties={"password": secret})])
        (found,) = store.inventory("bristol").values()

        kept = found.properties["password"]
        assert isinstance(kept, Secret)
        assert kept.text == ""

    def test_a_moment_of_another_time_zone_is_the_same_moment(self, store: Store) -> None:
        moment = datetime(2026, 3, 4, 14, 0, tzinfo=timezone(timedelta(hours=2)))
        store.remember([item("bristol/shop/web:sandpit.server", updated_at=moment)])
        (found,) = store.inventory("bristol").values()

        assert found.updated_at == moment
        assert found.updated_at.tzinfo is UTC

    def test_the_inventory_is_in_the_order_of_addresses(self, store: Store, sql: Sql) -> None:
        names = ["a", "B", "b", "_", "a-b", "a.1", "a@e", "ab", "a_b", "9", "A"]
        store.remember(item(f"bristol/{name}/n:p.k") for name in names)
        sql("ANALYZE")  # now the planner knows that reading the whole table is less work than its index

        addresses = list(store.inventory("bristol"))
        assert addresses == sorted(addresses)
        assert len(addresses) == len(names)

    def test_the_inventory_of_a_site_leaves_its_neighbours_out(self, store: Store) -> None:
        sites = ["bristol", "bristol-2", "bristol2", "bristo", "bristol_", "Bristol"]
        store.remember(item(f"{site}/-/net:p.network") for site in sites)

        for site in sites:
            assert list(store.inventory(site)) == [f"{site}/-/net:p.network"]

    def test_every_site_with_anything_is_known(self, store: Store) -> None:
        assert store.sites() == ()
        sites = ["bristol", "bristol-2", "bristol2", "bristo", "bristol_", "Bristol"]
        store.remember(item(f"{site}/{name}/net:p.network") for site in sites for name in ("a", "b"))
        store.remember((), [item("bristo/a/net:p.network").address, item("bristo/b/net:p.network").address])

        assert store.sites() == tuple(sorted({*sites} - {"bristo"}))

    def test_remembering_again_replaces(self, store: Store) -> None:
        store.remember([item("bristol/shop/web:p.k")])
        again = item("bristol/shop/web:p.k", digest="d2", properties={}, requires=(), protect=False)
        store.remember([again])

        assert store.inventory("bristol") == {again.address: again}

    def test_forgotten_items_are_gone(self, store: Store) -> None:
        store.remember([item("bristol/shop/a:p.k"), item("bristol/shop/b:p.k")])
        store.remember([item("bristol/shop/c:p.k")], [Address("bristol/shop/a:p.k"), Address("bristol/shop/none:p.k")])

        assert list(store.inventory("bristol")) == ["bristol/shop/b:p.k", "bristol/shop/c:p.k"]

    def test_the_state_of_an_inventory_tells_whether_it_was_written_to(self, store: Store, opened: Opened) -> None:
        other = opened()
        web = item("bristol/shop/web:p.k")
        states = [store.inventory_state("bristol")]
        store.remember([web])
        states.append(store.inventory_state("bristol"))
        other.remember([web])
        states.append(store.inventory_state("bristol"))
        other.remember([], [web.address])
        states.append(store.inventory_state("bristol"))
        store.record([entry(1)], [web])
        states.append(store.inventory_state("bristol"))

        assert len(set(states)) == 5
        assert other.inventory_state("bristol") == states[-1]

    def test_the_state_of_an_inventory_stays_while_others_are_written_to(self, store: Store) -> None:
        store.remember([item("bristol/shop/web:p.k")])
        before = store.inventory_state("bristol"), store.inventory_state("oulu")
        store.remember([item("barcelona/shop/web:p.k")], [Address("barcelona/shop/db:p.k")])
        store.record([entry(1)])

        assert (store.inventory_state("bristol"), store.inventory_state("oulu")) == before

    def test_the_states_of_an_inventory_tell_which_services_were_written_to(self, store: Store) -> None:
        shop, tour = item("bristol/shop/web:p.k"), item("bristol/tour/web:p.k")
        states = [store.inventory_states("bristol")]
        for items, forgotten in (
            ([shop, tour], []),
            ([tour], []),
            ([], [shop.address]),
            ([item("oulu/shop/a:p.k")], []),
        ):
            store.remember(items, forgotten)
            states.append(store.inventory_states("bristol"))
        moved = [
            {name for name in now.keys() | then.keys() if now.get(name) != then.get(name)}
            for then, now in pairwise(states)
        ]

        assert moved == [{"shop", "tour"}, {"tour"}, {"shop"}, set()]

    def test_the_inventory_of_some_services_is_what_they_have(self, store: Store) -> None:
        names = ("-", "shop", "shop-b", "shop0", "tour")
        store.remember([item(f"bristol/{name}/web:p.k") for name in names])

        assert list(store.inventory("bristol", ["tour", "shop", "none"])) == [
            "bristol/shop/web:p.k",
            "bristol/tour/web:p.k",
        ]

    def test_an_item_both_remembered_and_forgotten_stays(self, store: Store) -> None:
        store.remember([item("bristol/shop/a:p.k", digest="old")])
        store.remember([item("bristol/shop/a:p.k", digest="new")], [Address("bristol/shop/a:p.k")])

        assert [found.digest for found in store.inventory("bristol").values()] == ["new"]

    def test_properties_that_cannot_be_read_are_a_store_error(self, store: Store, sql: Sql) -> None:
        store.remember([item("bristol/shop/a:p.k")])
        sql("UPDATE items SET properties = '{'")
        (found,) = store.inventory("bristol").values()

        with pytest.raises(StoreError, match="properties in the store cannot be read"):
            len(found.properties)

    def test_a_moment_that_cannot_be_read_is_a_store_error(self, store: Store, sql: Sql) -> None:
        store.remember([item("bristol/shop/a:p.k")])
        sql("UPDATE items SET updated_at = 'yesterday'")

        with pytest.raises(StoreError, match=r"holds what cannot be read: .*yesterday.*; move the store away"):
            store.inventory("bristol")

    # --- journal -----------------------------------------------------------------------------------

    def test_intents_are_open_until_they_are_finished(self, store: Store) -> None:
        store.record([entry(1), entry(2)])
        done = entry(2, outcome=Outcome.FAILED, message="no room", ended_at=NOON + timedelta(seconds=3))
        store.record([done])

        assert store.journal("bristol") == (entry(1), done)
        assert store.journal("bristol", outcome=Outcome.OPEN) == (entry(1),)

    def test_the_journal_keeps_the_order_in_which_steps_began(self, store: Store) -> None:
        for number in (3, 1, 2):
            store.record([entry(number)])
        for number in (1, 2, 3):
            store.record([entry(number, outcome=Outcome.DONE)])

        assert [line.id for line in store.journal("bristol")] == ["entry-3", "entry-1", "entry-2"]

    def test_the_journal_is_asked_by_site_run_and_outcome(self, store: Store) -> None:
        store.record([entry(1), entry(2, run="run-2"), entry(3, site="oulu"), entry(4, run="run-2")])
        store.record([entry(4, run="run-2", outcome=Outcome.DONE)])

        assert [line.id for line in store.journal("bristol")] == ["entry-1", "entry-2", "entry-4"]
        assert [line.id for line in store.journal("bristol", "run-2")] == ["entry-2", "entry-4"]
        assert [line.id for line in store.journal("bristol", "run-2", Outcome.DONE)] == ["entry-4"]
        assert store.journal("oulu", "run-2") == ()

    def test_outcomes_and_what_they_mean_are_written_together(self, store: Store) -> None:
        store.remember([item("bristol/shop/old:p.k")])
        store.record([entry(1)])
        store.record(
            [entry(1, outcome=Outcome.DONE)], [item("bristol/shop/new:p.k")], [Address("bristol/shop/old:p.k")]
        )

        assert list(store.inventory("bristol")) == ["bristol/shop/new:p.k"]
        assert [line.outcome for line in store.journal("bristol")] == [Outcome.DONE]

    def test_what_cannot_be_written_as_a_whole_is_not_written_at_all(self, store: Store) -> None:
        store.remember([item("bristol/shop/old:p.k")])
        store.record([entry(1)])

        with pytest.raises(StoreError, match="cannot hold a text"):
            store.record(
                [entry(1, outcome=Outcome.DONE), entry(2, digest="\ud800")],
                [item("bristol/shop/new:p.k")],
                [Address("bristol/shop/old:p.k")],
            )
        assert list(store.inventory("bristol")) == ["bristol/shop/old:p.k"]
        assert store.journal("bristol") == (entry(1),)

    def test_the_store_works_on_after_a_failure(self, store: Store) -> None:
        with pytest.raises(StoreError):
            store.record([entry(1, digest="\ud800")])
        store.record([entry(1)])

        assert store.journal("bristol") == (entry(1),)

    def test_messages_of_any_kind_can_be_written(self, store: Store) -> None:
        store.record([entry(1, message="answer: \0\ud800 ü")])

        assert [line.message for line in store.journal("bristol")] == ["answer: \N{REPLACEMENT CHARACTER}? ü"]

    def test_what_is_journalled_survives_a_killed_process(self, url: str, state_dir: Path, opened: Opened) -> None:
        code = in_process(begin_and_die, url, state_dir)
        store = opened()

        assert code == -signal.SIGKILL
        assert store.journal("bristol") == (entry(1, outcome=Outcome.DONE), entry(2))
        assert list(store.inventory("bristol")) == ["bristol/shop/web.1:sandpit.server"]

    # --- runs --------------------------------------------------------------------------------------

    def test_every_field_of_a_run_comes_back(self, store: Store) -> None:
        whole = run(
            1, outcome=Outcome.FAILED, summary={"create": 3, "failed": 1}, message="\0", ended_at=NOON + timedelta(1)
        )
        store.save_run(run(1))
        store.save_run(whole)

        assert store.runs() == (replace(whole, message="\N{REPLACEMENT CHARACTER}"),)

    def test_the_latest_runs_come_first(self, store: Store) -> None:
        for number in (2, 4, 1, 3):
            store.save_run(run(number, site="oulu" if number == 3 else "bristol"))

        assert [found.id for found in store.runs()] == ["run-4", "run-3", "run-2", "run-1"]
        assert [found.id for found in store.runs(limit=2)] == ["run-4", "run-3"]
        assert [found.id for found in store.runs("bristol", limit=2)] == ["run-4", "run-2"]

    def test_old_runs_are_dropped_with_their_journals(self, store: Store) -> None:
        for number in (1, 2, 3):
            store.save_run(run(number, outcome=Outcome.DONE))
            store.record([entry(number, run=run(number).id, outcome=Outcome.DONE)])
        store.save_run(run(4, site="elsewhere", outcome=Outcome.DONE))
        store.trim_history("bristol", 1)

        assert [r.id for r in store.runs()] == [run(4).id, run(3).id]
        assert [e.run for e in store.journal("bristol")] == [run(3).id]

    def test_what_is_open_outlives_its_time(self, store: Store) -> None:
        store.save_run(run(1))
        store.record([entry(1, run=run(1).id)])
        store.save_run(run(2, outcome=Outcome.FAILED))
        store.trim_history("bristol", 0)

        assert [r.id for r in store.runs()] == [run(1).id]
        assert [e.run for e in store.journal("bristol", outcome=Outcome.OPEN)] == [run(1).id]

    # --- locks -------------------------------------------------------------------------------------

    def test_a_lock_keeps_others_out(self, store: Store, opened: Opened) -> None:
        store.lock(lock(1), alive)

        with pytest.raises(LockedError, match="ann@north") as refused:
            opened().lock(lock(2), alive)
        assert refused.value.lock == lock(1)
        assert store.locks() == (lock(1),)

    def test_locks_of_other_sites_do_not_matter(self, store: Store) -> None:
        store.lock(lock(site="oulu"), alive)
        store.lock(lock(site="bristol"), alive)

        assert [held.site for held in store.locks()] == ["bristol", "oulu"]

    def test_a_lock_given_back_can_be_taken(self, store: Store) -> None:
        store.lock(lock(1), alive)
        store.unlock(lock(1))
        store.lock(lock(2), alive)

        assert store.locks() == (lock(2),)

    def test_a_dead_holder_is_replaced(self, store: Store) -> None:
        asked: list[Lock] = []
        store.lock(lock(1), alive)
        store.lock(lock(2), lambda holder: not asked.append(holder))  # type: ignore[func-returns-value]  # notes and agrees

        assert asked == [lock(1)]
        assert store.locks() == (lock(2),)

    def test_a_broken_lock_is_not_given_back_twice(self, store: Store) -> None:
        store.lock(lock(1), alive)
        broken = store.break_lock("bristol")
        store.lock(lock(2), alive)
        store.unlock(lock(1))

        assert broken == lock(1)
        assert store.locks() == (lock(2),)

    def test_breaking_no_lock_breaks_nothing(self, store: Store) -> None:
        assert store.break_lock("bristol") is None

    def test_one_of_many_takes_a_free_lock(self, url: str, state_dir: Path, store: Store) -> None:
        for _ in range(5):
            answers = at_once(6, lambda: self._take(url, state_dir, alive))

            assert sum(isinstance(answer, Lock) for answer in answers) == 1
            assert sum(isinstance(answer, LockedError) for answer in answers) == 5
            assert store.break_lock("bristol") in answers

    def test_one_of_many_takes_over_a_dead_lock(self, url: str, state_dir: Path, store: Store) -> None:
        gone = lock(1)
        for _ in range(5):
            store.lock(gone, alive)
            answers = at_once(6, lambda: self._take(url, state_dir, lambda holder: holder == gone))

            assert sum(isinstance(answer, Lock) for answer in answers) == 1
            assert sum(isinstance(answer, LockedError) for answer in answers) == 5
            assert store.break_lock("bristol") in answers

    @staticmethod
    def _take(url: str, state_dir: Path, is_dead: Callable[[Lock], bool]) -> Lock:
        wanted = lock(pid=threading.get_native_id(), owner=f"bob@{threading.get_native_id()}")
        with closing(open_store(url, state_dir)) as store:
            store.lock(wanted, is_dead)
        return wanted

    def test_the_lock_of_a_killed_process_is_taken_over(self, url: str, state_dir: Path, opened: Opened) -> None:
        in_process(begin_and_die, url, state_dir)
        store = opened()
        (left,) = store.locks()
        mine = this_process("bristol", NOON)
        store.lock(mine, is_gone)

        assert left.pid != mine.pid
        assert store.locks() == (mine,)

    def test_the_lock_of_a_living_process_is_respected(self, store: Store, opened: Opened) -> None:
        store.lock(this_process("bristol", NOON), is_gone)

        with pytest.raises(LockedError, match=f"process {os.getpid()}"):
            opened().lock(lock(2), is_gone)

    # --- suspensions -------------------------------------------------------------------------------

    def test_suspensions_last_until_they_are_ended(self, store: Store) -> None:
        whole = Suspension(site="bristol", owner="ann@north", reason="moving house", since=NOON)
        part = replace(whole, service="shop", reason="")
        other = replace(whole, site="aarhus")
        for suspension in (part, whole, other):
            store.suspend(suspension)

        assert store.suspensions() == (other, whole, part)
        assert store.resume("bristol")
        assert not store.resume("bristol")
        assert store.suspensions() == (other, part)
        assert store.resume("bristol", "shop")

    def test_suspending_again_replaces(self, store: Store) -> None:
        first = Suspension(site="bristol", owner="ann@north", reason="one", since=NOON)
        second = replace(first, owner="bob@north", reason="two \0")
        store.suspend(first)
        store.suspend(second)

        assert store.suspensions() == (replace(second, reason="two \N{REPLACEMENT CHARACTER}"),)

    # --- alerts ------------------------------------------------------------------------------------

    def test_states_of_rules_are_by_site_and_rule(self, store: Store) -> None:
        states = (alert_state("r2"), alert_state(), alert_state(site="oulu"))
        store.save_alerts(states)
        store.save_alerts([alert_state("r2", streak=0, fired_at=NOON, status=AlertStatus.QUIET)])

        assert store.alert_states() == (
            alert_state(),
            alert_state("r2", streak=0, fired_at=NOON, status=AlertStatus.QUIET),
            alert_state(site="oulu"),
        )
        assert store.alert_states("oulu") == (alert_state(site="oulu"),)
        assert store.alert_states("oulu", "r2") == ()
        assert store.alert_states(rule="r1") == (alert_state(), alert_state(site="oulu"))

    def test_states_of_rules_that_are_gone_are_forgotten(self, store: Store) -> None:
        store.save_alerts([alert_state(), alert_state("r2"), alert_state("r2", site="oulu")])
        store.forget_alerts("bristol", ["r2", "never-there"])

        assert store.alert_states() == (alert_state(), alert_state("r2", site="oulu"))

    def test_a_firing_is_new_once_and_stays_as_it_is(self, store: Store) -> None:
        first = store.save_alerts([], [firing(1), firing(2)])
        settled = firing(1, outcome=Outcome.DONE, commit="c1", message="\0 said", subjects=("a@b",), settled_at=NOON)
        store.settle(settled)
        again = store.save_alerts([alert_state()], [firing(1), firing(3)])

        assert [first, again] == [frozenset({"f1", "f2"}), frozenset({"f3"})]
        assert store.firings()[-1] == replace(settled, message="\N{REPLACEMENT CHARACTER} said")

    def test_firings_come_newest_first_and_can_be_chosen(self, store: Store) -> None:
        store.save_alerts([], [firing(number) for number in (2, 1, 3)])
        store.settle(firing(2, outcome=Outcome.DONE, commit="c2"))

        assert [one.id for one in store.firings()] == ["f3", "f2", "f1"]
        assert [one.id for one in store.firings(committed=True)] == ["f2"]
        assert [one.id for one in store.firings(outcome=Outcome.OPEN)] == ["f3", "f1"]
        assert [one.id for one in store.firings(since=NOON + timedelta(seconds=1))] == ["f3", "f2"]
        assert [one.id for one in store.firings(limit=1)] == ["f3"]

    def test_what_fired_long_ago_goes_but_for_what_waits_or_may_be_told_of_again(self, store: Store) -> None:
        others = (firing(4, source="alertmanager"), firing(5, source="kapacitor"))
        store.save_alerts([], [firing(1), firing(2), firing(3), *others, firing(9)])
        for one in (firing(1), firing(3), *others, firing(9)):
            store.settle(replace(one, outcome=Outcome.CANCELLED))
        store.trim_firings(NOON + timedelta(seconds=8))

        assert [one.id for one in store.firings()] == ["f9", "f5", "f4", "f2"]

    def test_of_many_who_tell_of_one_firing_one_is_first(self, store: Store, url: str, state_dir: Path) -> None:
        store.close()

        def tell() -> int:
            with closing(open_store(url, state_dir)) as store:
                return len(store.save_alerts([], [firing(1)]))

        assert sorted(at_once(6, tell), key=str) == [0, 0, 0, 0, 0, 1]

    # --- cache -------------------------------------------------------------------------------------

    def test_cached_values_come_back_byte_by_byte(self, store: Store) -> None:
        store.put({"every": bytes(range(256)), "empty": b""})

        assert store.get("every") == bytes(range(256))
        assert store.get("empty") == b""
        assert store.get("none") is None

    def test_many_values_are_read_together(self, store: Store) -> None:
        values = {f"key-{number}": str(number).encode() for number in range(2000)}
        store.put(values)

        assert store.get_many([*values, "none", "key-1"]) == values
        assert store.get_many([]) == {}

    def test_cached_values_can_be_replaced(self, store: Store) -> None:
        store.put({"a": b"1", "b": b"1"})
        store.put({"a": b"2"})

        assert store.get_many(["a", "b"]) == {"a": b"2", "b": b"1"}

    def test_trimming_keeps_what_was_written_last(self, store: Store) -> None:
        for key in ("a", "b", "c", "a", "d"):
            store.put({key: b""})
        store.trim(2)

        assert sorted(store.get_many(["a", "b", "c", "d"])) == ["a", "d"]

    def test_trimming_to_more_than_there_is_keeps_all(self, store: Store) -> None:
        store.put({"a": b"", "b": b""})
        store.trim(5)

        assert sorted(store.get_many(["a", "b"])) == ["a", "b"]

    def test_trimming_to_nothing_drops_all(self, store: Store) -> None:
        store.put({"a": b"", "b": b""})
        store.trim(0)

        assert store.get_many(["a", "b"]) == {}

    def test_writers_of_the_same_values_do_not_stop_each_other(self, url: str, state_dir: Path, store: Store) -> None:
        values = {f"key-{number}": b"x" for number in range(300)}
        orders = cycle([values, dict(reversed(values.items()))])

        def work() -> None:
            mine = next(orders)
            with closing(open_store(url, state_dir)) as opened:
                for _ in range(5):
                    opened.put(mine)
                    opened.trim(200)

        assert at_once(4, work) == [None] * 4
        store.trim(200)
        assert len(store.get_many(list(values))) == 200

"""The store over a database: every statement once, for SQLite and PostgreSQL alike."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from specs.model import Address
from specs.shares import ByService, service_of
from state import rows
from state.database import Cell, Database, Row, V
from state.store import AlertState, Entry, Firing, Item, Lock, LockedError, Outcome, Run, StoreError, Suspension

KEYS_PER_QUERY = 900
"""How many values one statement may carry: every build of SQLite takes 999."""

_SAME_LOCK = "site = ? AND owner = ? AND host = ? AND pid = ? AND born = ? AND since = ?"


_ALL = 2**62
"""A limit that is none: SQLite takes an offset only after one."""
_NEW_STATE = "INSERT INTO inventories VALUES (?, ?, ?) ON CONFLICT (site, service) DO UPDATE SET state = excluded.state"
_NEW_FIRING = f"INSERT INTO firings VALUES ({', '.join('?' * 16)}) ON CONFLICT (id) DO NOTHING"  # noqa: S608 - question marks


class SqlStore:
    """The store of `state.store.Store`, for the thread that opened it."""

    def __init__(self, database: Database) -> None:
        self._opened = database
        self._thread = threading.get_ident()

    @property
    def _database(self) -> Database:
        if threading.get_ident() != self._thread:
            raise StoreError(f"{self._opened.place} was opened by another thread; open a store in each thread")
        return self._opened

    # --- inventory ---------------------------------------------------------------------------------

    def inventory(self, site: str, services: Iterable[str] | None = None) -> ByService[Address, Item]:
        """Give everything that is ours on a site, or what some of its services have."""
        ranges = [rows.addresses_of(site, service) for service in ([""] if services is None else sorted(services))]
        statement = f"{rows.ITEMS.select} WHERE address >= ? AND address < ? ORDER BY address"
        return ByService.of(
            (item.address, item) for values in ranges for item in self._values(rows.item_of, statement, values)
        )

    def inventory_state(self, site: str) -> str:
        """Give something that differs whenever the inventory of a site was written to, in this store or another."""
        latest = "SELECT state FROM inventories WHERE site IN ('', ?) AND service = '' ORDER BY site DESC LIMIT 1"
        ((state,),) = self._database.rows(tuple, latest, (site,))
        return str(state)

    def inventory_states(self, site: str) -> Mapping[str, str]:
        """Give the same by service; under an empty name for those that are not named."""
        of_services = "SELECT service, state FROM inventories WHERE site = ? AND service <> '' OR site = ''"
        return dict(self._database.rows(tuple, of_services, (site,)))

    def sites(self) -> tuple[str, ...]:
        """Give the sites on which anything is ours, sorted; also those that git no longer knows."""
        found: list[str] = []
        after = ""
        while (first := self._first_address(after)) is not None:
            found.append(first.partition("/")[0])
            _, after = rows.addresses_of(found[-1])  # one look into the index for a site, however much is on it
        return tuple(sorted(found))

    def _first_address(self, after: str) -> str | None:
        ((first,),) = self._database.rows(tuple, "SELECT MIN(address) FROM items WHERE address >= ?", (after,))
        return None if first is None else str(first)

    def remember(self, items: Iterable[Item], forgotten: Iterable[Address] = ()) -> None:
        """Insert or replace items and drop forgotten ones, together; an address in both stays."""
        self.record((), items, forgotten)

    # --- journal and runs --------------------------------------------------------------------------

    def record(self, entries: Iterable[Entry], items: Iterable[Item] = (), forgotten: Iterable[Address] = ()) -> None:
        """Write intents and outcomes, and what these mean for the inventory, together."""
        lines = [rows.entry_row(entry) for entry in entries]
        kept = [rows.item_row(item) for item in items]
        dropped = [(address,) for address in forgotten]
        written = sorted({place for row in (*kept, *dropped) for place in _places(str(row[0]))})
        state = os.urandom(8).hex()
        database = self._database
        with database.transaction():
            database.change_many("DELETE FROM items WHERE address = ?", dropped)
            database.change_many(rows.ITEMS.upsert, kept)
            database.change_many(_NEW_STATE, [(*place, state) for place in written])
            database.change_many(rows.JOURNAL.upsert, lines)

    def journal(self, site: str, run: str = "", outcome: Outcome | None = None) -> tuple[Entry, ...]:
        """Give journal entries of a site in the order they began, of one run or outcome if asked."""
        wanted = {"site": site} | ({"run": run} if run else {}) | ({"outcome": outcome.value} if outcome else {})
        conditions = " AND ".join(f"{column} = ?" for column in wanted)
        statement = f"{rows.JOURNAL.select} WHERE {conditions} ORDER BY number"
        return tuple(self._values(rows.entry_of, statement, tuple(wanted.values())))

    def save_run(self, run: Run) -> None:
        """Insert or replace a run."""
        self._database.change(rows.RUNS.upsert, rows.run_row(run))

    def runs(self, site: str = "", limit: int = 20) -> tuple[Run, ...]:
        """Give the latest runs, newest first, of one site if asked."""
        of_site = "WHERE site = ? " if site else ""
        statement = f"{rows.RUNS.select} {of_site}ORDER BY started_at DESC, id DESC LIMIT ?"
        return tuple(self._values(rows.run_of, statement, (site, limit) if site else (limit,)))

    def trim_history(self, site: str, keep: int) -> None:
        """Drop all but the `keep` latest runs of a site, with their journals; what is open stays."""
        ended = "site = ? AND outcome <> ?"
        latest = "SELECT id FROM runs WHERE site = ? ORDER BY started_at DESC, id DESC LIMIT ?"
        database = self._database
        with database.transaction():
            old = (site, Outcome.OPEN.value, site, keep)
            if database.change(f"DELETE FROM runs WHERE {ended} AND id NOT IN ({latest})", old):  # noqa: S608 - constants
                told = "SELECT id FROM runs WHERE site = ?"
                database.change(f"DELETE FROM journal WHERE {ended} AND run NOT IN ({told})", old[:3])  # noqa: S608 - constants

    # --- locks -------------------------------------------------------------------------------------

    def lock(self, wanted: Lock, dead: Callable[[Lock], bool]) -> None:
        """Take the site's lock, over a holder that `dead` says is gone; `LockedError` otherwise.

        Each statement is atomic, and the takeover succeeds only over the very lock that was read.
        """
        row = rows.lock_row(wanted)
        database = self._database
        with database.transaction():
            while not database.change("INSERT INTO locks VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (site) DO NOTHING", row):
                holders = self._values(rows.lock_of, f"{rows.LOCKS.select} WHERE site = ?", (wanted.site,))
                for holder in holders:
                    if not dead(holder):
                        raise LockedError(holder)
                    self.unlock(holder)

    def unlock(self, held: Lock) -> None:
        """Give the lock back; a lock that somebody broke meanwhile is left alone."""
        self._database.change(f"DELETE FROM locks WHERE {_SAME_LOCK}", rows.lock_row(held))  # noqa: S608 - constant

    def break_lock(self, site: str) -> Lock | None:
        """Remove the site's lock whoever holds it, and tell who did."""
        broken = self._values(
            rows.lock_of, "DELETE FROM locks WHERE site = ? RETURNING site, owner, host, pid, born, since", (site,)
        )
        return broken[0] if broken else None

    def locks(self) -> tuple[Lock, ...]:
        """Give every lock, by site."""
        return tuple(self._values(rows.lock_of, f"{rows.LOCKS.select} ORDER BY site"))

    # --- suspensions -------------------------------------------------------------------------------

    def suspend(self, suspension: Suspension) -> None:
        """Insert or replace a suspension."""
        self._database.change(rows.SUSPENSIONS.upsert, rows.suspension_row(suspension))

    def resume(self, site: str, service: str = "") -> bool:
        """End a suspension; `False` if there was none."""
        return self._database.change("DELETE FROM suspensions WHERE site = ? AND service = ?", (site, service)) > 0

    def suspensions(self) -> tuple[Suspension, ...]:
        """Give every suspension, by site and service."""
        return tuple(self._values(rows.suspension_of, f"{rows.SUSPENSIONS.select} ORDER BY site, service"))

    # --- alerts ------------------------------------------------------------------------------------

    def alert_states(self, site: str = "", rule: str = "") -> tuple[AlertState, ...]:
        """Give what is remembered of rules, by site and rule, of one site or one rule if asked."""
        wanted = {column: value for column, value in (("site", site), ("rule", rule)) if value}
        where = f" WHERE {' AND '.join(f'{column} = ?' for column in wanted)}" if wanted else ""
        statement = f"{rows.ALERTS.select}{where} ORDER BY site, rule"
        return tuple(self._values(rows.alert_of, statement, tuple(wanted.values())))

    def save_alerts(self, states: Iterable[AlertState], firings: Iterable[Firing] = ()) -> frozenset[str]:
        """Write states and new firings together; tell which firings are new. One that is there stays as it is."""
        lines = sorted(map(rows.alert_row, states), key=lambda row: (row[0], row[1]))
        database = self._database
        new: set[str] = set()
        with database.transaction():
            database.change_many(rows.ALERTS.upsert, lines)
            for firing in sorted(firings, key=lambda firing: firing.id):
                if database.change(_NEW_FIRING, rows.firing_row(firing)):
                    new.add(firing.id)
        return frozenset(new)

    def forget_alerts(self, site: str, rules: Iterable[str]) -> None:
        """Drop the states of rules that are not watched any more."""
        database = self._database
        with database.transaction():
            database.change_many(
                "DELETE FROM alerts WHERE site = ? AND rule = ?", sorted((site, rule) for rule in rules)
            )

    def settle(self, *firings: Firing) -> None:
        """Write what became of firings, together."""
        lines = sorted(map(rows.firing_row, firings), key=lambda row: str(row[0]))
        with self._database.transaction():
            self._database.change_many(rows.FIRINGS.upsert, lines)

    def firings(
        self,
        *,
        outcome: Outcome | None = None,
        since: datetime | None = None,
        committed: bool = False,
        limit: int = 1000,
    ) -> tuple[Firing, ...]:
        """Give firings, newest first: of one outcome, received from a moment on, with a commit, if asked."""
        wanted: dict[str, Cell] = {"outcome = ?": outcome.value} if outcome else {}
        if since is not None:
            wanted["received_at >= ?"] = rows.moment_text(since)
        if committed:
            wanted["revision <> ?"] = ""
        where = f" WHERE {' AND '.join(wanted)}" if wanted else ""
        statement = f"{rows.FIRINGS.select}{where} ORDER BY received_at DESC, id DESC LIMIT ?"
        return tuple(self._values(rows.firing_of, statement, (*wanted.values(), limit)))

    def trim_firings(self, before: datetime) -> None:
        """Drop the settled firings of our own evaluator from before a moment; others may be told of again."""
        old = "received_at < ? AND outcome <> ? AND source = ?"
        values = (rows.moment_text(before), Outcome.OPEN.value, "builtin")
        self._database.change(f"DELETE FROM firings WHERE {old}", values)  # noqa: S608 - constants

    # --- cache -------------------------------------------------------------------------------------

    def get(self, key: str) -> bytes | None:
        """Read a cached value."""
        return self.get_many([key]).get(key)

    def get_many(self, keys: list[str]) -> Mapping[str, bytes]:
        """Read the cached values that are there, in few queries."""
        found: dict[str, bytes] = {}
        for start in range(0, len(keys), KEYS_PER_QUERY):
            chunk = keys[start : start + KEYS_PER_QUERY]
            marks = ", ".join("?" * len(chunk))
            found.update(self._database.rows(tuple, f"SELECT key, value FROM cache WHERE key IN ({marks})", chunk))  # noqa: S608 - question marks
        return found

    def put(self, values: Mapping[str, bytes]) -> None:
        """Keep cached values; anything kept may be gone tomorrow."""
        database = self._database
        with database.transaction():
            # In the order of keys, as in `trim`, so that two writers never wait for each other in a ring.
            database.change_many(
                "INSERT INTO cache VALUES (?, ?, (SELECT COALESCE(MAX(written), 0) + 1 FROM cache))"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value, written = excluded.written",
                sorted(values.items()),
            )

    def trim(self, keep: int) -> None:
        """Drop all but the `keep` most recently written cached values."""
        database = self._database
        with database.transaction():
            outdated = database.rows(
                tuple,
                "SELECT key FROM cache ORDER BY written DESC, key DESC LIMIT ? OFFSET ?",
                (_ALL, keep),
            )
            database.change_many("DELETE FROM cache WHERE key = ?", sorted(outdated))

    def close(self) -> None:
        """Let go of the connection."""
        self._database.close()

    def _values(self, read: Callable[[Row], V], statement: str, values: Sequence[Cell] = ()) -> list[V]:
        try:
            return self._database.rows(read, statement, values)
        except ValueError as error:
            raise StoreError(f"{self._opened.place} holds what cannot be read: {error}; {rows.REMEDY}") from error


def _places(address: str) -> tuple[tuple[str, str], ...]:
    """Give what is written to with an address: its site, and its service there."""
    site = address.partition("/")[0]
    return (site, ""), (site, service_of(address))

"""What is remembered between runs, as values, and the one interface to the store that keeps them.

Two backends stand behind it: SQLite (`state.sqlite`) and PostgreSQL (`state.postgres`). A store object
belongs to the thread that opened it. Every method is one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from msgspec import Struct, field

from specs.errors import ReconcilerError
from specs.model import Address
from specs.shares import ByService
from specs.values import Properties


class StoreError(ReconcilerError):
    """The store is unreachable, newer than this program or damaged."""


class Item(Struct, frozen=True, kw_only=True, gc=False):
    """One object that is ours: what we last wrote to it and what it needed."""

    address: Address
    binding: str
    provider_id: str
    digest: str
    """Digest of the properties last applied (`Resource.digest`)."""
    properties: Properties
    """The properties last applied, references unresolved, secrets by digest."""
    requires: tuple[Address, ...] = ()
    protect: bool = False
    """Whether it must not be deleted or replaced, even when the spec forgets it."""
    seen: str = ""
    """`Present.seen` right after the last success: equal now means the world has not moved."""
    commit: str = ""
    updated_at: datetime


class Outcome(StrEnum):
    """How a journalled step or a run ended; open ones are still going or were killed."""

    OPEN = "open"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Entry(Struct, frozen=True, kw_only=True):
    """One line of the journal: an intent, and later its outcome."""

    id: str
    run: str
    site: str
    address: Address
    action: str
    digest: str = ""
    started_at: datetime
    outcome: Outcome = Outcome.OPEN
    message: str = ""
    ended_at: datetime | None = None


class Run(Struct, frozen=True, kw_only=True):
    """One turn for one site."""

    id: str
    site: str
    commit: str
    cause: str
    """Why it ran: `apply`, `push`, `drift`, `alert`."""
    started_at: datetime
    outcome: Outcome = Outcome.OPEN
    summary: Mapping[str, int] = field(default_factory=dict)
    """Steps done, by action; and `failed`."""
    message: str = ""
    ended_at: datetime | None = None


class Lock(Struct, frozen=True, kw_only=True):
    """Who works on a site: a person's or a machine's process."""

    site: str
    owner: str
    """`user@host`."""
    host: str
    pid: int
    born: str
    """When the process began, as its kernel tells it: two processes may carry one pid in turn."""
    since: datetime


class LockedError(StoreError):
    """Somebody else works on the site."""

    def __init__(self, lock: Lock, advice: str = "") -> None:
        advice = advice or f"wait, or break the lock with: reconciler unlock --site {lock.site}"
        since = f"{lock.since:%Y-%m-%d %H:%M:%S} UTC"
        super().__init__(f"{lock.site} is locked by {lock.owner} (process {lock.pid}) since {since}; {advice}")
        self.lock = lock


class Suspension(Struct, frozen=True, kw_only=True):
    """A person's wish that the loop leaves a site (or one service of it) alone."""

    site: str
    service: str = ""
    """Empty: the whole site."""
    reason: str = ""
    owner: str
    since: datetime


class AlertStatus(StrEnum):
    """Whether what a rule watches for is so."""

    QUIET = "quiet"
    FIRING = "firing"


class AlertState(Struct, frozen=True, kw_only=True):
    """What the evaluator remembers of one rule on one site."""

    site: str
    rule: str
    """The rule's id."""
    status: AlertStatus = AlertStatus.QUIET
    streak: int = 0
    """How many checks in a row spoke against the status."""
    value: str = ""
    """What was measured last, as text."""
    problem: str = ""
    """Why the last check concluded nothing; the status is then that of the check before."""
    checked_at: datetime
    """The end of the window that was looked at last."""
    since: datetime
    """When the status began."""
    fired_at: datetime | None = None


class Firing(Struct, frozen=True, kw_only=True):
    """One alert that went off, and what became of it; open ones wait for a decision."""

    id: str
    """Equal for the same alert of the same moment, whoever tells of it and how often."""
    site: str
    sfc: str
    sfci: str
    policy: str
    trigger: str
    source: str
    """Who told: `builtin`, `kapacitor`, `alertmanager`, `hand`."""
    at: datetime
    """The moment it is about."""
    received_at: datetime
    value: str = ""
    detail: Properties = field(default_factory=dict)
    """Rule, window and query in words."""
    outcome: Outcome = Outcome.OPEN
    message: str = ""
    """What was decided, and why."""
    commit: str = ""
    subjects: tuple[str, ...] = ()
    """What was changed, and which way: `+storage@edge-1`."""
    settled_at: datetime | None = None


class Store(Protocol):
    """The one interface; `state.opening.open_store` gives one."""

    def inventory(self, site: str, services: Iterable[str] | None = None) -> ByService[Address, Item]:
        """Give everything that is ours on a site, or what some of its services have."""

    def inventory_state(self, site: str) -> str:
        """Give something that differs whenever the inventory of a site was written to, in this store or another."""

    def inventory_states(self, site: str) -> Mapping[str, str]:
        """Give the same by service; under an empty name for those that are not named."""

    def sites(self) -> tuple[str, ...]:
        """Give the sites on which anything is ours, sorted; also those that git no longer knows."""

    def remember(self, items: Iterable[Item], forgotten: Iterable[Address] = ()) -> None:
        """Insert or replace items and drop forgotten ones, together; an address in both stays."""

    def record(self, entries: Iterable[Entry], items: Iterable[Item] = (), forgotten: Iterable[Address] = ()) -> None:
        """Write intents and outcomes, and what these mean for the inventory, together.

        Durable against a killed process when it returns.
        """

    def journal(self, site: str, run: str = "", outcome: Outcome | None = None) -> tuple[Entry, ...]:
        """Give journal entries of a site in the order they began, of one run or outcome if asked."""

    def save_run(self, run: Run) -> None:
        """Insert or replace a run."""

    def runs(self, site: str = "", limit: int = 20) -> tuple[Run, ...]:
        """Give the latest runs, newest first, of one site if asked."""

    def trim_history(self, site: str, keep: int) -> None:
        """Drop all but the `keep` latest runs of a site, with their journals; what is open stays."""

    def lock(self, wanted: Lock, dead: Callable[[Lock], bool]) -> None:
        """Take the site's lock, over a holder that `dead` says is gone; `LockedError` otherwise."""

    def unlock(self, held: Lock) -> None:
        """Give the lock back; a lock that somebody broke meanwhile is left alone."""

    def break_lock(self, site: str) -> Lock | None:
        """Remove the site's lock whoever holds it, and tell who did."""

    def locks(self) -> tuple[Lock, ...]:
        """Give every lock, by site."""

    def suspend(self, suspension: Suspension) -> None:
        """Insert or replace a suspension."""

    def resume(self, site: str, service: str = "") -> bool:
        """End a suspension; `False` if there was none."""

    def suspensions(self) -> tuple[Suspension, ...]:
        """Give every suspension, by site and service."""

    def alert_states(self, site: str = "", rule: str = "") -> tuple[AlertState, ...]:
        """Give what is remembered of rules, by site and rule, of one site or one rule if asked."""

    def save_alerts(self, states: Iterable[AlertState], firings: Iterable[Firing] = ()) -> frozenset[str]:
        """Write states and new firings together; tell which firings are new. One that is there stays as it is."""

    def forget_alerts(self, site: str, rules: Iterable[str]) -> None:
        """Drop the states of rules that are not watched any more."""

    def settle(self, *firings: Firing) -> None:
        """Write what became of firings, together."""

    def firings(
        self,
        *,
        outcome: Outcome | None = None,
        since: datetime | None = None,
        committed: bool = False,
        limit: int = 1000,
    ) -> tuple[Firing, ...]:
        """Give firings, newest first: of one outcome, received from a moment on, with a commit, if asked."""

    def trim_firings(self, before: datetime) -> None:
        """Drop the settled firings of our own evaluator from before a moment; others may be told of again."""

    def get(self, key: str) -> bytes | None:
        """Read a cached value."""

    def get_many(self, keys: list[str]) -> Mapping[str, bytes]:
        """Read the cached values that are there, in few queries."""

    def put(self, values: Mapping[str, bytes]) -> None:
        """Keep cached values; anything kept may be gone tomorrow."""

    def trim(self, keep: int) -> None:
        """Drop all but the `keep` most recently written cached values."""

    def close(self) -> None:
        """Let go of the connection."""

"""How the store's values lie in tables: one table, one pair of functions for each kind of value.

Properties and summaries are JSON, required addresses stand behind each other with blanks between,
moments are UTC in ISO 8601 with microseconds, so that they sort as text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from sys import intern
from typing import cast

from specs.model import Address
from specs.values import Properties, Value, decode, encode
from state.database import Cell, Row
from state.store import AlertState, AlertStatus, Entry, Firing, Item, Lock, Outcome, Run, StoreError, Suspension


@dataclass(frozen=True, slots=True)
class Table:
    """One table of values: its key, its other columns, and the statements for both."""

    name: str
    key: tuple[str, ...]
    others: tuple[str, ...]
    select: str = field(init=False)
    """Every column, from the key on."""
    upsert: str = field(init=False)
    """Insert a row, or replace what stands under its key."""

    def __post_init__(self) -> None:
        columns = ", ".join((*self.key, *self.others))
        marks = ", ".join("?" * len((*self.key, *self.others)))
        changes = ", ".join(f"{column} = excluded.{column}" for column in self.others)
        object.__setattr__(self, "select", f"SELECT {columns} FROM {self.name}")  # noqa: S608 - our own names
        object.__setattr__(
            self,
            "upsert",
            f"INSERT INTO {self.name} ({columns}) VALUES ({marks})"  # noqa: S608 - our own names
            f" ON CONFLICT ({', '.join(self.key)}) DO UPDATE SET {changes}",
        )


ITEMS = Table(
    "items",
    ("address",),
    ("binding", "provider_id", "digest", "properties", "requires", "protect", "seen", "revision", "updated_at"),
)
JOURNAL = Table(
    "journal",
    ("id",),
    ("run", "site", "address", "action", "digest", "started_at", "outcome", "message", "ended_at"),
)
RUNS = Table("runs", ("id",), ("site", "revision", "cause", "started_at", "outcome", "summary", "message", "ended_at"))
LOCKS = Table("locks", ("site",), ("owner", "host", "pid", "born", "since"))
ALERTS = Table("alerts", ("site", "rule"), ("status", "streak", "value", "problem", "checked_at", "since", "fired_at"))
FIRINGS = Table(
    "firings",
    ("id",),
    (
        "site",
        "sfc",
        "sfci",
        "policy",
        "trigger_name",
        "source",
        "at",
        "received_at",
        "value",
        "detail",
        "outcome",
        "message",
        "revision",
        "subjects",
        "settled_at",
    ),
)
SUSPENSIONS = Table("suspensions", ("site", "service"), ("reason", "owner", "since"))


class StoredProperties(Mapping[str, Value]):
    """Properties as they came out of the store, decoded when somebody looks into them.

    Equal to a `dict` of the same content. Most items of a large inventory are compared by digest only.
    """

    __slots__ = ("_decoded", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._decoded: Properties | None = None

    def _properties(self) -> Properties:
        if self._decoded is None:
            try:
                self._decoded = cast("Properties", decode(json.loads(self._text)))
            except ValueError as error:
                raise StoreError(f"properties in the store cannot be read: {error}; {REMEDY}") from error
        return self._decoded

    def __getitem__(self, name: str) -> Value:
        return self._properties()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._properties())

    def __len__(self) -> int:
        return len(self._properties())

    def __repr__(self) -> str:
        return repr(self._properties())


REMEDY = "move the store away and the next run starts a new one, which costs history and nothing else"
"""What to do with a damaged store: everything in it but history is found again by owner marks."""


def addresses_of(site: str, service: str = "") -> tuple[str, str]:
    """Give the range of the addresses of a site or of one of its services, from the first to below the second."""
    stem = f"{site}/{service}" if service else site
    return f"{stem}/", f"{stem}0"  # 0 comes right after / in the order of characters


def item_row(item: Item) -> tuple[Cell, ...]:
    """Lay an item into a row of `ITEMS`."""
    return (
        item.address,
        item.binding,
        item.provider_id,
        item.digest,
        json.dumps(encode(item.properties), separators=(",", ":")),
        " ".join(item.requires),
        int(item.protect),
        item.seen,
        item.commit,
        moment_text(item.updated_at),
    )


def item_of(row: Row) -> Item:
    """Read a row of `ITEMS`."""
    address, binding, provider_id, digest, properties, requires, protect, seen, revision, updated_at = row
    return Item(
        address=Address(intern(address)),
        binding=intern(binding),
        provider_id=intern(provider_id),
        digest=intern(digest),
        properties=StoredProperties(properties),
        requires=tuple(map(Address, map(intern, requires.split()))),
        protect=protect == 1,
        seen=intern(seen),
        commit=intern(revision),
        updated_at=datetime.fromisoformat(updated_at),
    )


def entry_row(entry: Entry) -> tuple[Cell, ...]:
    """Lay a journal entry into a row of `JOURNAL`."""
    return (
        entry.id,
        entry.run,
        entry.site,
        entry.address,
        entry.action,
        entry.digest,
        moment_text(entry.started_at),
        entry.outcome.value,
        storable(entry.message),
        moment_text(entry.ended_at) if entry.ended_at else None,
    )


def entry_of(row: Row) -> Entry:
    """Read a row of `JOURNAL`."""
    identity, run, site, address, action, digest, started_at, outcome, message, ended_at = row
    return Entry(
        id=identity,
        run=run,
        site=site,
        address=address,
        action=action,
        digest=digest,
        started_at=datetime.fromisoformat(started_at),
        outcome=Outcome(outcome),
        message=message,
        ended_at=datetime.fromisoformat(ended_at) if ended_at else None,
    )


def run_row(run: Run) -> tuple[Cell, ...]:
    """Lay a run into a row of `RUNS`."""
    return (
        run.id,
        run.site,
        run.commit,
        run.cause,
        moment_text(run.started_at),
        run.outcome.value,
        json.dumps(dict(run.summary), separators=(",", ":")),
        storable(run.message),
        moment_text(run.ended_at) if run.ended_at else None,
    )


def run_of(row: Row) -> Run:
    """Read a row of `RUNS`."""
    identity, site, commit, cause, started_at, outcome, summary, message, ended_at = row
    return Run(
        id=identity,
        site=site,
        commit=commit,
        cause=cause,
        started_at=datetime.fromisoformat(started_at),
        outcome=Outcome(outcome),
        summary=json.loads(summary),
        message=message,
        ended_at=datetime.fromisoformat(ended_at) if ended_at else None,
    )


def lock_row(lock: Lock) -> tuple[Cell, ...]:
    """Lay a lock into a row of `LOCKS`."""
    return (lock.site, lock.owner, lock.host, lock.pid, lock.born, moment_text(lock.since))


def lock_of(row: Row) -> Lock:
    """Read a row of `LOCKS`."""
    site, owner, host, pid, born, since = row
    return Lock(site=site, owner=owner, host=host, pid=pid, born=born, since=datetime.fromisoformat(since))


def suspension_row(suspension: Suspension) -> tuple[Cell, ...]:
    """Lay a suspension into a row of `SUSPENSIONS`."""
    return (
        suspension.site,
        suspension.service,
        storable(suspension.reason),
        suspension.owner,
        moment_text(suspension.since),
    )


def suspension_of(row: Row) -> Suspension:
    """Read a row of `SUSPENSIONS`."""
    site, service, reason, owner, since = row
    return Suspension(site=site, service=service, reason=reason, owner=owner, since=datetime.fromisoformat(since))


def alert_row(state: AlertState) -> tuple[Cell, ...]:
    """Lay the state of a rule into a row of `ALERTS`."""
    return (
        state.site,
        state.rule,
        state.status.value,
        state.streak,
        storable(state.value),
        storable(state.problem),
        moment_text(state.checked_at),
        moment_text(state.since),
        moment_text(state.fired_at) if state.fired_at else None,
    )


def alert_of(row: Row) -> AlertState:
    """Read a row of `ALERTS`."""
    site, rule, status, streak, value, problem, checked_at, since, fired_at = row
    return AlertState(
        site=site,
        rule=rule,
        status=AlertStatus(status),
        streak=streak,
        value=value,
        problem=problem,
        checked_at=datetime.fromisoformat(checked_at),
        since=datetime.fromisoformat(since),
        fired_at=datetime.fromisoformat(fired_at) if fired_at else None,
    )


def firing_row(firing: Firing) -> tuple[Cell, ...]:
    """Lay a firing into a row of `FIRINGS`."""
    return (
        firing.id,
        firing.site,
        storable(firing.sfc),
        storable(firing.sfci),
        storable(firing.policy),
        storable(firing.trigger),
        firing.source,
        moment_text(firing.at),
        moment_text(firing.received_at),
        storable(firing.value),
        json.dumps(encode(firing.detail), separators=(",", ":")),
        firing.outcome.value,
        storable(firing.message),
        firing.commit,
        json.dumps(firing.subjects),
        moment_text(firing.settled_at) if firing.settled_at else None,
    )


def firing_of(row: Row) -> Firing:
    """Read a row of `FIRINGS`."""
    identity, site, sfc, sfci, policy, trigger, source, at, received_at, value, *rest = row
    detail, outcome, message, commit, subjects, settled_at = rest
    return Firing(
        id=identity,
        site=site,
        sfc=sfc,
        sfci=sfci,
        policy=policy,
        trigger=trigger,
        source=source,
        at=datetime.fromisoformat(at),
        received_at=datetime.fromisoformat(received_at),
        value=value,
        detail=StoredProperties(detail),
        outcome=Outcome(outcome),
        message=message,
        commit=commit,
        subjects=tuple(json.loads(subjects)),
        settled_at=datetime.fromisoformat(settled_at) if settled_at else None,
    )


def moment_text(moment: datetime) -> str:
    """Write a moment so that later moments sort later."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def storable(text: str) -> str:
    """Replace what a database cannot hold in text: NUL and halves of surrogate pairs."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()

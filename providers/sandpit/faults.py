"""Lets calls to the emulated site go wrong by script, and parts of it be down. Both outlive the process.

A call is named `<verb>:<kind>`: `create:server`, `list:port`; `*` stands for any verb or kind. What is down is
named as in `Snapshot.unknown`: a kind, `@cluster`, `kind@cluster`, or `*` for everything.
"""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from enum import StrEnum

from msgspec import Struct

from providers.base import PermanentError, ProviderError, TransientError
from providers.sandpit.database import Database
from providers.sandpit.kinds import KINDS

VERBS = ("list", "create", "update", "delete")


class Trouble(StrEnum):
    """How a call goes wrong."""

    TIMEOUT = "timeout"
    """Nothing is done, no answer comes: a transient error."""
    FAIL = "fail"
    """Nothing is done, the service says 503 and when to come back: a transient error."""
    REFUSE = "refuse"
    """Nothing is done, the service says 400: a permanent error."""
    UNAUTHORIZED = "unauthorized"
    """Nothing is done, the service says 401: a permanent error."""
    LOSE = "lose"
    """All is done, and the answer gets lost: a transient error."""
    SLOW = "slow"
    """All is done, and becomes healthy `seconds` later than usual."""
    PARTIAL = "partial"
    """A list comes without its last page."""


class Fault(Struct, frozen=True, kw_only=True):
    """One line of the script."""

    call: str
    trouble: Trouble
    cluster: str = ""
    """Only there; empty means everywhere."""
    times: int = 0
    """How many more calls it spoils; 0 means every one."""
    seconds: float = 0.0
    """How long `slow` takes, or when `fail` asks to come back."""

    def __str__(self) -> str:
        where = f" on {self.cluster}" if self.cluster else ""
        often = "always" if self.times == 0 else "once" if self.times == 1 else f"{self.times} times"
        return f"{self.call}{where}: {self.trouble} {often}"

    def error(self, call: str) -> ProviderError | None:
        """Give what the caller gets to hear, if anything."""
        match self.trouble:
            case Trouble.TIMEOUT:
                return TransientError(f"{call} timed out (scripted fault)")
            case Trouble.FAIL:
                later = timedelta(seconds=self.seconds) if self.seconds else None
                return TransientError(f"{call}: 503 service unavailable (scripted fault)", later)
            case Trouble.LOSE:
                return TransientError(f"{call}: connection lost before the answer came (scripted fault)")
            case Trouble.REFUSE:
                return PermanentError(f"{call}: 400 bad request (scripted fault)")
            case Trouble.UNAUTHORIZED:
                return PermanentError(f"{call}: 401 unauthorized (scripted fault); check the credentials")
        return None


def add(database: Database, fault: Fault) -> None:
    """Put a fault into the script, in the place of one with the same call, cluster and trouble."""
    verb, _, kind = fault.call.partition(":")
    if verb not in (*VERBS, "*") or kind not in (*KINDS, "*"):
        raise PermanentError(
            f"{fault.call!r} is no call; write VERB:KIND with one of {', '.join(VERBS)} or *,"
            f" and one of {', '.join(KINDS)} or *"
        )
    if fault.trouble is Trouble.PARTIAL and verb != "list":
        raise PermanentError(f"{fault.call!r} cannot be partial; only list:KIND can")
    with database.writing() as connection:
        connection.execute(
            "INSERT OR REPLACE INTO faults (call, cluster, trouble, times, seconds) VALUES (?, ?, ?, ?, ?)",
            (fault.call, fault.cluster, fault.trouble, fault.times, fault.seconds),
        )


def clear(database: Database, call: str = "") -> int:
    """Take faults out of the script, those of one call or all, and tell how many."""
    with database.writing() as connection:
        return connection.execute("DELETE FROM faults WHERE ? IN (call, '')", (call,)).rowcount


def scripted(database: Database) -> tuple[Fault, ...]:
    """Give the script in the order it was written."""
    with database.reading() as connection:
        return tuple(fault for _, fault in _all(connection))


def take(connection: sqlite3.Connection, call: str, cluster: str | None = None) -> Fault | None:
    """Give the first fault that spoils a call on a cluster (or on any), and count it."""
    verb, _, kind = call.partition(":")
    for number, fault in _all(connection):
        said, _, of = fault.call.partition(":")
        if said in (verb, "*") and of in (kind, "*") and (cluster is None or fault.cluster in ("", cluster)):
            if fault.times == 1:
                connection.execute("DELETE FROM faults WHERE number = ?", (number,))
            elif fault.times > 1:
                connection.execute("UPDATE faults SET times = times - 1 WHERE number = ?", (number,))
            return fault
    return None


def _all(connection: sqlite3.Connection) -> list[tuple[int, Fault]]:
    rows = connection.execute("SELECT number, call, cluster, trouble, times, seconds FROM faults ORDER BY number")
    return [
        (number, Fault(call=call, cluster=cluster, trouble=Trouble(trouble), times=times, seconds=seconds))
        for number, call, cluster, trouble, times, seconds in rows
    ]


# --- what is down ----------------------------------------------------------------------------------


def take_down(database: Database, target: str, reason: str = "") -> None:
    """Make part of the site not answer; `target` as in `Snapshot.unknown`."""
    kind, at, cluster = target.partition("@")
    if (kind not in (*KINDS, "") if at else kind not in (*KINDS, "*")) or (at and not cluster):
        raise PermanentError(f"{target!r} cannot be down; write @CLUSTER, KIND, KIND@CLUSTER or * for everything")
    said = reason or f"{'the API' if target == '*' else target.lstrip('@')} is down (scripted)"
    with database.writing() as connection:
        connection.execute("INSERT OR REPLACE INTO outages VALUES (?, ?)", (target, said))


def bring_up(database: Database, target: str = "") -> int:
    """End an outage, or all of them, and tell how many ended."""
    with database.writing() as connection:
        return connection.execute("DELETE FROM outages WHERE ? IN (target, '')", (target,)).rowcount


def down(database: Database) -> dict[str, str]:
    """Give everything that is down, and why."""
    with database.reading() as connection:
        return outages(connection)


def outages(connection: sqlite3.Connection) -> dict[str, str]:
    """Give everything that is down in the moment of a transaction, and why."""
    return dict(connection.execute("SELECT target, reason FROM outages ORDER BY target").fetchall())

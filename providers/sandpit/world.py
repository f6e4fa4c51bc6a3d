"""The emulated site: its API, its rules, and what it can hold.

Every call is one transaction of its file. Rules are checked before anything is written; scripted faults spoil calls
from outside.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from sys import intern

from msgspec import Struct
from msgspec.structs import replace

from providers.base import Foreign, Mark, PermanentError, QuotaExceeded, TransientError
from providers.sandpit import faults
from providers.sandpit.assign import with_attributes, with_defaults
from providers.sandpit.database import Database
from providers.sandpit.faults import Trouble
from providers.sandpit.kinds import KINDS
from providers.sandpit.objects import (
    Row,
    Stamp,
    Thing,
    get,
    missing,
    name_of,
    next_number,
    parts_of,
    put,
    remove,
    select,
    users,
)
from providers.sandpit.settings import Settings
from specs.model import Capacity, Site
from specs.values import Properties

AMOUNTS = (("vcpus", "vCPU"), ("memory_mb", "MB of memory"), ("disk_gb", "GB of disk"))
"""Fields of a capacity, with the words for them."""

_ENDLESS = Capacity(vcpus=float("inf"), memory_mb=float("inf"), disk_gb=float("inf"))
_ROUNDING = 1e-6
_SHOWN = "number, cluster, address, digest, properties, attributes, seen, ready_at, trouble"
_ROWS_AT_ONCE = 900
"""Every build of SQLite takes 999 values."""
_BLOCKING = ("network", "volume")
"""Kinds that cannot go while something is made of them."""


class Listing(Struct, frozen=True, kw_only=True):
    """What a list call answered; `total` is how many there are by the API's own count."""

    stamps: Sequence[Stamp]
    total: int
    unseen: Mapping[str, str]
    """Cluster → why its objects are not in the rows."""


class World:
    """One binding's view of the emulated site."""

    def __init__(
        self, database: Database, site: Site, *, binding: str, settings: Settings, clock: Callable[[], datetime]
    ) -> None:
        self.database = database
        self.settings = settings
        self._site = site
        self._binding = binding
        self._clock = clock

    def now(self) -> float:
        """Give the site's time, in seconds since the epoch."""
        return self._clock().timestamp()

    # --- looking ---

    def version(self) -> tuple[int, int] | None:
        """Give something that differs when anybody has changed the site; nothing while trouble is scripted."""
        found = self.database.version()
        return None if faults.scripted(self.database) or faults.down(self.database) else found

    def listing(self, kind: str, repository: str) -> Listing:
        """List the objects of a kind that carry a repository's mark."""
        with self.database.writing() as connection:
            unseen = _out_of_sight(connection, kind)
            fault = faults.take(connection, f"list:{kind}")
        error = fault.error(f"list:{kind}") if fault else None
        if fault is not None and error is not None:
            if not fault.cluster:
                raise error
            unseen[fault.cluster] = str(error)
        with self.database.reading() as connection:
            found = connection.execute(
                "SELECT number, cluster, seen, ready_at, trouble"
                " FROM objects WHERE binding = ? AND kind = ? AND repository = ?",
                (self._binding, kind, repository),
            )
            stamps: list[Stamp] = [
                (number, intern(cluster), intern(seen), ready_at, trouble)
                for number, cluster, seen, ready_at, trouble in found
            ]
        if unseen:
            stamps = [stamp for stamp in stamps if stamp[1] not in unseen]
        cut = fault is not None and fault.trouble is Trouble.PARTIAL
        return Listing(stamps=stamps[: len(stamps) // 2] if cut else stamps, total=len(stamps), unseen=unseen)

    def rows(self, numbers: Sequence[int]) -> Iterator[Row]:
        """Read objects that were listed, as they are by now; those that are gone are left out."""
        for start in range(0, len(numbers), _ROWS_AT_ONCE):
            some = numbers[start : start + _ROWS_AT_ONCE]
            with self.database.reading() as connection:
                marks = ", ".join("?" * len(some))
                found: list[Row] = connection.execute(
                    f"SELECT {_SHOWN} FROM objects WHERE number IN ({marks})",  # noqa: S608 - question marks
                    some,
                ).fetchall()
            yield from found

    def foreign(self, repository: str) -> tuple[Foreign, ...]:
        """List every object that does not carry the repository's mark."""
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT kind, number, name FROM objects WHERE binding = ? AND repository <> ? ORDER BY kind, number",
                (self._binding, repository),
            ).fetchall()
        return tuple(Foreign(kind, f"{kind}-{number}", name) for kind, number, name in rows)

    def namesakes(self, kind: str, properties: Properties) -> list[str]:
        """Give the ids of objects of the same kind, name and place, whoever's they are."""
        with self.database.reading() as connection:
            return self._namesakes(connection, kind, properties, "")

    def room(self, cluster: str) -> Capacity:
        """Tell what is free on a cluster; what is on no cluster of the site is not limited."""
        with self.database.reading() as connection:
            return self._room(connection, cluster)

    def count(self, kind: str) -> int:
        """Count the objects of a kind, whoever's they are."""
        with self.database.reading() as connection:
            return self._count(connection, kind)

    # --- changing ---

    def create(self, kind: str, properties: Properties, mark: Mark) -> Thing:
        """Make an object, or give the one that carries this very mark."""
        with self._call("create", kind, _cluster(properties)) as (connection, late):
            made = select(
                connection,
                "binding = ? AND address = ? AND digest = ? AND repository = ?",
                *(self._binding, mark.address, mark.digest, mark.repository),
            )
            if made:
                return made[0]
            number = next_number(connection)
            thing = Thing(
                number=number,
                binding=self._binding,
                kind=kind,
                mark=mark,
                properties=with_defaults(kind, number, properties),
                ready_at=self._ready_at(kind, late),
            )
            return self._admit(connection, thing, mark)

    def update(self, provider_id: str, properties: Properties, mark: Mark) -> Thing:
        """Make an object of ours as told; what the site had chosen by itself stays."""
        with self._call("update", kind_of(provider_id), _cluster(properties)) as (connection, late):
            before = get(connection, provider_id)
            if before is None:
                raise PermanentError(f"{provider_id} of {mark.address} is gone; plan again")
            _check_ours(before, mark)
            moved = _fixed(before, properties)
            if moved:
                raise PermanentError(f"{provider_id}: {', '.join(moved)} cannot change in place; replace it")
            defaults = with_defaults(before.kind, before.number, {})
            kept = {name: value for name, value in before.properties.items() if name in defaults}
            after = replace(before, mark=mark, properties={**kept, **properties}, attributes=before.attributes)
            if after.properties_text != before.properties_text:
                after = replace(after, ready_at=self._ready_at(before.kind, late))
            return self._admit(connection, after, mark, before)

    def delete(self, provider_id: str, cluster: str, mark: Mark) -> None:
        """Remove an object of ours; gone already is fine."""
        with self._call("delete", kind_of(provider_id), cluster) as (connection, _):
            thing = get(connection, provider_id)
            if thing is None:
                return
            _check_ours(thing, mark)
            if thing.kind in _BLOCKING and (users_of := users(connection, thing)):
                ids = ", ".join(user.id for user in users_of)
                raise PermanentError(f"{provider_id} is in use by {ids}; delete what uses it first")
            remove(connection, thing)

    def adopt(self, kind: str, provider_id: str, cluster: str, mark: Mark) -> Thing:
        """Put a mark on an object which is not ours, and change nothing else."""
        with self._call("update", kind, cluster) as (connection, _):
            thing = get(connection, provider_id)
            if thing is None or thing.kind != kind or thing.binding != self._binding:
                raise PermanentError(f"{self._site.name} has no {kind} {provider_id!r} that {mark.address} could adopt")
            ours = thing.mark is not None and thing.mark.repository == mark.repository
            if ours and thing.mark is not None and thing.mark.address != mark.address:
                raise PermanentError(
                    f"{provider_id} is ours already, as {thing.mark.address}; remove it from there first"
                )
            parts = parts_of(connection, thing)
            return put(connection, with_attributes(connection, replace(thing, mark=mark), parts), parts)

    # --- rules ---

    @contextmanager
    def _call(self, verb: str, kind: str, cluster: str) -> Iterator[tuple[sqlite3.Connection, float]]:
        """Run a changing call in one transaction, unless it is spoiled; gives the seconds a fault makes it late."""
        call = f"{verb}:{kind}"
        with self.database.writing() as connection:
            out = _out_of_sight(connection, kind)
            if cluster in out:
                raise TransientError(out[cluster])
            fault = faults.take(connection, call, cluster)
            error = fault.error(call) if fault else None
            if error is None or (fault is not None and fault.trouble is Trouble.LOSE):
                yield connection, fault.seconds if fault and fault.trouble is Trouble.SLOW else 0.0
        if error is not None:
            raise error

    def _admit(self, connection: sqlite3.Connection, thing: Thing, mark: Mark, before: Thing | None = None) -> Thing:
        """Check every rule for a new or changed object, give it its attributes and store it."""
        if others := self._namesakes(connection, thing.kind, thing.properties, mark.repository):
            raise PermanentError(name_taken(others[0], thing.name, mark.address))
        parts = parts_of(connection, thing)
        if lost := missing(thing, parts):
            raise PermanentError(f"{mark.address} is made of {', '.join(lost)}, which {self._site.name} does not have")
        limit = self.settings.quota.get(thing.kind)
        if before is None and limit is not None and self._count(connection, thing.kind) >= limit:
            raise QuotaExceeded(quota_spent(thing.kind, limit, mark.address))
        room = self._room(connection, thing.cluster) + (before.takes if before else Capacity())
        if short := shortage(thing.cluster, room, thing.takes, mark.address):
            raise QuotaExceeded(short)
        return put(connection, with_attributes(connection, thing, parts), parts)

    def _ready_at(self, kind: str, late: float) -> float:
        return self.now() + self.settings.delays.get(kind, 0.0) + late

    def _namesakes(
        self, connection: sqlite3.Connection, kind: str, properties: Properties, repository: str
    ) -> list[str]:
        """Give those that are not the repository's; an empty one has none."""
        rows = connection.execute(
            "SELECT number FROM objects WHERE (binding, kind, name, cluster) = (?, ?, ?, ?)"
            " AND (? = '' OR repository <> ?) ORDER BY number",
            (self._binding, kind, name_of(properties), _cluster(properties), repository, repository),
        )
        return [f"{kind}-{number}" for (number,) in rows]

    def _room(self, connection: sqlite3.Connection, cluster: str) -> Capacity:
        place = self._site.clusters.get(cluster)
        if place is None:
            return _ENDLESS
        row = connection.execute(
            "SELECT total(vcpus), total(memory_mb), total(disk_gb) FROM usage WHERE cluster = ?", (cluster,)
        ).fetchone()
        limit = place.capacity
        return Capacity(vcpus=limit.vcpus - row[0], memory_mb=limit.memory_mb - row[1], disk_gb=limit.disk_gb - row[2])

    def _count(self, connection: sqlite3.Connection, kind: str) -> int:
        row = connection.execute(
            "SELECT total(objects) FROM usage WHERE (binding, kind) = (?, ?)", (self._binding, kind)
        ).fetchone()
        return int(row[0])


def _out_of_sight(connection: sqlite3.Connection, kind: str) -> dict[str, str]:
    """Give the clusters that do not answer for a kind; `TransientError` if none of them does."""
    found: dict[str, str] = {}
    for target, reason in faults.outages(connection).items():
        what, _, cluster = target.partition("@")
        if target in ("*", kind):
            raise TransientError(reason)
        if cluster and what in ("", kind):
            found[cluster] = reason
    return found


def shortage(cluster: str, room: Capacity, needs: Capacity, who: str) -> str:
    """Say what `who` would need more than there is; empty if there is room."""
    for name, words in AMOUNTS:
        free, need = getattr(room, name), getattr(needs, name)
        if need > 0 and need > free + _ROUNDING:
            return f"{cluster} has {max(free, 0):g} {words} free, {who} needs {need:g}"
    return ""


def quota_spent(kind: str, limit: int, who: str) -> str:
    """Say that there may be no more of a kind."""
    return f"the quota of {limit} {kind}s is used up, {who} needs one more; remove some, or raise the quota"


def name_taken(other: str, name: str, address: str) -> str:
    """Say that somebody else's object is in the way."""
    return (
        f"{kind_of(other)} {name} exists as {other} and is not ours; take it over with: reconciler adopt {address},"
        " or give ours another name"
    )


def _check_ours(thing: Thing, mark: Mark) -> None:
    if thing.mark is None or (thing.mark.repository, thing.mark.address) != (mark.repository, mark.address):
        raise PermanentError(f"{thing.id} does not carry the mark of {mark.address} any more; it is left alone")


def _fixed(before: Thing, properties: Properties) -> list[str]:
    """Give the properties that would change and cannot."""
    fixed = KINDS[before.kind].replaced_by & properties.keys()
    return sorted(name for name in fixed if before.properties.get(name) != properties[name])


def kind_of(provider_id: str) -> str:
    """Take the kind out of an id such as `server-17`."""
    return provider_id.rpartition("-")[0]


def _cluster(properties: Properties) -> str:
    return str(properties.get("cluster", ""))

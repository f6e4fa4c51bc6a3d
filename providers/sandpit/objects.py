"""The rows of an emulated site: what an object is, how it is stored, and what goes with it when it goes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from hashlib import blake2b
from sys import intern
from typing import TypeAlias, cast

from msgspec import Struct, field
from msgspec.structs import replace

from providers.base import Mark
from providers.sandpit.kinds import KINDS
from specs.model import Address, Capacity
from specs.values import Properties, Value, decode, encode

_COLUMNS = (
    "number, binding, kind, cluster, name, repository, address, digest, properties, attributes, seen, ready_at, trouble"
)
_UPSERT = (
    f"INSERT INTO objects ({_COLUMNS}, vcpus, memory_mb, disk_gb) VALUES ({', '.join('?' * 16)})"  # noqa: S608 — our own column names
    " ON CONFLICT (number) DO UPDATE SET (cluster, name, repository, address, digest, properties, attributes, seen,"
    " ready_at, trouble, vcpus, memory_mb, disk_gb) = (excluded.cluster, excluded.name, excluded.repository,"
    " excluded.address, excluded.digest, excluded.properties, excluded.attributes, excluded.seen, excluded.ready_at,"
    " excluded.trouble, excluded.vcpus, excluded.memory_mb, excluded.disk_gb)"
)

Row: TypeAlias = tuple[int, str, str, str, str, str, str, float, str]
"""Number, cluster, address, digest, properties and attributes as JSON text, seen, ready_at, trouble."""

_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"))

Stamp: TypeAlias = tuple[int, str, str, float, str]
"""Number, cluster, seen, ready_at, trouble: equal stamps, equal rows."""

_GONE = "what it is made of is gone"


class Thing(Struct, frozen=True, kw_only=True, dict=True):
    """One object of the emulated site; without a mark it is nobody's."""

    number: int
    binding: str
    kind: str
    mark: Mark | None
    properties: Properties
    attributes: Properties = field(default_factory=dict)
    ready_at: float = 0.0
    """Seconds since the epoch; until then it is being worked on."""
    trouble: str = ""

    @property
    def id(self) -> str:
        """The id the site gave it."""
        return f"{self.kind}-{self.number}"

    @property
    def name(self) -> str:
        """The name it is listed under."""
        return name_of(self.properties)

    @property
    def cluster(self) -> str:
        """Where it is; empty for what is everywhere."""
        return str(self.properties.get("cluster", ""))

    @property
    def takes(self) -> Capacity:
        """What it takes of its cluster."""
        return takes(self.kind, self.properties)

    @cached_property
    def made_of(self) -> tuple[str, ...]:
        """Ids of the objects it is made of: its network, its ports, its volumes, its host."""
        ids = [self.properties.get("network"), self.properties.get("host"), *_items(self.properties.get("ports"))]
        ids += [item.get("volume") for item in _items(self.properties.get("volumes")) if isinstance(item, Mapping)]
        return tuple(sorted({item for item in ids if isinstance(item, str) and number_of(item)}))

    @cached_property
    def properties_text(self) -> str:
        """The properties as stored; secrets by digest."""
        return _dump(self.properties)

    @cached_property
    def attributes_text(self) -> str:
        """The attributes as stored."""
        return _dump(self.attributes)

    @property
    def row(self) -> Row:
        """What a list shows of it."""
        mark = self.mark or Mark("", Address(""), "")
        texts = (self.cluster, mark.address, mark.digest, self.properties_text, self.attributes_text, self.seen)
        return (self.number, *texts, self.ready_at, self.trouble)

    @cached_property
    def seen(self) -> str:
        """Digest of everything but health."""
        mark = [self.mark.repository, self.mark.address, self.mark.digest] if self.mark else []
        text = "\0".join((self.id, *mark, self.properties_text, self.attributes_text))
        return blake2b(text.encode(), digest_size=16).hexdigest()


def stamp_of(row: Row) -> Stamp:
    """Give what tells a row from what it was and will be."""
    number, cluster, _, _, _, _, seen, ready_at, trouble = row
    return number, intern(cluster), intern(seen), ready_at, trouble


def name_of(properties: Properties) -> str:
    """Give the name an object is listed under, in characters any system can store."""
    return str(properties.get("name", "")).encode("utf-8", "backslashreplace").decode()


def takes(kind: str, properties: Properties) -> Capacity:
    """Tell what an object takes of its cluster."""

    def amount(name: str) -> float:
        value = properties.get(name)
        return float(value) if isinstance(value, int | float) else 0.0

    match kind:
        case "server":
            return Capacity(vcpus=amount("vcpus"), memory_mb=amount("memory_mb"), disk_gb=amount("disk_gb"))
        case "workload":
            times = amount("replicas")
            return Capacity(
                vcpus=times * amount("vcpus"), memory_mb=times * amount("memory_mb"), disk_gb=times * amount("disk_gb")
            )
        case "volume":
            return Capacity(disk_gb=amount("size_gb"))
    return Capacity()


def number_of(provider_id: str) -> int:
    """Take the number out of an id such as `server-17`; 0 for an id the sandpit never gave."""
    kind, _, digits = provider_id.rpartition("-")
    return int(digits) if kind in KINDS and digits.isascii() and digits.isdigit() and len(digits) < 19 else 0


def next_number(connection: sqlite3.Connection) -> int:
    """Give the number the next object will have; numbers are never used again."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'objects'").fetchone()
    return int(row[0]) + 1 if row else 1


def get(connection: sqlite3.Connection, provider_id: str) -> Thing | None:
    """Find an object by its id."""
    found = select(connection, "number = ?", number_of(provider_id))
    return found[0] if found and found[0].id == provider_id else None


def select(connection: sqlite3.Connection, condition: str, *values: object) -> list[Thing]:
    """Find objects; `condition` is SQL of our own, never anybody's text."""
    query = f"SELECT {_COLUMNS} FROM objects WHERE {condition} ORDER BY number"  # noqa: S608 — see docstring
    return [_thing(row) for row in connection.execute(query, values)]


def _thing(row: Sequence[object]) -> Thing:
    number, binding, kind, _, _, repository, address, digest, properties, attributes, _, ready_at, trouble = row
    mark = Mark(str(repository), Address(str(address)), str(digest)) if repository else None
    return Thing(
        number=cast("int", number),
        binding=str(binding),
        kind=str(kind),
        mark=mark,
        properties=cast("Properties", decode(json.loads(str(properties)))),
        attributes=cast("Properties", decode(json.loads(str(attributes)))),
        ready_at=cast("float", ready_at),
        trouble=str(trouble),
    )


def put(connection: sqlite3.Connection, thing: Thing, parts: Mapping[str, Thing]) -> Thing:
    """Insert or rewrite an object, and say so in its trouble if something it is made of is gone."""
    lost = missing(thing, parts)
    trouble = f"{_GONE}: {', '.join(lost)}" if lost else ""
    if trouble != thing.trouble:
        thing = replace(thing, trouble=trouble)
    mark = thing.mark or Mark("", Address(""), "")
    load = thing.takes
    values = (
        thing.number, thing.binding, thing.kind, thing.cluster, thing.name, mark.repository, mark.address, mark.digest,
        thing.properties_text, thing.attributes_text, thing.seen, thing.ready_at, trouble,
        load.vcpus, load.memory_mb, load.disk_gb,
    )  # fmt: skip
    connection.execute(_UPSERT, values)
    connection.execute("DELETE FROM uses WHERE user = ?", (thing.number,))
    connection.executemany(
        "INSERT INTO uses VALUES (?, ?)", {(thing.number, number_of(item)) for item in thing.made_of}
    )
    return thing


def parts_of(connection: sqlite3.Connection, thing: Thing) -> dict[str, Thing]:
    """Give the objects an object is made of, by id, as far as they exist."""
    found = (get(connection, item) for item in thing.made_of)
    return {part.id: part for part in found if part is not None}


def missing(thing: Thing, parts: Mapping[str, Thing]) -> list[str]:
    """Give the ids an object is made of which are not among its parts."""
    return [item for item in thing.made_of if item not in parts]


def users(connection: sqlite3.Connection, thing: Thing) -> list[Thing]:
    """Give the objects that are made of this one."""
    return select(connection, "number IN (SELECT user FROM uses WHERE used = ?)", thing.number)


def remove(connection: sqlite3.Connection, thing: Thing) -> None:
    """Remove an object and the software on it; whatever else is made of it is in trouble."""
    for user in users(connection, thing):
        if user.kind == "software":
            remove(connection, user)
        else:
            trouble = f"{_GONE}: {thing.id}"
            connection.execute("UPDATE objects SET trouble = ? WHERE number = ?", (trouble, user.number))
    connection.execute("DELETE FROM objects WHERE number = ?", (thing.number,))
    connection.execute("DELETE FROM uses WHERE user = ?", (thing.number,))
    connection.execute("DELETE FROM addresses WHERE network = ?", (thing.number,))
    connection.execute("DELETE FROM addresses WHERE owner = ?", (thing.number,))


def _items(value: Value) -> Iterator[Value]:
    if isinstance(value, Sequence) and not isinstance(value, str):
        yield from value


def _dump(value: Value) -> str:
    return _JSON.encode(encode(value))

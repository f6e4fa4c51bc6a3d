"""What other people do to the emulated site behind our back, and a look at it from outside.

Nothing here asks whose an object is, and no quota, capacity or name is checked. An object is named by its id, its
address or its name. What goes wrong with our own calls is scripted in `faults`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from msgspec.structs import replace

from providers.base import PermanentError
from providers.sandpit.assign import with_attributes, with_defaults
from providers.sandpit.database import Database, world_file
from providers.sandpit.kinds import KINDS
from providers.sandpit.objects import Thing, get, next_number, parts_of, put, remove, select
from specs.values import Properties, Value

Facts: TypeAlias = Mapping[str, Value]
"""One row to print: column → value."""


def open_site(state_dir: Path, site: str) -> Database:
    """Open the emulated site of a repository; `PermanentError` if nothing has made it yet."""
    file = world_file(state_dir, site)
    if not file.exists():
        raise PermanentError(f"{site} has no sandpit at {file}; `reconciler plan` or `apply` makes one")
    return Database(file)


def listed(database: Database, kind: str = "", cluster: str = "") -> list[Facts]:
    """List objects, whoever's they are, in the order they were made."""
    with database.reading() as connection:
        things = select(connection, "? IN (kind, '') AND ? IN (cluster, '')", kind, cluster)
    return [
        {
            "id": thing.id,
            "name": thing.name,
            "cluster": thing.cluster,
            "owner": thing.mark.repository if thing.mark else "",
            "address": thing.mark.address if thing.mark else "",
            "trouble": thing.trouble,
        }
        for thing in things
    ]


def shown(database: Database, what: str) -> Facts:
    """Show all there is to know of one object."""
    with database.reading() as connection:
        thing = _find(connection, what)
    mark = thing.mark
    return {
        "id": thing.id,
        "binding": thing.binding,
        "mark": {"repository": mark.repository, "address": mark.address, "digest": mark.digest} if mark else None,
        "properties": thing.properties,
        "attributes": thing.attributes,
        "ready_at": thing.ready_at,
        "trouble": thing.trouble,
    }


def deleted(database: Database, what: str) -> Facts:
    """Remove an object, whatever needs it; what is made of it gets into trouble."""
    with database.writing() as connection:
        thing = _find(connection, what)
        remove(connection, thing)
    return {"deleted": thing.id, "name": thing.name}


def changed(database: Database, what: str, name: str, value: Value) -> Facts:
    """Set one property of an object; `None` takes it away."""
    with database.writing() as connection:
        thing = _find(connection, what)
        properties = {key: old for key, old in thing.properties.items() if key != name}
        if value is not None:
            properties[name] = value
        _put(connection, replace(thing, properties=properties))
    return {"changed": thing.id, "property": name, "before": thing.properties.get(name), "after": value}


def added(database: Database, binding: str, kind: str, properties: Properties) -> Facts:
    """Put an object there that is nobody's; an empty binding means the only one that has objects."""
    if kind not in KINDS:
        raise PermanentError(f"no kind {kind!r}; there are {', '.join(KINDS)}")
    with database.writing() as connection:
        number = next_number(connection)
        thing = Thing(
            number=number,
            binding=binding or _only_binding(connection),
            kind=kind,
            mark=None,
            properties=with_defaults(kind, number, properties),
        )
        parts = parts_of(connection, thing)
        put(connection, with_attributes(connection, thing, parts), parts)
    return {"id": thing.id, "name": thing.name}


def unmarked(database: Database, what: str) -> Facts:
    """Take the owner mark off an object."""
    with database.writing() as connection:
        thing = _find(connection, what)
        _put(connection, replace(thing, mark=None))
    return {"unmarked": thing.id, "name": thing.name}


def usage(database: Database) -> list[Facts]:
    """Tell how many objects there are and what they take, by binding, cluster and kind."""
    with database.reading() as connection:
        rows = connection.execute(
            "SELECT binding, cluster, kind, objects, vcpus, memory_mb, disk_gb FROM usage WHERE objects > 0"
            " ORDER BY binding, cluster, kind"
        ).fetchall()
    columns = ("binding", "cluster", "kind", "objects", "vcpus", "memory_mb", "disk_gb")
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _put(connection: sqlite3.Connection, thing: Thing) -> None:
    put(connection, thing, parts_of(connection, thing))


def _only_binding(connection: sqlite3.Connection) -> str:
    names = [str(name) for (name,) in connection.execute("SELECT DISTINCT binding FROM objects ORDER BY 1")]
    if len(names) != 1:
        raise PermanentError(f"whose world? name a provider binding; there are objects of {', '.join(names) or 'none'}")
    return names[0]


def _find(connection: sqlite3.Connection, what: str) -> Thing:
    by_id = get(connection, what)
    found = [by_id] if by_id else select(connection, "? IN (address, name)", what)
    if not found:
        raise PermanentError(f"no object {what!r}; `reconciler sandpit list` shows ids, names and addresses")
    if len(found) > 1:
        raise PermanentError(f"{what!r} may be {' or '.join(thing.id for thing in found)}; give the id")
    return found[0]

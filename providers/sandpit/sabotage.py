"""What other people do to the emulated site behind our back, and a look at it from outside.

`COMMANDS` describes everything for a command line: `reconciler sandpit <name> …`. Each command gets its arguments as
text and gives rows to print. Nothing here asks whose an object is, and only `fault` and `down` touch our own calls.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from providers.base import PermanentError
from providers.sandpit import faults
from providers.sandpit.assign import with_attributes, with_defaults
from providers.sandpit.database import Database, world_file
from providers.sandpit.faults import Fault, Trouble
from providers.sandpit.kinds import KINDS
from providers.sandpit.objects import Thing, get, next_number, put, remove, select
from specs.values import Properties, Value, decode

Facts: TypeAlias = Mapping[str, Value]
"""One row to print: column → value."""

Given: TypeAlias = Mapping[str, str]
"""Arguments by name; an option that was not given is empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One argument of a command; an option is written `--name VALUE` and may be left out."""

    name: str
    help: str
    option: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One thing that can be done to an emulated site."""

    name: str
    help: str
    arguments: tuple[Argument, ...] = ()
    run: Callable[[Database, Given], Sequence[Facts]]
    """`ProviderError` says what is wrong with the arguments."""


def open_site(state_dir: Path, site: str) -> Database:
    """Open the emulated site of a repository; `PermanentError` if nothing has made it yet."""
    file = world_file(state_dir, site)
    if not file.exists():
        raise PermanentError(f"{site} has no sandpit at {file}; `reconciler plan` or `apply` makes one")
    return Database(file)


# --- objects ---------------------------------------------------------------------------------------


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
    """Show all there is to know of one object; `what` is its id, its address or its name."""
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
        put(connection, replace(thing, properties=properties))
    return {"changed": thing.id, "property": name, "before": thing.properties.get(name), "after": value}


def added(database: Database, binding: str, kind: str, properties: Properties) -> Facts:
    """Put an object there that is nobody's; no quota, capacity or name is checked."""
    if kind not in KINDS:
        raise PermanentError(f"no kind {kind!r}; there are {', '.join(KINDS)}")
    with database.writing() as connection:
        number = next_number(connection)
        thing = Thing(
            number=number,
            binding=binding,
            kind=kind,
            mark=None,
            properties=with_defaults(kind, number, properties),
        )
        put(connection, with_attributes(connection, thing))
    return {"id": thing.id, "name": thing.name}


def unmarked(database: Database, what: str) -> Facts:
    """Take the owner mark off an object."""
    with database.writing() as connection:
        thing = _find(connection, what)
        put(connection, replace(thing, mark=None))
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


def _find(connection: sqlite3.Connection, what: str) -> Thing:
    by_id = get(connection, what)
    found = [by_id] if by_id else select(connection, "? IN (address, name)", what)
    if not found:
        raise PermanentError(f"no object {what!r}; `reconciler sandpit list` shows ids, names and addresses")
    if len(found) > 1:
        raise PermanentError(f"{what!r} may be {' or '.join(thing.id for thing in found)}; give the id")
    return found[0]


# --- commands --------------------------------------------------------------------------------------


def _add(database: Database, given: Given) -> Sequence[Facts]:
    more = _value(given["properties"] or "{}")
    if not isinstance(more, dict):
        raise PermanentError(f"{given['properties']!r} is no JSON object; write for example '{{\"vcpus\": 2}}'")
    cluster: Properties = {"cluster": given["cluster"]} if given["cluster"] else {}
    return [
        added(database, _binding(database, given["binding"]), given["kind"], {"name": given["name"], **cluster, **more})
    ]


def _binding(database: Database, given: str) -> str:
    """Give the binding named, or the only one that has objects."""
    names = sorted({str(row["binding"]) for row in usage(database)})
    if not given and len(names) != 1:
        raise PermanentError(f"which binding? give --binding; there are objects of {', '.join(names) or 'none yet'}")
    return given or names[0]


def _fault(database: Database, given: Given) -> Sequence[Facts]:
    word, _, often = given["trouble"].partition("-")
    if word not in tuple(Trouble) or often not in ("", "once", "always"):
        raise PermanentError(
            f"no trouble {given['trouble']!r}; there are {', '.join(Trouble)}, each with -once or -always if you like"
        )
    fault = Fault(
        call=given["call"],
        trouble=Trouble(word),
        cluster=given["cluster"],
        times=1 if often == "once" else int(_amount("times", given["times"])),
        seconds=_amount("seconds", given["seconds"]),
    )
    faults.add(database, fault)
    return [{"fault": str(fault)}]


def _down(database: Database, given: Given) -> Sequence[Facts]:
    target = _target(given["target"])
    faults.take_down(database, target, given["reason"])
    return [{"down": target, "reason": faults.down(database)[target]}]


def _up(database: Database, given: Given) -> Sequence[Facts]:
    return [{"ended": faults.bring_up(database, _target(given["target"]) if given["target"] else "")}]


def _target(text: str) -> str:
    """Read what can be down: `api`, a kind, a cluster or `kind@cluster`."""
    if text == "api":
        return "*"
    return text if text in KINDS or text == "*" or "@" in text else f"@{text}"


def _troubles(database: Database, given: Given) -> Sequence[Facts]:
    outages = [{"down": target, "reason": reason} for target, reason in faults.down(database).items()]
    return [*outages, *({"fault": str(fault)} for fault in faults.scripted(database))]


def _amount(name: str, text: str) -> float:
    try:
        found = float(text or 0)
    except ValueError as error:
        raise PermanentError(f"{name} is {text!r}; write a number") from error
    if not 0 <= found < 10**9:
        raise PermanentError(f"{name} is {text}; write a number from 0 on")
    return found


def _value(text: str) -> Value:
    """Read a value as JSON, or as the text it is."""
    try:
        return decode(json.loads(text))
    except ValueError:
        return text


_OBJECT = Argument(name="object", help="its id, address or name")
_KIND = Argument(name="kind", help="only this kind", option=True, choices=tuple(KINDS))
_CLUSTER = Argument(name="cluster", help="only on this cluster", option=True)

COMMANDS: tuple[Command, ...] = (
    Command(
        name="list",
        help="list objects, whoever's they are",
        arguments=(_KIND, _CLUSTER),
        run=lambda database, given: listed(database, given["kind"], given["cluster"]),
    ),
    Command(
        name="show",
        help="show all there is to know of an object",
        arguments=(_OBJECT,),
        run=lambda database, given: [shown(database, given["object"])],
    ),
    Command(
        name="delete",
        help="remove an object",
        arguments=(_OBJECT,),
        run=lambda database, given: [deleted(database, given["object"])],
    ),
    Command(
        name="change",
        help="set a property of an object",
        arguments=(
            _OBJECT,
            Argument(name="property", help="its name, e.g. vcpus"),
            Argument(name="value", help="JSON or text; null takes the property away"),
        ),
        run=lambda database, given: [
            changed(database, given["object"], given["property"], _value(given["value"])),
        ],
    ),
    Command(
        name="add",
        help="add an object that is nobody's",
        arguments=(
            Argument(name="kind", help="what to add", choices=tuple(KINDS)),
            Argument(name="name", help="what it is called"),
            Argument(name="cluster", help="where it is", option=True),
            Argument(name="properties", help="more properties, a JSON object", option=True),
            Argument(name="binding", help="whose world, if there are several", option=True),
        ),
        run=_add,
    ),
    Command(
        name="unmark",
        help="take the owner mark off an object",
        arguments=(_OBJECT,),
        run=lambda database, given: [unmarked(database, given["object"])],
    ),
    Command(
        name="down",
        help="make a cluster, a kind or the whole API not answer",
        arguments=(
            Argument(name="target", help="a cluster, a kind, KIND@CLUSTER, or api for everything"),
            Argument(name="reason", help="what the errors say", option=True),
        ),
        run=_down,
    ),
    Command(
        name="up",
        help="end an outage, or all of them",
        arguments=(Argument(name="target", help="what was taken down", option=True),),
        run=_up,
    ),
    Command(
        name="fault",
        help="let calls fail by script",
        arguments=(
            Argument(name="call", help="VERB:KIND, e.g. create:server, list:* or *:port"),
            Argument(name="trouble", help=f"{', '.join(Trouble)}; with -once for one time"),
            Argument(name="times", help="how many calls it spoils; every one if not given", option=True),
            Argument(name="seconds", help="how late (slow), or when to come back (fail)", option=True),
            Argument(name="cluster", help="only calls to this cluster", option=True),
        ),
        run=_fault,
    ),
    Command(
        name="mend",
        help="clear scripted faults",
        arguments=(Argument(name="call", help="only those of this call", option=True),),
        run=lambda database, given: [{"cleared": faults.clear(database, given["call"])}],
    ),
    Command(name="troubles", help="show outages and scripted faults", run=_troubles),
    Command(name="usage", help="show what is used, by cluster and kind", run=lambda database, given: usage(database)),
)

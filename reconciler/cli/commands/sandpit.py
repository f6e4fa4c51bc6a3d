"""`reconciler sandpit …`: break and mend the emulated site, as other people would."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from providers.sandpit import faults, sabotage
from providers.sandpit.database import Database
from providers.sandpit.sabotage import Facts
from reconciler.cli.exits import Exit
from reconciler.cli.opening import place_of
from reconciler.cli.parser import Options
from reconciler.cli.terminal import Screen
from reconciler.lines import Line, Span, Style, table
from reconciler.project import STATE_FOLDER
from specs.errors import SettingsError
from specs.values import Properties, Value, decode, encode

_PREFIX = "sandpit-"


def run(options: Options, screen: Screen) -> Exit:
    """Do one thing to the site that was named, or to the only one."""
    database = sabotage.open_site(place_of(options).state_dir, _site(options))
    try:
        rows = _act(options, database)
    finally:
        database.close()
    if options.json:
        screen.document([{name: encode(value) for name, value in row.items()} for row in rows])
    else:
        screen.show(_lines(rows))
    return Exit.DONE


def _act(options: Options, database: Database) -> Sequence[Facts]:
    match options.action:
        case "list":
            return sabotage.listed(database, options.kind, options.cluster)
        case "show":
            return [sabotage.shown(database, options.what)]
        case "delete":
            return [sabotage.deleted(database, options.what)]
        case "change":
            values = _values(options.values)
            return [sabotage.changed(database, options.what, name, value) for name, value in values.items()]
        case "add":
            cluster: Properties = {"cluster": options.cluster} if options.cluster else {}
            properties = {"name": options.name, **cluster, **_values(options.values)}
            return [sabotage.added(database, options.binding, options.kind, properties)]
        case "unmark":
            return [sabotage.unmarked(database, options.what)]
        case "usage":
            return sabotage.usage(database)
    return _fail(options, database)


def _fail(options: Options, database: Database) -> Sequence[Facts]:
    match options.action:
        case "down":
            faults.take_down(database, options.part, options.reason)
        case "up":
            return [{"brought up": faults.bring_up(database, options.part)}]
        case "fault":
            faults.add(database, _fault(options))
        case "clear":
            return [{"cleared": faults.clear(database, options.call)}]
    down = [{"down": part, "reason": reason} for part, reason in faults.down(database).items()]
    return [*down, *({"fault": str(fault)} for fault in faults.scripted(database))]


def _fault(options: Options) -> faults.Fault:
    if options.trouble not in tuple(faults.Trouble):
        raise SettingsError(f"no trouble {options.trouble!r}; there are {', '.join(faults.Trouble)}")
    return faults.Fault(
        call=options.call,
        trouble=faults.Trouble(options.trouble),
        cluster=options.cluster,
        times=options.times,
        seconds=options.seconds,
    )


def _values(written: Sequence[str]) -> dict[str, Value]:
    """Read `NAME=VALUE`; a value that is no JSON is text."""
    found: dict[str, Value] = {}
    for text in written:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise SettingsError(f"{text!r} is no NAME=VALUE; write for example vcpus=4")
        try:
            found[name] = decode(json.loads(value))
        except ValueError:
            found[name] = value
    return found


def _site(options: Options) -> str:
    """Give the site that was named, or the only one that was ever looked at."""
    if len(options.sites) == 1:
        return options.sites[0]
    found = place_of(options).state_dir.glob(f"{_PREFIX}*.db")
    names = sorted(file.stem.removeprefix(_PREFIX) for file in found)
    if options.sites or len(names) > 1:
        raise SettingsError(f"which site? name one with --site; there are {', '.join(names)}")
    if not names:
        raise SettingsError(f"there is no emulated site in {STATE_FOLDER}; reconciler plan makes it")
    return names[0]


def _lines(rows: Sequence[Facts]) -> Iterator[Line]:
    if len(rows) < 2:
        width = max((len(name) for row in rows for name in row), default=0)
        for row in rows:
            yield from (
                Line((Span(f"{name.ljust(width)}  ", Style.QUIET), Span(_text(value)))) for name, value in row.items()
            )
        return
    columns = tuple(dict.fromkeys(name for row in rows for name in row))
    head = tuple(Span(name, Style.QUIET) for name in columns)
    yield from table([head, *(tuple(_text(row.get(name, "")) for name in columns) for row in rows)])


def _text(value: Value) -> str:
    return value if isinstance(value, str) else json.dumps(encode(value), ensure_ascii=False)

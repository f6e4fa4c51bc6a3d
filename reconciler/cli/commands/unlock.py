"""`reconciler unlock`: break the lock of a site whose holder is gone."""

from __future__ import annotations

from reconciler.cli.exits import Exit
from reconciler.cli.opening import place_of
from reconciler.cli.parser import Options
from reconciler.cli.terminal import Screen
from reconciler.project import opened
from specs.errors import SettingsError
from state.store import Lock


def run(options: Options, screen: Screen) -> Exit:
    """Break the locks of the sites that were named."""
    if not options.sites:
        raise SettingsError("which site? name it: reconciler unlock --site S")
    broken: list[Lock] = []
    with opened(place_of(options)) as project:
        for site in options.sites:
            lock = project.store.break_lock(site)
            if lock is None:
                screen.note(f"{site} is not locked")
            else:
                broken.append(lock)
                screen.note(f"broke the lock that {lock.owner} (process {lock.pid}) held on {site}")
    if options.json:
        screen.document({"broken": [{"site": lock.site, "owner": lock.owner, "pid": lock.pid} for lock in broken]})
    return Exit.DONE

"""`reconciler unlock`: break the lock of a site whose holder is gone."""

from __future__ import annotations

from reconciler.cli.exits import Exit
from reconciler.cli.opening import place_of
from reconciler.cli.parser import Options
from reconciler.cli.terminal import Screen
from reconciler.project import opened
from specs.errors import SettingsError
from state.process import is_alive
from state.store import Lock, LockedError


def run(options: Options, screen: Screen) -> Exit:
    """Break the locks of the sites that were named; none if a holder is seen at work."""
    if not options.sites:
        raise SettingsError("which site? name it: reconciler unlock --site S")
    broken: list[Lock] = []
    with opened(place_of(options)) as project:
        for lock in project.store.locks():
            if lock.site in options.sites and is_alive(lock):
                raise LockedError(lock, "that process is at work on this machine; wait for it, or end it first")
        for site in options.sites:
            held = project.store.break_lock(site)
            if held is None:
                screen.note(f"{site} is not locked")
            else:
                broken.append(held)
                screen.note(f"broke the lock that {held.owner} (process {held.pid}) held on {site}")
    if options.json:
        screen.document({"broken": [{"site": lock.site, "owner": lock.owner, "pid": lock.pid} for lock in broken]})
    return Exit.DONE

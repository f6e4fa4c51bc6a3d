"""`reconciler run`: watch git and the world, and keep them together."""

from __future__ import annotations

from reconciler.cli.exits import Exit
from reconciler.cli.interrupt import Interrupt
from reconciler.cli.opening import place_of
from reconciler.cli.parser import Options
from reconciler.cli.terminal import Screen
from reconciler.loop import Loop
from reconciler.project import check_place
from specs.errors import SettingsError


def run(options: Options, screen: Screen) -> Exit:
    """Work until SIGTERM or Ctrl-C; with `--once`, one turn on every site."""
    if options.services:
        raise SettingsError("the loop keeps whole sites; leave out --service, and suspend what it should leave alone")
    if options.json:
        raise SettingsError("the loop has no result to print as JSON; its log goes to stderr")
    if options.once and options.listen:
        raise SettingsError("one turn hears nothing; leave out --listen")
    place = place_of(options)
    check_place(place)
    loop = Loop(place, tuple(options.sites), listen=options.listen)
    with Interrupt(loop.stop):
        if options.once:
            return Exit.DONE if loop.once() else Exit.FAILED
        loop.run()
    return Exit.DONE

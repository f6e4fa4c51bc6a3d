"""`reconciler completion SHELL`: print a completion script, made from the parser itself."""

from __future__ import annotations

import shtab

from reconciler.cli.exits import Exit
from reconciler.cli.parser import Options, build
from reconciler.cli.terminal import Screen


def run(options: Options, screen: Screen) -> Exit:
    """Print the script; it belongs where the shell looks for completions."""
    screen.text(shtab.complete(build(), options.shell))
    return Exit.DONE

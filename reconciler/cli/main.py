"""The entry point: reads the command line, runs the command, and turns what it raises into words and an exit code.

Everything else is imported by name and after parsing: `--help` and `--version` must not wait for what commands need,
nor a kept answer for what finding it out would take.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import cast

from reconciler.cli.parser import MODULES, Options, parse


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; give its exit code."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    if options.command == "plan":
        asked = import_module("reconciler.cli.answers").question(options)
        known: int | None = asked.repeat() if asked is not None else None
        if known is not None:
            return known
    guarded = cast("Callable[[Options, str], int]", import_module("reconciler.cli.guard").guarded)
    try:
        return int(guarded(options, f"reconciler.cli.commands.{MODULES[options.command]}"))
    finally:
        if arguments is None:
            gc.freeze()  # or the collector would look at every object once more while the process ends


if __name__ == "__main__":
    sys.exit(main())

"""Runs a command and turns what it raises into words and an exit code."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import nullcontext, suppress
from importlib import import_module
from typing import TextIO, cast

from reconciler.cli.exits import Exit
from reconciler.cli.parser import Options
from reconciler.cli.terminal import Screen, UnwritableError, log_to, standard_screen
from reconciler.desire import DesireError
from reconciler.lines import Line, Span, Style
from reconciler.plan import StalePlanError
from specs.errors import Diagnostic, ReconcilerError, Severity, SpecError
from specs.tosca import collector
from state.store import LockedError

Run = Callable[[Options, Screen], Exit]
"""What the module of a command offers under the name `run`."""

_WORKING = frozenset({"apply", "run", "adopt", "demo"})
_SEVERITIES = {Severity.ERROR: Style.BAD, Severity.WARNING: Style.WARN, Severity.HINT: Style.QUIET}


def guarded(options: Options, module: str) -> Exit:
    """Import the module of a command and run it; nothing it raises gets past."""
    screen = standard_screen()
    usual = logging.INFO if options.command == "run" else logging.WARNING
    log_to(screen, logging.DEBUG if options.verbose else usual)
    try:
        with nullcontext() if options.command == "run" else collector.at_rest():
            run = cast("Run", import_module(module).run)
            return run(options, screen)
    except KeyboardInterrupt:
        left = "what was done so far is recorded, and the next run goes on from there"
        screen.error(f"interrupted; {left if options.command in _WORKING else 'nothing was changed'}")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        _give_up(sys.stdout)
        return Exit.UNHEARD
    except UnwritableError as error:
        _give_up(sys.stdout)
        with suppress(UnwritableError):
            return say(error, screen)
        _give_up(sys.stderr)
        return Exit.FAILED
    except ReconcilerError as error:
        return say(error, screen)
    except Exception as error:
        return _internal(error, screen, verbose=options.verbose)


def _give_up(stream: TextIO) -> None:
    """Lead a stream nowhere, or its last flush would complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def say(error: ReconcilerError, screen: Screen, site: str = "") -> Exit:
    """Show an error of ours, with the site it is about, and give its exit code."""
    match error:
        case SpecError(diagnostics=diagnostics):
            screen.note(*map(diagnostic_line, diagnostics))
            faults = sum(diagnostic.severity is Severity.ERROR for diagnostic in diagnostics)
            screen.error(f"the specs are invalid: {faults} {'fault' if faults == 1 else 'faults'}")
        case _:
            text = str(error)
            screen.error(text if text.startswith(site) else f"{site}: {text}")
    return exit_of(error)


def exit_of(error: ReconcilerError) -> Exit:
    """Give the exit code an error ends a command with."""
    match error:
        case SpecError() | DesireError():
            return Exit.INVALID
        case StalePlanError():
            return Exit.STALE
        case LockedError():
            return Exit.LOCKED
    return Exit.FAILED


def diagnostic_line(diagnostic: Diagnostic) -> Line:
    """Write a diagnostic as compilers do."""
    where = f"{diagnostic.file}:{diagnostic.line}:{diagnostic.column}: "
    severity = Span(f"{diagnostic.severity}: ", _SEVERITIES[diagnostic.severity])
    return Line((Span(where), severity, Span(diagnostic.message), Span(f" [{diagnostic.code}]", Style.QUIET)))


def _internal(error: Exception, screen: Screen, *, verbose: bool) -> Exit:
    what = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    if verbose:
        screen.note(*"".join(traceback.format_exception(error)).splitlines())
        screen.error(f"internal error: {what}; please report it with the lines above")
    else:
        screen.error(f"internal error: {what}; run again with -v for details")
    return Exit.FAILED

"""What the exit codes mean."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class Exit(IntEnum):
    """How a command ended; the numbers are part of its contract."""

    DONE = 0
    FAILED = 1
    """An error, or something that was asked for and not done."""
    DIFFERENT = 2
    """There are changes (`plan --detailed-exitcode`), drift (`drift`), or something is not well (`status`)."""
    INVALID = 3
    """The specs are invalid."""
    STALE = 4
    """The plan does not fit the world or the branch any more."""
    LOCKED = 5
    """Somebody else works on the site."""
    INTERRUPTED = 130
    """Ctrl-C."""
    UNHEARD = 141
    """Whoever read our output went away."""
    TERMINATED = 143
    """SIGTERM."""


_WEIGHT = (
    Exit.DONE,
    Exit.DIFFERENT,
    Exit.LOCKED,
    Exit.STALE,
    Exit.INVALID,
    Exit.FAILED,
    Exit.UNHEARD,
    Exit.INTERRUPTED,
    Exit.TERMINATED,
)


def worst(exits: Iterable[Exit]) -> Exit:
    """Give the one exit code of several sites: a failure weighs more than a site that was left alone."""
    return max(exits, key=_WEIGHT.index, default=Exit.DONE)

"""Run as a process: one turn of the whole circle, which dies by SIGKILL at one of its points.

usage: dying_circle.py FOLDER ADDRESS NOW POINT     points are counted from 0; -1 lives
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from reconciler import chronicle, loop_turn
from reconciler.loop import Loop
from specs.repository import Repository
from state.sql_store import SqlStore
from tests.integration.clmc.circle import Circle

_POINTS = count()
_LEGS: tuple[tuple[Any, str], ...] = (
    (SqlStore, "save_alerts"),
    (SqlStore, "settle"),
    (Repository, "write"),
    (Loop, "_aim"),
    (loop_turn, "carry_out"),
    (chronicle, "record"),
)


def mortal(leg: Callable[..., Any], deadly: int) -> Callable[..., Any]:
    """Make a leg of the circle die before or after its work."""

    def work(*arguments: Any, **named: Any) -> Any:
        perhaps_die(deadly)
        result = leg(*arguments, **named)
        perhaps_die(deadly)
        return result

    return work


def perhaps_die(deadly: int) -> None:
    """Die at the deadly point."""
    if next(_POINTS) == deadly:
        os.kill(os.getpid(), signal.SIGKILL)


def main(folder: str, address: str, now: str, point: str) -> None:
    """Look at git, take the turns that are due, look after alerts, and take the turns that follow."""
    for owner, name in _LEGS:
        setattr(owner, name, mortal(getattr(owner, name), int(point)))
    circle = Circle(Path(folder), now=datetime.fromisoformat(now))
    circle.address = address
    circle.turn()
    circle.alerts()
    circle.alerts()
    circle.close()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Run as a process: applies the spec repository in a folder and dies by SIGKILL at one point of its diary.

usage: dying_apply.py FOLDER POINT     points are counted from 0, two for each write: before and after it
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import cast

from msgspec.structs import replace

from reconciler.look import limits_by_hand, look, make
from reconciler.project import Place, opened
from reconciler.turn import carry_out, working_on
from state.store import Store


class DyingStore:
    """A store that kills its process before or after the write with the deadly number."""

    def __init__(self, store: Store, deadly: int) -> None:
        self._store = store
        self._deadly = deadly
        self._points = count()

    def __getattr__(self, name: str) -> Callable[..., object]:
        method: Callable[..., object] = getattr(self._store, name)
        if name not in ("record", "save_run"):
            return method

        def write(*args: object, **kwargs: object) -> object:
            self._perhaps_die()
            result = method(*args, **kwargs)
            self._perhaps_die()
            return result

        return write

    def _perhaps_die(self) -> None:
        if next(self._points) == self._deadly:
            os.kill(os.getpid(), signal.SIGKILL)


def main(folder: str, point: str) -> None:
    """Apply once, as `reconciler apply --auto-approve --allow-mass-change` does."""
    with opened(Place(directory=Path(folder))) as project:
        ground = project.ground(project.read())
        ground = replace(ground, store=cast("Store", DyingStore(ground.store, int(point))))
        for site in ground.catalogue.sites:
            with working_on(ground, site):
                seen = look(ground, site)
                limits = replace(limits_by_hand(ground.settings, site), breaker_count=1000)
                report = carry_out(ground, seen, make(ground, seen, limits), "apply")
                if not report.succeeded:
                    raise SystemExit(f"not everything was done: {[f for f in report.finished if f.message]}")


if __name__ == "__main__":
    main(*sys.argv[1:])

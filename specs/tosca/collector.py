"""Keeps the garbage collector from walking what is being built again and again; that takes most of the time."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def at_rest() -> Iterator[None]:
    """Let the collector rest while many objects are made that all stay."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def sweep() -> None:
    """Drop the rings among what was made since the collector was put to rest, so that their room is used again."""
    gc.collect(0)


def settle() -> None:
    """Let the collector pass over all that is there now; what nobody refers to any more goes as ever.

    Only rings of these objects that are abandoned later stay. Looking first keeps out those that are already.
    """
    gc.collect()
    gc.freeze()

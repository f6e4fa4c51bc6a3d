"""Ctrl-C and SIGTERM: the first asks to finish what is in flight, the second leaves at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from types import FrameType, TracebackType

from reconciler.cli.exits import Exit

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_ECHO_SECONDS = 0.5
"""Within which a second signal is the first one again: `timeout` and some shells send it twice."""


class Interrupt:
    """While it is entered, signals are remembered instead of raised; only the main thread may enter it."""

    def __init__(self, on_first: Callable[[], None] = lambda: None) -> None:
        self._on_first = on_first
        self._received = 0
        self._since = 0.0
        self._before: dict[int, object] = {}

    def __enter__(self) -> Interrupt:
        self._before = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what `signal` gave it takes back

    @property
    def exit(self) -> Exit:
        """The exit code of what was received."""
        match self._received:
            case 0:
                return Exit.DONE
            case signal.SIGINT:
                return Exit.INTERRUPTED
        return Exit.TERMINATED

    def reason(self) -> str:
        """Say why to stop; empty while nothing was received."""
        return f"interrupted by {signal.Signals(self._received).name}" if self._received else ""

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._received and monotonic() - self._since < _ECHO_SECONDS:
            return
        if self._received:
            _say("left at once; what was in flight is in the journal, and the next run looks what became of it")
            os._exit(self.exit)
        self._received, self._since = number, monotonic()
        _say("finishing what is in flight; once more to leave at once")
        self._on_first()


def _say(text: str) -> None:
    """Write past Python's buffers: the signal may have come while one of them was being written."""
    with suppress(OSError):
        os.write(2, f"{text}\n".encode())

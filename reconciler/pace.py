"""How fast and how hard apply tries: backoff, deadlines, the call budget of each binding and who waits for room."""

from __future__ import annotations

import random
from collections import deque
from datetime import timedelta
from typing import Generic, TypeVar

from msgspec import Struct, field

from specs.model import Budget

Waiting = TypeVar("Waiting")


class Patience(Struct, frozen=True, kw_only=True):
    """How hard apply tries."""

    attempts: int = 5
    """Calls of one operation before a transient error counts as failure."""
    first_delay: timedelta = timedelta(seconds=0.5)
    longest_delay: timedelta = timedelta(seconds=30)
    poll: timedelta = timedelta(seconds=0.2)
    """First pause between looks at what is not healthy yet; it grows to `longest_poll`."""
    longest_poll: timedelta = timedelta(seconds=5)
    health_deadline: timedelta | None = None
    """Overrides the deadline of every kind."""

    def delay(self, attempt: int, asked: timedelta | None) -> float:
        """Give the seconds to wait after a failed attempt: doubling, with jitter, at least what was asked."""
        backoff: float = min(self.first_delay * (1 << attempt - 1), self.longest_delay).total_seconds()
        jittered = backoff * random.uniform(0.5, 1.0)  # noqa: S311 — jitter is no secret
        return max(jittered, asked.total_seconds() if asked else 0.0)


class Lane(Struct, Generic[Waiting]):
    """The call budget of one binding, and who waits for it."""

    budget: Budget
    waiting: deque[Waiting] = field(default_factory=deque)
    _busy: int = 0
    _next_start: float = 0.0

    def opening(self, now: float) -> float | None:
        """Give the seconds until the next call may start, `None` while all places are taken."""
        if self._busy >= max(1, self.budget.concurrency):
            return None
        return max(0.0, self._next_start - now)

    def take(self, now: float) -> Waiting:
        """Let the first in line start now."""
        self._busy += 1
        if self.budget.calls_per_second > 0:
            self._next_start = max(now, self._next_start) + 1 / self.budget.calls_per_second
        return self.waiting.popleft()

    def leave(self) -> None:
        """Give a place back."""
        self._busy -= 1


class Room(Struct, Generic[Waiting]):
    """Who found no room in one binding while the plan still removes something there."""

    leaving: int = 0
    """Deletes that have not ended."""
    ended: int = 0
    """Deletes that have."""
    waiting: deque[Waiting] = field(default_factory=deque)

    def less(self) -> list[Waiting]:
        """Count the end of a delete and give who tries again: the first in line, and everybody after the last."""
        self.leaving -= 1
        self.ended += 1
        ready = min(1, len(self.waiting)) if self.leaving else len(self.waiting)
        return [self.waiting.popleft() for _ in range(ready)]

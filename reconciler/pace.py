"""How fast and how hard apply tries: backoff, deadlines, and who waits for a call, for room or for health."""

from __future__ import annotations

import random
from collections import deque
from datetime import timedelta
from math import inf
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

    def closed(self, now: float) -> float:
        """Give the seconds until the next call may start; endless while all places are taken."""
        if self._busy >= max(1, self.budget.concurrency):
            return inf
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


class Watch(Struct, Generic[Waiting]):
    """Who waits for health in one binding, and when to look again."""

    patience: Patience
    tasks: dict[str, Waiting] = field(default_factory=dict)
    _interval: float = 0.0
    _due: float = 0.0
    _asked: tuple[str, ...] | None = None
    """Whom the look in flight is about; it may have begun before what others made was there."""

    def add(self, key: str, task: Waiting, now: float) -> None:
        """Let one more wait; the first begins with short pauses."""
        if not self.tasks and self._asked is None:
            self._rest(self.patience.poll.total_seconds(), now)
        self.tasks[key] = task

    def closed(self, now: float) -> float:
        """Give the seconds until the next look; endless while nobody waits or one is in flight."""
        return max(0.0, self._due - now) if self.tasks and self._asked is None else inf

    def begin(self) -> None:
        """Begin a look: it is about all who wait by now."""
        self._asked = tuple(self.tasks)

    def asked(self) -> list[Waiting]:
        """Let go those the look was about, as far as they still wait, to be judged by it."""
        return [self.tasks.pop(key) for key in self._asked or () if key in self.tasks]

    def end(self, now: float) -> None:
        """End a look: the pause before the next is longer."""
        self._asked = None
        self._rest(min(self._interval * 1.5, self.patience.longest_poll.total_seconds()), now)

    def _rest(self, seconds: float, now: float) -> None:
        self._interval, self._due = seconds, now + seconds

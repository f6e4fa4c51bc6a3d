"""What apply tells while it works, and the report at its end."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from reconciler.order import Operation
from state.store import Outcome


class Started(Struct, frozen=True):
    """An operation's first call begins."""

    operation: Operation


class Retrying(Struct, frozen=True):
    """A call failed and will be made again."""

    operation: Operation
    seconds: float
    why: str


class Settling(Struct, frozen=True):
    """The call was taken, and what it made is not healthy yet; or it waits for room."""

    operation: Operation
    why: str


class Finished(Struct, frozen=True):
    """An operation ended, well or not."""

    operation: Operation
    outcome: Outcome
    message: str
    seconds: float


Progress = Started | Retrying | Settling | Finished
Listener = Callable[[Progress], None]


class Report(Struct, frozen=True, kw_only=True):
    """How every operation of a plan ended."""

    site: str
    run: str
    finished: tuple[Finished, ...]
    interrupted: str = ""
    """Why it stopped early, if it did."""

    def count(self, outcome: Outcome) -> int:
        """Count operations with one outcome."""
        return sum(result.outcome is outcome for result in self.finished)

    @property
    def succeeded(self) -> bool:
        """Whether everything was done."""
        return not self.interrupted and all(result.outcome is Outcome.DONE for result in self.finished)

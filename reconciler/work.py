"""What apply works with, and one operation on its way through it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from msgspec import Struct

from providers.base import Present, Provider
from reconciler.order import Operation
from reconciler.pace import Patience
from specs.model import Budget
from specs.values import Secret
from state.store import Entry, Store


class Hands(Struct, frozen=True, kw_only=True):
    """What an apply works with."""

    providers: Mapping[str, Provider]
    """By binding."""
    budgets: Mapping[str, Budget]
    """By binding."""
    store: Store
    repository: str
    run: str
    clock: Callable[[], datetime]
    unseal: Callable[[Secret], Secret]
    """Gives a secret with its text; `ReconcilerError` without one."""
    parallelism: int = 16
    patience: Patience = Patience()


class Task(Struct):
    """One operation on its way."""

    operation: Operation
    waits_for: set[str]
    entry: Entry | None = None
    """Set once its intent is written down."""
    attempt: int = 0
    began: float = 0.0
    deadline: float = 0.0
    made: Present | None = None
    """What the call gave, while it settles."""
    refusal: str = ""
    """Why it found no room, while it waits for some."""
    ended: int = 0
    """How many deletes had ended when its call began."""

    @property
    def key(self) -> str:
        """The key of its operation."""
        return self.operation.key

    @property
    def binding(self) -> str:
        """Whose call budget it takes from."""
        return self.operation.step.binding

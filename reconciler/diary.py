"""Write down what an apply is about to do, how it ended, and what is ours since.

What belongs to one round of apply is one transaction: the outcomes that came back, the records they
mean, and the intents of the calls that start next. It is durable before any of these calls is made,
so whatever may have happened when the process is killed stands in the journal as an open entry.
"""

from __future__ import annotations

from msgspec.structs import replace

from providers.base import Health, Present
from reconciler.work import Hands, Task
from specs.model import Address, Resource
from state.store import Entry, Item, Outcome


class Diary:
    """The journal and the records of one apply; nothing is written before `write`."""

    def __init__(self, hands: Hands, site: str, commit: str) -> None:
        self._hands = hands
        self._site = site
        self._commit = commit
        self._entries: list[Entry] = []
        self._items: list[Item] = []
        self._forgotten: list[Address] = []

    def intend(self, task: Task) -> None:
        """Note that a task's call is about to be made; its later attempts are the same intent."""
        if task.entry is not None:
            return
        step = task.operation.step
        task.entry = Entry(
            id=f"{self._hands.run}/{task.key}",
            run=self._hands.run,
            site=self._site,
            address=step.address,
            action=task.operation.verb,
            digest=step.resource.digest if step.resource else "",
            started_at=self._hands.clock(),
        )
        self._entries.append(task.entry)

    def end(self, task: Task, outcome: Outcome, message: str) -> None:
        """Note how a task ended; one that was never intended needs no line."""
        if task.entry is not None:
            ended = replace(task.entry, outcome=outcome, message=message, ended_at=self._hands.clock())
            self._entries.append(ended)

    def remember(self, resource: Resource, present: Present) -> None:
        """Note what is there of a resource."""
        item = Item(
            address=resource.address,
            binding=resource.binding,
            provider_id=present.provider_id,
            digest=resource.digest,
            properties=resource.properties,
            requires=tuple(Address(needed) for needed in resource.requires),
            protect=resource.protect,
            seen="" if present.health is Health.DEGRADED else present.seen,  # what came out wrong is compared again
            commit=self._commit,
            updated_at=self._hands.clock(),
        )
        self._items.append(item)

    def forget(self, address: Address) -> None:
        """Note that nothing of ours is there any more."""
        self._forgotten.append(address)

    def write(self) -> None:
        """Write all that was noted since, together; durable against a killed process when it returns."""
        if self._entries or self._items or self._forgotten:
            self._hands.store.record(self._entries, self._items, self._forgotten)
            self._entries, self._items, self._forgotten = [], [], []

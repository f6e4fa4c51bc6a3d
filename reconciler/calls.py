"""Make the calls of an apply in threads, and hear what comes back in the thread that made them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from time import sleep

from msgspec import Struct
from msgspec.structs import replace

from providers.base import Mark, PermanentError, Present, Scope, Snapshot
from reconciler.difference import Later
from reconciler.order import Verb
from reconciler.resolve import Look, resolve
from reconciler.work import Hands, Task
from specs.errors import ReconcilerError
from specs.model import Address, Resource
from specs.values import Value

logger = logging.getLogger(__name__)

_GATHERING = 0.00004
"""Seconds an answer waits for each call that is still out. Taking every answer by itself costs a transaction
and wakes this thread in the middle of theirs, of which only one can run at a time."""
_LONGEST_GATHERING = 0.004


class Answer(Struct, frozen=True):
    """What came back from a task's call: an object, nothing, or an error."""

    task: Task
    outcome: Present | Exception | None


class Sight(Struct, frozen=True):
    """What a look at a binding brought: objects by address and provider's id."""

    binding: str
    snapshot: Snapshot
    present: Mapping[tuple[Address, str], Present]


class Calls:
    """The calls in flight."""

    def __init__(self, hands: Hands, there: Look, pool: ThreadPoolExecutor) -> None:
        """`there` tells what is at an address by now; it is asked when a call is made."""
        self._hands = hands
        self._there = there
        self._pool = pool
        self._answers: SimpleQueue[Answer | Sight] = SimpleQueue()
        self.busy = 0
        """How many have not been heard of."""

    def make(self, task: Task) -> None:
        """Call for a task; what it works on is settled here, in the scheduling thread."""
        self.busy += 1
        try:
            work = self._work(task)
        except ReconcilerError as error:
            self._answers.put(Answer(task, error))
            return

        def call() -> None:
            try:
                outcome: Present | Exception | None = work()
            except Exception as error:
                outcome = error
            self._answers.put(Answer(task, outcome))

        self._pool.submit(call)

    def look(self, binding: str, scope: Scope) -> None:
        """Look at everything of a binding."""
        self.busy += 1
        provider = self._hands.providers[binding]

        def look() -> None:
            try:
                snapshot = provider.observe(scope)
            except Exception as error:
                logger.debug("unexpected error", exc_info=error)
                snapshot = Snapshot(unknown={"*": f"{type(error).__name__}: {error}"})
            present = {(p.address, p.provider_id): p for p in snapshot.present}
            self._answers.put(Sight(binding, snapshot, present))

        self._pool.submit(look)

    def hear(self, seconds: float) -> Iterator[Answer | Sight]:
        """Wait so long for an answer, give others a moment to come too, then give all that are there."""
        try:
            answer = self._answers.get(timeout=seconds)
            sleep(min(_GATHERING * (self.busy - 1), _LONGEST_GATHERING))
            while True:
                self.busy -= 1
                yield answer
                answer = self._answers.get_nowait()
        except Empty:
            return

    def _work(self, task: Task) -> Callable[[], Present | None]:
        step = task.operation.step
        provider = self._hands.providers[step.binding]
        if task.operation.verb is Verb.DELETE:
            current = step.present
            return (lambda: provider.delete(current)) if current else (lambda: None)
        if step.resource is None:
            raise PermanentError(f"{step.address} has nothing to make; this is a defect of the plan")
        resource = self._settled(step.resource)
        mark = Mark(self._hands.repository, step.address, step.resource.digest)
        there = self._there(step.address) or step.present
        if task.operation.verb is Verb.UPDATE and there is not None:
            return lambda: provider.update(resource, there, mark)
        return lambda: provider.create(resource, mark)

    def _settled(self, resource: Resource) -> Resource:
        """Put in attributes of what exists by now, and the texts of secrets."""
        properties: dict[str, Value] = {}
        for name, value in resource.properties.items():
            known = resolve(value, self._there, self._hands.unseal)
            if isinstance(known, Later):
                targets = ", ".join(f"{r.attribute} of {r.target}" for r in resource.references)
                raise PermanentError(f"{name} needs {targets}, which is still unknown")
            properties[name] = known
        return replace(resource, properties=properties)

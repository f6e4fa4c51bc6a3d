"""Do what a plan says: work through its graph, retry by class of error, wait for health, journal all.

One thread schedules and writes the store; provider calls run in a pool, within each binding's budget.
A failed operation stops only what comes after it; one that finds no room waits for what the plan
removes from the same binding, since nothing else orders the two. An intent is written before its call starts
and its outcome after; a process killed in between leaves an open entry and the owner mark on
whatever it made, and the next look finds both.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import count
from queue import Empty, SimpleQueue
from time import monotonic

from msgspec import Struct, field
from msgspec.structs import replace

from providers.base import (
    Health,
    Mark,
    PermanentError,
    Present,
    Provider,
    QuotaExceeded,
    Scope,
    Snapshot,
    TransientError,
    unknown_reason,
)
from reconciler.difference import Later
from reconciler.order import Operation, Verb
from reconciler.pace import Lane, Patience, Room
from reconciler.plan import Plan
from reconciler.progress import Finished, Listener, Report, Retrying, Settling, Started
from reconciler.resolve import resolve
from reconciler.step import Action
from specs.desired import Desired
from specs.errors import ReconcilerError
from specs.model import Address, Budget, Resource, parse_address
from specs.shares import ByService
from specs.values import Secret, Value
from state.store import Entry, Item, Outcome, Store

logger = logging.getLogger(__name__)

_LONGEST_NAP = 0.5
"""Seconds after which a quiet apply asks again whether it is interrupted."""


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


def apply(
    plan: Plan,
    desired: Desired,
    hands: Hands,
    *,
    present: Mapping[Address, Present],
    listen: Listener = lambda progress: None,
    interrupted: Callable[[], str] = lambda: "",
) -> Report:
    """Carry out a plan and wait until the world answers.

    `present` is what the plan's observation saw. `interrupted` is asked often; once it gives a
    reason nothing new is started, what is in flight is finished and journalled, and the rest is
    cancelled.
    """
    with ThreadPoolExecutor(max(1, hands.parallelism), thread_name_prefix="apply") as pool:
        work = _Apply(plan, desired, hands, present, pool)
        return work.run(listen, interrupted)


class _Task(Struct):
    """One operation on its way."""

    operation: Operation
    waits_for: set[str]
    entry: Entry | None = None
    """Set once its intent is journalled."""
    attempt: int = 0
    began: float = 0.0
    deadline: float = 0.0
    made: Present | None = None
    """What the call gave, while it settles."""
    refusal: str = ""
    """Why it found no room, while it waits for some."""
    ended: int = 0
    """How many deletes had ended when its call began."""


class _Answer(Struct, frozen=True):
    """What came back from a provider's call: an object, nothing, or an error."""

    task: _Task
    outcome: Present | Exception | None


class _Sight(Struct, frozen=True):
    """What a look at a binding brought: objects by address and provider's id."""

    binding: str
    snapshot: Snapshot
    present: Mapping[tuple[Address, str], Present]


class _Watch(Struct):
    """The tasks of one binding that wait for health, and when to look again."""

    tasks: dict[str, _Task] = field(default_factory=dict)
    interval: float = 0.0
    due: float = 0.0
    looking: bool = False
    asked: dict[str, _Task] = field(default_factory=dict)
    """The tasks the look in flight is about; it may have begun before what other tasks made was there."""


class _Writes(Struct):
    """What the store is told at the end of a round, in one transaction."""

    entries: list[Entry] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    forgotten: list[Address] = field(default_factory=list)


class _Apply:
    def __init__(
        self, plan: Plan, desired: Desired, hands: Hands, present: Mapping[Address, Present], pool: ThreadPoolExecutor
    ) -> None:
        self._plan, self._desired, self._hands, self._present, self._pool = plan, desired, hands, present, pool
        self._moved: dict[Address, Present | None] = {}
        """What was made since the plan's look, and what went."""
        self._tasks = {op.key: _Task(op, set(op.after)) for op in plan.operations}
        self._followers: dict[str, list[_Task]] = {}
        for task in self._tasks.values():
            for key in task.waits_for:
                self._followers.setdefault(key, []).append(task)
        self._lanes: dict[str, Lane[_Task]] = {name: Lane(budget) for name, budget in hands.budgets.items()}
        self._watches = {name: _Watch() for name in hands.budgets}
        self._rooms: dict[str, Room[_Task]] = {name: Room() for name in hands.budgets}
        for task in self._tasks.values():
            self._rooms[task.operation.step.binding].leaving += task.operation.verb is Verb.DELETE
        self._retries: list[tuple[float, int, _Task]] = []
        self._ticket = count()
        self._answers: SimpleQueue[_Answer | _Sight] = SimpleQueue()
        self._calls = 0
        self._writes = _Writes()
        self._finished: dict[str, Finished] = {}
        self._listen: Listener = lambda progress: None
        self._stopped = ""

    def run(self, listen: Listener, interrupted: Callable[[], str]) -> Report:
        """Work until every operation has an outcome."""
        self._listen = listen
        self._only_records()
        for task in self._tasks.values():
            self._queue_if_ready(task)
        while len(self._finished) < len(self._tasks) or self._calls:
            if not self._stopped and (reason := interrupted()):
                self._stop(reason)
            nap = self._start_calls()
            if self._idle():
                self._give_up_on_room()
            self._flush()
            if len(self._finished) < len(self._tasks) or self._calls:
                self._hear(nap)
        self._flush()
        finished = tuple(self._finished[op.key] for op in self._plan.operations)
        return Report(site=self._plan.site, run=self._hands.run, finished=finished, interrupted=self._stopped)

    # --- starting ---

    def _only_records(self) -> None:
        """Adopt and forget first: they call nobody and nothing waits for long."""
        for task in self._tasks.values():
            step = task.operation.step
            if task.operation.verb is Verb.ADOPT and step.resource and step.present:
                self._writes.items.append(self._item(step.resource, step.present))
                self._finish(task, Outcome.DONE)
            elif task.operation.verb is Verb.FORGET:
                self._writes.forgotten.append(step.address)
                self._finish(task, Outcome.DONE)
        self._flush()

    def _queue_if_ready(self, task: _Task) -> None:
        if not task.waits_for and task.operation.key not in self._finished and not self._stopped:
            self._lanes[task.operation.step.binding].waiting.append(task)

    def _start_calls(self) -> float:
        """Start what the budgets allow; give the seconds until something is due."""
        now = monotonic()
        nap = _LONGEST_NAP
        while self._retries and self._retries[0][0] <= now:
            task = heapq.heappop(self._retries)[2]
            self._lanes[task.operation.step.binding].waiting.append(task)
        if self._retries:
            nap = min(nap, self._retries[0][0] - now)
        starting: list[_Task] = []
        for lane in self._lanes.values():
            while lane.waiting and self._calls + len(starting) < self._hands.parallelism:
                opening = lane.opening(now)
                if opening is None or opening > 0:
                    nap = nap if opening is None else min(nap, opening)
                    break
                starting.append(lane.take(now))
        self._start(starting, now)
        for binding, watch in self._watches.items():
            if watch.tasks and not watch.looking:
                nap = min(nap, self._look_when_due(binding, watch, now))
        return max(0.0, nap)

    def _start(self, starting: list[_Task], now: float) -> None:
        """Journal the intents of one round together, then make the calls."""
        fresh = [task for task in starting if task.entry is None]
        for task in fresh:
            task.entry = self._entry(task)
            task.began = now
        if fresh:
            self._hands.store.begin(task.entry for task in fresh if task.entry)
        for task in starting:
            if task.attempt == 0:
                self._listen(Started(task.operation))
            task.attempt += 1
            task.ended = self._rooms[task.operation.step.binding].ended
            self._calls += 1
            self._call(task)

    def _entry(self, task: _Task) -> Entry:
        step = task.operation.step
        return Entry(
            id=f"{self._hands.run}/{task.operation.key}",
            run=self._hands.run,
            site=self._plan.site,
            address=step.address,
            action=task.operation.verb,
            digest=step.resource.digest if step.resource else "",
            started_at=self._hands.clock(),
        )

    def _call(self, task: _Task) -> None:
        """Hand one call to the pool; what it works on is settled here, in the scheduling thread."""
        step = task.operation.step
        provider = self._hands.providers[step.binding]
        try:
            work = self._work(task, provider)
        except ReconcilerError as error:
            self._answers.put(_Answer(task, error))
            return

        def call() -> None:
            try:
                outcome: Present | Exception | None = work()
            except Exception as error:
                outcome = error
            self._answers.put(_Answer(task, outcome))

        self._pool.submit(call)

    def _work(self, task: _Task, provider: Provider) -> Callable[[], Present | None]:
        step = task.operation.step
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

    def _there(self, address: Address) -> Present | None:
        return self._moved[address] if address in self._moved else self._present.get(address)

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

    # --- hearing ---

    def _hear(self, nap: float) -> None:
        """Wait for an answer, then take all that are there."""
        try:
            answer = self._answers.get(timeout=nap)
        except Empty:
            self._check_deadlines()
            return
        while True:
            if isinstance(answer, _Answer):
                self._take_answer(answer)
            else:
                self._take_sight(answer)
            try:
                answer = self._answers.get_nowait()
            except Empty:
                return

    def _take_answer(self, answer: _Answer) -> None:
        task, outcome = answer.task, answer.outcome
        self._calls -= 1
        self._lanes[task.operation.step.binding].leave()
        match outcome:
            case TransientError() if task.attempt < self._hands.patience.attempts and not self._stopped:
                seconds = self._hands.patience.delay(task.attempt, outcome.retry_after)
                heapq.heappush(self._retries, (monotonic() + seconds, next(self._ticket), task))
                self._listen(Retrying(task.operation, seconds, str(outcome)))
            case QuotaExceeded():
                self._no_room(task, str(outcome))
            case ReconcilerError():
                self._fail(task, str(outcome))
            case Exception():
                logger.debug("unexpected error", exc_info=outcome)
                plugin = self._hands.providers[task.operation.step.binding].name
                self._fail(task, f"defect in provider {plugin!r}: {type(outcome).__name__}: {outcome}")
            case _ if task.operation.verb is Verb.DELETE:
                self._deleted(task, outcome)
            case Present():
                self._made(task, outcome)
            case _:
                self._fail(task, "the provider gave no object back; this is a defect of the provider")

    def _made(self, task: _Task, present: Present) -> None:
        step = task.operation.step
        self._moved[step.address] = present
        if step.resource is not None and (task.made is None or task.made.seen != present.seen):
            self._writes.items.append(self._item(step.resource, present))
        match present.health:
            case Health.HEALTHY | Health.SUSPENDED:
                self._finish(task, Outcome.DONE)
            case Health.DEGRADED if present.no_room:
                self._no_room(task, present.reason)
            case Health.DEGRADED:
                self._fail(task, present.reason or "it is degraded")
            case _:
                self._settle(task, present)

    def _deleted(self, task: _Task, left: Present | None) -> None:
        if left is not None:
            self._settle(task, left)
            return
        step = task.operation.step
        successor_made = step.action is Action.REPLACE and f"create {step.address}" in task.operation.after
        if not step.deposed and not successor_made:
            self._writes.forgotten.append(step.address)
            self._moved[step.address] = None
        self._finish(task, Outcome.DONE)

    # --- waiting for room ---

    def _no_room(self, task: _Task, refusal: str) -> None:
        """Try again once something the plan removes is gone; with nothing left to go, it failed."""
        binding = task.operation.step.binding
        room = self._rooms[binding]
        gone = room.ended > task.ended  # since it asked
        if self._stopped or not (gone or room.leaving):
            self._fail(task, refusal)
            return
        task.made, task.refusal = None, refusal
        (self._lanes[binding].waiting if gone else room.waiting).append(task)
        self._listen(Settling(task.operation, refusal))

    def _idle(self) -> bool:
        """Tell whether nothing moves any more."""
        queued = any(lane.waiting for lane in self._lanes.values())
        return not (self._calls or self._retries or queued or any(watch.tasks for watch in self._watches.values()))

    def _give_up_on_room(self) -> None:
        """Let those who wait for room fail: the deletes that would make some wait for them in turn."""
        for room in self._rooms.values():
            while room.waiting:
                task = room.waiting.popleft()
                self._fail(task, task.refusal)

    # --- waiting for health ---

    def _settle(self, task: _Task, present: Present) -> None:
        """Wait until the world answers, unless nobody waits any more."""
        if self._stopped:
            self._finish(task, Outcome.DONE, "its health was not awaited")
            return
        step = task.operation.step
        watch = self._watches[step.binding]
        if task.made is None:
            kind = self._hands.providers[step.binding].kinds[parse_address(step.address).kind]
            limit = self._hands.patience.health_deadline or kind.deadline
            task.deadline = monotonic() + limit.total_seconds()
            self._listen(Settling(task.operation, present.reason))
        if not watch.tasks:
            watch.interval = self._hands.patience.poll.total_seconds()
            watch.due = monotonic() + watch.interval
        task.made = present
        watch.tasks[task.operation.key] = task

    def _look_when_due(self, binding: str, watch: _Watch, now: float) -> float:
        if now < watch.due:
            return watch.due - now
        watch.looking, watch.asked = True, dict(watch.tasks)
        provider = self._hands.providers[binding]
        wanted = self._desired.by_binding.get(binding, ByService({}))
        scope = Scope(repository=self._hands.repository, site=self._plan.site, wanted=wanted)

        def look() -> None:
            try:
                snapshot = provider.observe(scope)
            except Exception as error:
                logger.debug("unexpected error", exc_info=error)
                snapshot = Snapshot(unknown={"*": f"{type(error).__name__}: {error}"})
            present = {(p.address, p.provider_id): p for p in snapshot.present}
            self._answers.put(_Sight(binding, snapshot, present))

        self._calls += 1
        self._pool.submit(look)
        return _LONGEST_NAP

    def _take_sight(self, sight: _Sight) -> None:
        self._calls -= 1
        watch = self._watches[sight.binding]
        interval = min(watch.interval * 1.5, self._hands.patience.longest_poll.total_seconds())
        asked, watch.asked, watch.looking = watch.asked, {}, False
        for key, task in asked.items():
            if watch.tasks.pop(key, None) is not None:
                self._judge(task, sight)
        watch.interval = interval
        watch.due = monotonic() + interval
        self._check_deadlines()

    def _judge(self, task: _Task, sight: _Sight) -> None:
        """Decide what a look means for one waiting task."""
        step, made = task.operation.step, task.made
        if made is None:
            return
        seen = sight.present.get((step.address, made.provider_id))
        parts = parse_address(step.address)
        if seen is not None and task.operation.verb is Verb.DELETE:
            self._leaving(task, seen)
        elif seen is not None:
            self._made(task, seen)
        elif unknown_reason(sight.snapshot, parts.kind, parts.cluster) is not None:
            self._settle(task, made)
        elif task.operation.verb is Verb.DELETE:
            self._deleted(task, None)
        else:
            self._fail(task, "it vanished while it was being made")

    def _leaving(self, task: _Task, left: Present) -> None:
        """Wait on, unless what is left went wrong since: then nobody works on its removal any more."""
        before = task.operation.step.present
        known = before is not None and (before.health, before.reason) == (left.health, left.reason)
        if left.health is Health.DEGRADED and not known:
            self._fail(task, f"it could not be removed: {left.reason or 'it is degraded'}")
        else:
            self._settle(task, left)

    def _check_deadlines(self) -> None:
        now = monotonic()
        for watch in self._watches.values():
            late = [task for task in watch.tasks.values() if now > task.deadline]
            for task in late:
                del watch.tasks[task.operation.key]
                reason = task.made.reason if task.made else ""
                self._fail(task, f"it was not ready in time{': ' + reason if reason else ''}")

    # --- ending ---

    def _fail(self, task: _Task, message: str) -> None:
        self._finish(task, Outcome.FAILED, message)

    def _finish(self, task: _Task, outcome: Outcome, message: str = "") -> None:
        """End a task; what follows it is queued when it was done, and cancelled when it was not."""
        ending = [(task, outcome, message)]
        while ending:
            task, outcome, message = ending.pop()
            key = task.operation.key
            if key in self._finished:
                continue
            self._record(task, outcome, message)
            for follower in self._followers.get(key, ()):
                follower.waits_for.discard(key)
                if outcome is Outcome.DONE:
                    self._queue_if_ready(follower)
                else:
                    ending.append((follower, Outcome.CANCELLED, f"it waits for: {key}"))

    def _record(self, task: _Task, outcome: Outcome, message: str) -> None:
        seconds = monotonic() - task.began if task.began else 0.0
        finished = Finished(task.operation, outcome, message, seconds)
        self._finished[task.operation.key] = finished
        if task.operation.verb is Verb.DELETE:
            binding = task.operation.step.binding
            self._lanes[binding].waiting.extend(self._rooms[binding].less())
        if task.entry is not None:
            ended = replace(task.entry, outcome=outcome, message=message, ended_at=self._hands.clock())
            self._writes.entries.append(ended)
        self._listen(finished)

    def _stop(self, reason: str) -> None:
        """Start nothing new; what is in flight comes to its end."""
        self._stopped = reason
        idle = [retry[2] for retry in self._retries]
        idle += [task for lane in self._lanes.values() for task in lane.waiting]
        idle += [task for room in self._rooms.values() for task in room.waiting]
        idle += [task for task in self._tasks.values() if task.attempt == 0]
        settling = [task for watch in self._watches.values() for task in watch.tasks.values()]
        self._retries.clear()
        for room in self._rooms.values():
            room.waiting.clear()
        for lane in self._lanes.values():
            lane.waiting.clear()
        for watch in self._watches.values():
            watch.tasks.clear()
        for task in idle:
            self._finish(task, Outcome.CANCELLED, reason)
        for task in settling:
            self._finish(task, Outcome.DONE, "its health was not awaited")

    def _item(self, resource: Resource, present: Present) -> Item:
        return Item(
            address=resource.address,
            binding=resource.binding,
            provider_id=present.provider_id,
            digest=resource.digest,
            properties=resource.properties,
            requires=tuple(Address(needed) for needed in resource.requires),
            protect=resource.protect,
            seen="" if present.health is Health.DEGRADED else present.seen,  # what came out wrong is compared again
            commit=self._desired.commit,
            updated_at=self._hands.clock(),
        )

    def _flush(self) -> None:
        writes, self._writes = self._writes, _Writes()
        if writes.entries:
            self._hands.store.finish(writes.entries, writes.items, writes.forgotten)
        elif writes.items or writes.forgotten:
            self._hands.store.remember(writes.items, writes.forgotten)

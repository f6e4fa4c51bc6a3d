"""Do what a plan says: work through its graph, retry by class of error, wait for health, write all down.

One thread schedules and writes the store; provider calls run in a pool, within each binding's budget.
A failed operation stops only what comes after it; one that finds no room waits for what the plan
removes from the same binding, since nothing else orders the two. An intent is written before its call starts
and its outcome after, before anything relies on it; a process killed in between leaves an open entry and the
owner mark on whatever it made, and the next look finds both.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from time import monotonic

from providers.base import Health, Present, QuotaExceeded, Scope, TransientError, unknown_reason
from reconciler.calls import Answer, Calls, Sight
from reconciler.diary import Diary
from reconciler.order import Verb
from reconciler.pace import Lane, Room, Watch
from reconciler.plan import Plan
from reconciler.progress import Finished, Listener, Report, Retrying, Settling, Started
from reconciler.step import Action
from reconciler.work import Hands, Task
from specs.desired import Desired
from specs.errors import ReconcilerError
from specs.model import Address, parse_address
from specs.shares import ByService
from state.store import Outcome

logger = logging.getLogger(__name__)

_LONGEST_NAP = 0.5
"""Seconds after which a quiet apply asks again whether it is interrupted."""


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


class _Apply:
    def __init__(
        self, plan: Plan, desired: Desired, hands: Hands, present: Mapping[Address, Present], pool: ThreadPoolExecutor
    ) -> None:
        self._plan, self._desired, self._hands, self._present = plan, desired, hands, present
        self._moved: dict[Address, Present | None] = {}
        """What was made since the plan's look, and what went."""
        self._calls = Calls(hands, self._there, pool)
        self._diary = Diary(hands, plan.site, desired.commit)
        self._tasks = {op.key: Task(op, set(op.after)) for op in plan.operations}
        self._followers: dict[str, list[Task]] = {}
        for task in self._tasks.values():
            for key in task.waits_for:
                self._followers.setdefault(key, []).append(task)
        self._lanes: dict[str, Lane[Task]] = {name: Lane(budget) for name, budget in hands.budgets.items()}
        self._watches: dict[str, Watch[Task]] = {name: Watch(hands.patience) for name in hands.budgets}
        self._rooms: dict[str, Room[Task]] = {name: Room() for name in hands.budgets}
        for task in self._tasks.values():
            self._rooms[task.binding].leaving += task.operation.verb is Verb.DELETE
        self._retries: list[tuple[float, int, Task]] = []
        self._ticket = count()
        self._finished: dict[str, Finished] = {}
        self._listen: Listener = lambda progress: None
        self._stopped = ""

    def run(self, listen: Listener, interrupted: Callable[[], str]) -> Report:
        """Work until every operation has an outcome."""
        self._listen = listen
        self._only_records()
        for task in self._tasks.values():
            self._queue_if_ready(task)
        while self._unfinished():
            if not self._stopped and (reason := interrupted()):
                self._stop(reason)
            starting = self._take_due()
            if not starting and self._idle():
                self._give_up_on_room()
            self._diary.write()
            self._start(starting)
            self._look_where_due()
            if self._unfinished():
                self._hear()
        self._diary.write()
        finished = tuple(self._finished[op.key] for op in self._plan.operations)
        return Report(site=self._plan.site, run=self._hands.run, finished=finished, interrupted=self._stopped)

    def _unfinished(self) -> bool:
        return len(self._finished) < len(self._tasks) or self._calls.busy > 0

    # --- starting ---

    def _only_records(self) -> None:
        """Adopt and forget first: they call nobody and nothing waits for long."""
        for task in self._tasks.values():
            step = task.operation.step
            if task.operation.verb is Verb.ADOPT and step.resource and step.present:
                self._diary.remember(step.resource, step.present)
                self._finish(task, Outcome.DONE)
            elif task.operation.verb is Verb.FORGET:
                self._diary.forget(step.address)
                self._finish(task, Outcome.DONE)
        self._diary.write()

    def _queue_if_ready(self, task: Task) -> None:
        if not task.waits_for and task.key not in self._finished and not self._stopped:
            self._lanes[task.binding].waiting.append(task)

    def _take_due(self) -> list[Task]:
        """Take what the budgets allow to start now, and note its intents."""
        now = monotonic()
        while self._retries and self._retries[0][0] <= now:
            task = heapq.heappop(self._retries)[2]
            self._lanes[task.binding].waiting.append(task)
        starting: list[Task] = []
        for lane in self._lanes.values():
            while lane.waiting and self._calls.busy + len(starting) < self._hands.parallelism and not lane.closed(now):
                starting.append(lane.take(now))
        for task in starting:
            self._diary.intend(task)
        return starting

    def _start(self, starting: list[Task]) -> None:
        """Make the calls whose intents are written."""
        for task in starting:
            if task.attempt == 0:
                task.began = monotonic()
                self._listen(Started(task.operation))
            task.attempt += 1
            task.ended = self._rooms[task.binding].ended
            self._calls.make(task)

    def _look_where_due(self) -> None:
        """Look again at the bindings where somebody waits for health."""
        now = monotonic()
        for binding, watch in self._watches.items():
            if watch.closed(now) == 0:
                watch.begin()
                wanted = self._desired.by_binding.get(binding, ByService({}))
                scope = Scope(repository=self._hands.repository, site=self._plan.site, wanted=wanted)
                self._calls.look(binding, scope)

    def _nap(self) -> float:
        """Give the seconds until something can be started, if nobody answers before."""
        now = monotonic()
        waits = [watch.closed(now) for watch in self._watches.values()]
        if self._calls.busy < self._hands.parallelism:
            waits += [lane.closed(now) for lane in self._lanes.values() if lane.waiting]
        if self._retries:
            waits.append(self._retries[0][0] - now)
        return max(0.0, min(_LONGEST_NAP, *waits))

    def _there(self, address: Address) -> Present | None:
        return self._moved[address] if address in self._moved else self._present.get(address)

    # --- hearing ---

    def _hear(self) -> None:
        """Wait for an answer, then take all that are there."""
        heard = False
        for answer in self._calls.hear(self._nap()):
            heard = True
            match answer:
                case Answer():
                    self._take_answer(answer)
                case Sight():
                    self._take_sight(answer)
        if not heard:
            self._check_deadlines()

    def _take_answer(self, answer: Answer) -> None:
        task, outcome = answer.task, answer.outcome
        self._lanes[task.binding].leave()
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
                plugin = self._hands.providers[task.binding].name
                self._fail(task, f"defect in provider {plugin!r}: {type(outcome).__name__}: {outcome}")
            case _ if task.operation.verb is Verb.DELETE:
                self._deleted(task, outcome)
            case Present():
                self._made(task, outcome)
            case _:
                self._fail(task, "the provider gave no object back; this is a defect of the provider")

    def _made(self, task: Task, present: Present) -> None:
        step = task.operation.step
        self._moved[step.address] = present
        if step.resource is not None and (task.made is None or task.made.seen != present.seen):
            self._diary.remember(step.resource, present)
        match present.health:
            case Health.HEALTHY | Health.SUSPENDED:
                self._finish(task, Outcome.DONE)
            case Health.DEGRADED if present.no_room:
                self._no_room(task, present.reason)
            case Health.DEGRADED:
                self._fail(task, present.reason or "it is degraded")
            case _:
                self._settle(task, present)

    def _deleted(self, task: Task, left: Present | None) -> None:
        if left is not None:
            self._settle(task, left)
            return
        step = task.operation.step
        successor_made = step.action is Action.REPLACE and f"create {step.address}" in task.operation.after
        if not step.deposed and not successor_made:
            self._diary.forget(step.address)
            self._moved[step.address] = None
        self._finish(task, Outcome.DONE)

    # --- waiting for room ---

    def _no_room(self, task: Task, refusal: str) -> None:
        """Try again once something the plan removes is gone; with nothing left to go, it failed."""
        binding = task.binding
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
        return not (self._calls.busy or self._retries or queued or any(watch.tasks for watch in self._watches.values()))

    def _give_up_on_room(self) -> None:
        """Let those who wait for room fail: the deletes that would make some wait for them in turn."""
        for room in self._rooms.values():
            while room.waiting:
                task = room.waiting.popleft()
                self._fail(task, task.refusal)

    # --- waiting for health ---

    def _settle(self, task: Task, present: Present) -> None:
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
        task.made = present
        watch.add(task.key, task, monotonic())

    def _take_sight(self, sight: Sight) -> None:
        watch = self._watches[sight.binding]
        for task in watch.asked():
            self._judge(task, sight)
        watch.end(monotonic())
        self._check_deadlines()

    def _judge(self, task: Task, sight: Sight) -> None:
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

    def _leaving(self, task: Task, left: Present) -> None:
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
                del watch.tasks[task.key]
                reason = task.made.reason if task.made else ""
                self._fail(task, f"it was not ready in time{': ' + reason if reason else ''}")

    # --- ending ---

    def _fail(self, task: Task, message: str) -> None:
        self._finish(task, Outcome.FAILED, message)

    def _finish(self, task: Task, outcome: Outcome, message: str = "") -> None:
        """End a task; what follows it is queued when it was done, and cancelled when it was not."""
        ending = [(task, outcome, message)]
        while ending:
            task, outcome, message = ending.pop()
            key = task.key
            if key in self._finished:
                continue
            self._record(task, outcome, message)
            for follower in self._followers.get(key, ()):
                follower.waits_for.discard(key)
                if outcome is Outcome.DONE:
                    self._queue_if_ready(follower)
                else:
                    ending.append((follower, Outcome.CANCELLED, f"it waits for: {key}"))

    def _record(self, task: Task, outcome: Outcome, message: str) -> None:
        seconds = monotonic() - task.began if task.began else 0.0
        finished = Finished(task.operation, outcome, message, seconds)
        self._finished[task.key] = finished
        if task.operation.verb is Verb.DELETE:
            self._lanes[task.binding].waiting.extend(self._rooms[task.binding].less())
        self._diary.end(task, outcome, message)
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

"""Values for tests of the store, and threads and processes that use one store at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from specs.model import Address
from specs.values import Call, Properties, Reference, Secret
from state.opening import open_store
from state.process import this_process
from state.store import AlertState, AlertStatus, Entry, Firing, Item, Lock, Outcome, Run, Store, StoreError

T = TypeVar("T")

Sql = Callable[[str], None]
OldStore = Callable[[int], None]
Opened = Callable[[], Store]

NOON = datetime(2026, 3, 4, 12, 0, 0, 123456, tzinfo=UTC)

PROPERTIES: Properties = {
    "image": "nginx:1.25",
    "count": 3,
    "ratio": 0.1,
    "enabled": True,
    "nothing": None,
    "huge": 2**80,
    "text": 'Ελλάδα 🏙 "quoted" \n \0 \ud800',
    "$reference": "a name that looks like an expression",
    "nested": {"$call": [], "list": [1, {"deep": Secret("db-password", "d1")}]},
    "address": Reference("bristol/shop/db:sandpit.server", "private_address", ("v4", 0)),
    "greeting": Call("concat", ["hello ", Reference("bristol/shop/db:sandpit.server", "name")]),
}


def item(address: str, **changes: object) -> Item:
    """Build an item of which every field says something."""
    whole = Item(
        address=Address(address),
        binding="sandpit",
        provider_id="srv-1",
        digest="d1",
        properties=PROPERTIES,
        requires=(Address("bristol/shop/net:sandpit.network"), Address("bristol/shop/db:sandpit.port/eth-0")),
        protect=True,
        seen="s1",
        commit="c1",
        updated_at=NOON,
    )
    return replace(whole, **changes)


def entry(number: int, **changes: object) -> Entry:
    """Build an open journal entry."""
    whole = Entry(
        id=f"entry-{number}",
        run="run-1",
        site="bristol",
        address=Address(f"bristol/shop/web.{number}:sandpit.server"),
        action="create",
        digest="d1",
        started_at=NOON,
    )
    return replace(whole, **changes)


def run(number: int, **changes: object) -> Run:
    """Build an open run; later numbers began later."""
    whole = Run(
        id=f"run-{number}", site="bristol", commit="c1", cause="push", started_at=NOON + timedelta(minutes=number)
    )
    return replace(whole, **changes)


def lock(pid: int = 1, **changes: object) -> Lock:
    """Build a lock."""
    whole = Lock(site="bristol", owner="ann@north", host="north", pid=pid, born="b1", since=NOON)
    return replace(whole, **changes)


def alert_state(rule: str = "r1", **changes: object) -> AlertState:
    """Build the state of a rule of which every field says something."""
    whole = AlertState(
        site="bristol",
        rule=rule,
        status=AlertStatus.FIRING,
        streak=2,
        value="120",
        problem="no answer",
        checked_at=NOON,
        since=NOON,
    )
    return replace(whole, **changes)


def firing(number: int = 1, **changes: object) -> Firing:
    """Build a firing; later numbers came later."""
    whole = Firing(
        id=f"f{number}",
        site="bristol",
        sfc="tour",
        sfci="tour-1",
        policy="crowd",
        trigger="many",
        source="builtin",
        at=NOON,
        received_at=NOON + timedelta(seconds=number - 1),
        value="120",
        detail={"rule": "r"},
    )
    return replace(whole, **changes)


def alive(holder: Lock) -> bool:
    """Answer for a holder that lives."""
    return False


def dead(holder: Lock) -> bool:
    """Answer for a holder that is gone."""
    return True


def at_once(count: int, work: Callable[[], T]) -> list[T | StoreError]:
    """Do the same in several threads that start together, and give what each returned or raised."""
    barrier = threading.Barrier(count)
    answers: list[T | StoreError] = []

    def one() -> None:
        barrier.wait(timeout=10)
        try:
            answers.append(work())
        except StoreError as error:
            answers.append(error)

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(answers) == count, "a thread raised something else or did not end"
    return answers


def in_process(work: Callable[..., None], *arguments: object) -> int | None:
    """Do it in a process of its own and give that one's exit code."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
    process.start()
    process.join(timeout=30)
    return process.exitcode


def begin_and_die(url: str, state_dir: Path) -> None:
    """Write an intent, an item and a lock, and be killed."""
    store = open_store(url, state_dir)
    store.lock(this_process("bristol", NOON), alive)
    store.record([entry(1), entry(2)])
    store.record([entry(1, outcome=Outcome.DONE)], [item("bristol/shop/web.1:sandpit.server")])
    os.kill(os.getpid(), signal.SIGKILL)


def open_and_remember(url: str, state_dir: Path, name: str) -> None:
    """Open the store as a process of its own would."""
    with closing(open_store(url, state_dir)) as store:
        store.remember([item(f"bristol/shop/{name}:sandpit.server")])

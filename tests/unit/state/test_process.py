from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from state.process import is_alive, is_gone, this_process
from state.store import Lock

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)

LOCK_OF_A_CHILD = """
import sys
from datetime import datetime, UTC
from state.process import this_process
mine = this_process("bristol", datetime.now(UTC))
print(mine.owner, mine.host, mine.pid, mine.born, sep="|", flush=True)
sys.stdin.read()
"""


@contextmanager
def child() -> Iterator[tuple[subprocess.Popen[str], Lock]]:
    """A process that tells the lock it would take, and lives until its input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", LOCK_OF_A_CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        owner, host, pid, born = process.stdout.readline().rstrip("\n").split("|")
        yield process, Lock(site="bristol", owner=owner, host=host, pid=int(pid), born=born, since=NOW)
        process.kill()


def test_a_lock_names_user_host_and_process() -> None:
    mine = this_process("bristol", NOW)

    assert (mine.site, mine.pid, mine.since) == ("bristol", os.getpid(), NOW)
    assert mine.owner.endswith(f"@{os.uname().nodename}")
    assert all(mine.born.split(" "))
    assert this_process("bristol", NOW) == mine


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr("getpass.getuser", unknown)

    assert this_process("bristol", NOW).owner.startswith(f"{os.getuid()}@")


def test_this_process_is_not_gone() -> None:
    assert not is_gone(this_process("bristol", NOW))


def test_a_process_is_gone_once_it_ended() -> None:
    with child() as (process, lock):
        assert not is_gone(lock)
        assert is_alive(lock)
        process.kill()
        process.wait(timeout=10)

        assert is_gone(lock)
        assert not is_alive(lock)


@pytest.mark.parametrize("other", ["host", "boot", "container", "start", "spelling"])
def test_what_cannot_be_seen_from_here_is_never_known_to_live(other: str) -> None:
    mine = this_process("bristol", NOW)
    boot, namespace, started = mine.born.split(" ")
    born = {
        "boot": f"another-boot {namespace} {started}",
        "container": f"{boot} another-namespace {started}",
        "start": f"{boot} {namespace} {int(started) - 1}",
        "spelling": "yesterday",
    }

    assert is_alive(mine)
    host = "elsewhere 0123" if other == "host" else mine.host
    assert not is_alive(replace(mine, host=host, born=born.get(other, mine.born)))


def test_a_process_that_nobody_has_buried_yet_is_gone() -> None:
    with child() as (process, lock):
        process.kill()
        deadline = time.monotonic() + 10
        while not is_gone(lock) and time.monotonic() < deadline:
            time.sleep(0.01)

        assert is_gone(lock)
        assert process.returncode is None


def test_a_number_that_another_process_carries_now_does_not_count() -> None:
    mine = this_process("bristol", NOW)
    boot, namespace, started = mine.born.split(" ")

    assert is_gone(replace(mine, born=f"{boot} {namespace} {int(started) - 1}"))


def test_a_number_no_process_can_carry_is_gone() -> None:
    assert is_gone(replace(this_process("bristol", NOW), pid=2**62))


def test_nothing_outlives_a_boot() -> None:
    mine = this_process("bristol", NOW)
    _, namespace, started = mine.born.split(" ")

    assert is_gone(replace(mine, born=f"another-boot {namespace} {started}"))
    assert is_gone(replace(mine, born=f"another-boot another-namespace {started}"))


def test_a_process_of_another_host_is_never_gone() -> None:
    mine = this_process("bristol", NOW)

    assert not is_gone(replace(mine, host="elsewhere 0123", pid=2**62, born="another-boot x 1"))


def test_a_process_of_another_container_is_never_gone() -> None:
    mine = this_process("bristol", NOW)
    boot, _, started = mine.born.split(" ")

    assert not is_gone(replace(mine, pid=2**62, born=f"{boot} another-namespace {started}"))


def test_a_lock_written_in_another_way_is_never_gone() -> None:
    assert not is_gone(replace(this_process("bristol", NOW), pid=2**62, born="yesterday"))

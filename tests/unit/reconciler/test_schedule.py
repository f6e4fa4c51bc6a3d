from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.schedule import Backoff, Clockwork, is_open, may_apply
from reconciler.settings import Timing, Window

SUNDAY = datetime(2026, 1, 4, tzinfo=UTC)
NIGHT = Window(start="0 22 * * *", duration=timedelta(hours=4))
NEVER = Window(start="0 23 * * *", duration=timedelta(hours=1), allow=False)


@pytest.mark.parametrize(
    ("hour", "minute", "expected"), [(21, 59, False), (22, 0, True), (23, 30, True), (1, 59, True), (2, 0, False)]
)
def test_a_window_is_open_from_its_start_for_its_duration(hour: int, minute: int, expected: bool) -> None:
    assert is_open(NIGHT, SUNDAY.replace(hour=hour, minute=minute)) is expected


def test_weekdays_are_those_of_cron() -> None:
    sundays = Window(start="0 0 * * 0", duration=timedelta(days=1))

    assert is_open(sundays, SUNDAY)
    assert not is_open(sundays, SUNDAY + timedelta(days=1))


@pytest.mark.parametrize(
    ("day", "opens", "closes"),
    [
        (datetime(2026, 1, 10, tzinfo=UTC), 22, 26),
        (datetime(2026, 7, 10, tzinfo=UTC), 21, 25),
        (datetime(2026, 3, 28, tzinfo=UTC), 22, 26),  # the clock goes forward within it
        (datetime(2026, 10, 24, tzinfo=UTC), 21, 25),  # the clock goes back within it
    ],
)
def test_a_window_opens_by_the_clock_of_its_time_zone(day: datetime, opens: int, closes: int) -> None:
    window = Window(start="0 22 * * *", duration=timedelta(hours=4), timezone="Europe/London")
    moments = [day + timedelta(hours=12, minutes=30 * step) for step in range(32)]
    open_at = [(moment - day) / timedelta(hours=1) for moment in moments if is_open(window, moment)]

    assert (open_at[0], open_at[-1] + 0.5) == (opens, closes)


def test_a_window_that_begins_when_the_clock_goes_forward_still_opens() -> None:
    window = Window(start="30 1 * * *", duration=timedelta(hours=2), timezone="Europe/London")

    assert is_open(window, datetime(2026, 3, 29, 2, 0, tzinfo=UTC))
    assert not is_open(window, datetime(2026, 3, 29, 4, 0, tzinfo=UTC))


def test_without_windows_the_loop_may_always_apply() -> None:
    assert may_apply((), SUNDAY)


def test_a_window_that_forbids_wins() -> None:
    assert may_apply((NIGHT, NEVER), SUNDAY.replace(hour=22, minute=30))
    assert not may_apply((NIGHT, NEVER), SUNDAY.replace(hour=23, minute=30))


def test_where_windows_only_forbid_every_other_time_is_free() -> None:
    assert may_apply((NEVER,), SUNDAY.replace(hour=12))


def test_pauses_double_up_to_a_limit() -> None:
    timing = Timing(backoff=timedelta(seconds=10), longest_backoff=timedelta(seconds=60))
    backoff, pauses = Backoff(), []
    for _ in range(5):
        backoff = backoff.after_failure()
        pauses.append(backoff.pause(timing).total_seconds())

    assert pauses == [10, 20, 40, 60, 60]
    assert Backoff().pause(timing) == timedelta(0)
    assert Backoff(10**6).pause(timing) == timedelta(seconds=60)


def test_a_slow_call_is_not_made_twice_at_once() -> None:
    clockwork = Clockwork(4)
    inside, most, calls = 0, 0, threading.Semaphore(0)

    def slow() -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0.05)
        inside -= 1
        calls.release()

    clockwork.every("slow", timedelta(seconds=0.01), slow)
    clockwork.start()
    for _ in range(3):
        assert calls.acquire(timeout=10)
    clockwork.stop()

    assert most == 1


def test_calls_on_the_dot_come_at_whole_multiples() -> None:
    clockwork, calls = Clockwork(1), threading.Semaphore(0)
    clockwork.on_the_dot("dot", timedelta(seconds=0.25), calls.release)
    clockwork.start()
    moments = []
    for _ in range(3):
        moments.append(clockwork._scheduler.get_job("dot").next_run_time)
        assert calls.acquire(timeout=10)
    clockwork.stop()

    assert {moment.microsecond % 250_000 for moment in moments} == {0}

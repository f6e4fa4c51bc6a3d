"""When the loop does things: ticks and polls by APScheduler, windows by cron, pauses after failures."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from apscheduler.executors.pool import ThreadPoolExecutor  # type: ignore[import-untyped]  # it ships no types
from apscheduler.schedulers.background import BackgroundScheduler  # type: ignore[import-untyped]  # it ships no types
from apscheduler.triggers.cron import CronTrigger  # type: ignore[import-untyped]  # it ships no types
from apscheduler.triggers.interval import IntervalTrigger  # type: ignore[import-untyped]  # it ships no types
from msgspec import Struct

from reconciler.cron import read_cron
from reconciler.settings import Timing, Window

_START = datetime(1970, 1, 1, tzinfo=UTC)

logging.getLogger("apscheduler").setLevel(logging.ERROR)


class Clockwork:
    """Calls functions again and again, each never twice at once, in threads of its own."""

    def __init__(self, calls_at_once: int) -> None:
        executors = {"default": ThreadPoolExecutor(calls_at_once)}
        self._scheduler = BackgroundScheduler(executors=executors, timezone=UTC)

    def every(self, name: str, pause: timedelta, call: Callable[[], None], jitter: timedelta = timedelta(0)) -> None:
        """Call now, and then every `pause` and up to `jitter` later; of calls that are late only one is made."""
        around = jitter.total_seconds() / 2  # APScheduler goes to both sides
        trigger = IntervalTrigger(seconds=pause.total_seconds() + around, jitter=around or None, timezone=UTC)
        self._add(name, trigger, call, next_run_time=datetime.now(UTC))

    def on_the_dot(self, name: str, pause: timedelta, call: Callable[[], None]) -> None:
        """Call whenever the time since 1970 is a multiple of `pause`, as `every` does."""
        self._add(name, IntervalTrigger(seconds=pause.total_seconds(), start_date=_START, timezone=UTC), call)

    def _add(self, name: str, trigger: IntervalTrigger, call: Callable[[], None], **more: datetime) -> None:
        self._scheduler.add_job(
            call,
            trigger,
            id=name,
            replace_existing=True,
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
            **more,
        )

    def start(self) -> None:
        """Begin to call."""
        self._scheduler.start()

    def stop(self) -> None:
        """Begin no call any more, and wait for those that run."""
        self._scheduler.shutdown(wait=True)


class Backoff(Struct, frozen=True):
    """How long a site is left alone after failed runs."""

    failures: int = 0

    def after_failure(self) -> Backoff:
        """Count one more."""
        return Backoff(self.failures + 1)

    def pause(self, timing: Timing) -> timedelta:
        """Give the pause after the last failure: twice as long as the one before, up to a limit."""
        if self.failures == 0:
            return timedelta(0)
        doublings = min(self.failures - 1, 32)
        return min(timing.backoff * (1 << doublings), timing.longest_backoff)


def may_apply(windows: Iterable[Window], now: datetime) -> bool:
    """Tell whether the loop may apply: in a window that allows it, if there are any, and in none that forbids it."""
    windows = tuple(windows)
    allowing = [window for window in windows if window.allow]
    if any(is_open(window, now) for window in windows if not window.allow):
        return False
    return not allowing or any(is_open(window, now) for window in allowing)


def is_open(window: Window, now: datetime) -> bool:
    """Tell whether a window is open: whether it began less than its duration ago."""
    since = now - window.duration + timedelta(microseconds=1)
    began = _trigger(window.start, window.timezone).get_next_fire_time(None, since)
    return began is not None and began <= now


@lru_cache(maxsize=128)
def _trigger(start: str, timezone: str) -> CronTrigger:
    return CronTrigger(timezone=ZoneInfo(timezone), **read_cron(start))

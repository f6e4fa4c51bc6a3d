"""Moments as the stores of metrics know them: whole nanoseconds since 1970."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from state.metrics.vocabulary import Window

_START = datetime(1970, 1, 1, tzinfo=UTC)


def nanoseconds(moment: datetime) -> int:
    """Give a moment exactly; `datetime.timestamp` would round."""
    return (moment - _START) // timedelta(microseconds=1) * 1000


def moment(time: int) -> datetime:
    """Give the moment of a number of nanoseconds, rounded down to microseconds."""
    return _START + timedelta(microseconds=time // 1000)


def window_ending(end: datetime, seconds: int) -> Window:
    """Give the window of a length that ends at a moment."""
    return Window(start=end - timedelta(seconds=seconds), end=end)


def last_end(now: datetime, seconds: int) -> datetime:
    """Give when the last whole window ended; windows of one length begin together everywhere, at 1970."""
    return _START + timedelta(seconds=(now - _START) // timedelta(seconds=1) // seconds * seconds)

"""Aggregates worked out here: for the embedded store, and for what servers disagree about."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from state.metrics.vocabulary import Answer, FieldValue, Measured, Missing, Number, Unusable

Sample = tuple[int, FieldValue]
"""Time in nanoseconds, and value."""


def aggregate(method: str, samples: Sequence[Sample]) -> Answer:
    """Make one number of the values of a window."""
    if method == "count":
        return counted(len(samples))
    if not samples:
        return Missing()
    unfit = next((value for _, value in samples if isinstance(value, bool | str)), None)
    if unfit is not None:
        return not_a_number(method, unfit)
    numbers = [(time, value) for time, value in samples if not isinstance(value, bool | str)]
    return usable(_number(method, numbers))


def counted(number: int) -> Answer:
    """Answer a count; nothing is a number as well."""
    return Measured(number)


def usable(value: Number) -> Answer:
    """Answer with a number, if it is one."""
    return Measured(value) if math.isfinite(value) else Unusable("the numbers are too large to be put together")


def not_a_number(method: str, value: FieldValue) -> Unusable:
    """Say that values cannot be put together."""
    kind = "a boolean" if isinstance(value, bool) else "text"
    return Unusable(f"the values are {kind}, of which there is no {method}")


def _number(method: str, samples: Sequence[tuple[int, Number]]) -> Number:
    values = [value for _, value in samples]
    match method:
        case "first":
            return min((time, -value) for time, value in samples)[1] * -1
        case "last":
            return max(samples)[1]
        case "min":
            return min(values)
        case "max":
            return max(values)
        case "sum":
            return sum(values)
        case "mean":
            return sum(values) / len(values)
        case "median":
            return median(values)
        case "mode":
            return mode(values)
    raise ValueError(f"no aggregation {method!r}")


def median(values: Iterable[Number]) -> Number:
    """Give the middle one, or the mean of the two in the middle."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


def mode(values: Iterable[Number]) -> Number:
    """Give the most frequent one; of several the smallest."""
    return min(Counter(values).items(), key=lambda item: (-item[1], item[0]))[0]

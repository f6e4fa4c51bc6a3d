"""Reads cron expressions: five fields, checked before anything is scheduled by them. Pure."""

from __future__ import annotations

import re

from msgspec import Struct

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_ITEM = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>[1-9]\d?))?")


class _Field(Struct, frozen=True):
    name: str
    least: int
    most: int
    words: tuple[str, ...] = ()


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day_of_week", 0, 7, _WEEKDAYS),
)


def read_cron(text: str) -> dict[str, str]:
    """Give the fields `minute hour day month day_of_week` as numbers, weekdays as names; `ValueError` if it is none.

    Weekdays count from 0, Sunday, to 7, Sunday again. Where day and weekday are both given, both must fit.
    """
    parts = text.lower().split()
    if len(parts) != len(_FIELDS):
        raise ValueError(f"{text!r} must have five fields: minute hour day month weekday, e.g. 0 22 * * mon-fri")
    numbers = {field.name: _numbers(field, part) for field, part in zip(_FIELDS, parts, strict=True)}
    written = {name: ",".join(map(str, found)) for name, found in numbers.items()}
    written["day_of_week"] = ",".join(dict.fromkeys(_WEEKDAYS[number % 7] for number in numbers["day_of_week"]))
    return written


def _numbers(field: _Field, part: str) -> list[int]:
    found: set[int] = set()
    for item in part.split(","):
        match = _ITEM.fullmatch(item)
        first, last = _span(field, match) if match else (-1, -1)
        if match is None or not field.least <= first <= last <= field.most:
            raise ValueError(
                f"{item!r} is no {field.name} of a cron expression; they go from {field.least} to {field.most}"
            )
        found.update(range(first, last + 1, int(match["step"] or 1)))
    return sorted(found)


def _span(field: _Field, match: re.Match[str]) -> tuple[int, int]:
    if match["first"] is None:
        return field.least, field.most if field.name != "day_of_week" else 6
    first = _number(field, match["first"])
    if match["last"] is not None:
        return first, _number(field, match["last"])
    return first, field.most if match["step"] else first


def _number(field: _Field, word: str) -> int:
    if word in field.words:
        return field.words.index(word) + field.least
    return int(word) if word.isascii() and word.isdigit() and len(word) < 3 else -1

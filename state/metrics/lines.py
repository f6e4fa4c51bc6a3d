"""InfluxDB's line protocol: how points travel as text."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from state.metrics.vocabulary import FieldValue, MetricsError, Point

PRECISIONS: Mapping[str, int] = MappingProxyType(
    {"ns": 1, "n": 1, "us": 10**3, "u": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
)
"""What a time stands for in nanoseconds, by the word for its unit."""

MAX_LINE = 64 * 1024
_INTEGER = re.compile(r"[-+]?[0-9]+i")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_TRUTH = {**dict.fromkeys(("t", "T", "true", "True", "TRUE"), True),
          **dict.fromkeys(("f", "F", "false", "False", "FALSE"), False)}  # fmt: skip
_LEAST, _MOST = -(2**63), 2**63 - 1


def write_lines(points: Iterable[Point]) -> str:
    """Write points, one line each; `MetricsError` for what cannot be stored."""
    return "\n".join(map(_line, points))


def _line(point: Point) -> str:
    if not point.fields:
        raise MetricsError(f"a point of {point.measurement!r} has no fields; give it one")
    tags = "".join(f",{_name(key)}={_name(value)}" for key, value in sorted(point.tags.items()) if value)
    fields = ",".join(f"{_name(key)}={_value(key, value)}" for key, value in sorted(point.fields.items()))
    return f"{_name(point.measurement, equals=False)}{tags} {fields} {point.time}"


def _name(text: str, *, equals: bool = True) -> str:
    if not text or "\n" in text or "\r" in text or text.endswith("\\"):
        raise MetricsError(f"{text!r} cannot be a name in line protocol; use letters, digits, '_', '-' and '.'")
    escaped = text.replace(",", r"\,").replace(" ", r"\ ")
    return escaped.replace("=", r"\=") if equals else escaped


def _value(key: str, value: FieldValue) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() if _LEAST <= value <= _MOST:
            return f"{value}i"
        case float() if math.isfinite(value):
            return repr(value)
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', r"\"") + '"'
    raise MetricsError(f"{key} is {value!r}, which cannot be stored; write a finite number of 64 bits")


def read_lines(text: str, now: int, precision: str = "ns") -> Iterator[Point]:
    """Read points; those without a time get `now`. `MetricsError` names the line that cannot be read."""
    unit = PRECISIONS.get(precision)
    if unit is None:
        raise MetricsError(f"no precision {precision!r}; known: {', '.join(PRECISIONS)}")
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.strip(" \t\r")
        if stripped and not stripped.startswith("#"):
            try:
                yield _point(stripped, now, unit)
            except ValueError as error:
                raise MetricsError(f"line {number} is no line protocol: {error}") from error


def _point(line: str, now: int, unit: int) -> Point:
    if len(line) > MAX_LINE:
        raise ValueError(f"it is longer than {MAX_LINE} characters")
    head, fields, *rest = _split(line, " ")
    if len(rest) > 1 or not fields:
        raise ValueError("it should be measurement,tag=value field=value time")
    measurement, *pairs = _split(head, ",")
    if not measurement:
        raise ValueError("it has no measurement")
    time = now
    if rest:
        time = int(rest[0]) * unit
        if not _LEAST <= time <= _MOST:
            raise ValueError(f"the time {rest[0]} is out of range")
    return Point(
        measurement=_plain(measurement),
        tags={_plain(key): _plain(value) for key, value in map(_pair, pairs)},
        fields={_plain(key): _read(value) for key, value in map(_pair, _split(fields, ","))},
        time=time,
    )


def _split(text: str, separator: str) -> list[str]:
    """Split at separators that are neither escaped nor inside quotes; blanks beside each other are one."""
    parts: list[str] = [""]
    quoted = escaped = False
    for character in text:
        if escaped or character == "\\":
            escaped = not escaped
        elif character == '"' and ("=" in parts[-1] or quoted):
            quoted = not quoted
        elif character == separator and not quoted:
            if separator != " " or parts[-1]:
                parts.append("")
            continue
        parts[-1] += character
    if quoted:
        raise ValueError("a quote is not closed")
    if len(parts) < 2 and separator == " ":
        raise ValueError("it has no fields")
    return parts


def _pair(text: str) -> tuple[str, str]:
    key, value = "", text
    for index, character in enumerate(text):
        if character == "=" and (index == 0 or text[index - 1] != "\\"):
            key, value = text[:index], text[index + 1 :]
            break
    if not key or not value:
        raise ValueError(f"{text!r} is no name=value")
    return key, value


def _plain(text: str) -> str:
    return re.sub(r"\\([,= ])", r"\1", text)


def _read(text: str) -> FieldValue:
    if text.startswith('"') and text.endswith('"') and len(text) > 1:
        return re.sub(r"\\([\\\"])", r"\1", text[1:-1])
    if text in _TRUTH:
        return _TRUTH[text]
    if _INTEGER.fullmatch(text):
        number = int(text[:-1])
        if _LEAST <= number <= _MOST:
            return number
        raise ValueError(f"{text} does not fit into 64 bits")
    if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    raise ValueError(f"{text!r} is no value; numbers are finite, text stands in quotes")

"""What plain YAML text means: the one resolver, after the core schema of YAML 1.2.

Dates are text, as TOSCA has it. Numbers that JSON or 64 bits cannot hold are refused.
"""

from __future__ import annotations

import math
import re
from typing import TypeAlias

Scalar: TypeAlias = "bool | int | float | str | None"

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_FIRST = frozenset(word[:1] for word in _WORDS) | frozenset("+-.0123456789")
_INTEGER = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_ENDLESS = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")

_LEAST_INTEGER, _GREATEST_INTEGER = -(2**63), 2**64 - 1
_INTEGER_DIGITS = 20
_FLOAT_CHARACTERS = 400

_OLD_TRUTH = {
    **dict.fromkeys(("yes", "Yes", "YES", "on", "On", "ON", "y", "Y"), "true"),
    **dict.fromkeys(("no", "No", "NO", "off", "Off", "OFF", "n", "N"), "false"),
}
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")
_OCTAL = re.compile(r"[-+]?0[0-7]+")
_OLD_NUMBER = re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*(?:\.[0-9_]*)?)")
_SEXAGESIMAL = re.compile(r"[-+]?(?:[1-9][0-9_]*(?::[0-5]?[0-9])+|[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*)")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:.*")
_TRAILING_ZERO = re.compile(r"[-+]?[0-9]+\.[0-9]+0")


class OutOfRange(ValueError):  # noqa: N818 - reads as what happened
    """A number that JSON or 64 bits cannot hold."""


def resolve(text: str) -> Scalar:
    """Read plain text; `OutOfRange` for NaN, infinity and numbers that do not fit."""
    if text[:1] not in _FIRST:
        return text
    if _INTEGER.fullmatch(text):
        if len(text) < _INTEGER_DIGITS - 2:
            return int(text)
        return _integer(text.lstrip("+-0"), 10, negative=text.startswith("-"))
    if text in _WORDS:
        return _WORDS[text]
    if _BASED.fullmatch(text):
        return _integer(text[2:].lstrip("0"), 8 if text[1] == "o" else 16, negative=False)
    if _FLOAT.fullmatch(text):
        return _float(text)
    if _ENDLESS.fullmatch(text):
        raise OutOfRange(f"{text} is not a number that can be used; write a finite number, or quote it for text")
    return text


def _integer(digits: str, base: int, *, negative: bool) -> int:
    if len(digits) <= 2 * _INTEGER_DIGITS:
        value = int(digits or "0", base)
        value = -value if negative else value
        if _LEAST_INTEGER <= value <= _GREATEST_INTEGER:
            return value
    raise OutOfRange(f"a whole number of {len(digits)} digits does not fit into 64 bits; quote it for text")


def _float(text: str) -> float:
    value = float(text) if len(text) <= _FLOAT_CHARACTERS else math.inf
    if math.isinf(value):
        raise OutOfRange("this number is too large or too long; quote it for text")
    return value


def surprise(text: str, value: Scalar) -> str:
    """Say what plain text was read as if other tools, or its writer, may take it for something else.

    Empty if there is nothing to say.
    """
    if text in _OLD_TRUTH:
        truth = _OLD_TRUTH[text]
        return f'{text} is text here, but {truth} for tools that follow YAML 1.1; write "{text}" or {truth}'
    if text[:1] not in _FIRST or len(text) > _FLOAT_CHARACTERS:
        return ""
    if isinstance(value, str):
        return _text_surprise(text)
    if isinstance(value, float):
        return _float_surprise(text, value)
    return _integer_surprise(text, value) if isinstance(value, int) and text[0] in "0+-" else ""


def _text_surprise(text: str) -> str:
    for pattern, reading in (
        (_OLD_NUMBER, "a number"),
        (_SEXAGESIMAL, "a number in base 60"),
        (_DATE, "a date"),
    ):
        if pattern.fullmatch(text):
            return f'{text} is text here, but {reading} for tools that follow YAML 1.1; write "{text}"'
    return ""


def _integer_surprise(text: str, value: int) -> str:
    if text.startswith("0o"):
        return f"{text} is the number {value} here, but text for tools that follow YAML 1.1; write {value}"
    if not _LEADING_ZERO.fullmatch(text):
        return ""
    other = f"{int(text, 8)}" if _OCTAL.fullmatch(text) else "text"
    return f'{text} is the number {value} here, but {other} for tools that follow YAML 1.1; write "{text}" or {value}'


def _float_surprise(text: str, value: float) -> str:
    if "." not in text:
        return f'{text} is the number {value} here, but text for tools that follow YAML 1.1; write {value} or "{text}"'
    if _TRAILING_ZERO.fullmatch(text) and not text.endswith(".0"):
        return f'{text} is the number {value}; write "{text}" if it is a version or other text'
    return ""

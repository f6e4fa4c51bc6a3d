"""Regular expressions of `pattern` constraints, matched in a time that grows only with their length.

Specs are untrusted, and the standard library's matcher can be made to run for years by forty
characters. This one walks all possibilities side by side (Thompson's construction). It knows literals,
classes, groups, alternatives and repetition; look-around and back references are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

_MAX_STATES = 2000
_MAX_WORK = 4_000_000
_REPEAT = re.compile(r"\{(\d+)(,(\d*))?\}")
_SET = re.compile(r"\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\]")
_ESCAPES = frozenset("dDwWsStnrfv")

_Test: TypeAlias = Callable[[str], object]
_Build: TypeAlias = Callable[[int], int]
"""Adds the states of a part of the pattern that goes on at a state, and gives where it begins."""


class PatternError(ValueError):
    """The pattern is broken, too large or asks for what is not supported."""


class Pattern:
    """A compiled pattern; it speaks of the whole text, as TOSCA has it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._depth = 0
        self._copies = 0
        self._tests: list[_Test | None] = [None]
        self._next: list[tuple[int, ...]] = [()]
        build = self._alternatives()
        if self._position < len(text):
            raise PatternError(f"the ')' at position {self._position + 1} closes nothing")
        self._start = build(0)

    def matches(self, text: str) -> bool:
        """Tell whether the whole text fits; `ValueError` if it is too long to tell."""
        if len(text) * len(self._tests) > _MAX_WORK:
            raise ValueError("the text is too long for its pattern")
        states = self._reach({self._start})
        for character in text:
            stepped: set[int] = set()
            for state in states:
                test = self._tests[state]
                if test is not None and test(character):
                    stepped.update(self._next[state])
            states = self._reach(stepped)
            if not states:
                return False
        return 0 in states

    def _reach(self, states: set[int]) -> set[int]:
        """Follow every way that takes no character."""
        todo, seen = list(states), set(states)
        while todo:
            state = todo.pop()
            if self._tests[state] is None:
                fresh = [following for following in self._next[state] if following not in seen]
                seen.update(fresh)
                todo.extend(fresh)
        return seen

    def _state(self, test: _Test | None, following: tuple[int, ...]) -> int:
        if len(self._tests) >= _MAX_STATES:
            raise PatternError("it is too large")
        self._tests.append(test)
        self._next.append(following)
        return len(self._tests) - 1

    def _peek(self) -> str:
        return self._text[self._position : self._position + 1]

    # --- grammar: alternatives of sequences of repeated atoms ---

    def _alternatives(self) -> _Build:
        branches = [self._sequence()]
        while self._peek() == "|":
            self._position += 1
            branches.append(self._sequence())
        if len(branches) == 1:
            return branches[0]
        return lambda end: self._state(None, tuple(branch(end) for branch in branches))

    def _sequence(self) -> _Build:
        parts: list[_Build] = []
        while self._peek() not in ("", "|", ")"):
            part = self._atom()
            parts.append(self._repeated(part))

        def build(end: int) -> int:
            for part in reversed(parts):
                end = part(end)
            return end

        return build

    def _repeated(self, part: _Build) -> _Build:
        sign = self._peek()
        if sign not in ("*", "+", "?", "{"):
            return part
        low, high = self._bounds(sign)
        if self._peek() in ("?", "+"):
            self._position += 1
        if self._peek() in ("*", "+", "?", "{"):
            raise PatternError(f"nothing to repeat at position {self._position + 1}")
        return lambda end: self._repeat(part, low, high, end)

    def _bounds(self, sign: str) -> tuple[int, int]:
        """Read how often; -1 stands for without end."""
        if sign != "{":
            self._position += 1
            return {"*": (0, -1), "+": (1, -1), "?": (0, 1)}[sign]
        match = _REPEAT.match(self._text, self._position)
        if match is None:
            raise PatternError(
                f"the '{{' at position {self._position + 1} begins no repetition; write '\\{{' for itself"
            )
        self._position = match.end()
        low = _bounded(match[1])
        high = low if match[2] is None else _bounded(match[3]) if match[3] else -1
        if 0 <= high < low:
            raise PatternError(f"{match[0]} asks for more than it allows")
        return low, high

    def _repeat(self, part: _Build, low: int, high: int, end: int) -> int:
        if high < 0:
            loop = self._state(None, ())
            self._next[loop] = (part(loop), end)
            end = loop
        for _ in range(high - low):
            end = self._state(None, (self._copy(part, end), end))
        for _ in range(low):
            end = self._copy(part, end)
        return end

    def _copy(self, part: _Build, end: int) -> int:
        self._copies += 1
        if self._copies > _MAX_STATES:
            raise PatternError("it is too large")
        return part(end)

    def _atom(self) -> _Build:
        character = self._peek()
        if character == "(":
            return self._group()
        if character in ("*", "+", "?"):
            raise PatternError(f"nothing to repeat at position {self._position + 1}")
        if character == "[":
            return self._one_of(_SET, "a '[' is not closed")
        if character == "\\":
            return self._escape()
        self._position += 1
        if character == ".":
            return lambda end: self._state(lambda one: one != "\n", (end,))
        if character in ("^", "$"):
            return self._anchor(character)
        return lambda end: self._state(character.__eq__, (end,))

    def _anchor(self, sign: str) -> _Build:
        """Accept `^` and `$` where they say what holds anyway: at the ends of a branch."""
        before = self._text[: self._position - 1].rstrip("(")
        after = self._text[self._position :].lstrip(")")
        if (sign == "^" and (not before or before[-1] in "|:")) or (sign == "$" and (not after or after[0] == "|")):
            return lambda end: end
        raise PatternError(f"the '{sign}' at position {self._position} can never hold; write '\\{sign}' for itself")

    def _group(self) -> _Build:
        start = self._position
        self._position += 1
        if self._peek() == "?":
            if self._text[self._position : self._position + 2] != "?:":
                raise PatternError("groups that begin with '(?' are not supported, except '(?:'")
            self._position += 2
        self._depth += 1
        if self._depth > 50:
            raise PatternError("groups stand too deep in each other")
        inner = self._alternatives()
        self._depth -= 1
        if self._peek() != ")":
            raise PatternError(f"the '(' at position {start + 1} is not closed")
        self._position += 1
        return inner

    def _escape(self) -> _Build:
        character = self._text[self._position + 1 : self._position + 2]
        if not character:
            raise PatternError("it ends with a backslash")
        if character.isalnum() and character not in _ESCAPES:
            raise PatternError(f"'\\{character}' is not supported")
        return self._one_of(re.compile(r"\\."), "it ends with a backslash")

    def _one_of(self, shape: re.Pattern[str], fault: str) -> _Build:
        """Read a class or an escape; the standard library decides about one character at a time."""
        match = shape.match(self._text, self._position)
        if match is None:
            raise PatternError(fault)
        self._position = match.end()
        try:
            test = re.compile(match[0]).fullmatch
        except re.error as error:
            raise PatternError(f"{match[0]}: {error}") from error
        return lambda end: self._state(test, (end,))


def _bounded(digits: str) -> int:
    if len(digits) > 4 or int(digits) > _MAX_STATES:
        raise PatternError("it is too large")
    return int(digits)

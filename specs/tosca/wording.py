"""How messages name what they found and what may be meant instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches


def kind_of(value: object) -> str:
    """Name the kind of a value as a person would."""
    match value:
        case None:
            return "nothing"
        case bool():
            return f"the boolean {'true' if value else 'false'}"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {value!r}" if len(value) <= 40 else "a text"
        case Mapping():
            return "a mapping"
        case list():
            return "a list"
    return f"a {type(value).__name__}"


def suggest(word: str, known: Iterable[str]) -> str:
    """Say which known word comes nearest, or which there are when they are few."""
    words = sorted(known)
    if len(words) > 200:
        return ""
    near = get_close_matches(word, words, 1, 0.75)
    if near:
        return f"; did you mean {near[0]!r}?"
    if 0 < len(words) <= 12:
        return f"; known: {', '.join(words)}"
    return ""

"""Reads the JSON services answer: of a list only what is asked for.

Answers are not trusted. What is no JSON, or other JSON than it should be, is a `ValueError` here and a `TransientError`
to whoever looks: what cannot be understood has not been seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from msgspec import Raw
from msgspec.json import Decoder, Encoder

from providers.base import TransientError

Text = bytes | Raw
"""JSON that nobody has read yet; a part of an answer keeps all of it alive."""

_ANYTHING: Final = Decoder()
_IN_ORDER: Final = Encoder(order="deterministic")


def parsed(text: Text) -> Any:
    """Read JSON into plain values."""
    return read(_ANYTHING, text)


def written(value: Any) -> bytes:
    """Write what was read as JSON, in one spelling."""
    return _IN_ORDER.encode(value)


def read(decoder: Decoder[Any], text: Text) -> Any:
    """Read JSON as something known before."""
    try:
        return decoder.decode(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


@contextmanager
def understood(what: str) -> Iterator[None]:
    """Take it for an outage when an answer is not what it should be: a field is missing, or something else."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise TransientError(f"{what} cannot be understood: {type(error).__name__}: {error}") from error

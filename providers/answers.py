"""Reads the JSON services answer: of a list only what is asked for.

Answers are not trusted. What is no JSON, or other JSON than it should be, is a `ValueError` here and a `TransientError`
to whoever looks: what cannot be understood has not been seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

from msgspec import Raw, defstruct
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


def page_of(text: Text, key: str) -> tuple[list[Raw], str]:
    """Part a page of a list, as OpenStack writes it, into rows that stay unread; give the address of the next page.

    `key` is what the rows are called. Compute and network write a link to the next page, image its address.
    """
    page = read(_pages(key), text)
    link = next((str(link.get("href") or "") for link in page.links or () if link.get("rel") == "next"), "")
    return page.rows, link or page.next or ""


@cache
def _pages(key: str) -> Decoder[Any]:
    links: tuple[str, Any, Any] = ("links", list[dict[str, Any]] | None, None)
    following: tuple[str, Any, Any] = ("next", str | None, None)
    names = {"rows": key, "links": f"{key}_links"}
    return Decoder(defstruct("Page", [("rows", list[Raw]), links, following], rename=names))


@contextmanager
def understood(what: str) -> Iterator[None]:
    """Take it for an outage when an answer is not what it should be: a field is missing, or something else."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise TransientError(f"{what} cannot be understood: {type(error).__name__}: {error}") from error

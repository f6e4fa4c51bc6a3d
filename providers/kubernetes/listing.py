"""Objects of a list: which they are and in which version is known at once, what they hold when somebody asks. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from msgspec import Raw, Struct, field
from msgspec.json import Decoder

from providers.answers import Text, parsed, read
from providers.kubernetes.naming import Json


class Head(Struct, frozen=True):
    """Which object, and which version of it: whoever has seen both has seen all of it."""

    uid: str
    version: str = field(name="resourceVersion")


class Page:
    """Some objects of a list, in its order; going through it reads them one by one."""

    def __init__(self, heads: Sequence[Head], text: Callable[[int], Text]) -> None:
        self.heads = heads
        self._text = text

    def body(self, number: int) -> Json:
        """Read one object."""
        found: Json = parsed(self._text(number))
        return found

    def __iter__(self) -> Iterator[Json]:
        return map(self.body, range(len(self.heads)))


class _Of(Struct):
    metadata: Head


class _About(Struct, frozen=True):
    """What a list says about itself."""

    version: str | None = field(name="resourceVersion", default=None)
    rest: str | None = field(name="continue", default=None)


class _Heads(Struct):
    metadata: _About = _About()
    items: list[_Of] | None = None


class _Texts(Struct):
    items: list[Raw]


_HEADS: Final[Decoder[Any]] = Decoder(_Heads)
_TEXTS: Final[Decoder[Any]] = Decoder(_Texts)


def page_of(text: bytes) -> tuple[Page, str, str]:
    """Take a list as the server writes it: its objects, its version, and the token its next page is asked for with.

    `ValueError` for anything else.
    """
    found = read(_HEADS, text)
    parted: list[Raw] = []

    def text_of(number: int) -> Raw:
        if not parted:
            parted.extend(read(_TEXTS, text).items)
        return parted[number]

    page = Page([item.metadata for item in found.items or ()], text_of)
    return page, found.metadata.version or "", found.metadata.rest or ""

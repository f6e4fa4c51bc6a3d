"""Reads one YAML document into plain data, strictly: every fault has a line, and nothing is guessed.

Documents are untrusted. Size, depth, number of nodes and what aliases may add are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice

from specs.errors import Diagnostic
from specs.tosca.collector import at_rest
from specs.values import Value
from specs.yaml.composer import HARMFUL, REPLACEMENT, Composer, Faults
from specs.yaml.events import fast_events, line_and_column, take_directives
from specs.yaml.places import Places

MAX_BYTES = 4_000_000
"""How large a document may be."""

_UNWRITTEN = re.compile(f"[{HARMFUL}\x85\u2028\u2029\ufeff]")
"""What may not be written as it is: some readers take the last four for ends of lines or for nothing."""
_LARGE_BYTES = 250_000
"""Of documents larger than this, the places of only two are kept in memory."""
_MOST_SHOWN = 20
"""How many characters and directives are reported; counting lines for each takes time."""
_BYTE_ORDER_MARK = "\ufeff"
_OTHER_ENCODINGS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")


@dataclass(frozen=True, slots=True)
class Document:
    """One document: where it is, what it says and how it is written."""

    path: str
    data: Value
    """Plain data. Aliases share what they mean, so it must not be written to."""
    content: bytes
    outlook: Mapping[int, tuple[int, int, object]] = field(repr=False, compare=False)
    """See `Composer.outlook`."""

    def locate(self, pointer: Sequence[str | int], key: bool = False) -> tuple[int, int]:
        """Give line and column, from 1, of the value (or the key) that `pointer` leads to.

        If it does not exist: the key of its nearest ancestor that does. What came by an alias or a merge
        key stands where it is written.
        """
        found = self._key_of(pointer) if key else None
        return found or _places(self.content).locate(pointer, key=key)

    def _key_of(self, pointer: Sequence[str | int]) -> tuple[int, int] | None:
        """Give the place of the key of a mapping near the root, e.g. of a node template, without reading once more."""
        value: Value = self.data
        for step in pointer:
            if not isinstance(value, dict) or step not in value:
                return None
            value = value[step]
        found = self.outlook.get(id(value)) if isinstance(value, dict) else None
        return found and found[:2]


def load(path: str, content: bytes) -> tuple[Document | None, tuple[Diagnostic, ...]]:
    """Read a document and note every fault in it; never raises.

    The document is None only if it could not be read to its end. A document with errors is given as
    well, so that more faults can be looked for in it; it must not be used for anything else.
    """
    faults = Faults()
    document = None
    text = _decode(content, faults)
    if text is not None:
        with at_rest():
            composer = Composer(text, fast_events(text), faults)
            composer.run()
        if composer.doubled:
            for fault in _places(content).doubles.found:
                faults.add(fault)
        if composer.complete:
            document = Document(path, composer.root, content, composer.outlook)
    return document, tuple(
        Diagnostic(path, fault.line, fault.column, fault.severity, fault.code, fault.message) for fault in faults.all()
    )


def _places(content: bytes) -> Places:
    return _places_of_large(content) if len(content) > _LARGE_BYTES else _places_of_small(content)


def _find_places(content: bytes) -> Places:
    text = _decode(content, Faults()) or ""
    with at_rest():
        places = Places(text, fast_events(text), Faults())
        places.run()
    return places


_places_of_small = lru_cache(maxsize=16)(_find_places)
_places_of_large = lru_cache(maxsize=2)(_find_places)


def _decode(content: bytes, faults: Faults) -> str | None:
    """Give the text to parse: no byte order mark, no directives, no characters that may not be written."""
    if len(content) > MAX_BYTES:
        faults.error(1, 1, "too-large", f"the file has {len(content)} bytes, but {MAX_BYTES} are allowed; split it")
        return None
    if content.startswith(_OTHER_ENCODINGS):
        faults.error(1, 1, "encoding", "the file is UTF-16 or UTF-32; save it as UTF-8")
        return None
    try:
        text = content.decode("utf-8").removeprefix(_BYTE_ORDER_MARK)
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8")
        place = line_and_column(before, len(before))
        faults.error(*place, "encoding", f"the byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8")
        return None
    if "\0" in text:
        faults.error(*line_and_column(text, text.index("\0")), "control-character", "this is not a text file")
        return None
    return _without_directives(_without_harmful(text, faults), faults)


def _without_harmful(text: str, faults: Faults) -> str:
    for match in islice(_UNWRITTEN.finditer(text), _MOST_SHOWN):
        name = f"U+{ord(match[0]):04X}"
        place = line_and_column(text, match.start())
        faults.error(*place, "control-character", f"the character {name} may not stand in a document; remove it")
    return _UNWRITTEN.sub(REPLACEMENT, text)


def _without_directives(text: str, faults: Faults) -> str:
    blanked, directives = take_directives(text)
    for index, directive in directives[:_MOST_SHOWN]:
        if directive.split() != ["YAML", "1.2"]:
            word = directive.split()[0][:40] if directive.split() else ""
            message = f"the directive %{word} is not supported here; documents are YAML 1.2; remove this line"
            faults.error(*line_and_column(text, index), "yaml-directive", message)
    return blanked

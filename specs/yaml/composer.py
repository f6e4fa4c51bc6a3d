"""Builds plain data from YAML events, strictly and within bounds, and notes every fault on the way."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from specs.errors import Severity
from specs.yaml.events import READER_ERRORS, NextEvent, content_start, explain, line_and_column
from specs.yaml.scalars import OutOfRange, resolve, surprise

MAX_DEPTH = 64
"""How deep lists and mappings may stand in each other, aliases followed."""

_OUTLOOK = 4
"""How near to the root a mapping must stand for its place to be remembered; node templates stand that near."""

MAX_NODES = 250_000
"""How many keys and values a document may have, aliases followed; some 6,000 node templates."""

MAX_ANCHORS = 10_000
"""How many anchors a document may have."""

MAX_ALIASED_CHARACTERS = 16_000_000
"""How much text aliases may add to what is written."""

MAX_FAULTS = 100
"""How many errors are noted before reading on is useless."""

MAX_HINTS = 50
"""How many hints are noted."""

HARMFUL = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff\ud800-\udfff"
"""Characters that no value may hold, written or escaped: terminals, databases and JSON choke on them."""

REPLACEMENT = "\ufffd"
"""What stands for a harmful character while the rest of the document is looked at."""

_HARMFUL = re.compile(f"[{HARMFUL}]")
_AFTER_NAMES = frozenset(("", " ", "\t", "\r", "\n", ",", "]", "}"))
_CORE = "tag:yaml.org,2002:"
_CORE_SCALARS: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool, "null": type(None)}


class Fault(Struct, frozen=True, order=True):
    """A diagnostic that does not know its file yet; line and column count from 1."""

    line: int
    column: int
    severity: Severity
    code: str
    message: str


class Faults:
    """Collects faults, up to a bound for each severity, so that a hostile document cannot fill the memory."""

    def __init__(self) -> None:
        self.found: list[Fault] = []
        self._left = {Severity.ERROR: MAX_FAULTS, Severity.WARNING: MAX_FAULTS, Severity.HINT: MAX_HINTS}

    def add(self, fault: Fault) -> None:
        """Note one fault; the last one that is noted says that there are more."""
        left = self._left[fault.severity]
        if left > 0:
            self.found.append(fault)
        elif left == 0:
            message = f"no more {fault.severity}s of this document are shown"
            self.found.append(Fault(fault.line, fault.column, fault.severity, "more-faults", message))
        self._left[fault.severity] = left - 1

    def full(self, severity: Severity) -> bool:
        """Tell whether no more faults of this severity are noted."""
        return self._left[severity] < 0

    def error(self, line: int, column: int, code: str, message: str) -> None:
        """Note one error."""
        self.add(Fault(line, column, Severity.ERROR, code, message))

    def all(self) -> list[Fault]:
        """Give the faults in order."""
        return sorted(self.found)


class _Stopped(Exception):  # noqa: N818 - not an error: the fault is already noted
    """Reading on would be useless or too costly."""


class Place:
    """Where the next value goes, when that is not a key of a mapping."""


LIST: Final = Place()
"""The end of a list."""
AWAITED: Final = Place()
"""The next value is a key."""
MERGED: Final = Place()
"""The value of `<<`."""
DROPPED: Final = Place()
"""Nowhere: its key was faulty."""


class _Anchor(Struct):
    """What an alias would add; `complete` is false inside of what is anchored."""

    value: Any
    complete: bool = False
    nodes: int = 0
    characters: int = 0
    height: int = 0


class Frame(Struct):
    """A list or mapping whose end has not come yet."""

    container: Any
    key: str | Place
    start: Any
    key_event: Any = None
    """Where the last key was read, if it is a mapping."""
    merged: list[dict[str, Any]] | None = None
    height: int = 0
    anchor: _Anchor | None = None


class Composer:
    """Turns the events of one document into dicts, lists and scalars.

    `complete` tells whether the end of the document was reached; only then `root` is what it says.
    """

    def __init__(self, text: str, next_event: NextEvent, faults: Faults) -> None:
        self.faults = faults
        self.complete = False
        self.doubled = False
        """Whether a key was written twice; the first one counts."""
        self.outlook: dict[int, tuple[int, int, object]] = {}
        """Identity of a mapping near the root → line and column, from 1, of the key it stands under, and itself.
        That of the whole document is where it begins."""
        self._text = text
        self._next_event = next_event
        self._root: list[Any] = []
        self._frame = Frame(self._root, LIST, None)
        self._stack: list[Frame] = []
        self._anchors: dict[str, _Anchor] = {}
        self._plain: dict[str, Any] = {}
        self._nodes = 0
        self._aliased_characters = 0
        self._last: Any = None

    @property
    def root(self) -> Any:
        """The document; None if it is empty."""
        return self._root[0] if self._root else None

    def run(self) -> None:
        """Read to the end of the document, or to the fault that makes reading on useless."""
        handlers: dict[type, Callable[[Any], None]] = {
            ScalarEvent: self._scalar,
            MappingStartEvent: self._mapping,
            SequenceStartEvent: self._sequence,
            MappingEndEvent: self._end,
            SequenceEndEvent: self._end,
            AliasEvent: self._alias,
            DocumentEndEvent: self._document_end,
            StreamStartEvent: self._ignore,
            DocumentStartEvent: self._ignore,
            StreamEndEvent: self._stream_end,
        }
        next_event = self._next_event
        try:
            while not self.complete:
                event = next_event()
                handlers[event.__class__](event)
                self._last = event
        except _Stopped:
            pass
        except READER_ERRORS as error:
            self._not_yaml(error)

    # --- faults ------------------------------------------------------------------------------------

    def _error(self, event: Any, code: str, message: str) -> None:
        self._note(self.faults, event, Severity.ERROR, code, message)

    def _note(self, faults: Faults, event: Any, severity: Severity, code: str, message: str) -> None:
        """Note a fault where an event begins; a document with too many errors is not read to its end."""
        mark = event.start_mark
        faults.add(Fault(mark.line + 1, mark.column + 1, severity, code, message))
        if faults.full(Severity.ERROR):
            raise _Stopped

    def _not_yaml(self, error: Exception) -> None:
        line, column, message = explain(error)
        if not line and self._last is not None:
            line, column = self._last.end_mark.line + 1, self._last.end_mark.column + 1
        self.faults.error(max(line, 1), max(column, 1), "yaml-syntax", message)

    def _stop(self, event: Any, code: str, message: str) -> _Stopped:
        self._error(event, code, message)
        return _Stopped()

    # --- events ------------------------------------------------------------------------------------

    def _ignore(self, event: Any) -> None:
        pass

    def _stream_end(self, event: Any) -> None:
        self.complete = True

    def _document_end(self, event: Any) -> None:
        rest = content_start(self._text, event.end_mark.index)
        more = rest < len(self._text)
        if more and (self._text[rest] == "%" or self._next_event().__class__ is not StreamEndEvent):
            message = "a second document begins here; give it a file of its own"
            self.faults.error(*line_and_column(self._text, rest), "several-documents", message)
        self.complete = True

    def _scalar(self, event: Any) -> None:
        self._count(event)
        text = event.value
        if event.tag is not None:
            value = self._tagged(event)
        elif event.implicit[0]:
            value = self._plain[text] if text in self._plain else self._read(event)
        else:
            value = text
            if event.style == '"' and _HARMFUL.search(text):
                self._error(event, "control-character", "this text holds an escaped control character; remove it")
                value = _HARMFUL.sub(REPLACEMENT, text)
        if event.anchor is not None:
            anchor = self._anchor(event, value)
            anchor.nodes, anchor.characters, anchor.complete = 1, len(text), True
        self._put(event, value)

    def _mapping(self, event: Any) -> None:
        self._begin(event, {}, AWAITED, "map")

    def _sequence(self, event: Any) -> None:
        self._begin(event, [], LIST, "seq")

    def _begin(self, event: Any, container: Any, place: Place, kind: str) -> None:
        self._count(event)
        if len(self._stack) >= MAX_DEPTH:
            raise self._stop(event, "too-deep", f"lists and mappings stand more than {MAX_DEPTH} deep in each other")
        if event.tag is not None and event.tag != _CORE + kind:
            self._bad_tag(event)
        frame = Frame(container, place, event)
        if event.anchor is not None:
            frame.anchor = anchor = self._anchor(event, container)
            anchor.nodes, anchor.characters = self._nodes - 1, self._aliased_characters
        self._stack.append(self._frame)
        self._frame = frame

    def _end(self, event: Any) -> None:
        frame = self._frame
        if frame.merged is not None:
            self._merge(frame)
        height = frame.height + 1
        if anchor := frame.anchor:
            written = event.end_mark.index - frame.start.start_mark.index
            anchor.nodes = self._nodes - anchor.nodes
            anchor.characters = self._aliased_characters - anchor.characters + written
            anchor.height, anchor.complete = height, True
        self._frame = parent = self._stack.pop()
        if len(self._stack) <= _OUTLOOK and (parent.key.__class__ is str or not self._stack):
            mark = (parent.key_event or frame.start).start_mark
            self.outlook[id(frame.container)] = (mark.line + 1, mark.column + 1, frame.container)
        parent.height = max(parent.height, height)
        self._put(frame.start, frame.container)

    def _alias(self, event: Any) -> None:
        self._check_name(event, event.start_mark.index)
        anchor = self._anchors.get(event.anchor)
        unusable = _Anchor({} if self._frame.key is MERGED else None)
        if anchor is None:
            self._error(event, "unknown-alias", f"no anchor '&{event.anchor}' stands above this alias")
            anchor = unusable
        elif not anchor.complete:
            self._error(event, "recursive-alias", f"'*{event.anchor}' stands inside of what it means; write it out")
            anchor = unusable
        self._nodes += max(anchor.nodes - 1, 0)
        self._count(event)
        self._aliased_characters += anchor.characters
        if self._aliased_characters > MAX_ALIASED_CHARACTERS:
            raise self._stop(event, "alias-bomb", "aliases make this document too large; write less of them")
        self._frame.height = max(self._frame.height, anchor.height)
        if len(self._stack) + anchor.height > MAX_DEPTH:
            raise self._stop(event, "too-deep", f"with this alias the document is more than {MAX_DEPTH} levels deep")
        self.outlook.pop(id(anchor.value), None)  # it stands in more places than one from now on
        self._put(event, anchor.value)

    # --- values ------------------------------------------------------------------------------------

    def _count(self, event: Any) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            code = "alias-bomb" if event.__class__ is AliasEvent else "too-large"
            raise self._stop(event, code, f"the document has more than {MAX_NODES} keys and values, aliases followed")

    def _read(self, event: Any) -> Any:
        text = event.value
        try:
            value = resolve(text)
        except OutOfRange as error:
            self._error(event, "number-range", str(error))
            return None
        if not self.faults.full(Severity.HINT) and (hint := surprise(text, value)):
            if not (self._frame.key is AWAITED and len(text) == 1):
                self._note(self.faults, event, Severity.HINT, "type-surprise", hint)
        else:
            self._plain[text] = value
        return value

    def _tagged(self, event: Any) -> Any:
        text, tag = event.value, event.tag.removeprefix(_CORE)
        if tag == "str":
            return text
        wanted = _CORE_SCALARS.get(tag)
        if wanted is None or tag == event.tag:
            self._bad_tag(event)
            return text
        try:
            value = resolve(text)
        except OutOfRange as error:
            self._error(event, "number-range", str(error))
            return None
        if wanted is float and type(value) is int:
            return float(value)
        if type(value) is not wanted:
            self._error(event, "yaml-tag", f"this value is no {tag}, as its tag says; correct one of them")
        return value

    def _bad_tag(self, event: Any) -> None:
        tag = event.tag.replace(_CORE, "!!")[:60]
        self._error(event, "yaml-tag", f"the tag {tag!r} is not supported here; remove it")

    def _anchor(self, event: Any, value: Any) -> _Anchor:
        self._check_name(event, self._text.find(f"&{event.anchor}", event.start_mark.index))
        anchor = self._anchors[event.anchor] = _Anchor(value)
        if len(self._anchors) > MAX_ANCHORS:
            raise self._stop(event, "too-large", f"the document has more than {MAX_ANCHORS} anchors")
        return anchor

    def _check_name(self, event: Any, index: int) -> None:
        """Refuse `&a:b`, of which readers disagree whether the colon belongs to the name."""
        end = index + 1 + len(event.anchor)
        if self._text[end : end + 1] not in _AFTER_NAMES:
            self._error(event, "anchor-name", f"put a space after the name '{event.anchor}'")

    def _put(self, event: Any, value: Any) -> None:
        """Put a value where it belongs; `event` is where it begins."""
        frame = self._frame
        key = frame.key
        if key is LIST:
            frame.container.append(value)
        elif key is AWAITED:
            frame.key, frame.key_event = self._key(event, value), event
        else:
            frame.key = AWAITED
            if key is MERGED:
                self._note_merge(event, value)
            elif key is not DROPPED:
                frame.container[key] = value

    def _key(self, event: Any, value: Any) -> str | Place:
        if value == "<<" and event.__class__ is ScalarEvent and event.implicit[0]:
            if self._frame.merged is None:
                self._frame.merged = []
                return MERGED
            self._double(event, MERGED)
            return DROPPED
        if value.__class__ is not str:
            value = self._odd_key(event, value)
        if value in self._frame.container:
            self._double(event, value)
            return DROPPED
        return value if value is not None else DROPPED

    def _odd_key(self, event: Any, value: Any) -> str | None:
        """Report a key that is not text; gives the text it was written as, if it was."""
        if event.__class__ is not ScalarEvent:
            self._error(
                event, "key-not-text", "keys must be text; this one is a list, a mapping or an alias of no text"
            )
            return None
        kind = {bool: "a truth value", type(None): "null"}.get(type(value), "a number")
        self._error(event, "key-not-text", f"keys must be text; this one is {kind}; write it in quotes")
        return event.value

    def _double(self, event: Any, key: str | Place) -> None:
        """Note that a key stands there twice; who keeps places reports it, with both lines."""
        self.doubled = True

    # --- merge keys --------------------------------------------------------------------------------

    def _note_merge(self, event: Any, value: Any) -> None:
        sources = value if type(value) is list else [value]
        if all(type(source) is dict for source in sources):
            self._frame.merged = sources
        else:
            self._error(event, "bad-merge", "'<<' takes a mapping or a list of mappings, e.g. '<<: *defaults'")

    def _merge(self, frame: Frame) -> None:
        """Add what `<<` brings: the mapping's own keys win, then the first that has the key."""
        for source in frame.merged or ():
            for key, value in source.items():
                frame.container.setdefault(key, value)

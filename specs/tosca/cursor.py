"""A cursor stands at a place in a document, reads what is there and reports faults at it.

Every reader of documents goes through it, so that a wrong shape is never a crash but a diagnostic
with file, line and column, and reading goes on behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from specs.errors import Diagnostic, Severity
from specs.model import Position
from specs.tosca.wording import kind_of, suggest
from specs.yaml.document import Document

Step: TypeAlias = str | int
Pointer: TypeAlias = tuple[Step, ...]


MAX_FAULTS = 200
"""After how many errors a document is bad enough, and how many remarks on it are kept."""
_MORE = "no more remarks on this document are shown"
MAX_EFFORT = 600_000
"""How many values one document may come to; no honest one comes near."""
MAX_VALUE_DEPTH = 80
"""How deep lists and mappings may stand in each other once functions are worked out."""


class TooMuch(Exception):  # noqa: N818 - it stops the reading of one document and is reported there
    """A document has more faults, or makes more work, than anybody should spend on it."""


class Faults:
    """What was found wrong with a document so far, and how much work it has made; both are bounded."""

    def __init__(self, diagnostics: Iterable[Diagnostic] = ()) -> None:
        self._found: dict[Diagnostic, None] = dict.fromkeys(diagnostics)
        self._errors = sum(one.severity is Severity.ERROR for one in self._found)
        self._effort = 0

    def add(self, diagnostic: Diagnostic) -> None:
        """Keep one more, the same only once; `TooMuch` when there are enough errors."""
        if diagnostic in self._found:
            return
        if diagnostic.severity is Severity.ERROR:
            self._errors += 1
            if self._errors > MAX_FAULTS:
                raise TooMuch(f"more than {MAX_FAULTS} faults; the rest of the document is not looked at")
        elif len(self._found) - self._errors >= MAX_FAULTS:
            diagnostic = Diagnostic(diagnostic.file, 1, 1, Severity.HINT, "more-faults", _MORE)
        self._found[diagnostic] = None

    def spend(self, units: int) -> None:
        """Count work, one unit for each value made; `TooMuch` when a document makes too much of itself."""
        self._effort += units
        if self._effort > MAX_EFFORT:
            raise TooMuch(f"the document comes to more than {MAX_EFFORT} values; split it")

    def weigh(self, value: object) -> None:
        """Count the work that a value, shared parts counted each time, makes for whoever walks it."""
        todo = [(value, 0)]
        while todo:
            item, depth = todo.pop()
            self.spend(1 + len(item) // 64 if isinstance(item, str) else 1)
            if isinstance(item, dict | list):
                if depth >= MAX_VALUE_DEPTH:
                    raise TooMuch(
                        f"a value is more than {MAX_VALUE_DEPTH} levels deep once its functions are worked out"
                    )
                todo.extend((inner, depth + 1) for inner in (item.values() if isinstance(item, dict) else item))

    @property
    def has_errors(self) -> bool:
        """Whether anything found makes the document invalid."""
        return any(diagnostic.severity is Severity.ERROR for diagnostic in self._found)

    def sorted(self) -> tuple[Diagnostic, ...]:
        """Give all of them in the order of file and line."""
        return tuple(sorted(self._found))


class Cursor:
    """A value in a document, and the way to it."""

    __slots__ = ("faults", "pointer", "source", "value")

    def __init__(self, source: Document, faults: Faults, pointer: Pointer = (), value: object = None) -> None:
        self.source = source
        self.faults = faults
        self.pointer = pointer
        self.value = value

    @classmethod
    def top(cls, source: Document, faults: Faults) -> Cursor:
        """Stand at the top of a document."""
        return cls(source, faults, (), source.data)

    def at(self, step: Step, value: object) -> Cursor:
        """Stand one step further down, at `value`."""
        return Cursor(self.source, self.faults, (*self.pointer, step), value)

    def reporting_to(self, faults: Faults) -> Cursor:
        """Stand at the same place, but report elsewhere."""
        return Cursor(self.source, faults, self.pointer, self.value)

    # --- reports ---

    def error(self, code: str, message: str, *, key: bool = False) -> None:
        """Report what makes the document invalid, at the value or at its key."""
        self._report(Severity.ERROR, code, message, key)

    def warning(self, code: str, message: str, *, key: bool = False) -> None:
        """Report what is probably not meant."""
        self._report(Severity.WARNING, code, message, key)

    def hint(self, code: str, message: str, *, key: bool = False) -> None:
        """Report what could be better."""
        self._report(Severity.HINT, code, message, key)

    def position(self, *, key: bool = True) -> Position:
        """Tell where this is written: the place of its key, or of the value."""
        return Position(self.source.path, *self.source.locate(self.pointer, key=key))

    def _report(self, severity: Severity, code: str, message: str, key: bool) -> None:
        where = self.position(key=key)
        self.faults.add(Diagnostic(where.file, where.line, where.column, severity, code, message))

    # --- shapes ---

    def fields(self, known: frozenset[str] | None = None, required: Sequence[str] = ()) -> Mapping[str, Cursor]:
        """Read a mapping; keys outside `known` and missing ones are faults; nothing at all is an empty mapping."""
        found: dict[str, Cursor] = {}
        if self.value is None:
            entries: Mapping[object, object] = {}
        elif isinstance(self.value, Mapping):
            entries = self.value
        else:
            self.error("wrong-shape", f"{self.name} must be a mapping, not {kind_of(self.value)}")
            return found
        for key, value in entries.items():
            if not isinstance(key, str):
                self.error("wrong-key", f"the key {key!r} of {self.name} must be text; put it in quotes")
            elif known is not None and key not in known:
                self.at(key, value).error(
                    "unknown-key", f"{self.name} cannot have {key!r}{suggest(key, known)}", key=True
                )
            else:
                found[key] = self.at(key, value)
        for key in required:
            if key not in found:
                self.error("missing-key", f"{self.name} needs {key!r}", key=True)
        return found

    def items(self) -> Sequence[Cursor]:
        """Read a list; nothing at all is an empty list."""
        if self.value is None:
            return ()
        if not isinstance(self.value, list):
            self.error("wrong-shape", f"{self.name} must be a list, not {kind_of(self.value)}")
            return ()
        return [self.at(index, value) for index, value in enumerate(self.value)]

    def named_items(self) -> Iterator[tuple[str, Cursor]]:
        """Read a list of one-key mappings, as TOSCA writes requirements and policies."""
        for item in self.items():
            if not isinstance(item.value, Mapping) or len(item.value) != 1:
                item.error("wrong-shape", f"each item of {self.name} must be a mapping with one key, its name")
                continue
            yield from item.fields().items()

    def text(self) -> str:
        """Read a text; a fault and an empty text if it is none."""
        if isinstance(self.value, str):
            return self.value
        self.error("wrong-shape", f"{self.name} must be text, not {kind_of(self.value)}")
        return ""

    @property
    def is_text(self) -> bool:
        """Whether a text, maybe an empty one, stands here."""
        return isinstance(self.value, str)

    def texts(self) -> tuple[str, ...]:
        """Read a list of texts; what is none is a fault and left out."""
        return tuple(text for text in (item.text() for item in self.items()) if text)

    @property
    def name(self) -> str:
        """What to call this place in a message: its last key."""
        if not self.pointer:
            return "the document"
        last = self.pointer[-1]
        if isinstance(last, str):
            return repr(last)
        return f"item {last + 1} of {self.pointer[-2]!r}" if len(self.pointer) > 1 else f"item {last + 1}"

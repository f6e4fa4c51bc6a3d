"""Changes one value of a YAML document in its text: every byte outside of the value stays.

The value is found by its place, its characters are exchanged, and the result is read again: it must say what it said
before and the new value, and nothing else may have changed, also not by an anchor or a merge key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from yaml.events import AliasEvent, MappingStartEvent, ScalarEvent, SequenceStartEvent

from specs.errors import ReconcilerError
from specs.values import Value
from specs.yaml.document import load
from specs.yaml.events import NextEvent, fast_events, take_directives
from specs.yaml.scalars import resolve

Pointer = tuple[str | int, ...]


class SpliceError(ReconcilerError):
    """The value cannot be changed by itself."""


class _Mark(Struct, frozen=True):
    line: int
    column: int


class _Node(Struct, frozen=True):
    """A value in the text: where it is, what it is made of."""

    start: _Mark
    end: _Mark
    style: str = ""
    """Of a scalar: empty for plain, else its first character; `*` for an alias, `{` and `[` for collections."""
    flow: bool = False
    entries: tuple[tuple[str, _Node, _Node], ...] = ()
    """Of a mapping: key, its place, its value."""
    items: tuple[_Node, ...] = ()


def replaced(path: str, content: bytes, pointer: Pointer, new: Value) -> bytes:
    """Give the document with another value at a place; a key that is missing there is put in as its mapping's last."""
    text, mark = _text(content)
    before = _data(path, content)
    wanted = _with(before, pointer, new)
    root = _compose(text)
    found = _find(root, pointer)
    for candidate in _candidates(text, root, found, pointer, new):
        made = mark + candidate.encode("utf-8")
        document, faults = load(path, made)
        broken = any(fault.severity == "error" for fault in faults)
        if document is not None and not broken and document.data == wanted:
            return made
    raise SpliceError("it is shared with other values by an anchor or a merge key; write it out where it stands")


def _candidates(text: str, root: _Node, found: _Node | None, pointer: Pointer, new: Value) -> Sequence[str]:
    """Give the texts worth trying: the value exchanged where it stands, or put into its own mapping."""
    lines = _Lines(text)
    if found is not None:
        return [_exchanged(text, lines, found, new)]
    parent = _find(root, pointer[:-1])
    if parent is None or parent.style != "{" or not isinstance(pointer[-1], str):
        raise SpliceError("there is no mapping around it, or it comes in by an anchor; write it out first")
    return [_inserted(text, lines, parent, pointer[-1], new)]


def _text(content: bytes) -> tuple[str, bytes]:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SpliceError("the file is not UTF-8") from error
    if text.startswith("\ufeff"):
        return text[1:], "\ufeff".encode()
    return text, b""


def _data(path: str, content: bytes) -> Value:
    document, _ = load(path, content)
    if document is None:
        raise SpliceError("the file cannot be read")
    return document.data


def _with(data: Value, pointer: Pointer, new: Value) -> Value:
    """Copy data along a pointer and put a value at its end."""
    if not pointer:
        return new
    step, *rest = pointer
    if isinstance(data, Mapping) and isinstance(step, str):
        return {**data, step: _with(data.get(step), tuple(rest), new)}
    if isinstance(data, list) and isinstance(step, int) and step < len(data):
        return [*data[:step], _with(data[step], tuple(rest), new), *data[step + 1 :]]
    raise SpliceError("there is no such place in the document")


# --- places ----------------------------------------------------------------------------------------


class _Lines:
    """Turns line and column into an index; a line ends with LF, CR or both, as in YAML."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(match.end() for match in re.finditer(r"\r\n|\r|\n", text))]

    def index(self, mark: _Mark) -> int:
        return self._starts[mark.line] + mark.column


def _compose(text: str) -> _Node:
    blanked, _ = take_directives(text)
    events = fast_events(blanked)
    while not isinstance(event := events(), ScalarEvent | MappingStartEvent | SequenceStartEvent | AliasEvent):
        pass
    return _node(event, events)


def _node(event: Any, events: NextEvent) -> _Node:
    start = _Mark(event.start_mark.line, event.start_mark.column)
    match event:
        case AliasEvent():
            return _Node(start, _end(event), "*")
        case ScalarEvent():
            return _Node(start, _end(event), event.style or "")
        case SequenceStartEvent():
            items = []
            while not _closes(inner := events()):
                items.append(_node(inner, events))
            return _Node(start, _end(inner), "[", flow=bool(event.flow_style), items=tuple(items))
    entries = []
    while not _closes(inner := events()):
        key = _node(inner, events)
        name = inner.value if isinstance(inner, ScalarEvent) else ""
        entries.append((name, key, _node(events(), events)))
    return _Node(start, _end(inner), "{", flow=bool(event.flow_style), entries=tuple(entries))


def _end(event: Any) -> _Mark:
    return _Mark(event.end_mark.line, event.end_mark.column)


def _closes(event: Any) -> bool:
    return type(event).__name__ in ("MappingEndEvent", "SequenceEndEvent")


def _find(node: _Node, pointer: Pointer) -> _Node | None:
    """Find a value as it is written; nothing for what comes by an alias, a merge key, or not at all."""
    for step in pointer:
        if isinstance(step, int):
            if step >= len(node.items):
                return None
            node = node.items[step]
            continue
        inner = next((value for name, _, value in node.entries if name == step), None)
        if inner is None:
            return None
        node = inner
    return node


# --- texts -----------------------------------------------------------------------------------------

_PROPERTIES = re.compile(r"(?:[&!][^\s,\[\]{}]*\s+)*")
_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./@-]*(?:::?[A-Za-z0-9_./@-]+)*")


def _exchanged(text: str, lines: _Lines, node: _Node, new: Value) -> str:
    start, end = lines.index(node.start), lines.index(node.end)
    if node.style in ("{", "["):
        raise SpliceError("it is worked out by a function or is no single value; write the value itself there")
    if node.style in ("|", ">"):
        return text[:start] + _in_block(text[start:end], new) + text[end:]
    if node.style == "*":
        return text[:start] + _written(new, "") + text[end:]
    match = _PROPERTIES.match(text, start, end)
    begin = match.end() if match else start
    empty = begin == end and node.style == ""
    return (
        text[:begin]
        + (" " if empty and text[begin - 1 : begin] == ":" else "")
        + _written(new, node.style)
        + text[end:]
    )


def _in_block(block: str, new: Value) -> str:
    """Exchange the one line of text of a block scalar."""
    if not isinstance(new, str):
        raise SpliceError("a number cannot stand in a block of text")
    head, *body = re.split(r"(?<=\n)|(?<=\r)(?!\n)", block)
    full = [number for number, line in enumerate(body) if line.strip()]
    if len(full) != 1:
        raise SpliceError("it is a block of several lines; write it on one line")
    line = body[full[0]]
    body[full[0]] = line[: len(line) - len(line.lstrip())] + new + line[len(line.rstrip()) :]
    return head + "".join(body)


def _written(new: Value, style: str) -> str:
    if isinstance(new, Mapping):
        return "{" + ", ".join(f"{_written(key, '')}: {_written(value, '')}" for key, value in new.items()) + "}"
    if not isinstance(new, str):
        return json.dumps(new)
    if style == "'":
        return "'" + new.replace("'", "''") + "'"
    if style == '"' or not _SAFE.fullmatch(new) or resolve(new) != new:
        return json.dumps(new, ensure_ascii=False)
    return new


def _inserted(text: str, lines: _Lines, parent: _Node, key: str, new: Value) -> str:
    """Put a key after the last one of a mapping."""
    entry = f"{_written(key, '')}: {_written(new, '')}"
    if not parent.entries:
        if not parent.flow:
            raise SpliceError("its mapping is empty; write the key there")
        at = lines.index(parent.start)
        brace = text.index("{", at) + 1
        return text[:brace] + entry + text[brace:]
    _, first, _ = parent.entries[0]
    _, _, last = parent.entries[-1]
    after = lines.index(last.end)
    if parent.flow:
        return text[:after] + f", {entry}" + text[after:]
    if last.style in ("", "'", '"', "*") or last.flow:
        return _below(text, after, first.start.column, entry)
    begin = lines.index(first.start)
    return text[:begin] + entry + _line_end(text) + " " * first.start.column + text[begin:]


def _below(text: str, after: int, column: int, entry: str) -> str:
    """Put an entry on a line of its own below the one where the last value ends, comment and all."""
    match = re.compile(r"[^\r\n]*").match(text, after)
    end = match.end() if match else len(text)
    return text[:end] + _line_end(text) + " " * column + entry + text[end:]


def _line_end(text: str) -> str:
    match = re.search(r"\r\n|\r|\n", text)
    return match[0] if match else "\n"

"""YAML text as a run of parser events, by libyaml where it is there and in pure Python where not.

libyaml comes with PyYAML, which tosca-parser needs as well. The C reader of ruamel.yaml carries an
older libyaml that refuses `[http://a.b]` and `{a: c::d}`, which TOSCA documents are full of. Both
readers here give the same events for what both accept; the pure one refuses a few odd uses of tabs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeAlias

from yaml.error import MarkedYAMLError, YAMLError
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner

try:
    from yaml._yaml import CParser
except ImportError:
    CParser = None  # type: ignore[assignment, misc] # PyYAML was built without libyaml

READER_ERRORS = (YAMLError, ValueError, OverflowError)
"""What the readers raise for text that is not YAML."""

NextEvent: TypeAlias = Callable[[], Any]
"""Gives the next event of PyYAML, typed `Any` because its stubs leave marks optional."""


class _PureParser(Reader, Scanner, Parser):
    """PyYAML's reader without C, put together as its loaders do it, without composer and constructor."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)


def fast_events(text: str) -> NextEvent:
    """Read with libyaml; with the pure reader if that is all there is."""
    return CParser(text).get_event if CParser is not None else pure_events(text)


def pure_events(text: str) -> NextEvent:
    """Read in pure Python."""
    return _PureParser(text).get_event


_ADVICE = {
    "mapping values are not allowed": "there is a second ': ' here, or the indentation is wrong; "
    "put the text in quotes or the key on a line of its own",
    "could not find expected ':'": "this key has no ':' after it; check the indentation and the quotes above",
    "cannot start any token": "text cannot begin with this character; indent with spaces and put such text in quotes",
    "did not find expected key": "a key is expected here; check the indentation, quotes and commas above",
    "expected <block end>": "a key or the end of the block is expected here; check the indentation above",
    "did not find expected '-' indicator": "a list item or the end of the list is expected here; check the indentation",
    "did not find expected ',' or ']'": "this list has no closing ']', or a ',' is missing",
    "expected ',' or ']'": "this list has no closing ']', or a ',' is missing",
    "did not find expected ',' or '}'": "this mapping has no closing '}', or a ',' is missing",
    "expected ',' or '}'": "this mapping has no closing '}', or a ',' is missing",
    "unexpected end of stream": "the quote that opens here is never closed",
    "block sequence entries are not allowed": "a list item cannot begin here; put it on a line of its own",
    "sequence entries are not allowed": "a list item cannot begin here; put it on a line of its own",
    "unknown escape character": 'this "\\" escape does not exist; use single quotes or "\\\\"',
    "expected <document start>": "the document has ended here; check the indentation and the quotes above",
    "did not find expected <document start>": "the document has ended here; check the indentation and the quotes above",
}
_BEGINS_BEFORE = ("could not find expected ':'", "unexpected end of stream")
"""Problems that are better shown where the thing began than where the reader noticed."""


def explain(error: Exception) -> tuple[int, int, str]:
    """Turn a reader's exception into line, column (from 1; 0 if it does not say) and what to do."""
    if not isinstance(error, MarkedYAMLError):
        return 0, 0, f"this is not YAML: {error}"
    problem = error.problem or "this is not YAML"
    message = next((advice for found, advice in _ADVICE.items() if found in problem), None)
    if message is None:
        message = f"{problem} ({error.context})" if error.context else problem
    if error.context_mark and "flow" in (error.context or ""):
        message = f"{message}; it begins in line {error.context_mark.line + 1}"
    mark = error.problem_mark
    if mark is None or (error.context_mark is not None and any(begin in problem for begin in _BEGINS_BEFORE)):
        mark = error.context_mark
    return (mark.line + 1, mark.column + 1, message) if mark else (0, 0, message)


def line_and_column(text: str, index: int) -> tuple[int, int]:
    """Count lines and columns from 1, the way the readers do: a line ends with LF, CR or both."""
    ends = text.count("\n", 0, index) + text.count("\r", 0, index) - text.count("\r\n", 0, index)
    last_end = max(text.rfind("\n", 0, index), text.rfind("\r", 0, index))
    return ends + 1, index - last_end


_EMPTY_LINES = re.compile(r"(?:(?:\.\.\.)?[ \t]*(?:#[^\r\n]*)?(?:\r\n|\r|\n))*+(?:(?:\.\.\.)?[ \t]*(?:#[^\r\n]*)?\Z)?")
_DIRECTIVE = re.compile(r"%([^\r\n]*)")


def content_start(text: str, start: int) -> int:
    """Give the index of the first line at or after `start` that holds more than a comment; the length if none does."""
    match = _EMPTY_LINES.match(text, start)
    return match.end() if match else start


def take_directives(text: str) -> tuple[str, list[tuple[int, str]]]:
    """Blank out the directives (`%YAML 1.2`) before the document; returns them with their index.

    libyaml needs quadratic time for many `%TAG` lines, so it never gets to see one.
    """
    taken: list[tuple[int, str]] = []
    pieces: list[str] = []
    start = 0
    while match := _DIRECTIVE.match(text, begin := content_start(text, start)):
        taken.append((begin, match[1]))
        pieces.append(text[start:begin])
        start = match.end()
    return "".join((*pieces, text[start:])), taken

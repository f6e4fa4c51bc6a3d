"""Where everything is printed: results on stdout, all else on stderr, and no control character but our own.

Names, messages and commit texts come from outside. They are cleaned here, in one place, before colour is put around
them, so that nothing in a spec or in a provider's answer can move the cursor, hide text or forge a line.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from reconciler.lines import Line, Span, Style
from specs.errors import ReconcilerError

_HARMFUL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
"""Control characters, invisible ones, and marks that turn the direction of text."""

_COLOURS: Mapping[Style, str] = {
    Style.STRONG: "1",
    Style.QUIET: "2",
    Style.ADD: "32",
    Style.CHANGE: "33",
    Style.DESTROY: "31",
    Style.READ: "36",
    Style.GOOD: "32",
    Style.WARN: "33",
    Style.BAD: "1;31",
}


def clean(text: str) -> str:
    """Make text from anywhere fit for one line of a terminal."""
    return _HARMFUL.sub("\N{REPLACEMENT CHARACTER}", text)


class UnwritableError(ReconcilerError):
    """What the command says cannot be written, e.g. to a full disk."""


class Screen:
    """What a command speaks through."""

    def __init__(self, out: TextIO, err: TextIO, environment: Mapping[str, str]) -> None:
        self.out = out
        self.err = err
        plain = "NO_COLOR" in environment or environment.get("TERM") == "dumb"
        self._coloured = {id(stream): stream.isatty() and not plain for stream in (out, err)}
        self.lively = self._coloured[id(err)]
        """Whether progress may move on stderr."""
        self._heard: list[tuple[int, str]] | None = None

    def listen(self) -> Sequence[tuple[int, str]]:
        """Give what will be written from now on, as it comes: on stdout (0) or stderr (1)."""
        self._heard = []
        return self._heard

    def show(self, lines: Iterable[Line | str]) -> None:
        """Print results."""
        self._write(self.out, lines)

    def note(self, *lines: Line | str) -> None:
        """Print what is no result: progress, questions, remarks."""
        self._write(self.err, lines)

    def error(self, message: str) -> None:
        """Print an error; further lines of its message are indented."""
        first, *rest = message.splitlines() or ["it has no text"]
        self.note(Line((Span("error: ", Style.BAD), Span(first))), *(f"  {line}" for line in rest))

    def document(self, data: object) -> None:
        """Print one JSON document, indented for eyes only; its escapes leave no control character."""
        self.text(json.dumps(data, indent=2 if self.out.isatty() else None))

    def text(self, result: str) -> None:
        """Print a result as it is."""
        self._put(self.out, f"{result}\n")

    def ask(self, question: str) -> str:
        """Ask on the terminal; an empty answer if its end is reached."""
        self._put(self.err, f"{clean(question)} ")
        return sys.stdin.readline().strip()

    def painted(self, line: Line | str, stream: TextIO) -> str:
        """Give the text of a line as the stream may show it."""
        if isinstance(line, str):
            return clean(line)
        if not self._coloured[id(stream)]:
            return clean(str(line))
        return "".join(_paint(span) for span in line.spans)

    def _write(self, stream: TextIO, lines: Iterable[Line | str]) -> None:
        text = "".join(f"{self.painted(line, stream)}\n" for line in lines)
        if self._heard is not None:
            self._heard.append((int(stream is self.err), text))
        self._put(stream, text)

    def _put(self, stream: TextIO, text: str) -> None:
        try:
            stream.write(text)
            stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            what = "the standard error" if stream is self.err else "the standard output"
            raise UnwritableError(
                f"{what} cannot be written: {error.strerror}; send it elsewhere, or make room"
            ) from error


def _paint(span: Span) -> str:
    colour = _COLOURS.get(span.style)
    text = clean(span.text)
    return f"\x1b[{colour}m{text}\x1b[0m" if colour and text else text


class _Notes(logging.Handler):
    """Notes every record on a line; with its traceback, if there is one, on lines of their own."""

    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._screen.note(*self.format(record).splitlines())
        except Exception:
            self.handleError(record)


def log_to(screen: Screen, level: int) -> None:
    """Send log records of this level and above to stderr."""
    handler = _Notes(screen)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S%z"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)


def standard_screen() -> Screen:
    """Give the screen of this process; what the terminal cannot encode is written as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    return Screen(sys.stdout or _nowhere(), sys.stderr or _nowhere(), os.environ)


def _nowhere() -> TextIO:
    """Stand in for a stream that was closed before we began."""
    return Path(os.devnull).open("w", encoding="utf-8")

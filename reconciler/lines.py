"""Text for people, as values: lines of styled spans, which a terminal paints and everything else shows plainly."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Style(StrEnum):
    """What a span means; the terminal chooses the colour."""

    PLAIN = "plain"
    STRONG = "strong"
    QUIET = "quiet"
    ADD = "add"
    CHANGE = "change"
    DESTROY = "destroy"
    READ = "read"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


class Span(Struct, frozen=True):
    """A piece of a line in one style."""

    text: str
    style: Style = Style.PLAIN


class Line(Struct, frozen=True):
    """One line, without its end."""

    spans: tuple[Span, ...] = ()

    def __str__(self) -> str:
        return "".join(span.text for span in self.spans)


def line(*parts: str | Span) -> Line:
    """Make a line of plain texts and styled spans."""
    return Line(tuple(Span(part) if isinstance(part, str) else part for part in parts))


def table(rows: list[tuple[str | Span, ...]], gap: str = "  ") -> list[Line]:
    """Put cells under each other; the last one of a row is as long as it is."""
    cells = [[Span(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    columns = max((len(row) for row in cells), default=0)
    widths = [max((len(row[n].text) for row in cells if n < len(row) - 1), default=0) for n in range(columns)]
    lines = []
    for row in cells:
        padded = [Span(cell.text.ljust(widths[n]) + gap, cell.style) for n, cell in enumerate(row[:-1])]
        lines.append(Line((*padded, *row[-1:])))
    return lines


def count(number: int, noun: str) -> str:
    """Say how many of something there are: `1 step`, `2 steps`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

"""Draws how long each program takes by size, both axes logarithmic, as an SVG that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import floor, log10

_WIDTH, _HEIGHT = 760, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 230, 40, 50
_COLOURS = ("#0b6e4f", "#6bbf59", "#c8553d", "#588b8b", "#f28f3b", "#7768ae", "#3b3b58", "#999999")

Series = Mapping[str, Mapping[int, float]]
"""Name → nodes → seconds."""


def draw(title: str, series: Series) -> str:
    """Give the chart as a document."""
    scale = _Scale(series)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="22" font-size="14" font-weight="bold">{escape(title)}</text>',
        *scale.grid(),
    ]
    names = sorted(series, key=lambda name: -series[name][max(series[name])])
    labels = _spread([scale.y(series[name][max(series[name])]) for name in names])
    for name, label in zip(names, labels, strict=True):
        parts += _line(name, series[name], _COLOURS[list(series).index(name) % len(_COLOURS)], scale, label)
    return "\n".join([*parts, "</svg>"]) + "\n"


def draw_bars(title: str, bars: Sequence[tuple[str, float, bool]]) -> str:
    """Give a chart of shares of a limit, logarithmic: what ends left of the line is good."""
    low, high, left, right = 0.01, 100.0, 520, 760
    height = 50 + 18 * len(bars)

    def place(share: float) -> float:
        within = min(max(share, low), high)
        return left + (log10(within) - log10(low)) / log10(high / low) * (right - left)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right + 60} {height}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{right + 60}" height="{height}" fill="white"/>',
        f'<text x="10" y="22" font-size="14" font-weight="bold">{escape(title)}</text>',
    ]
    for number, (label, share, good) in enumerate(bars):
        y, colour = 36 + 18 * number, "#0b6e4f" if good else "#c8553d"
        parts += [
            f'<text x="{left - 8}" y="{y + 11}" text-anchor="end">{escape(label)}</text>',
            f'<rect x="{left}" y="{y}" width="{place(share) - left:.1f}" height="13" fill="{colour}"/>',
            f'<text x="{place(share) + 6:.1f}" y="{y + 11}">{share:.2g}</text>',
        ]
    parts.append(f'<line x1="{place(1):.1f}" y1="30" x2="{place(1):.1f}" y2="{height - 10}" stroke="#3b3b58"/>')
    return "\n".join([*parts, "</svg>"]) + "\n"


class _Scale:
    def __init__(self, series: Series) -> None:
        sizes = {size for points in series.values() for size in points}
        seconds = [value for points in series.values() for value in points.values()]
        self._sizes = sorted(sizes)
        self._low, self._high = floor(log10(min(seconds))), floor(log10(max(seconds))) + 1

    def x(self, size: int) -> float:
        first, last = log10(self._sizes[0]), log10(self._sizes[-1])
        share = (log10(size) - first) / (last - first) if last > first else 0.5
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(self, seconds: float) -> float:
        share = (log10(seconds) - self._low) / (self._high - self._low)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)

    def grid(self) -> Sequence[str]:
        right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
        found = [f'<text x="{_LEFT}" y="{_HEIGHT - 12}">nodes → processor seconds (logarithmic)</text>']
        for power in range(self._low, self._high + 1):
            y = self.y(10**power)
            found.append(f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#ddd"/>')
            found.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g} s</text>')
        found += [
            f'<text x="{self.x(size):.1f}" y="{bottom + 18}" text-anchor="middle">{size:,}</text>'
            for size in self._sizes
        ]
        return found


def _spread(heights: Sequence[float]) -> Sequence[float]:
    """Move labels down until none stands on another."""
    found: list[float] = []
    for height in heights:
        found.append(max(height, found[-1] + 15) if found else height)
    return found


def _line(name: str, points: Mapping[int, float], colour: str, scale: _Scale, label: float) -> Sequence[str]:
    places = [(scale.x(size), scale.y(points[size])) for size in sorted(points)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    last = places[-1]
    return [
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places),
        f'<line x1="{last[0] + 4:.1f}" y1="{last[1]:.1f}" x2="{_WIDTH - _RIGHT + 12}" y2="{label:.1f}" stroke="#bbb"/>',
        f'<text x="{_WIDTH - _RIGHT + 16}" y="{label + 4:.1f}" fill="{colour}">{escape(name)}</text>',
    ]

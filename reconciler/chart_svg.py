"""A chart as a picture: switches and places where their links pull them, courses in colours beside the cables. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import cos, hypot, pi, sin, sqrt
from typing import TypeAlias
from xml.sax.saxutils import escape

from reconciler.chart import COLOURS, Chart
from specs.model import Site

Points: TypeAlias = Mapping[str, tuple[float, float]]

_LABOUR = 6_000_000
"""About how many pairs of points are pushed apart, in all rounds together."""
_ROUNDS = 300
_GRID = 110.0
"""Pixels for a link."""
_MARGIN = 60.0
_BESIDE = 4.0
"""Pixels between a cable and a course, and between courses."""


def chart_svg(chart: Chart) -> Iterator[str]:
    """Draw the site with a legend of its courses below."""
    points = _placed(chart)
    width = max((x for x, _ in points.values()), default=0.0) + _MARGIN
    base = max((y for _, y in points.values()), default=0.0) + _MARGIN
    height = base + 18 * len(chart.courses) + 10
    width = max(width, 20 + 7.0 * max((len(_legend(chart, n)) for n in range(len(chart.courses))), default=0))
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"'
        f' viewBox="0 0 {width:.0f} {height:.0f}" font-family="sans-serif" font-size="11">'
    )
    yield f"<title>{escape(chart.site.name)}</title>"
    yield '<rect width="100%" height="100%" fill="white"/>'
    yield from _cables(chart.site, points)
    yield from _courses(chart, points)
    yield from _nodes(chart, points)
    for number in range(len(chart.courses)):
        y = base + 18 * number
        yield f'<rect x="10" y="{y:.0f}" width="10" height="10" fill="{COLOURS[number % len(COLOURS)]}"/>'
        yield f'<text x="26" y="{y + 9:.0f}">{escape(_legend(chart, number))}</text>'
    yield "</svg>"


def _legend(chart: Chart, number: int) -> str:
    course = chart.courses[number]
    return f"{course.address}  {course.what}".strip()


def _cables(site: Site, points: Points) -> Iterator[str]:
    for name, link in sorted(site.links.items()):
        (x, y), (u, v) = points[link.source], points[link.target]
        about = f"{link.latency_ms:g} ms, {link.bandwidth_mbps:g} Mbit/s, cost {link.cost:g}"
        yield f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{u:.1f}" y2="{v:.1f}" stroke="#bbb" stroke-width="2">'
        yield f"<title>{escape(f'{name}: {about}')}</title></line>"
        text = f'<text x="{(x + u) / 2:.1f}" y="{(y + v) / 2 - 6:.1f}" fill="#777" text-anchor="middle">'
        yield f"{text}{escape(name)}</text>"
        for port, near, far in ((link.source_port, (x, y), (u, v)), (link.target_port, (u, v), (x, y))):
            if port:
                px, py = near[0] + 0.24 * (far[0] - near[0]), near[1] + 0.24 * (far[1] - near[1])
                yield f'<text x="{px:.1f}" y="{py + 12:.1f}" fill="#999" font-size="9">{port}</text>'


def _courses(chart: Chart, points: Points) -> Iterator[str]:
    beside: dict[tuple[str, str], int] = {}
    for number, course in enumerate(chart.courses):
        colour = COLOURS[number % len(COLOURS)]
        for step in chart.steps(course):
            beside[step.start, step.end] = place = beside.get((step.start, step.end), 0) + 1
            (x, y), (u, v) = points[step.start], points[step.end]
            length = hypot(u - x, v - y) or 1.0
            dx, dy = (v - y) / length * _BESIDE * place, (x - u) / length * _BESIDE * place
            yield (
                f'<line x1="{x + dx:.1f}" y1="{y + dy:.1f}" x2="{u + dx:.1f}" y2="{v + dy:.1f}"'
                f' stroke="{colour}" stroke-width="2"><title>{escape(str(course.address))}</title></line>'
            )


def _nodes(chart: Chart, points: Points) -> Iterator[str]:
    for name in (*sorted(chart.site.switches), *chart.places):
        x, y = points[name]
        width = 7 * len(name) + 14
        round_at = 3 if name in chart.site.switches else 11
        fill = "#eef" if name in chart.site.switches else "#ffd"
        box = f'<rect x="{x - width / 2:.1f}" y="{y - 11:.1f}" width="{width}" height="22" rx="{round_at}"'
        yield f'{box} fill="{fill}" stroke="#444"/>'
        yield f'<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle">{escape(name)}</text>'


# --- where things stand ----------------------------------------------------------------------------


def _placed(chart: Chart) -> Points:
    """Begin on a circle, let everything push and links pull, and move the result into the picture."""
    names = [*sorted(chart.site.switches), *chart.places]
    size = len(names) or 1
    radius = 2 * sqrt(size)
    spots = [(cos(2 * pi * n / size) * radius, sin(2 * pi * n / size) * radius) for n in range(size)]
    index = {name: number for number, name in enumerate(names)}
    joined = [(index[link.source], index[link.target]) for _, link in sorted(chart.site.links.items())]
    rounds = min(_ROUNDS, _LABOUR // size**2)
    for left in range(rounds, 0, -1):
        spots = _relaxed(spots, joined, step=sqrt(size) * left / rounds)
    left_edge, top = (min(spot[axis] for spot in spots) for axis in (0, 1))
    return {
        name: ((x - left_edge) * _GRID + _MARGIN, (y - top) * _GRID + _MARGIN)
        for name, (x, y) in zip(names, spots, strict=False)
    }


def _relaxed(spots: list[tuple[float, float]], joined: list[tuple[int, int]], step: float) -> list[tuple[float, float]]:
    """Let every point be pushed by all others and pulled along its links, by `step` at most."""
    pushes = [[0.0, 0.0] for _ in spots]
    for one, (x, y) in enumerate(spots):
        for other in range(one):
            dx, dy = x - spots[other][0], y - spots[other][1]
            square = dx * dx + dy * dy or 1e-6
            for number, way in ((one, 1), (other, -1)):
                pushes[number][0] += way * dx / square
                pushes[number][1] += way * dy / square
    for one, other in joined:
        dx, dy = spots[one][0] - spots[other][0], spots[one][1] - spots[other][1]
        pull = hypot(dx, dy)
        for number, way in ((one, -1), (other, 1)):
            pushes[number][0] += way * dx * pull
            pushes[number][1] += way * dy * pull
    moved = []
    for (x, y), (dx, dy) in zip(spots, pushes, strict=True):
        strength = hypot(dx, dy) or 1.0
        moved.append((x + dx / strength * min(strength, step), y + dy / strength * min(strength, step)))
    return moved

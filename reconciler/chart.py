"""A site's switches and links, and what its services send over them, as text and in the DOT language. Pure.

A *course* is what one resource sends over links: a name's way to its endpoint, or the tree from an endpoint to its
clients. Any resource with `links` and a place where it begins has one, whoever provides it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cached_property

from msgspec import Struct

from reconciler.lines import Line, Span, Style, count, line, table
from specs.model import Address, Link, Resource, Site
from specs.values import Value

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c564b", "#000000")
"""Of courses, in turn; told apart by most eyes."""


class Step(Struct, frozen=True):
    """One link of a course, in the direction it is walked."""

    depth: int
    link: str
    start: str
    end: str


class Course(Struct, frozen=True):
    """What one resource sends, from where, over which links."""

    address: Address
    what: str
    """The name or the group it is for."""
    start: str
    links: frozenset[str]


class Chart(Struct, frozen=True, dict=True):
    """One site to be drawn."""

    site: Site
    courses: tuple[Course, ...]

    @cached_property
    def places(self) -> tuple[str, ...]:
        """Clusters and access points that a link leads to, in order."""
        ends = {end for link in self.site.links.values() for end in (link.source, link.target)}
        return tuple(sorted(ends - self.site.switches.keys()))

    @cached_property
    def _links_of(self) -> Mapping[str, tuple[tuple[str, str], ...]]:
        """Switch or place → its links and where they lead."""
        found: dict[str, list[tuple[str, str]]] = {}
        for name, link in sorted(self.site.links.items()):
            found.setdefault(link.source, []).append((name, link.target))
            found.setdefault(link.target, []).append((name, link.source))
        return {name: tuple(links) for name, links in found.items()}

    def steps(self, course: Course) -> Iterator[Step]:
        """Walk a course from where it begins, branch by branch."""
        seen: set[str] = set()
        waiting = [Step(-1, "", "", course.start)]
        while waiting:
            step = waiting.pop()
            if step.end in seen:
                continue
            seen.add(step.end)
            if step.link:
                yield step
            onwards = [(link, end) for link, end in self._links_of.get(step.end, ()) if link in course.links]
            waiting += [Step(step.depth + 1, link, step.end, end) for link, end in reversed(onwards)]


def make_chart(site: Site, resources: Mapping[Address, Resource]) -> Chart:
    """Gather the courses of a site out of what is wanted of it."""
    found = (_course(address, resources[address]) for address in sorted(resources))
    return Chart(site, tuple(course for course in found if course is not None))


def _course(address: Address, resource: Resource) -> Course | None:
    said = resource.properties
    links, start = said.get("links"), said.get("at", said.get("cluster"))
    if not isinstance(links, list) or not isinstance(start, str):
        return None
    return Course(address, _what(said.get("fqdn", said.get("address"))), start, frozenset(map(str, links)))


def _what(value: Value) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else value if isinstance(value, str) else ""


# --- text ------------------------------------------------------------------------------------------


def chart_lines(chart: Chart) -> Iterator[Line]:
    """Write every switch with its ports, then every course as a tree."""
    site = chart.site
    sizes = f"{len(site.switches)} switch{'es' * (len(site.switches) != 1)}, {count(len(site.links), 'link')}"
    yield line(Span(site.name, Style.STRONG), f": {sizes}")
    for name in sorted(site.switches):
        about = [str(site.switches[name].properties[key]) for key in ("area", "location")
                 if key in site.switches[name].properties]  # fmt: skip
        yield line()
        yield line("  ", Span(name, Style.STRONG), Span(f"  {', '.join(about)}" if about else "", Style.QUIET))
        yield from table(sorted(_ports(site, name)))
    for course in chart.courses:
        yield line()
        yield line(
            "  ", Span(course.address, Style.STRONG), Span(f"  {course.what}" if course.what else "", Style.READ)
        )
        yield line(f"    {course.start}")
        for step in chart.steps(course):
            yield line(f"    {'  ' * (step.depth + 1)}", Span(f"{step.link} → ", Style.QUIET), step.end)


def _ports(site: Site, switch: str) -> Iterator[tuple[str, ...]]:
    for link in site.links.values():
        for (name, port), (far, far_port) in (_ends(link), _ends(link)[::-1]):
            if name == switch:
                there = f"{far}:{far_port}" if far in site.switches else far
                yield f"    {port:3}", link.name, there, _figures(link)


def _ends(link: Link) -> tuple[tuple[str, int], tuple[str, int]]:
    return (link.source, link.source_port), (link.target, link.target_port)


def _figures(link: Link) -> str:
    return f"{link.latency_ms:g} ms, {link.bandwidth_mbps:g} Mbit/s, cost {link.cost:g}"


# --- DOT -------------------------------------------------------------------------------------------


def chart_dot(chart: Chart) -> Iterator[str]:
    """Draw cables in grey, and every course in a colour, its arrows in the direction frames go."""
    site = chart.site
    yield f"digraph {json.dumps(site.name)} {{"
    yield '  graph [layout = neato, overlap = false, splines = true]; node [fontname = "sans-serif"];'
    yield '  edge [fontname = "sans-serif", fontsize = 9];'
    for name in sorted(site.switches):
        yield f"  {json.dumps(name)} [shape = box];"
    for name in chart.places:
        yield f"  {json.dumps(name)} [shape = ellipse];"
    for name in sorted(site.links):
        (one, port), (other, other_port) = _ends(site.links[name])
        ends = f"taillabel = {json.dumps(_number(port))}, headlabel = {json.dumps(_number(other_port))}"
        about = f"label = {json.dumps(name)}, {ends}, dir = none, color = gray, tooltip = "
        yield f"  {json.dumps(one)} -> {json.dumps(other)} [{about}{json.dumps(_figures(site.links[name]))}];"
    for number, course in enumerate(chart.courses):
        about = f"color = {json.dumps(COLOURS[number % len(COLOURS)])}, tooltip = {json.dumps(str(course.address))}"
        for step in chart.steps(course):
            yield f"  {json.dumps(step.start)} -> {json.dumps(step.end)} [{about}];"
    yield "}"


def _number(port: int) -> str:
    return str(port) if port else ""

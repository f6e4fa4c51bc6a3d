"""The graph of resources, as text and in the DOT language. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from reconciler.lines import Line, Span, Style, line
from specs.model import Address, Resource, parse_address


def graph_lines(resources: Mapping[Address, Resource]) -> Iterator[Line]:
    """List every resource, and under it what it requires."""
    for address in sorted(resources):
        yield line(Span(address, Style.STRONG))
        for needed in resources[address].requires:
            yield line("  requires ", needed)


def graph_dot(resources: Mapping[Address, Resource]) -> Iterator[str]:
    """Draw every resource, those of one service on one site together; arrows lead to what is required."""
    yield "digraph resources {"
    yield "  rankdir = RL;"
    yield '  node [shape = box, fontname = "sans-serif"];'
    groups: dict[str, list[Address]] = {}
    for address in sorted(resources):
        parts = parse_address(address)
        groups.setdefault(f"{parts.site}/{parts.service}", []).append(address)
    for number, (name, members) in enumerate(groups.items()):
        yield f"  subgraph cluster_{number} {{"
        yield f"    label = {json.dumps(name)};"
        for address in members:
            parts = parse_address(address)
            place = parts.subject.removeprefix(f"{name}/")
            label = f"{place}\n{parts.kind}" + (f" {parts.name}" if parts.name else "")
            yield f"    {json.dumps(address)} [label = {json.dumps(label)}];"
        yield "  }"
    for address in sorted(resources):
        for needed in resources[address].requires:
            yield f"  {json.dumps(address)} -> {json.dumps(needed)};"
    yield "}"

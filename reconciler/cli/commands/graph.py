"""`reconciler graph`: the fabric of each site and what goes over it, then resources and what they require."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.chart import Chart, chart_dot, chart_lines, make_chart
from reconciler.chart_svg import chart_svg
from reconciler.choice import Choice
from reconciler.cli.exits import Exit
from reconciler.cli.opening import choice_of, chosen_sites, place_of
from reconciler.cli.parser import Options
from reconciler.cli.terminal import Screen
from reconciler.desire import Wish, desire
from reconciler.graph import graph_dot, graph_lines
from reconciler.lines import Line, line
from reconciler.look import Ground
from reconciler.plan_document import Document
from reconciler.project import opened
from specs.errors import ReconcilerError
from specs.model import Address, Resource, parse_address


def run(options: Options, screen: Screen) -> Exit:
    """Work out what the specs want of each site; the world is not looked at."""
    choice = choice_of(options)
    with opened(place_of(options)) as project:
        ground = project.ground(project.read())
        wanted = {site: _wanted(ground, site, choice) for site in chosen_sites(ground, choice)}
    sites = ground.catalogue.sites
    charts = [make_chart(sites[name], found) for name, found in wanted.items() if sites[name].links]
    resources = {address: resource for found in wanted.values() for address, resource in found.items()}
    if options.json:
        nodes = [{"address": address, "requires": list(resources[address].requires)} for address in sorted(resources)]
        fabrics = list(map(_document, charts))
        screen.document({"commit": ground.catalogue.commit, "resources": nodes, "fabrics": fabrics})
    elif options.svg:
        screen.show(chart_svg(_only(charts)))
    elif options.dot:
        screen.show(graph_dot(resources) if not options.fabric else (text for c in charts for text in chart_dot(c)))
    else:
        screen.show(_lines(charts, {} if options.fabric else resources))
    return Exit.DONE


def _wanted(ground: Ground, name: str, choice: Choice) -> dict[Address, Resource]:
    site = ground.catalogue.sites[name]
    wish = Wish(
        commit=ground.catalogue.commit,
        site=site,
        services=ground.catalogue.services_on(name),
        providers=ground.connections.of(site),
        alerts=ground.catalogue.alerts,
    )
    found = desire(wish, lambda secret: secret).resources
    return {a: r for a, r in found.items() if not choice.services or parse_address(a).service in choice.services}


def _only(charts: list[Chart]) -> Chart:
    if len(charts) != 1:
        names = ", ".join(chart.site.name for chart in charts) or "none"
        raise ReconcilerError(f"a picture shows one site with links, not {names}; choose one with --site")
    return charts[0]


def _lines(charts: list[Chart], resources: Mapping[Address, Resource]) -> Iterator[Line]:
    for chart in charts:
        yield from chart_lines(chart)
        yield line()
    yield from graph_lines(resources)


def _document(chart: Chart) -> Document:
    links = chart.site.links
    return {
        "site": chart.site.name,
        "switches": sorted(chart.site.switches),
        "links": [
            {
                "name": name,
                "source": [links[name].source, links[name].source_port],
                "target": [links[name].target, links[name].target_port],
            }
            for name in sorted(links)
        ],
        "courses": [
            {
                "address": str(course.address),
                "for": course.what,
                "steps": [[step.start, step.link, step.end] for step in chart.steps(course)],
            }
            for course in chart.courses
        ],
    }

"""`reconciler graph`: resources and what they require, as text, DOT or JSON."""

from __future__ import annotations

from reconciler.cli.exits import Exit
from reconciler.cli.opening import choice_of, chosen_sites, place_of
from reconciler.cli.parser import Options
from reconciler.cli.terminal import Screen
from reconciler.desire import Wish, desire
from reconciler.graph import graph_dot, graph_lines
from reconciler.project import opened
from reconciler.turn import Ground
from specs.model import Address, Resource, parse_address


def run(options: Options, screen: Screen) -> Exit:
    """Work out what the specs want of each site; the world is not looked at."""
    choice = choice_of(options)
    resources: dict[Address, Resource] = {}
    with opened(place_of(options)) as project:
        ground = project.ground(project.read())
        for site in chosen_sites(ground, choice):
            resources.update(_wanted(ground, site))
    if choice.services:
        resources = {a: r for a, r in resources.items() if parse_address(a).service in choice.services}
    if options.json:
        nodes = [{"address": address, "requires": list(resources[address].requires)} for address in sorted(resources)]
        screen.document({"commit": ground.catalogue.commit, "resources": nodes})
    elif options.dot:
        screen.show(graph_dot(resources))
    else:
        screen.show(graph_lines(resources))
    return Exit.DONE


def _wanted(ground: Ground, name: str) -> dict[Address, Resource]:
    site = ground.catalogue.sites[name]
    services = ground.catalogue.services_on(name)
    wish = Wish(
        commit=ground.catalogue.commit,
        site=site,
        services=services,
        providers=ground.connections.of(site),
        alerts=ground.catalogue.alerts,
    )
    return dict(desire(wish, lambda secret: secret).resources)

"""`reconciler suspend` and `resume`: make the loop leave sites, or services of them, alone for a while."""

from __future__ import annotations

from itertools import product

from reconciler.cli.exits import Exit
from reconciler.cli.opening import choice_of, place_of
from reconciler.cli.parser import Options
from reconciler.cli.terminal import Screen
from reconciler.project import Project, opened
from reconciler.records import read_records
from specs.errors import SettingsError
from state.process import this_process
from state.store import Suspension


def run(options: Options, screen: Screen) -> Exit:
    """Begin or end suspensions of whole sites, or of services on them."""
    with opened(place_of(options)) as project:
        pairs = list(product(_sites(options, project), options.services or [""]))
        if options.command == "suspend":
            changed = [_suspend(project, site, service, options.reason) for site, service in pairs]
        else:
            changed = [pair for pair in pairs if project.store.resume(*pair)]
    for site, service in pairs:
        what = f"{service} on {site}" if service else site
        if options.command == "suspend":
            screen.note(f"{what} is suspended: the loop leaves it alone until: reconciler resume")
        else:
            screen.note(f"{what} goes on" if (site, service) in changed else f"{what} was not suspended")
    if options.json:
        done = "suspended" if options.command == "suspend" else "resumed"
        screen.document({done: [{"site": site, "service": service} for site, service in changed]})
    return Exit.DONE


def _sites(options: Options, project: Project) -> tuple[str, ...]:
    """Give the sites that were named, or all; those the records know count, because specs may be broken or gone."""
    choice = choice_of(options)
    catalogue = project.read().catalogue
    records = read_records(project.store)
    recorded = {run.site for run in records.runs} | {suspension.site for suspension in records.suspensions}
    sites = choice.choose_sites(catalogue.sites.keys() | recorded)
    services = {service.name for site in sites for service in catalogue.services_on(site)}
    choice.check_services(services | {one.service for one in records.suspensions if one.service})
    if not sites:
        raise SettingsError("there is no site in this commit; nothing to suspend")
    return sites


def _suspend(project: Project, site: str, service: str, reason: str) -> tuple[str, str]:
    now = project.clock()
    owner = this_process(site, now).owner
    project.store.suspend(Suspension(site=site, service=service, reason=reason, owner=owner, since=now))
    return site, service

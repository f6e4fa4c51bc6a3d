"""`reconciler plan`: show what apply would do, and why."""

from __future__ import annotations

import time
from pathlib import Path

from msgspec.structs import replace

from reconciler.cli.answers import question
from reconciler.cli.exits import Exit, worst
from reconciler.cli.guard import exit_of, say
from reconciler.cli.opening import choice_of, chosen_sites, place_of
from reconciler.cli.parser import Options
from reconciler.cli.show_plan import show_plans, warn_of
from reconciler.cli.terminal import Screen
from reconciler.plan_file import PlanFile, write_plan_file
from reconciler.plan_view import with_attributes
from reconciler.planning import Planned, document_of, left_behind, plan_site
from reconciler.project import opened
from specs.errors import ReconcilerError


def run(options: Options, screen: Screen) -> Exit:
    """Plan every site that was asked for; a site that cannot be planned does not stop the others."""
    began, said = time.time(), screen.listen()
    choice = choice_of(options)
    planned: list[Planned] = []
    failed: dict[str, ReconcilerError] = {}
    with opened(place_of(options)) as project:
        ground = project.ground(project.read())
        for site in chosen_sites(ground, choice):
            try:
                planned.append(plan_site(ground, site, choice))
            except ReconcilerError as error:
                failed[site] = error
        if options.json:
            screen.document(document_of(ground, planned, failed))
        elif planned or not failed:
            show_plans(map(_detailed, planned) if options.verbose else planned, screen)
        warn_of(left_behind(ground, choice), screen)
        for site, fault in failed.items():
            say(fault, screen, site)
        if failed:
            return worst(map(exit_of, failed.values()))
        if options.out:
            sites = tuple(item.site for item in planned)
            document = document_of(ground, planned)
            write_plan_file(Path(options.out), PlanFile(document=document, choice=choice, sites=sites))
            screen.note(f"written to {options.out}; do it with: reconciler apply {options.out}")
        sources = project.sources(item.look for item in planned)
    if sources is not None and (asked := question(options)) is not None:
        asked.keep(sources, began, said, _exit(options, planned))
    return _exit(options, planned)


def _detailed(planned: Planned) -> Planned:
    return replace(planned, view=with_attributes(planned.view))


def _exit(options: Options, planned: list[Planned]) -> Exit:
    if not options.detailed_exitcode:
        return Exit.DONE
    if any(item.view.drift if options.refresh_only else item.plan.changes_world for item in planned):
        return Exit.DIFFERENT
    return Exit.FAILED if any(item.view.unseen for item in planned) else Exit.DONE

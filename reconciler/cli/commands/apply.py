"""`reconciler apply`: make the world as the specs say, after asking, or do what a plan file says."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from reconciler.choice import Choice
from reconciler.cli.exits import Exit, worst
from reconciler.cli.guard import exit_of, say
from reconciler.cli.interrupt import Interrupt
from reconciler.cli.opening import choice_of, chosen_sites, place_of
from reconciler.cli.parser import Options
from reconciler.cli.progress import progress
from reconciler.cli.show_plan import show_plans, warn_of
from reconciler.cli.show_report import report_document, report_lines
from reconciler.cli.terminal import Screen
from reconciler.look import Ground
from reconciler.plan import PlanError, StalePlanError
from reconciler.plan_document import Document, moved
from reconciler.plan_file import read_plan_file
from reconciler.planning import Planned, document_of, left_behind, plan_site
from reconciler.progress import Report
from reconciler.project import Place, Project, opened
from reconciler.trust import check_trust
from reconciler.turn import carry_out, working_on
from specs.errors import ReconcilerError, SettingsError, Severity


class _Task(Struct, frozen=True, kw_only=True):
    """What is to be applied, and what was agreed to."""

    ground: Ground
    choice: Choice
    sites: tuple[str, ...]
    agreed: Document | None = None
    """The plan that was shown, or written to a file; without one, whatever the world calls for is done."""


class _Result(Struct, frozen=True, kw_only=True):
    """How it went on one site."""

    site: str
    exit: Exit
    planned: Planned | None = None
    report: Report | None = None
    error: str = ""


def run(options: Options, screen: Screen) -> Exit:
    """Apply what was asked for, site after site; a site that fails does not stop the others."""
    with opened(_place_of(options)) as project:
        task = _from_file(options, project) if options.plan_file else _from_specs(options, project, screen)
        if task is None:
            screen.note("nothing was changed")
            return Exit.FAILED
        results = _all(task, screen, quiet=options.json)
        if options.json:
            screen.document(_document(task, results))
        return worst(result.exit for result in results)


def _place_of(options: Options) -> Place:
    if not options.plan_file:
        return place_of(options)
    if options.revision or options.sites or options.services or options.target or options.exclude:
        raise SettingsError(
            "a plan file says itself what it is for; leave out --revision, --site, --service and targets"
        )
    return place_of(options)


# --- what to do ------------------------------------------------------------------------------------


def _from_specs(options: Options, project: Project, screen: Screen) -> _Task | None:
    """Plan, show and ask; nothing if the answer is no."""
    if not options.auto_approve and (options.json or not sys.stdin.isatty()):
        raise SettingsError("apply asks before it changes anything, and nobody is here to ask; give --auto-approve")
    choice = choice_of(options)
    ground = _ground(project, options)
    task = _Task(ground=ground, choice=choice, sites=chosen_sites(ground, choice))
    warn_of(left_behind(ground, choice), screen)
    if options.auto_approve:
        return task
    planned = [plan_site(ground, site, choice) for site in task.sites]
    show_plans(planned, screen)
    for item in planned:
        if item.plan.tripped:
            raise PlanError(item.plan.tripped)
    changes = any(item.plan.changes_world for item in planned)
    if changes and screen.ask("Do this? Only 'yes' is taken for yes:") != "yes":
        return None
    return replace(task, agreed=document_of(ground, planned))


def _from_file(options: Options, project: Project) -> _Task:
    """Take the plan from a file; `StalePlanError` if the branch has moved on."""
    plan = read_plan_file(Path(options.plan_file))
    now = project.tree().commit
    if now != plan.commit:
        raise StalePlanError(f"the plan was made from {plan.commit[:12]}, and the branch is at {now[:12]}; plan again")
    choice = replace(plan.choice, allow_mass_change=plan.choice.allow_mass_change or options.allow_mass_change)
    return _Task(ground=_ground(project, options), choice=choice, sites=plan.sites, agreed=plan.document)


def _ground(project: Project, options: Options) -> Ground:
    reading = project.read()
    ground = project.ground(reading)
    check_trust(project.place, reading, lambda: project.repository)
    if not options.parallelism:
        return ground
    settings = ground.settings
    sites = {name: replace(own, parallelism=options.parallelism) for name, own in settings.sites.items()}
    defaults = replace(settings.defaults, parallelism=options.parallelism)
    return replace(ground, settings=replace(settings, sites=sites, defaults=defaults))


# --- doing it --------------------------------------------------------------------------------------


def _all(task: _Task, screen: Screen, *, quiet: bool) -> list[_Result]:
    results = []
    with Interrupt() as interrupt:
        for site in task.sites:
            if interrupt.reason():
                results.append(_Result(site=site, exit=interrupt.exit, error=f"not begun: {interrupt.reason()}"))
                screen.error(f"{site}: {results[-1].error}")
                continue
            results.append(_one(task, site, screen, interrupt, quiet=quiet))
    return results


def _one(task: _Task, site: str, screen: Screen, interrupt: Interrupt, *, quiet: bool) -> _Result:
    try:
        with working_on(task.ground, site):
            planned = plan_site(task.ground, site, task.choice)
            if task.agreed is None and not quiet:
                show_plans([planned], screen)
            _check(task, planned)
            return _carry_out(task, planned, screen, interrupt, quiet=quiet)
    except ReconcilerError as error:
        say(error, screen, site)
        return _Result(site=site, exit=exit_of(error), error=str(error))


def _check(task: _Task, planned: Planned) -> None:
    if task.agreed is None:
        return
    differences = moved(task.agreed, document_of(task.ground, [planned]), planned.site)
    if differences:
        raise StalePlanError(
            f"{planned.site} has moved since the plan was made; plan again:\n" + "\n".join(differences)
        )


def _carry_out(task: _Task, planned: Planned, screen: Screen, interrupt: Interrupt, *, quiet: bool) -> _Result:
    blocked = any(finding.severity is Severity.ERROR for finding in planned.view.findings)
    ended = Exit.FAILED if blocked or planned.view.unseen else Exit.DONE
    if not planned.plan.operations and not planned.plan.tripped:
        return _Result(site=planned.site, exit=ended, planned=planned)
    with progress(planned.plan, screen) as listen:
        report = carry_out(
            task.ground, planned.look, planned.plan, "apply", listen=listen, interrupted=interrupt.reason
        )
    if not quiet:
        screen.show(report_lines(report))
    if not report.succeeded:
        ended = interrupt.exit if report.interrupted else Exit.FAILED
    return _Result(site=planned.site, exit=ended, planned=planned, report=report)


def _document(task: _Task, results: Iterable[_Result]) -> Document:
    results = tuple(results)
    return {
        "commit": task.ground.catalogue.commit,
        "plan": document_of(task.ground, [result.planned for result in results if result.planned]),
        "sites": [
            {
                "site": result.site,
                "exit_code": int(result.exit),
                "error": result.error,
                **(report_document(result.report) if result.report else {}),
            }
            for result in results
        ],
    }

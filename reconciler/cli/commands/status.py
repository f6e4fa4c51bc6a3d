"""`reconciler status`: sites and services, whether they are in sync and how they do."""

from __future__ import annotations

from collections.abc import Iterator

from providers.base import Health
from reconciler.choice import Choice
from reconciler.cli.exits import Exit
from reconciler.cli.opening import choice_of, chosen_sites, place_of
from reconciler.cli.parser import Options
from reconciler.cli.show_run import run_document, run_text
from reconciler.cli.terminal import Screen
from reconciler.lines import Line, Span, Style, count, line, table
from reconciler.look import Ground, look
from reconciler.plan_document import Document, Json, finding_document
from reconciler.planning import left_behind
from reconciler.project import opened
from reconciler.records import Records, read_records
from reconciler.render_plan import finding_lines
from reconciler.status import SITE, ServiceStatus, SiteStatus, Sync, blind_status, site_status
from specs.errors import ReconcilerError
from state.process import is_gone
from state.store import Lock, Suspension

_SYNC = {Sync.SYNCED: Style.GOOD, Sync.OUT_OF_SYNC: Style.WARN, Sync.UNKNOWN: Style.BAD}
_MOST_REASONS = 5


def run(options: Options, screen: Screen) -> Exit:
    """Look at every site that was asked for; a site that cannot be looked at is shown as unknown."""
    choice = choice_of(options)
    with opened(place_of(options)) as project:
        ground = project.ground(project.read())
        records = read_records(project.store)
        found = [_status(ground, site, choice, records) for site in chosen_sites(ground, choice)]
        gone = left_behind(ground, choice).items()
        found += [blind_status(site, ground.catalogue.commit, problem, records) for site, problem in gone]
    well = all(status.is_well for status in found)
    if options.json:
        screen.document({"commit": ground.catalogue.commit, "well": well, "sites": [*map(_document, found)]})
    else:
        for number, status in enumerate(found):
            screen.show([line()] * bool(number))
            screen.show(_lines(status))
    return Exit.DONE if well else Exit.DIFFERENT


def _status(ground: Ground, site: str, choice: Choice, records: Records) -> SiteStatus:
    try:
        seen = look(ground, site)
    except ReconcilerError as error:
        return blind_status(site, ground.catalogue.commit, str(error), records)
    services = [service.name for service in ground.catalogue.services_on(site)]
    findings = [finding for name in sorted(seen.findings) for finding in seen.findings[name]]
    status = site_status(
        seen.desired, services, seen.comparison.differences, seen.comparison.present, records, findings
    )
    if not choice.services:
        return status
    return status.with_services(tuple(item for item in status.services if item.name in choice.services))


# --- text ------------------------------------------------------------------------------------------


def _lines(status: SiteStatus) -> Iterator[Line]:
    yield line(
        Span(status.name, Style.STRONG),
        "  ",
        _sync(status.sync),
        "  ",
        _health(status.health),
        f"  at {status.commit[:12]}",
    )
    for run in status.records.runs[:1]:
        yield line(f"  last run: {run_text(run)}, at {run.commit[:12]}")
    for lock in status.records.locks:
        yield line("  ", Span(_lock_text(lock), Style.WARN))
    for suspension in status.records.suspensions:
        yield line("  ", Span(_suspension_text(suspension), Style.WARN))
    for problem in status.problem.splitlines():
        yield line("  ", Span(problem, Style.BAD))
    yield from table([_row(service) for service in status.services])
    for service in status.services:
        yield from (line("    ", Span(reason, Style.QUIET)) for reason in service.reasons[:_MOST_REASONS])
        if (more := len(service.reasons) - _MOST_REASONS) > 0:
            yield line(Span(f"    and {more} more of {service.name}", Style.QUIET))
    yield from finding_lines(status.findings)


def _row(service: ServiceStatus) -> tuple[str | Span, ...]:
    name = "(the site itself)" if service.name == SITE else service.name
    different = f", {service.different} not as in git" if service.different else ""
    return (
        f"  {name}",
        _sync(service.sync),
        _health(service.health),
        f"{count(service.resources, 'resource')}{different}",
    )


def _sync(sync: Sync) -> Span:
    return Span(str(sync), _SYNC[sync])


def _health(health: Health) -> Span:
    style = {Health.HEALTHY: Style.GOOD, Health.SUSPENDED: Style.QUIET, Health.PROGRESSING: Style.WARN}
    return Span(str(health), style.get(health, Style.BAD))


def _lock_text(lock: Lock) -> str:
    said = f"locked by {lock.owner}, process {lock.pid}, since {lock.since:%Y-%m-%d %H:%M:%S} UTC"
    return f"{said}; that process is gone, and the next apply takes over" if is_gone(lock) else said


def _suspension_text(suspension: Suspension) -> str:
    what = f"{suspension.service} suspended" if suspension.service else "suspended"
    why = f": {suspension.reason}" if suspension.reason else ""
    return f"{what} by {suspension.owner} since {suspension.since:%Y-%m-%d %H:%M:%S} UTC{why}"


# --- JSON ------------------------------------------------------------------------------------------


def _document(status: SiteStatus) -> Document:
    records = status.records
    return {
        "name": status.name,
        "commit": status.commit,
        "sync": str(status.sync),
        "health": str(status.health),
        "problem": status.problem,
        "services": [_service(service) for service in status.services],
        "findings": [finding_document(finding) for finding in status.findings],
        "last_run": run_document(records.runs[0]) if records.runs else None,
        "suspension": _suspension(records.suspension(status.name)),
        "lock": _lock(records),
    }


def _service(service: ServiceStatus) -> Document:
    return {
        "name": service.name,
        "sync": str(service.sync),
        "health": str(service.health),
        "resources": service.resources,
        "different": service.different,
        "reasons": list(service.reasons),
        "suspension": _suspension(service.suspension),
    }


def _suspension(suspension: Suspension | None) -> Json:
    if suspension is None:
        return None
    return {"owner": suspension.owner, "since": suspension.since.isoformat(), "reason": suspension.reason}


def _lock(records: Records) -> Json:
    for lock in records.locks:
        return {
            "owner": lock.owner,
            "host": lock.host,
            "pid": lock.pid,
            "since": lock.since.isoformat(),
            "gone": is_gone(lock),
        }
    return None

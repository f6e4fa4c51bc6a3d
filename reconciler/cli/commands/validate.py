"""`reconciler validate`: every fault of every document, and of what the documents want of each site together."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.cli.exits import Exit
from reconciler.cli.guard import diagnostic_line
from reconciler.cli.opening import place_of
from reconciler.cli.parser import Options
from reconciler.cli.terminal import Screen
from reconciler.desire import DesireError, Wish, desire
from reconciler.lines import Line, Span, Style, count, line
from reconciler.plan_document import Document
from reconciler.project import Project, Reading, opened
from specs.errors import ReconcilerError, Severity


def run(options: Options, screen: Screen) -> Exit:
    """Check the documents; only where they are valid, also what they come to on each site."""
    with opened(place_of(options)) as project:
        reading = project.read()
        faults = list(_faults_of_sites(project, reading)) if reading.is_valid else []
    valid = reading.is_valid and not faults
    if options.json:
        screen.document(_document(reading, faults, valid=valid))
    else:
        screen.show(map(diagnostic_line, reading.diagnostics))
        screen.show(line(Span("error: ", Style.BAD), f"{site}: {message}") for site, message in faults)
        screen.show([_summary(reading, faults, valid=valid)])
    return Exit.DONE if valid else Exit.INVALID


def _faults_of_sites(project: Project, reading: Reading) -> Iterator[tuple[str, str]]:
    """Put every service on its sites and link it, without a look at the world."""
    catalogue = reading.catalogue
    for name, site in catalogue.sites.items():
        try:
            providers = project.connections.of(site)
            wish = Wish(
                commit=catalogue.commit,
                site=site,
                services=catalogue.services_on(name),
                providers=providers,
                alerts=catalogue.alerts,
            )
            desire(wish, lambda secret: secret)  # whether secrets are there is the operator's business, not the spec's
        except DesireError as error:
            yield from ((name, fault) for fault in error.faults)
        except ReconcilerError as error:
            yield name, str(error)


def _summary(reading: Reading, faults: list[tuple[str, str]], *, valid: bool) -> Line:
    catalogue = reading.catalogue
    found = f"{count(len(catalogue.sites), 'site')}, {count(len(_services(reading)), 'service')}"
    errors = _count(reading, Severity.ERROR) + len(faults)
    remarks = _count(reading, Severity.WARNING, Severity.HINT)
    numbers = [f"{found} at {catalogue.commit[:12]}"]
    numbers += [count(errors, "fault")] * bool(errors) + [count(remarks, "remark")] * bool(remarks)
    head = Span("Valid:", Style.GOOD) if valid else Span("Invalid:", Style.BAD)
    return line(head, f" {', '.join(numbers)}.")


def _services(reading: Reading) -> list[str]:
    return sorted({service for on_site in reading.catalogue.services.values() for service in on_site})


def _count(reading: Reading, *severities: Severity) -> int:
    return sum(diagnostic.severity in severities for diagnostic in reading.diagnostics)


def _document(reading: Reading, faults: list[tuple[str, str]], *, valid: bool) -> Document:
    diagnostics: list[Document] = [
        {
            "file": diagnostic.file,
            "line": diagnostic.line,
            "column": diagnostic.column,
            "severity": str(diagnostic.severity),
            "code": diagnostic.code,
            "message": diagnostic.message,
        }
        for diagnostic in reading.diagnostics
    ]
    return {
        "valid": valid,
        "commit": reading.commit,
        "sites": sorted(reading.catalogue.sites),
        "services": _services(reading),
        "error_count": _count(reading, Severity.ERROR) + len(faults),
        "warning_count": _count(reading, Severity.WARNING),
        "diagnostics": diagnostics,
        "site_faults": [{"site": site, "message": message} for site, message in faults],
    }

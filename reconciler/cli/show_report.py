"""What an apply did, in a few lines or as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from reconciler.lines import Line, Span, Style, line
from reconciler.order import Verb
from reconciler.plan_document import Document
from reconciler.progress import Report
from state.store import Outcome


def report_lines(report: Report) -> Iterator[Line]:
    """Sum a report up; failures come again here, because their lines may have scrolled away."""
    failures = [result for result in report.finished if result.outcome is Outcome.FAILED]
    for result in failures:
        yield line("  ", Span(f"{result.operation.verb} {result.operation.step.address}: ", Style.BAD), result.message)
    done = Counter(result.operation.verb for result in report.finished if result.outcome is Outcome.DONE)
    head = Span(f"{report.site}: applied.", Style.GOOD)
    if not report.succeeded:
        head = Span(f"{report.site}: {'interrupted' if report.interrupted else 'failed'}.", Style.BAD)
    said = f" {done[Verb.CREATE]} added, {done[Verb.UPDATE]} changed, {done[Verb.DELETE]} destroyed"
    if adopted := done[Verb.ADOPT]:
        said += f", {adopted} recognised"
    if not report.succeeded:
        said += f"; {len(failures)} failed, {report.count(Outcome.CANCELLED)} not done"
    yield line(head, f"{said}.")


def report_document(report: Report) -> Document:
    """Give a report as JSON."""
    return {
        "run": report.run,
        "interrupted": report.interrupted,
        "operations": [
            {
                "address": str(result.operation.step.address),
                "action": str(result.operation.verb),
                "outcome": str(result.outcome),
                "message": result.message,
                "seconds": round(result.seconds, 3),
            }
            for result in report.finished
        ],
    }

"""`reconciler history`: commits, and the runs that applied them."""

from __future__ import annotations

from reconciler.cli.exits import Exit
from reconciler.cli.opening import place_of
from reconciler.cli.parser import Options
from reconciler.cli.show_run import run_document, run_text
from reconciler.cli.terminal import Screen
from reconciler.lines import Span, Style, line
from reconciler.plan_document import Document
from reconciler.project import opened
from specs.repository import Commit
from state.store import Outcome, Run

_RUNS = 1000
"""Runs that are looked at, over all sites."""
_STYLES = {Outcome.DONE: Style.GOOD, Outcome.FAILED: Style.BAD, Outcome.OPEN: Style.READ}


def run(options: Options, screen: Screen) -> Exit:
    """Show the latest commits of the branch, the newest first, each with its runs."""
    with opened(place_of(options)) as project:
        commits = project.repository.history(options.limit)
        runs = [one for one in project.store.runs(limit=_RUNS) if not options.sites or one.site in options.sites]
    by_commit: dict[str, list[Run]] = {}
    for one in runs:
        by_commit.setdefault(one.commit, []).append(one)
    if options.json:
        screen.document({"commits": [_document(commit, by_commit.get(commit.id, [])) for commit in commits]})
        return Exit.DONE
    for commit in commits:
        screen.show(
            [
                line(
                    Span(commit.id[:12], Style.CHANGE),
                    f"  {commit.when:%Y-%m-%d %H:%M:%S} UTC  {commit.author}: {commit.subject}",
                )
            ]
        )
        for one in by_commit.get(commit.id, ()):
            screen.show([line("    ", Span(f"{one.site}: {run_text(one)}", _STYLES.get(one.outcome, Style.WARN)))])
    return Exit.DONE


def _document(commit: Commit, runs: list[Run]) -> Document:
    return {
        "id": commit.id,
        "author": commit.author,
        "email": commit.email,
        "when": commit.when.isoformat(),
        "subject": commit.subject,
        "runs": [run_document(one) for one in runs],
    }

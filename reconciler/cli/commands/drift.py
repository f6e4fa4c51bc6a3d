"""`reconciler drift`: what the world changed. Writes nothing anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec.structs import replace

from providers.base import Foreign
from reconciler.cli.exits import Exit, worst
from reconciler.cli.guard import exit_of, say
from reconciler.cli.opening import choice_of, chosen_sites, place_of
from reconciler.cli.parser import Options
from reconciler.cli.show_plan import show_site, warn_of
from reconciler.cli.terminal import Screen
from reconciler.lines import Line, Span, Style, count, line
from reconciler.plan_document import Document
from reconciler.planning import Planned, document_of, left_behind, plan_site
from reconciler.project import opened
from specs.errors import ReconcilerError


def run(options: Options, screen: Screen) -> Exit:
    """Look at every site that was asked for; what cannot be seen is an error, not drift."""
    choice = replace(choice_of(options), refresh_only=True)
    planned: list[Planned] = []
    failed: dict[str, ReconcilerError] = {}
    with opened(place_of(options), writing=False) as project:
        ground = project.ground(project.read())
        for site in chosen_sites(ground, choice):
            try:
                planned.append(plan_site(ground, site, choice, unmanaged=True))
            except ReconcilerError as error:
                failed[site] = error
        if options.json:
            screen.document(_document(document_of(ground, planned, failed), planned))
        else:
            _show(planned, screen)
        warn_of(left_behind(ground, choice), screen)
        for site, fault in failed.items():
            say(fault, screen, site)
    return _exit(planned, failed)


def _exit(planned: Iterable[Planned], failed: Mapping[str, ReconcilerError]) -> Exit:
    views = [item.view for item in planned]
    if any(view.drift for view in views):
        return Exit.DIFFERENT
    if failed:
        return worst(map(exit_of, failed.values()))
    return Exit.FAILED if any(view.unseen for view in views) else Exit.DONE


def _show(planned: Iterable[Planned], screen: Screen) -> None:
    drifted = unseen = 0
    for item in planned:
        show_site(replace(item.view, steps=()), screen)
        screen.show(_not_ours(item))
        drifted += len(item.view.drift)
        unseen += len(item.view.unseen)
    head = Span("Drift:", Style.WARN) if drifted else Span("No drift.", Style.GOOD)
    said = f" {count(drifted, 'resource')} moved." if drifted else ""
    screen.show([line(head, said, f" {count(unseen, 'resource')} could not be seen." if unseen else "")])


def _not_ours(item: Planned) -> Iterator[Line]:
    found = _foreign(item)
    if found:
        yield line("Not ours, and left alone:")
        yield line()
        yield from (line(Span(f"    {one.kind} {one.provider_id}  {one.name}", Style.QUIET)) for one in found)
        yield line()


def _foreign(item: Planned) -> list[Foreign]:
    return [foreign for snapshot in item.look.seen.snapshots.values() for foreign in snapshot.foreign]


def _document(document: Document, planned: Iterable[Planned]) -> Document:
    kept: Document = {key: document[key] for key in ("commit", "created_at", "resource_drift", "unseen", "errors")}
    kept["unmanaged"] = [
        {"site": item.site, "kind": one.kind, "id": one.provider_id, "name": one.name}
        for item in planned
        for one in _foreign(item)
    ]
    return kept

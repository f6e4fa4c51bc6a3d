"""Prints plans on the screen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from reconciler.cli.terminal import Screen
from reconciler.difference import Nothing
from reconciler.lines import Span, Style, line
from reconciler.plan_view import PlanView
from reconciler.planning import Planned
from reconciler.render_plan import render, summary
from reconciler.shown import Shown


def show_plans(planned: Iterable[Planned], screen: Screen) -> None:
    """Print the plans of some sites and what they come to together."""
    views = [item.view for item in planned]
    for view in views:
        show_site(view, screen)
    screen.show([summary(views)])


def show_site(view: PlanView, screen: Screen) -> None:
    """Print the plan of one site."""
    screen.show(render(view, _details))


def warn_of(problems: Mapping[str, str], screen: Screen) -> None:
    """Print what is wrong with sites that have no plan."""
    for site, problem in problems.items():
        screen.note(line(Span("warning: ", Style.WARN), f"{site}: {problem}"))


def _details(before: Shown, after: Shown) -> Sequence[tuple[str, Shown | Nothing, Shown | Nothing]]:
    # Here and not above: deepdiff takes long to import, and few plans change a nested value.
    from reconciler.explain import explain

    return [(detail.path, detail.before, detail.after) for detail in explain(before, after)]

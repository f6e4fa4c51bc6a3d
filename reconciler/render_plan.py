"""Writes a plan for people: Terraform's signs, what changes and who moved it, and the one line at the end. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from providers.base import Finding
from reconciler.difference import Nothing, Origin, Unseen
from reconciler.lines import Line, Span, Style, count, line
from reconciler.plan_view import DriftView, HeldView, PlanView, PropertyView, StepView
from reconciler.shown import Marker, Shown
from reconciler.step import Action, Step
from specs.errors import Severity

NOT_TARGETED = "it is not targeted"
"""Why `holds` keeps what nobody asked for; such steps are counted, not listed."""

_LONGEST = 200
"""Characters of a value that are shown."""
_STYLES = {
    Action.CREATE: Style.ADD,
    Action.UPDATE: Style.CHANGE,
    Action.REPLACE: Style.CHANGE,
    Action.DELETE: Style.DESTROY,
    Action.ADOPT: Style.READ,
    Action.FORGET: Style.QUIET,
}
_MOVERS = {
    Origin.PENDING: "the spec changed it",
    Origin.DRIFT: "the world changed it",
    Origin.CONFLICT: "the spec and the world both changed it",
    Origin.FOLLOWS: "what it refers to changes",
}
_SEVERITIES = {Severity.ERROR: Style.BAD, Severity.WARNING: Style.WARN, Severity.HINT: Style.QUIET}

Explain = Callable[[Shown, Shown], Sequence[tuple[str, "Shown | Nothing", "Shown | Nothing"]]]
"""Takes a nested value apart; see `reconciler.explain`, which is slow to import."""


def sign(step: Step) -> str:
    """Give Terraform's sign for a step."""
    match step.action:
        case Action.REPLACE:
            return "+/-" if step.create_before_delete else "-/+"
        case Action.CREATE:
            return "+"
        case Action.UPDATE:
            return "~"
        case Action.DELETE:
            return "-"
        case Action.ADOPT:
            return "<="
    return "."


def render(view: PlanView, explain: Explain) -> Iterator[Line]:
    """Write everything about one site but the summary."""
    yield line(Span(f"{view.site} at {view.commit[:12]}", Style.STRONG))
    yield from _section("The world has moved since the last apply:", _drift(view.drift, explain))
    yield from _section("What apply will do:", _steps(view, explain))
    yield from _section("Held back:", _held(view.held))
    yield from _section("Unknown, and left alone:", _unseen(view.unseen))
    yield from _section("Remarks:", finding_lines(view.findings))
    if view.tripped:
        yield line()
        yield line(Span(f"The mass-change breaker stops this plan: {view.tripped}", Style.BAD))
    yield line()


def summary(views: Sequence[PlanView]) -> Line:
    """Write the last line: how much would be added, changed and destroyed on all sites together."""
    add, change, destroy = (sum(numbers) for numbers in zip(*map(totals, views), strict=True)) if views else (0, 0, 0)
    if any(view.changes_world for view in views):
        return line(Span("Plan:", Style.STRONG), f" {add} to add, {change} to change, {destroy} to destroy.")
    held = sum(len(view.held) for view in views)
    unseen = sum(len(view.unseen) for view in views)
    rest = [f"{count(held, 'step')} held back"] * bool(held) + [f"{count(unseen, 'resource')} unknown"] * bool(unseen)
    said = f"{' and '.join(rest)}." if rest else "The world is as the specs say."
    return line(Span("No changes.", Style.GOOD), f" {said[0].upper()}{said[1:]}")


def totals(view: PlanView) -> tuple[int, int, int]:
    """Count what would be added, changed and destroyed; a replacement is added and destroyed."""
    replaced = view.count(Action.REPLACE)
    return (
        view.count(Action.CREATE) + replaced,
        view.count(Action.UPDATE),
        view.count(Action.DELETE) + replaced,
    )


def _section(title: str, lines: Iterable[Line]) -> Iterator[Line]:
    found = list(lines)
    if found:
        yield line()
        yield line(title)
        yield line()
        yield from found


# --- sections --------------------------------------------------------------------------------------


def _drift(drift: Iterable[DriftView], explain: Explain) -> Iterator[Line]:
    for view in drift:
        if view.after is None:
            yield line(Span(f"  - {view.address}", Style.DESTROY), Span("  # it is gone", Style.QUIET))
        else:
            yield line(Span(f"  ~ {view.address}", Style.CHANGE), Span("  # somebody changed it", Style.QUIET))
            yield from _properties(view.changes, explain, movers=False)


def _steps(view: PlanView, explain: Explain) -> Iterator[Line]:
    for step_view in view.steps:
        step = step_view.step
        if step.action in (Action.ADOPT, Action.FORGET):
            continue
        because = _because(step_view)
        head = f"{sign(step):>3} {step.address}"
        yield line(Span(head, _STYLES[step.action]), Span(f"  # {because}", Style.QUIET))
        if step.action is not Action.DELETE:
            yield from _properties(step_view.changes, explain, movers=step.action is not Action.CREATE)
        for name, value in step_view.attributes.items():
            yield line(Span(f"      = {name} = {write(value)}", Style.QUIET))
    yield from _records(view)


def _because(view: StepView) -> str:
    step = view.step
    return f"{step.reason}: {step.lost_with}" if step.lost_with else str(step.reason)


def _records(view: PlanView) -> Iterator[Line]:
    if adopted := view.count(Action.ADOPT):
        yield line(Span(f" <= {count(adopted, 'object')} recognised by their owner marks", Style.READ))
    if forgotten := view.count(Action.FORGET):
        yield line(Span(f"  . {count(forgotten, 'record')} of what is gone will be dropped", Style.QUIET))


def _held(held: Iterable[HeldView]) -> Iterator[Line]:
    untargeted = 0
    for item in held:
        if item.why == NOT_TARGETED:
            untargeted += 1
        else:
            step = item.view.step
            yield line(Span(f"{sign(step):>3} {step.address}"), Span(f"  # {item.why}", Style.QUIET))
    if untargeted:
        yield line(Span(f"    {count(untargeted, 'step')} not asked for", Style.QUIET))


def _unseen(unseen: Iterable[Unseen]) -> Iterator[Line]:
    for item in unseen:
        yield line(Span(f"  ? {item.address}", Style.WARN), Span(f"  # {item.reason}", Style.QUIET))


def finding_lines(findings: Iterable[Finding]) -> Iterator[Line]:
    """Write what providers remark."""
    for finding in findings:
        about = f"{finding.address}: " if finding.address else ""
        yield line("  ", Span(f"{finding.severity}:", _SEVERITIES[finding.severity]), f" {about}{finding.message}")


# --- properties ------------------------------------------------------------------------------------


def _properties(changes: Iterable[PropertyView], explain: Explain, *, movers: bool) -> Iterator[Line]:
    changes = tuple(changes)
    width = max((len(change.name) for change in changes), default=0)
    for change in changes:
        remarks = [_MOVERS[change.origin]] if movers and change.origin else []
        remarks += ["forces replacement"] if change.replaces else []
        remark = Span(f"  # {', '.join(remarks)}" if remarks else "", Style.QUIET)
        match change.before, change.after:
            case Mapping() | list(), Mapping() | list():
                details = explain(change.before, change.after)
                if details:
                    yield line(Span(f"      ~ {change.name}", Style.CHANGE), remark)
                    for path, before, after in details:
                        yield _property(f"    {path}", before, after, Span(""))
                    continue
        yield _property(change.name.ljust(width), change.before, change.after, remark)


def _property(name: str, before: Shown | Nothing, after: Shown | Nothing, remark: Span) -> Line:
    indent = name[: len(name) - len(name.lstrip())]
    name = name.lstrip()
    match before, after:
        case Nothing(), _:
            return line(Span(f"      {indent}+ {name} = {write(after)}", Style.ADD), remark)
        case _, Nothing():
            return line(Span(f"      {indent}- {name} = {write(before)}", Style.DESTROY), remark)
    return line(Span(f"      {indent}~ {name} = {write(before)} -> {write(after)}", Style.CHANGE), remark)


def write(value: Shown | Nothing) -> str:
    """Write a value as in a spec in flow style: text in quotes, markers without."""
    text = _written(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text):,} characters)"


def _written(value: Shown | Nothing) -> str:
    match value:
        case Marker():
            return value.value
        case Nothing():
            return "(nothing)"
        case Mapping():
            return "{" + ", ".join(f"{key}: {_written(item)}" for key, item in value.items()) + "}"
        case str():
            return json.dumps(value, ensure_ascii=False)
        case Sequence():
            return "[" + ", ".join(map(_written, value)) + "]"
    return json.dumps(value)

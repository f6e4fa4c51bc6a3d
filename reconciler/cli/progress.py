"""Shows how an apply goes on: a bar on a terminal, a line for each event everywhere else; always on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from reconciler.cli.terminal import Screen
from reconciler.lines import Line, Span, Style, line
from reconciler.order import Verb
from reconciler.plan import Plan
from reconciler.progress import Finished, Listener, Progress, Retrying, Settling, Started
from state.store import Outcome

_DOING = {
    Verb.CREATE: "creating",
    Verb.UPDATE: "changing",
    Verb.DELETE: "deleting",
    Verb.ADOPT: "adopting",
    Verb.FORGET: "forgetting",
}
_QUIET = (Verb.ADOPT, Verb.FORGET)
"""What only writes records: there may be thousands, and nobody waits."""


@contextmanager
def progress(plan: Plan, screen: Screen) -> Iterator[Listener]:
    """Give what listens to an apply of this plan."""
    if not screen.lively:
        yield lambda event: _tell(event, screen)
        return
    # Here and not above: rich takes long to import and is of use on terminals only.
    from reconciler.cli.bar import Bar

    with Bar(screen, sum(operation.verb not in _QUIET for operation in plan.operations)) as bar:

        def listen(event: Progress) -> None:
            if event.operation.verb in _QUIET:
                return
            match event:
                case Started():
                    bar.start(f"{_DOING[event.operation.verb]} {event.operation.step.address}")
                case Finished():
                    bar.end(f"{_DOING[event.operation.verb]} {event.operation.step.address}")
            if not isinstance(event, Settling) and (said := describe(event)) is not None:
                bar.say(said)

        yield listen


def _tell(event: Progress, screen: Screen) -> None:
    said = describe(event)
    if said is not None and event.operation.verb not in _QUIET:
        screen.note(said)


def describe(event: Progress) -> Line | None:
    """Put an event into words; nothing for one that needs none."""
    what = event.operation.step.address
    doing = _DOING[event.operation.verb]
    match event:
        case Started():
            return None
        case Retrying(seconds=seconds, why=why):
            return line(f"{doing} {what}: ", Span(f"again in {seconds:.1f} s: {why}", Style.WARN))
        case Settling(why=why):
            return line(f"{doing} {what}: ", Span(f"waiting until it is ready{f': {why}' if why else ''}", Style.QUIET))
        case Finished(outcome=Outcome.DONE, message=message, seconds=seconds):
            remark = f", {message}" if message else ""
            return line(f"{doing} {what}: ", Span("done", Style.GOOD), f" in {seconds:.1f} s{remark}")
        case Finished(outcome=Outcome.FAILED, message=message):
            return line(f"{doing} {what}: ", Span(f"failed: {message}", Style.BAD))
        case Finished(message=message):
            return line(f"{doing} {what}: ", Span(f"not done: {message}", Style.WARN))
    return None

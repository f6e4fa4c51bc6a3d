"""The story `reconciler demo` tells: what is done, why, and what a person would type for it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from reconciler.demo_alerts import ALERTS, Background, last_commit, line, visit, watch
from reconciler.project import STATE_FOLDER
from reconciler.starter import SERVICE, SITE, SPEC, create
from specs.errors import RepositoryError
from specs.repository import Repository

_MARKER = "made-by-demo"
"""Lies in the state folder of what the demo made, and may make anew."""
_SERVER = f"{SITE}/{SERVICE}/storage@dc-1.0:sandpit.server"
_OTHER = f"{SITE}/{SERVICE}/frontend@edge-1.0:sandpit.server"
_PLAN = f"{STATE_FOLDER}/first.plan"
_BEFORE, _AFTER = b"default_instances: 2", b"default_instances: 3"


class Command(Struct, frozen=True, kw_only=True):
    """A command of ours, and the exit code it should end with."""

    arguments: tuple[str, ...]
    expected: int = 0


class Deed(Struct, frozen=True, kw_only=True):
    """Something done otherwise: what a person would type, and what is done in its place; it gives what is printed."""

    typed: str
    act: Callable[[Path], Iterable[str]]


class Chapter(Struct, frozen=True, kw_only=True):
    """A part of the story."""

    title: str
    why: str
    steps: tuple[Command | Deed, ...]


def prepare(folder: Path) -> None:
    """Make room where nothing is, or where an earlier demo was; `RepositoryError` anywhere else."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if folder.is_symlink() or not (folder / STATE_FOLDER / _MARKER).is_file():
        raise RepositoryError(f"{folder} is there already and was not made by the demo; name another folder")
    shutil.rmtree(folder)


@contextmanager
def story(folder: Path) -> Iterator[tuple[Chapter, ...]]:
    """Tell everything, from an empty folder to alerts that change the spec; nothing runs on when the block ends."""
    loop = Background()
    try:
        yield (*_by_hand(folder), *_by_alerts(loop))
    finally:
        loop.stop()


def _by_hand(folder: Path) -> tuple[Chapter, ...]:
    return (
        Chapter(
            title="A repository of specs",
            why="Everything that should run is written down in git: a site with four clusters and three switches,"
            " and a service, a virtual tour of the city. The site is emulated by the sandpit, so nothing can break.",
            steps=(Deed(typed=f"reconciler init {folder}", act=_init), Command(arguments=("validate",))),
        ),
        Chapter(
            title="From specs to a plan",
            why="Nothing exists yet. The plan compares what git wants with what the world shows, and says what would"
            " be done and why. Values like addresses are known only once things exist.",
            steps=(Command(arguments=("plan", "--out", _PLAN)),),
        ),
        Chapter(
            title="From the plan to the world",
            why="apply does what the plan says, several calls at once, and waits until everything is healthy. Had git"
            " or the world moved since the plan was made, it would refuse.",
            steps=(Command(arguments=("apply", _PLAN)), Command(arguments=("status",))),
        ),
        Chapter(
            title="Somebody breaks the world",
            why="The storage's server is deleted and a frontend gets more memory, behind git's back. drift shows it:"
            " what is there is compared with what was applied, so a change of the world is not mixed up with one of"
            " the specs. It only looks (and ends with 2, so that scripts notice).",
            steps=(
                Command(arguments=("sandpit", "delete", _SERVER)),
                Command(arguments=("sandpit", "change", _OTHER, "memory_mb=8000")),
                Command(arguments=("drift",), expected=2),
            ),
        ),
        Chapter(
            title="The world is healed",
            why="Git has not changed, so applying again brings back what it says. Without --auto-approve it would ask.",
            steps=(Command(arguments=("apply", "--auto-approve")), Command(arguments=("drift",))),
        ),
        Chapter(
            title="A change is a commit",
            why="The tour gets a third frontend. One line in the spec, one commit, and the plan shows just that.",
            steps=(
                Deed(
                    typed=f"sed -i 's/{_BEFORE.decode()}/{_AFTER.decode()}/' {SPEC}\n"
                    "$ git commit -am 'Open a third frontend'",
                    act=_change,
                ),
                Command(arguments=("plan",)),
                Command(arguments=("apply", "--auto-approve")),
            ),
        ),
        Chapter(
            title="And back",
            why="A rollback is a commit too: it reverts the last one, and the world follows.",
            steps=(
                Command(arguments=("rollback", "HEAD")),
                Command(arguments=("apply", "--auto-approve")),
                Command(arguments=("status",)),
                Command(arguments=("history",)),
            ),
        ),
    )


def _by_alerts(loop: Background) -> tuple[Chapter, ...]:
    return (
        Chapter(
            title="An alert is a spec too",
            why="Visitors' devices report how many videos they ask for. One more document says what is watched, a"
            " policy of the service what may happen then: many requests on the market square connect the storage in the"
            " cabinet there, few send it back. Alert rules are resources like any others.",
            steps=(
                Deed(
                    typed=f"$EDITOR reconciler.yaml sites/{SITE}.yaml {SPEC} {ALERTS}\n"
                    f"$ git add {ALERTS} && git commit -am 'Send the storage to the crowd'",
                    act=watch,
                ),
                Command(arguments=("plan",)),
                Command(arguments=("apply", "--auto-approve")),
            ),
        ),
        Chapter(
            title="The square fills",
            why="The loop takes over. Four emulated user devices ask for forty videos each; when a window of two"
            " seconds is over, the alert fires. It never touches the world: it changes the spec, in a commit that says"
            " why, and the loop applies that commit like any other.",
            steps=(
                Deed(typed="reconciler run &", act=loop.start),
                Deed(typed=_reports(requests=40), act=visit(requests=40, commits=1)),
                Deed(typed="git log -1 --format=%B", act=last_commit),
                Command(arguments=("alerts",)),
            ),
        ),
        Chapter(
            title="The square empties",
            why="Few requests, another alert, another commit: the cabinet goes back to keeping the image at hand.",
            steps=(
                Deed(typed=_reports(requests=1), act=visit(requests=1, commits=2)),
                Deed(typed="kill %1", act=loop.stop),
                Command(arguments=("status",)),
                Command(arguments=("history",)),
            ),
        ),
    )


def _reports(requests: int) -> str:
    """Write what a person would type to be a device."""
    return f"while sleep 0.25; do reconciler alerts feed '{line(1, requests)}' …; done"


def _init(folder: Path) -> Iterable[str]:
    create(folder)
    (folder / STATE_FOLDER).mkdir(mode=0o700)
    (folder / STATE_FOLDER / _MARKER).write_text("`reconciler demo` may remove this folder and make it anew\n", "utf-8")
    return ()


def _change(folder: Path) -> Iterable[str]:
    repository = Repository.open(str(folder), folder / STATE_FOLDER)
    head = repository.resolve()
    spec = repository.tree(head).read(SPEC).replace(_BEFORE, _AFTER)
    repository.write({SPEC: spec}, "Open a third frontend", repository.author(), onto=head)
    return ()

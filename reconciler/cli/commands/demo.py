"""`reconciler demo [DIR]`: tell the whole story on the sandpit, with the commands a person would type."""

from __future__ import annotations

import shlex
import textwrap
from contextlib import chdir
from pathlib import Path

from reconciler.cli.exits import Exit
from reconciler.cli.main import main
from reconciler.cli.parser import Options
from reconciler.cli.terminal import Screen
from reconciler.demo import Chapter, Command, Deed, prepare, story
from reconciler.lines import Span, Style, line
from specs.errors import ReconcilerError, SettingsError

_WIDTH = 100


def run(options: Options, screen: Screen) -> Exit:
    """Run the story in a new folder, and leave it there to play with."""
    if options.json:
        raise SettingsError("the demo is a story; leave out --json")
    folder = (Path(options.directory) / options.folder).absolute()
    prepare(folder)
    with story(folder) as chapters:
        for number, chapter in enumerate(chapters, start=1):
            _head(number, chapter, screen)
            for step in chapter.steps:
                _take(step, folder, screen)
    _end(folder, screen)
    return Exit.DONE


def _head(number: int, chapter: Chapter, screen: Screen) -> None:
    screen.show(["", line(Span(f"{number}. {chapter.title}", Style.STRONG)), ""])
    screen.show(textwrap.wrap(chapter.why, _WIDTH))


def _take(step: Command | Deed, folder: Path, screen: Screen) -> None:
    match step:
        case Deed(typed=typed, act=act):
            _typed(typed, screen)
            screen.show(act(folder))
        case Command(arguments=arguments, expected=expected):
            _typed(f"reconciler {shlex.join(arguments)}", screen)
            with chdir(folder):
                found = main(arguments)
            if found != expected:
                raise ReconcilerError(f"that ended with {found} where {expected} was expected; please report it")


def _typed(text: str, screen: Screen) -> None:
    screen.show(["", *(line(Span(row, Style.READ)) for row in f"$ {text}".splitlines()), ""])


def _end(folder: Path, screen: Screen) -> None:
    place = shlex.quote(str(folder))
    screen.show(
        [
            "",
            line(Span("That was it.", Style.STRONG)),
            "",
            f"The repository is yours to play with: {folder}",
            "",
            f"  cd {place}",
            "  reconciler run            # keeps at it: change a spec and commit, or break something, and watch",
            "  reconciler sandpit list   # in another terminal: what is there, and what can be broken",
            "  reconciler alerts         # what is watched, and how that does",
        ]
    )

"""The moving bar of an apply, drawn by rich; imported only for terminals."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from reconciler.cli.terminal import Screen, clean
from reconciler.lines import Line


class Bar:
    """How many operations are done of how many, what is being done now, and lines that scroll above."""

    def __init__(self, screen: Screen, total: int) -> None:
        self._screen = screen
        self._console = Console(file=screen.err, highlight=False, markup=False, emoji=False)
        columns = (
            SpinnerColumn(),
            MofNCompleteColumn(),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[doing]}", markup=False),
        )
        self._progress = Progress(*columns, console=self._console, transient=True)
        self._task = self._progress.add_task("", total=total, doing="")
        self._doing: dict[str, None] = {}

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def start(self, what: str) -> None:
        """Show what began last."""
        self._doing[clean(what)] = None
        self._show()

    def end(self, what: str) -> None:
        """Count one more."""
        self._doing.pop(clean(what), None)
        self._progress.advance(self._task)
        self._show()

    def say(self, said: Line) -> None:
        """Print a line above the bar."""
        self._console.print(Text.from_ansi(self._screen.painted(said, self._screen.err)), soft_wrap=True)

    def _show(self) -> None:
        self._progress.update(self._task, doing=next(reversed(self._doing), ""))

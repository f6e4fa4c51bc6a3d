"""`reconciler init [DIR]`: make a spec repository with one sandpit site and one service."""

from __future__ import annotations

from pathlib import Path

from reconciler.cli.exits import Exit
from reconciler.cli.parser import Options
from reconciler.cli.terminal import Screen
from reconciler.starter import create, starter_files


def run(options: Options, screen: Screen) -> Exit:
    """Make it in a new or empty folder."""
    folder = Path(options.directory) / options.folder
    _, commit = create(folder)
    files = sorted(starter_files())
    if options.json:
        screen.document({"folder": str(folder.absolute()), "commit": commit, "files": files})
        return Exit.DONE
    at = f" -C {folder}" if str(folder) != "." else ""
    screen.show(
        [f"{folder.absolute()} is a spec repository now, at {commit[:12]}:", *(f"  {name}" for name in files), ""]
    )
    screen.show(
        [
            f"reconciler{at} plan    shows what would be done",
            f"reconciler{at} apply   does it",
            f"reconciler{at} run     keeps at it",
        ]
    )
    return Exit.DONE

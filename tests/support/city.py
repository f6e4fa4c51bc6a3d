"""A spec repository on the sandpit, and the command line on it in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.cli.main import main
from reconciler.starter import SITE, SPEC, starter_files
from specs.repository import Author, Repository

STORAGE = "sandpit-city/vr-tour/storage@dc-1.0:sandpit.server"
FRONTEND = "sandpit-city/vr-tour/frontend@edge-1.0:sandpit.server"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The JSON document on stdout, which must be all there is."""
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class City:
    """A spec repository with one site and one service, and no delays in its world."""

    folder: Path
    read: Callable[[], tuple[str, ...]]

    def run(self, *arguments: str) -> Ended:
        """Run a command line on it."""
        self.read()
        try:
            code = main(["-C", str(self.folder), *arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
        return Ended(code, *self.read())

    def repository(self) -> Repository:
        """Open it."""
        return Repository.open(str(self.folder), self.folder / ".reconciler")

    def commit(self, changes: dict[str, str | None], message: str = "Change") -> str:
        """Commit files."""
        repository = self.repository()
        contents = {path: None if text is None else text.encode() for path, text in changes.items()}
        return repository.write(contents, message, Author("Ann", "ann@example.org"), onto=repository.resolve())

    def edit(self, before: str, after: str, path: str = SPEC) -> str:
        """Commit a file with one text put in the place of another."""
        text = (self.folder / path).read_text()
        assert before in text
        return self.commit({path: text.replace(before, after)}, f"Say {after} instead of {before}")


def make_city(folder: Path, read: Callable[[], tuple[str, ...]] = lambda: ("", "")) -> City:
    """Make a repository whose specs were never applied."""
    files = starter_files()
    site = f"sites/{SITE}.yaml"
    lines = files[site].decode().splitlines(keepends=True)
    files[site] = "".join(line for line in lines if "settings:" not in line and "delays:" not in line).encode()
    Repository.create(folder).write(files, "Begin", Author("Ann", "ann@example.org"), onto="")
    return City(folder, read)

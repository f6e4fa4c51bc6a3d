"""What `plan` said last, said again as long as everything it was made from stands still.

An answer is kept with the files it was made from and how each of them looked. When one of them has changed, when this
program, its surroundings or the question are others, or when something that is no file had a say, the question is
answered anew. A file that changed shortly before it was read may change again without looking any different, so that
nothing made from it is kept: git calls such entries of its index racy.

Nothing is imported here that costs time: a kept answer needs neither git nor state nor providers.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from hashlib import blake2b

from reconciler.cli.parser import Options

SETTLED_SECONDS = 2.0
"""How long ago a file must have changed: longer than a tick of any file system's clock."""
PACKAGES = ("policies", "providers", "reconciler", "specs", "state")
_CHANGED_BY_SHELLS = frozenset({"_", "OLDPWD", "PWD", "SHLVL"})


class Question:
    """A question that may have been answered already."""

    def __init__(self, options: Options) -> None:
        self._folder = os.path.join(os.path.abspath(options.directory), ".reconciler")
        self._file = os.path.join(self._folder, "answer.json")
        self._id = _digest(
            *(f"{name}={value}" for name, value in sorted(vars(options).items())),
            self._folder,
            *(str(stream is not None and stream.isatty()) for stream in (sys.stdout, sys.stderr)),
            *(f"{name}={value}" for name, value in sorted(os.environ.items()) if name not in _CHANGED_BY_SHELLS),
            sys.version,
        )

    def repeat(self) -> int | None:
        """Say again what was said last, and give the exit code; None if it has to be found out anew."""
        try:
            with open(self._file, "rb") as file:
                kept = json.load(file)
            if kept["question"] != self._id or kept["program"] != _program():
                return None
            if any(_look(path) != look for path, look in kept["sources"].items()):
                return None
            for number, text in kept["said"]:
                stream = (sys.stdout, sys.stderr)[number]
                stream.write(text.encode(stream.encoding, "backslashreplace").decode(stream.encoding))
                stream.flush()
            return int(kept["exit"])
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return None  # there is none, or somebody else wrote it: then it is found out and written anew

    def keep(self, sources: Iterable[str], began: float, said: Sequence[tuple[int, str]], exit_code: int) -> None:
        """Keep an answer that was made from these files, first read at `began` (seconds since the epoch), if it may be.

        `said` is what was written, in order: on stdout (0) or stderr (1).
        """
        looks = {path: _look(path) for path in sorted(sources)}
        settled = (began - SETTLED_SECONDS) * 1e9
        if any(look is not None and max(look[:2]) > settled for look in looks.values()):
            return
        kept = {"question": self._id, "program": _program(), "sources": looks, "said": said, "exit": exit_code}
        aside = f"{self._file}-{os.getpid()}"
        try:
            with os.fdopen(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
                json.dump(kept, file)
            os.replace(aside, self._file)
        except OSError:
            with suppress(OSError):  # what cannot be kept is found out again
                os.unlink(aside)


def question(options: Options) -> Question | None:
    """Give the question a command line asks; None if the answer depends on more than files, or does more than tell."""
    if options.command != "plan" or options.json or options.out or options.verbose:
        return None
    return None if options.local or options.repo or options.state else Question(options)


def _look(path: str) -> list[int] | None:
    """Tell how a file looks from outside; None if there is none."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return [found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev]


def _program() -> str:
    """Give a digest of how this program's files and the folders of its libraries look."""
    root = os.path.abspath(os.path.join(__file__, "..", "..", ".."))
    looks = [f"{folder} {_look(folder)}" for folder in sys.path if "-packages" in folder]
    for package in PACKAGES:
        looks += (f"{path} {_look(path)}" for path in _files(os.path.join(root, package)))
    return _digest(*looks)


def _files(folder: str) -> Iterable[str]:
    with os.scandir(folder) as found:
        for entry in sorted(found, key=lambda entry: entry.name):
            if entry.is_dir():
                if entry.name != "__pycache__":
                    yield from _files(entry.path)
            else:
                yield entry.path


def _digest(*parts: str) -> str:
    return blake2b("\0".join(parts).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()

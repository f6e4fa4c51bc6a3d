"""What git can throw at us, turned into `RepositoryError` with plain words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pygit2

from specs.errors import RepositoryError

FAULTS: tuple[type[Exception], ...] = (pygit2.GitError, OSError, KeyError, ValueError, StopIteration)
"""What pygit2 raises: libgit2's codes arrive as any of these (`GIT_ITEROVER` as `StopIteration`)."""

UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, marks that turn the direction of text, bytes that were not UTF-8: in no path, in no message."""

_LONGEST = 300
_OBJECT_ID = re.compile("[0-9a-f]{40}")

_ADVICE = (
    ("not owned by current user", "run as its owner, or list it as safe.directory in your git configuration"),
    ("sha256", "SHA-256 repositories are not supported; use one with SHA-1 object names"),
    ("unexpected http status code: 404", "check the address; these credentials may not see the repository"),
    ("unexpected http status code: 403", "these credentials may not do that"),
    ("does not appear to be a git repository", "check the path in the address"),
    ("failed to resolve path", "check the path in the address"),
    ("failed to resolve address", "check the name of the server and the network"),
    ("failed to connect", "check that the server runs and the network lets you through"),
    ("timed out", "the server went silent; check the network, then try again"),
    ("temporarily unavailable", "the server went silent; check the network, then try again"),
    (".lock'", "another git command works there, or was killed: then remove the file"),
    ("object not found", "the clone is partial or damaged; make a full one (git clone without --filter)"),
    ("no space left", "make room on the disk"),
    ("permission denied", "check who may read and write there"),
)


def printable(text: str) -> str:
    """Make text from outside fit for a terminal: one line, no control characters, bounded."""
    line = UNSAFE.sub("\N{REPLACEMENT CHARACTER}", " ".join(text.split()))
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def reason(error: Exception) -> str:
    """Say why in one line, and what to do where that is known."""
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    else:
        text = str(error.args[0]) if error.args else "git gave no reason"
        text = f"object not found: {text}" if _OBJECT_ID.fullmatch(text) else text
    text = printable(text)
    low = text.lower()
    for sign, advice in _ADVICE:
        if sign in low:
            return f"{text}; {advice}"
    return text


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn every fault of git inside the block into a `RepositoryError` that begins with `what`."""
    try:
        yield
    except FAULTS as error:
        raise RepositoryError(f"{what}: {reason(error)}") from error

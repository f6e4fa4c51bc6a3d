"""A tree of files in memory, as a commit would give it."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha1

from specs.errors import RepositoryError


class Files:
    """A `specs.tree.Tree` of texts by path."""

    def __init__(self, texts: Mapping[str, str | bytes], commit: str = "c0ffee" * 6 + "c0ff") -> None:
        self._contents = {
            path: text.encode() if isinstance(text, str) else text for path, text in sorted(texts.items())
        }
        self._commit = commit

    @property
    def commit(self) -> str:
        """The id it was made with."""
        return self._commit

    @property
    def files(self) -> Mapping[str, str]:
        """Path → content id."""
        return {path: sha1(content, usedforsecurity=False).hexdigest() for path, content in self._contents.items()}

    def read(self, path: str) -> bytes:
        """Read one file."""
        if path not in self._contents:
            raise RepositoryError(f"{path} is not there")
        return self._contents[path]

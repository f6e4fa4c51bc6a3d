"""What a commit holds, however it is read: the seam between git and everything that reads documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Tree(Protocol):
    """The files of one commit, or of a working tree."""

    @property
    def commit(self) -> str:
        """The full object id, or `local-` and a digest for a working tree."""

    @property
    def files(self) -> Mapping[str, str]:
        """Path → content id of every regular file, in the order of paths; `.git` and `.reconciler` left out."""

    def read(self, path: str) -> bytes:
        """Read one file; `RepositoryError` if it is not in `files`."""


class Cache(Protocol):
    """Where costly results are kept between runs; a `state.store.Store` is one."""

    def get_many(self, keys: list[str]) -> Mapping[str, bytes]:
        """Read what is kept of these keys."""

    def put(self, values: Mapping[str, bytes]) -> None:
        """Keep values under their keys."""

"""The files of one commit, read from the object store without a checkout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import NamedTuple

import pygit2
from pygit2.enums import ObjectType

from specs.errors import RepositoryError
from specs.git.faults import UNSAFE, explained

MAX_FILES = 200_000
"""Files and folders of one commit or work tree; more are refused."""
MAX_FILE_BYTES = 16_000_000
"""The longest file that is read or written."""
MAX_DEPTH = 64
"""Folders inside folders; deeper ones are refused."""
CLOSED = frozenset({".git", ".reconciler"})
"""Names that are never looked into."""

_LONGEST_NAME = 255
_LARGEST_FOLDER = MAX_FILES * 64
"""Bytes of a tree object that are unpacked."""
_FOLDER_MODES = (b"40000", b"040000")


def check_name(name: str, where: str) -> None:
    """Refuse names that would deceive a reader or lead out of the repository; `where` begins the message."""
    if name in ("", ".", "..") or "/" in name or UNSAFE.search(name) or len(name) > _LONGEST_NAME:
        raise RepositoryError(
            f"{where} holds the name {name[:_LONGEST_NAME]!a}, which is too long, not UTF-8, has control characters "
            "or leads outside; rename it"
        )


def too_many(where: str) -> RepositoryError:
    """Say that a commit or folder is beyond the bounds."""
    return RepositoryError(
        f"{where} holds more than {MAX_FILES} files or more than {MAX_DEPTH} folders inside each other; "
        "keep the specs in a repository of their own"
    )


class CommitTree:
    """The files of a commit: regular files only, no links and no submodules. A `specs.tree.Tree`."""

    def __init__(self, commit: pygit2.Commit, folders: Folders) -> None:
        self._commit = str(commit.id)
        self._root = str(commit.tree_id)
        self._folders = folders

    @property
    def commit(self) -> str:
        """The full object id of the commit."""
        return self._commit

    @property
    def tree_id(self) -> str:
        """The object id of the root folder: equal ids, equal files."""
        return self._root

    @cached_property
    def files(self) -> Mapping[str, str]:
        """Path → blob id, in the order of paths."""
        return self._folders.files(self._root, self._where)

    def read(self, path: str) -> bytes:
        """Read one file; `RepositoryError` if it is not in `files` or longer than `MAX_FILE_BYTES`."""
        if path not in self.files:
            raise RepositoryError(f"{path!r} is not in {self._where}")
        return self._folders.read(self.files[path], f"{path!r} in {self._where}")

    @property
    def _where(self) -> str:
        return f"commit {self._commit[:12]}"


class _Entry(NamedTuple):
    name: str
    oid: str
    folder: bool


class Folders:
    """Reads the folders of one repository; those of the tree listed before are not read again."""

    def __init__(self, repository: pygit2.Repository) -> None:
        self._odb = repository.odb
        self._known: dict[str, tuple[_Entry, ...]] = {}

    def turn_to(self, repository: pygit2.Repository) -> None:
        """Read from another handle of the same repository from now on."""
        self._odb = repository.odb

    def files(self, root: str, where: str) -> dict[str, str]:
        """Give path → blob id of every regular file below a root, in the order of paths."""
        seen: dict[str, tuple[_Entry, ...]] = {}
        found: list[tuple[str, str]] = []
        count = 0

        def walk(path: str, oid: str, depth: int) -> None:
            nonlocal count
            entries = seen[oid] = self._known.get(oid) or self._entries(oid, where)
            count += len(entries)
            if count > MAX_FILES or depth > MAX_DEPTH:
                raise too_many(where)
            for name, child, folder in entries:
                if folder:
                    walk(f"{path}{name}/", child, depth + 1)
                else:
                    found.append((path + name, child))

        walk("", root, 0)
        self._known = seen
        return dict(sorted(found))

    def read(self, blob: str, where: str) -> bytes:
        """Read a blob; its length is checked before it is unpacked."""
        with explained(f"{where} cannot be read"):
            _, size = self._odb.read_header(blob)
            if size > MAX_FILE_BYTES:
                raise RepositoryError(f"{where} has {size} bytes; at most {MAX_FILE_BYTES} are read")
            return self._odb.read(blob)[1]

    def _entries(self, oid: str, where: str) -> tuple[_Entry, ...]:
        """Read what one folder holds: regular files and folders."""
        with explained(f"{where} cannot be read"):
            kind, size = self._odb.read_header(oid)
            if kind != ObjectType.TREE:
                raise RepositoryError(f"{where} is damaged: object {oid} is no folder; get the commit anew")
            if size > _LARGEST_FOLDER:
                raise too_many(where)
            _, data = self._odb.read(oid)
            entries = tuple(entry for entry in _parse(data) if entry.name not in CLOSED)
        for entry in entries:
            check_name(entry.name, where)
        return entries


def _parse(data: bytes) -> Iterator[_Entry]:
    """Take a tree object apart: again and again mode, space, name, NUL and 20 bytes of object id."""
    start = 0
    while start < len(data):
        end = data.index(b"\0", start)
        mode, _, name = data[start:end].partition(b" ")
        start = end + 21
        folder = mode in _FOLDER_MODES
        if folder or mode.startswith(b"100"):  # leaves out links (120000) and submodules (160000)
            yield _Entry(name.decode("utf-8", "surrogateescape"), data[end + 1 : start].hex(), folder)

"""A folder on this machine read as it stands, committed or not: what `--local` plans from."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import pygit2

from specs.errors import RepositoryError
from specs.git.faults import explained
from specs.git.tree import CLOSED, MAX_DEPTH, MAX_FILE_BYTES, MAX_FILES, check_name, too_many

_SETTLED_SECONDS = 0.1
"""Clocks of file systems are coarse: a file changed as short ago may change again and look the same."""


class _Seen(NamedTuple):
    """What one look found out about a file."""

    oid: str
    stamp: tuple[int, ...]
    """Size, times and inode: equal ones mean the same content, if it had settled."""
    settled: bool


class WorkTree:
    """The files of a folder, as one look found them. A `specs.tree.Tree`.

    Left out are `.git`, `.reconciler`, links, other repositories inside, what git ignores, and hidden folders
    unless git tracks them.
    Content ids are those git would give, so that results cached for a commit serve here as well.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._before: Mapping[str, _Seen] = {}

    def refreshed(self) -> WorkTree:
        """Look again; files that were not touched since this look are not read again."""
        again = WorkTree(self._folder)
        again._before = self._found
        return again

    @cached_property
    def commit(self) -> str:
        """`local-` and a digest over paths and content ids."""
        digest = hashlib.blake2b(digest_size=16)
        for path, oid in self.files.items():
            digest.update(f"{path}\0{oid}\0".encode())
        return f"local-{digest.hexdigest()}"

    @cached_property
    def files(self) -> Mapping[str, str]:
        """Path → the object id git would give the content, in the order of paths."""
        return {path: seen.oid for path, seen in self._found.items()}

    def read(self, path: str) -> bytes:
        """Read one file; `RepositoryError` if it is not in `files`, too long, or not what the look found."""
        if path not in self.files:
            raise RepositoryError(f"{path!r} is not in {self._folder}")
        file = self._folder / path
        with explained(f"cannot read {file}"):
            size = file.stat().st_size
            if size > MAX_FILE_BYTES:
                raise RepositoryError(f"{file} has {size} bytes; at most {MAX_FILE_BYTES} are read")
            content = file.read_bytes()
        if _blob_id(content) != self.files[path]:
            raise RepositoryError(f"{file} changed while it was read; try again")
        return content

    @cached_property
    def _found(self) -> Mapping[str, _Seen]:
        with explained(f"cannot read the folder {self._folder}"):
            seen = ((path, self._look(path, entry)) for path, entry in self._walk())
            return dict(sorted((path, found) for path, found in seen if found is not None))

    def _walk(self) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """Walk the regular files that count: path inside the folder, with slashes, and entry."""
        rules = _Rules(self._folder)
        folders = [("", 0)]
        count = 0
        while folders:
            above, depth = folders.pop()
            with os.scandir(self._folder / above) as scan:
                entries = list(scan)
            for entry in entries:
                count += 1
                if count > MAX_FILES or depth > MAX_DEPTH:
                    raise too_many(str(self._folder))
                path = above + entry.name
                if entry.name in CLOSED or entry.is_symlink() or rules.leave_out(path, folder=entry.is_dir()):
                    continue
                check_name(entry.name, str(self._folder))
                if entry.is_file():
                    yield path, entry
                elif entry.is_dir() and not Path(entry.path, ".git").exists():
                    folders.append((f"{path}/", depth + 1))

    def _look(self, path: str, entry: os.DirEntry[str]) -> _Seen | None:
        """Find out the object id of a file; nothing if it vanished meanwhile."""
        try:
            status = entry.stat(follow_symlinks=False)
            stamp = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
            before = self._before.get(path)
            if before is not None and before.stamp == stamp and before.settled:
                return before
            settled = time.time() - status.st_ctime > _SETTLED_SECONDS
            if status.st_size > MAX_FILE_BYTES:
                return _Seen(f"too-long-{status.st_size}-{status.st_mtime_ns}", stamp, settled)
            return _Seen(_blob_id(Path(entry.path).read_bytes()), stamp, settled)
        except FileNotFoundError:
            return None


class _Rules:
    """What git ignores and tracks in a folder: nothing if it is in no repository, or ignored as a whole."""

    def __init__(self, folder: Path) -> None:
        self._git: pygit2.Repository | None = None
        self._prefix = ""
        found = pygit2.discover_repository(str(folder))
        git = pygit2.Repository(found) if found is not None else None
        if git is None or git.is_bare:
            return
        inside = folder.relative_to(Path(git.workdir).resolve()).as_posix()
        if inside == "." or not git.path_is_ignored(f"{inside}/"):
            self._git = git
            self._prefix = "" if inside == "." else f"{inside}/"

    def leave_out(self, path: str, *, folder: bool) -> bool:
        """Tell whether a file is ignored, or a folder ignored or hidden; what git tracks all the same is not."""
        whole = self._prefix + path
        if whole in self._tracked:
            return False
        if folder and path.rpartition("/")[2].startswith("."):
            return True
        return self._git is not None and self._git.path_is_ignored(f"{whole}/" if folder else whole)

    @cached_property
    def _tracked(self) -> frozenset[str]:
        """Every file of the index and every folder above one."""
        if self._git is None:
            return frozenset()
        found: set[str] = set()
        for entry in self._git.index:
            path = entry.path
            while path and path not in found:
                found.add(path)
                path = path.rpartition("/")[0]
        return frozenset(found)


def _blob_id(content: bytes) -> str:
    """Give the object id of a blob: git's SHA-1, a name here and no protection."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()

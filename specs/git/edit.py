"""New trees made from old ones, object by object: no index, no work tree."""

from __future__ import annotations

from collections.abc import Mapping

import pygit2
from pygit2.enums import FileMode

from specs.errors import RepositoryError
from specs.git.tree import CLOSED, MAX_DEPTH, MAX_FILE_BYTES, check_name


def check_changes(changes: Mapping[str, bytes | None]) -> None:
    """Refuse paths nobody should write to, and files that would be refused when read."""
    files = {path for path, content in changes.items() if content is not None}
    for path, content in changes.items():
        if any(path.startswith(f"{file}/") for file in files):
            raise RepositoryError(f"{path} cannot be written: the same change makes a file of a folder above it")
        parts = path.split("/")
        for part in parts:
            check_name(part, f"the path {path!a}")
            if part.lower() in CLOSED:
                raise RepositoryError(f"{path} is inside {part}, which holds no specs; write elsewhere")
        if len(parts) > MAX_DEPTH:
            raise RepositoryError(f"{path!a} has more than {MAX_DEPTH} folders inside each other; write elsewhere")
        if content is not None and len(content) > MAX_FILE_BYTES:
            raise RepositoryError(f"{path} would have {len(content)} bytes; at most {MAX_FILE_BYTES} are read again")


def edited(
    repository: pygit2.Repository, tree: pygit2.Tree | None, changes: Mapping[str, bytes | None], path: str = ""
) -> pygit2.Oid:
    """Write a tree with files changed (bytes) or removed (`None`); everything else stays as it is in `tree`.

    `path` is the folder the tree stands for, with its slash. A file keeps its mode.
    """
    builder = repository.TreeBuilder(tree) if tree is not None else repository.TreeBuilder()
    here, below = _sorted_out(changes)
    for name, content in here.items():
        old = _blob(tree, name, path)
        if content is not None:
            builder.insert(name, repository.create_blob(content), old.filemode if old is not None else FileMode.BLOB)
        elif old is not None:
            builder.remove(name)
        else:
            raise RepositoryError(f"{path}{name} cannot be removed: it is not there")
    for name, inner in below.items():
        old_folder = None if name in here else _folder(tree, name, path)
        new = edited(repository, old_folder, inner, f"{path}{name}/")
        if len(repository[new].peel(pygit2.Tree)):
            builder.insert(name, new, FileMode.TREE)
        else:
            builder.remove(name)
    return builder.write()


def _sorted_out(
    changes: Mapping[str, bytes | None],
) -> tuple[dict[str, bytes | None], dict[str, dict[str, bytes | None]]]:
    """Part the changes in this folder from those in the folders below it."""
    here: dict[str, bytes | None] = {}
    below: dict[str, dict[str, bytes | None]] = {}
    for path, content in sorted(changes.items()):
        first, slash, rest = path.partition("/")
        if slash:
            below.setdefault(first, {})[rest] = content
        else:
            here[first] = content
    return here, below


def _blob(tree: pygit2.Tree | None, name: str, path: str) -> pygit2.Blob | None:
    entry = tree / name if tree is not None and name in tree else None
    if entry is None or (isinstance(entry, pygit2.Blob) and entry.filemode != FileMode.LINK):
        return entry
    raise RepositoryError(f"{path}{name} cannot be written: it is a folder, a link or a submodule")


def _folder(tree: pygit2.Tree | None, name: str, path: str) -> pygit2.Tree | None:
    entry = tree / name if tree is not None and name in tree else None
    if entry is None or isinstance(entry, pygit2.Tree):
        return entry
    raise RepositoryError(f"{path}{name} is a file: nothing can be written below it")

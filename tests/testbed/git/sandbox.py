"""Git without the user's own settings: a home of its own for each test, and commits made by hand."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pygit2
import pytest
from pygit2.enums import ConfigLevel, FileMode

_LEVELS = (ConfigLevel.SYSTEM, ConfigLevel.XDG, ConfigLevel.GLOBAL)
_OURS = ("RECONCILER_", "GIT_", "SSH_A")


@contextmanager
def own_home(home: Path) -> Iterator[Path]:
    """Make `home` the home folder for Python, git and libgit2, without any setting or credential in it."""
    before = {level: pygit2.settings.search_path[level] for level in _LEVELS}
    home_before = pygit2.settings.homedir
    home.joinpath(".ssh").mkdir(mode=0o700, parents=True, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(_OURS) or name.lower().endswith("_proxy")]:
            patch.delenv(name)
        patch.setenv("HOME", str(home))
        patch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        pygit2.settings.homedir = str(home)
        for level in _LEVELS:
            pygit2.settings.search_path[level] = str(home)
        try:
            yield home
        finally:
            pygit2.settings.homedir = home_before or ""
            for level, path in before.items():
                pygit2.settings.search_path[level] = path


def bare(folder: Path) -> Path:
    """Make an empty bare repository whose default branch is `main`."""
    pygit2.init_repository(str(folder), bare=True, initial_head="main")
    return folder


def commit(
    folder: Path,
    changes: Mapping[str, bytes | None],
    message: str = "Change",
    *,
    branch: str = "main",
    modes: Mapping[str, FileMode] | None = None,
) -> str:
    """Put a commit on a branch, made if it is not there, without the code under test and without a work tree.

    Content `None` removes a file; `modes` makes links and submodules (whose content is their commit).
    """
    git = pygit2.Repository(str(folder))
    name = f"refs/heads/{branch}"
    parents = [git.references[name].target] if name in git.references else []
    index = pygit2.Index()
    for parent in parents:
        index.read_tree(git[parent].peel(pygit2.Tree))
    for path, content in changes.items():
        mode = (modes or {}).get(path, FileMode.BLOB)
        if content is None:
            index.remove(path)
        elif mode == FileMode.COMMIT:
            index.add(pygit2.IndexEntry(path, pygit2.Oid(hex=content.decode()), mode))
        else:
            index.add(pygit2.IndexEntry(path, git.create_blob(content), mode))
    someone = pygit2.Signature("Somebody Else", "else@example.org")
    return str(git.create_commit(name, someone, someone, message, index.write_tree(git), parents))

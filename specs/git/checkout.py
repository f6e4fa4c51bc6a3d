"""The work tree of a local repository, brought along when its branch moves; nothing of the user's is lost."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pygit2
from pygit2.enums import CheckoutStrategy, RepositoryState

from specs.errors import RepositoryError
from specs.git.faults import explained

_EXACTLY = CheckoutStrategy.DISABLE_PATHSPEC_MATCH


def follows(repository: pygit2.Repository, branch: str) -> bool:
    """Tell whether the work tree shows a branch (full name); `RepositoryError` if that branch must not be moved now."""
    if repository.is_bare or repository.lookup_reference("HEAD").target != branch:
        short = branch.removeprefix("refs/heads/")
        if branch in repository.references and repository.lookup_branch(short).is_checked_out():
            raise RepositoryError(f"branch {short} is checked out in another work tree; write there")
        return False
    if repository.state() != RepositoryState.NONE:
        raise RepositoryError(f"a merge or rebase is going on in {repository.workdir}; finish or abort it first")
    return True


@contextmanager
def alone(repository: pygit2.Repository) -> Iterator[None]:
    """Keep other processes of this program from bringing the work tree along at the same time."""
    with explained(f"cannot lock {repository.path}"):
        file = Path(repository.path, "reconciler.lock").open("wb")  # noqa: SIM115 - closed below, where it is unlocked
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def bring(repository: pygit2.Repository, old: pygit2.Tree, new: pygit2.Tree) -> None:
    """Take the files that differ between two trees to the new one, in the work tree and the index.

    `RepositoryError`, and nothing is touched, if one of them has changes that are not committed. A file that
    already is as it shall be is fine: a killed process may have left it so.
    """
    paths = changed(old, new)
    with explained(f"cannot look at {repository.workdir}"):
        repository.index.read()
        there = [path for path in paths if _stands(repository, path, new, staged=(old, new))]
        rest = [path for path in paths if path not in there]
        dirty = [path for path in rest if not _stands(repository, path, old, staged=(old,))]
    if dirty:
        raise RepositoryError(
            f"{', '.join(dirty)} in {repository.workdir} has changes that are not committed; commit or discard them"
        )
    with explained(f"cannot write to {repository.workdir}"):
        _check_out(repository, new, rest, CheckoutStrategy.SAFE)
        _check_out(repository, new, there, CheckoutStrategy.FORCE)


def bring_back(repository: pygit2.Repository, old: pygit2.Tree, new: pygit2.Tree) -> None:
    """Undo `bring`."""
    with explained(f"cannot write to {repository.workdir}"):
        strategy = CheckoutStrategy.FORCE | CheckoutStrategy.REMOVE_UNTRACKED
        _check_out(repository, old, changed(old, new), strategy)


def changed(old: pygit2.Tree, new: pygit2.Tree) -> list[str]:
    """Give the paths of the files that differ between two trees, sorted."""
    deltas = old.diff_to_tree(new).deltas
    return sorted({file.path for delta in deltas for file in (delta.old_file, delta.new_file)})


def _check_out(
    repository: pygit2.Repository, tree: pygit2.Tree, paths: Sequence[str], strategy: CheckoutStrategy
) -> None:
    if paths:  # no paths would mean all of them
        repository.checkout_tree(  # type: ignore[no-untyped-call]  # pygit2 leaves it untyped
            tree, paths=list(paths), strategy=strategy | _EXACTLY
        )


def _stands(repository: pygit2.Repository, path: str, tree: pygit2.Tree, staged: tuple[pygit2.Tree, ...]) -> bool:
    """Tell whether a file in the work tree is as in `tree`, and its entry in the index as in one of `staged`."""
    index = repository.index
    entry = index[path].id if path in index else None
    return _on_disk(repository, path) == _id(tree, path) and entry in [_id(item, path) for item in staged]


def _id(tree: pygit2.Tree, path: str) -> pygit2.Oid | None:
    return (tree / path).id if path in tree else None


def _on_disk(repository: pygit2.Repository, path: str) -> pygit2.Oid | str | None:
    """Give the object id the file would get, `None` without a file, or a word for what is no file."""
    file = Path(repository.workdir, path)
    folders = list(file.parents)[: path.count("/")]
    if file.is_symlink() or any(folder.is_symlink() for folder in folders):
        return "link"
    if file.is_dir():
        return "folder"
    return repository.hashfile(str(file)) if file.exists() else None

"""Who may say what is applied: where signers are named, only commits signed by one of them count."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from reconciler.settings import Settings
from reconciler.settings_kept import settings_of
from specs.errors import RepositoryError
from specs.repository import Repository
from state.store import Outcome, Store

logger = logging.getLogger(__name__)

_RUNS = 200
"""Runs that are looked at for what was applied last."""


def check_signature(repository: Repository, commit: str, demands: tuple[Settings, ...], folder: Path) -> str:
    """Give who signed a commit, as far as anybody asks; `RepositoryError` if it is signed by none of those allowed.

    `demands` are the settings of the commit and of the one that was trusted before it: a commit that drops
    `allowed_signers` must itself be signed. A relative path is looked for in `folder`, the reconciler's own.
    """
    files = sorted({settings.allowed_signers for settings in demands if settings.allowed_signers})
    signers = [repository.verify_signature(commit, folder / Path(file).expanduser()) for file in files]
    return ", ".join(dict.fromkeys(signers))


def refuse_local(settings: Settings) -> None:
    """Refuse to apply files nobody can have signed."""
    if settings.allowed_signers:
        raise RepositoryError(
            f"only commits signed by those in {settings.allowed_signers} are applied; leave out --local, and commit"
        )


def settings_before(repository: Repository, commit: str, store: Store) -> tuple[Settings, ...]:
    """Give the settings of the last commit before this one that was applied, if there is one."""
    for applied in applied_before(repository, commit, store):
        return (settings_of(repository.tree(applied), store)[0],)
    return ()


def applied_before(repository: Repository, commit: str, store: Store) -> Iterator[str]:
    """Give the commits that runs applied and this one stands on, the latest run first."""
    for applied in dict.fromkeys(run.commit for run in store.runs(limit=_RUNS) if run.outcome is Outcome.DONE):
        try:
            if repository.is_ancestor(applied, commit):
                yield applied
        except RepositoryError as error:  # the branch was rewritten, or the files of a working tree were applied
            logger.debug("%s is passed over: %s", applied, error)

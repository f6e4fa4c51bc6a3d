"""Who may say what is applied: where signers are named, only commits signed by one of them count."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from reconciler.settings import Settings
from specs.errors import RepositoryError
from specs.repository import Repository


def check_signature(repository: Repository, commit: str, demands: Iterable[Settings], folder: Path) -> str:
    """Give who signed a commit, as far as anybody asks; `RepositoryError` if it is signed by none of those allowed.

    `demands` are the settings of the commit and of those before it which are trusted: a commit that drops
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

"""Makes a spec repository to begin with: one site on the sandpit, one service, settings that explain themselves."""

from __future__ import annotations

from pathlib import Path

from specs.errors import RepositoryError
from specs.repository import Repository

SITE = "sandpit-city"
SERVICE = "vr-tour"
SPEC = f"specs/{SERVICE}.yaml"

_FILES = Path(__file__).with_name("starter_files")
_NAMES = ("gitignore", "reconciler.yaml", f"sites/{SITE}.yaml", SPEC)
_MESSAGE = """Begin with one site and one service

The site is emulated, the service is a virtual tour; see the comments in the files.
"""


def starter_files() -> dict[str, bytes]:
    """Give the files of the first commit by their paths."""
    return {name.replace("gitignore", ".gitignore"): (_FILES / name).read_bytes() for name in _NAMES}


def create(folder: Path) -> tuple[Repository, str]:
    """Make a repository with its first commit in a new or empty folder; `RepositoryError` for any other."""
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise RepositoryError(f"{folder} is not empty; name a new folder")
    except OSError as error:
        raise RepositoryError(f"{folder} cannot be looked into: {error.strerror}") from error
    repository = Repository.create(folder)
    return repository, repository.write(starter_files(), _MESSAGE, repository.author(), onto="")

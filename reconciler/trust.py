"""Who may say what is applied: where signers are named, only commits signed by one of them count.

That they were named is written down in the folder of local state. Neither a commit that does not name them nor
a branch that was rewritten takes it back: only a signed commit that follows does.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct
from msgspec.structs import asdict

from reconciler.project import Place, Reading
from specs.errors import RepositoryError
from specs.repository import Repository
from state.store import Outcome, Store

logger = logging.getLogger(__name__)

_FILE = "trust.json"
_RUNS = 200
"""Runs that are looked at for what was applied last."""


class _Demand(Struct, frozen=True):
    """Who has to have signed what is applied, and the last commit that said so."""

    signers: str
    commit: str


def check_trust(place: Place, reading: Reading, repository: Callable[[], Repository]) -> str:
    """Give who signed a commit, as far as anybody asks; `RepositoryError` if it is signed by none of those allowed.

    It has to satisfy itself and what was asked for before. A relative path is looked for in the reconciler's own
    folder.
    """
    named, before = reading.settings.allowed_signers, _demanded(place)
    if not (named or before):
        return ""
    if place.local:
        signers = named or (before.signers if before else "")
        raise RepositoryError(f"only commits signed by those in {signers} are applied; leave out --local, and commit")
    signed_by = [_signer(place, repository(), reading.commit, named)] if named else []
    if before and before.signers != named:
        try:
            signed_by.append(_signer(place, repository(), reading.commit, before.signers))
        except RepositoryError as error:
            raise RepositoryError(
                f"{error}; {before.commit[:12]} asked for that, and {place.state_dir / _FILE} remembers it"
            ) from error
    if before is None or _follows(repository(), before.commit, reading.commit):
        _demand(place, _Demand(named, reading.commit))
    return ", ".join(dict.fromkeys(signed_by))


def trusted_before(place: Place, repository: Repository, commit: str, store: Store) -> Iterator[str]:
    """Give the commits this one stands on that were trusted or applied, the latest first."""
    demand = _demanded(place)
    runs = [run.commit for run in store.runs(limit=_RUNS) if run.outcome is Outcome.DONE]
    for trusted in dict.fromkeys([demand.commit, *runs] if demand else runs):
        if _follows(repository, trusted, commit):
            yield trusted


def _signer(place: Place, repository: Repository, commit: str, file: str) -> str:
    return repository.verify_signature(commit, place.directory / Path(file).expanduser())


def _follows(repository: Repository, older: str, newer: str) -> bool:
    try:
        return repository.is_ancestor(older, newer)
    except RepositoryError as error:  # the branch was rewritten, or the files of a working tree were applied
        logger.debug("%s is passed over: %s", older, error)
        return False


def _demanded(place: Place) -> _Demand | None:
    file = place.state_dir / _FILE
    try:
        found = json.loads(file.read_bytes())
        return _Demand(str(found["signers"]), str(found["commit"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RepositoryError(
            f"{file}, which says who must have signed what is applied, cannot be read: {error}"
        ) from error


def _demand(place: Place, demand: _Demand) -> None:
    """Write a demand down, whole or not at all; one for nobody takes it back."""
    file = place.state_dir / _FILE
    scratch = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        if not demand.signers:
            file.unlink(missing_ok=True)
            return
        place.state_dir.mkdir(mode=0o700, exist_ok=True)
        scratch.write_text(json.dumps(asdict(demand)), "utf-8")
        scratch.replace(file)
    except OSError as error:
        raise RepositoryError(
            f"{file}, which says who must have signed what is applied, cannot be written: {error.strerror}"
        ) from error

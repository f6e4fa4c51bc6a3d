"""Keeps what is wanted of every site between turns, as long as all that it was worked out from is the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from reconciler.desire import Wish, desire
from specs.errors import ReconcilerError
from specs.model import Desired


@dataclass(frozen=True, slots=True)
class _Kept:
    wish: Wish
    secrets: Mapping[str, str]
    """Name → digest of every secret that was asked for."""
    desired: Desired


@dataclass(slots=True)
class Desires:
    """What is wanted of every site; one thread at a time asks about one site."""

    _kept: dict[str, _Kept] = field(default_factory=dict)

    def of(self, wish: Wish, secret_digest: Callable[[str], str]) -> Desired:
        """Give what `desire` gives for the same arguments; `DesireError` as there."""
        site = wish.site.name
        kept = self._kept.get(site)
        if kept is not None and kept.wish == wish and _same(kept.secrets, secret_digest):
            return kept.desired
        asked: dict[str, str] = {}

        def noted(name: str) -> str:
            asked[name] = secret_digest(name)
            return asked[name]

        desired = desire(wish, noted)
        self._kept[site] = _Kept(wish, asked, desired)
        return desired


def _same(secrets: Mapping[str, str], secret_digest: Callable[[str], str]) -> bool:
    """Tell whether no secret has changed; one that is gone has."""
    try:
        return all(secret_digest(name) == digest for name, digest in secrets.items())
    except ReconcilerError:
        return False

"""Keeps what is wanted of every site between turns, service by service, while what it came from is the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct, field

from reconciler.desire import Wish, Worked, work_out
from specs.desired import Desired
from specs.errors import ReconcilerError


class _Kept(Struct, frozen=True):
    wish: Wish
    secrets: Mapping[str, str]
    """Name → digest of every secret that was asked for."""
    worked: Worked


class Desires(Struct):
    """What is wanted of every site; one thread at a time asks about one site."""

    _kept: dict[str, _Kept] = field(default_factory=dict)

    def of(self, wish: Wish, secret_digest: Callable[[str], str]) -> Desired:
        """Give what `desire` gives for the same arguments; `DesireError` as there."""
        kept = self._kept.get(wish.site.name)
        if kept is not None and not (_alike(kept.wish, wish) and _same(kept.secrets, secret_digest)):
            kept = None
        if kept is not None and kept.wish == wish:
            return kept.worked.desired
        asked: dict[str, str] = dict(kept.secrets) if kept is not None else {}

        def noted(name: str) -> str:
            asked[name] = secret_digest(name)
            return asked[name]

        worked = work_out(wish, noted, kept.worked.linked if kept is not None else {})
        self._kept[wish.site.name] = _Kept(wish, asked, worked)
        return worked.desired


def _alike(one: Wish, other: Wish) -> bool:
    """Tell whether a service means the same in two wishes."""
    return (one.site, one.providers, one.alerts) == (other.site, other.providers, other.alerts)


def _same(secrets: Mapping[str, str], secret_digest: Callable[[str], str]) -> bool:
    """Tell whether no secret has changed; one that is gone has."""
    try:
        return all(secret_digest(name) == digest for name, digest in secrets.items())
    except ReconcilerError:
        return False

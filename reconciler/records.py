"""What the store knows beside the inventory: runs, suspensions and locks."""

from __future__ import annotations

from msgspec import Struct

from state.store import Lock, Run, Store, Suspension


class Records(Struct, frozen=True, kw_only=True):
    """Those of one site, or of all."""

    runs: tuple[Run, ...] = ()
    """Newest first."""
    suspensions: tuple[Suspension, ...] = ()
    locks: tuple[Lock, ...] = ()

    def of(self, site: str) -> Records:
        """Give what belongs to one site."""
        return Records(
            runs=tuple(run for run in self.runs if run.site == site),
            suspensions=tuple(suspension for suspension in self.suspensions if suspension.site == site),
            locks=tuple(lock for lock in self.locks if lock.site == site),
        )

    def suspension(self, site: str, service: str = "") -> Suspension | None:
        """Give the suspension of a site, or of one service on it."""
        return next((s for s in self.suspensions if (s.site, s.service) == (site, service)), None)


def read_records(store: Store, limit: int = 1000) -> Records:
    """Read the records of every site, with so many of the newest runs."""
    return Records(runs=store.runs(limit=limit), suspensions=store.suspensions(), locks=store.locks())

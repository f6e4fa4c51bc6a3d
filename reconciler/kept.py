"""What the loop keeps of every site between turns, so that the cost of a turn follows what has changed.

Nothing is believed for being kept: each value is used again only while all that it was made of is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from reconciler.desire import Wish
from reconciler.desires import Desires
from reconciler.diff import Comparison, Known, Seen, diff
from specs.desired import Desired
from specs.model import Address
from specs.shares import ByService
from state.store import Item, Store


@dataclass(frozen=True, slots=True)
class _Compared:
    """A comparison, and of what."""

    desired: Desired
    applied: ByService[Address, Item]
    seen: Seen
    comparison: Comparison

    def is_of(self, desired: Desired, applied: ByService[Address, Item], seen: Seen) -> bool:
        """Tell whether these very objects were compared."""
        return (
            self.desired is desired
            and self.applied is applied
            and self.seen.snapshots.keys() == seen.snapshots.keys()
            and all(self.seen.snapshots[name] is snapshot for name, snapshot in seen.snapshots.items())
        )


@dataclass(slots=True)
class Kept:
    """What earlier turns worked out; one thread at a time asks about one site."""

    _desires: Desires = field(default_factory=Desires)
    _applied: dict[str, tuple[str, ByService[Address, Item]]] = field(default_factory=dict)
    """Site → its inventory, and the state the store said it was in before it was read."""
    _known: dict[str, Known] = field(default_factory=dict)
    _compared: dict[str, _Compared] = field(default_factory=dict)

    def desired(self, wish: Wish, secret_digest: Callable[[str], str]) -> Desired:
        """Give what `desire` gives."""
        return self._desires.of(wish, secret_digest)

    def applied(self, store: Store, site: str) -> ByService[Address, Item]:
        """Give the inventory of a site; read again when anybody has written to it."""
        state = store.inventory_state(site)
        before, kept = self._applied.get(site, ("", ByService({})))
        if state == before:
            return kept
        found = store.inventory(site)
        self._applied[site] = (state, found)
        return found

    def compared(self, desired: Desired, applied: ByService[Address, Item], seen: Seen) -> Comparison:
        """Give what `diff` gives."""
        last = self._compared.get(desired.site)
        if last is not None and last.is_of(desired, applied, seen):
            return last.comparison
        comparison = diff(desired, applied, seen, self._known.setdefault(desired.site, Known()))
        self._compared[desired.site] = _Compared(desired, applied, seen, comparison)
        return comparison

"""What the loop keeps of every site between turns, so that the cost of a turn follows what has changed.

Nothing is believed for being kept: each value is used again only while all that it was made of is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from reconciler.desire import Wish
from reconciler.desires import Desires
from reconciler.diff import Compared, Comparison, Seen, diff
from specs.model import Address, Desired
from state.store import Item, Store


@dataclass(slots=True)
class Kept:
    """What earlier turns worked out; one thread at a time asks about one site."""

    _desires: Desires = field(default_factory=Desires)
    _applied: dict[str, tuple[str, Mapping[Address, Item]]] = field(default_factory=dict)
    """Site → its inventory, and the state the store said it was in before it was read."""
    _compared: dict[str, Compared] = field(default_factory=dict)

    def desired(self, wish: Wish, secret_digest: Callable[[str], str]) -> Desired:
        """Give what `desire` gives."""
        return self._desires.of(wish, secret_digest)

    def applied(self, store: Store, site: str) -> Mapping[Address, Item]:
        """Give the inventory of a site; read again when anybody has written to it."""
        state = store.inventory_state(site)
        before, kept = self._applied.get(site, ("", {}))
        if state == before:
            return kept
        found = store.inventory(site)
        self._applied[site] = (state, found)
        return found

    def compared(self, desired: Desired, applied: Mapping[Address, Item], seen: Seen) -> Comparison:
        """Give what `diff` gives."""
        comparison = diff(desired, applied, seen, self._compared.get(desired.site))
        self._compared[desired.site] = Compared(desired, applied, seen, comparison)
        return comparison

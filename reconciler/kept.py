"""What the loop keeps of every site between turns, so that the cost of a turn follows what has changed.

Nothing is believed for being kept: each value is used again only while all that it was made of is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct, field

from reconciler.desire import Wish
from reconciler.desires import Desires
from reconciler.diff import Comparison, Known, Seen, diff
from specs.desired import Desired
from specs.model import Address
from specs.shares import ByService
from state.store import Item, Store


class _Compared(Struct, frozen=True):
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


class _Recorded(Struct, frozen=True):
    """An inventory, and the states the store said it was in before it was read."""

    state: str
    states: Mapping[str, str]
    """By service."""
    items: ByService[Address, Item]


class Kept(Struct):
    """What earlier turns worked out; one thread at a time asks about one site."""

    _desires: Desires = field(default_factory=Desires)
    _recorded: dict[str, _Recorded] = field(default_factory=dict)
    _known: dict[str, Known] = field(default_factory=dict)
    _compared: dict[str, _Compared] = field(default_factory=dict)

    def desired(self, wish: Wish, secret_digest: Callable[[str], str]) -> Desired:
        """Give what `desire` gives."""
        return self._desires.of(wish, secret_digest)

    def applied(self, store: Store, site: str) -> ByService[Address, Item]:
        """Give the inventory of a site; what a service has is read again when anybody has written to it."""
        state, before = store.inventory_state(site), self._recorded.get(site)
        if before is not None and before.state == state:
            return before.items
        states = store.inventory_states(site)
        if before is None or before.states[""] != states[""]:
            items = store.inventory(site)
        else:
            known = before.states
            moved = {name for name in known.keys() | states.keys() if known.get(name) != states.get(name)}
            items = before.items.exchanged(moved, store.inventory(site, moved))
        self._recorded[site] = _Recorded(state, states, items)
        return items

    def compared(self, desired: Desired, applied: ByService[Address, Item], seen: Seen) -> Comparison:
        """Give what `diff` gives."""
        last = self._compared.get(desired.site)
        if last is not None and last.is_of(desired, applied, seen):
            return last.comparison
        comparison = diff(desired, applied, seen, self._known.setdefault(desired.site, Known()))
        self._compared[desired.site] = _Compared(desired, applied, seen, comparison)
        return comparison

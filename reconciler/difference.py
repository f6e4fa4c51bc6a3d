"""How wanted, applied and seen can differ: one small class for each way."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct

from providers.base import Present
from specs.model import Address, Resource
from specs.values import Value
from state.store import Item


class Origin(StrEnum):
    """Who moved: the spec, the world, both in different directions, or only what a value refers to."""

    PENDING = "pending"
    DRIFT = "drift"
    CONFLICT = "conflict"
    FOLLOWS = "follows"


class Nothing(Struct, frozen=True):
    """The property is not there at all."""


class Later(Struct, frozen=True):
    """The value is known only after apply."""


NOTHING = Nothing()
LATER = Later()
Side: TypeAlias = "Value | Nothing | Later"


class Change(Struct, frozen=True, kw_only=True):
    """One property that differs: what is there, what is wanted, and why."""

    name: str
    before: Side
    after: Side
    origin: Origin
    replaces: bool
    """Whether the kind cannot change it in place."""


class Missing(Struct, frozen=True, kw_only=True):
    """Wanted and not there."""

    resource: Resource
    item: Item | None
    """Set when it was there once: then the world has moved."""

    @property
    def address(self) -> Address:
        """Which resource."""
        return self.resource.address


class Changed(Struct, frozen=True, kw_only=True):
    """There, but not as wanted."""

    resource: Resource
    present: Present
    item: Item | None
    changes: tuple[Change, ...]
    lost_with: Address | None = None
    """What it stands on and goes down with, when that is replaced or missing."""

    @property
    def address(self) -> Address:
        """Which resource."""
        return self.resource.address

    @property
    def origins(self) -> frozenset[Origin]:
        """Who moved."""
        return frozenset(change.origin for change in self.changes)

    @property
    def replaces(self) -> bool:
        """Whether it must be made anew."""
        return self.lost_with is not None or any(change.replaces for change in self.changes)


class Recognised(Struct, frozen=True, kw_only=True):
    """There as wanted and marked as ours, but not in the records, or its record is out of date."""

    resource: Resource
    present: Present

    @property
    def address(self) -> Address:
        """Which resource."""
        return self.resource.address


class Surplus(Struct, frozen=True, kw_only=True):
    """Ours and there, but not wanted."""

    present: Present
    item: Item | None
    binding: str
    deposed: bool = False
    """Left behind by a replacement that was cut short; its successor is there."""

    @property
    def address(self) -> Address:
        """Which resource."""
        return self.present.address


class Gone(Struct, frozen=True):
    """In the records, neither wanted nor there: only the record is left."""

    item: Item

    @property
    def address(self) -> Address:
        """Which resource."""
        return self.item.address


class Unseen(Struct, frozen=True, kw_only=True):
    """Nothing can be said: the system did not answer for it."""

    address: Address
    reason: str
    requires: tuple[Address, ...] = ()


Difference = Missing | Changed | Recognised | Surplus | Gone | Unseen

"""What a controller must do for us. Each speaks to one product; all give and take the same values.

Nothing a controller says about a write is believed: who writes reads back. A controller raises `TransientError` for a
switch or an answer that is missing, `PermanentError` for what it refuses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from msgspec import Struct

from providers.sdn.rules import Group, Meter, Rule


class Change(Struct, frozen=True, kw_only=True):
    """What to write to one switch: in this order, except that what goes, goes last and in the reverse order."""

    meters: tuple[Meter, ...] = ()
    changed_meters: tuple[Meter, ...] = ()
    groups: tuple[Group, ...] = ()
    changed_groups: tuple[Group, ...] = ()
    rules: tuple[Rule, ...] = ()
    """Each takes the place of the one with the same table, priority and match."""
    gone_rules: tuple[Rule, ...] = ()
    gone_groups: tuple[int, ...] = ()
    gone_meters: tuple[int, ...] = ()


class Wire(Struct, frozen=True, order=True):
    """A link as the controller discovered it, in one direction."""

    source: int
    """Data path id."""
    source_port: int
    target: int
    target_port: int


class Controller(Protocol):
    """One controller at work; calls come from several threads at once."""

    @property
    def name(self) -> str:
        """What the product is called."""

    @property
    def counts(self) -> bool:
        """Whether `count` is much cheaper than `rules`, and independent of it."""

    @property
    def meters_possible(self) -> bool:
        """Whether it can make meters."""

    @property
    def devices_possible(self) -> bool:
        """Whether it can tell where devices are."""

    @property
    def lag(self) -> timedelta:
        """How long what was written may take to show; 0: a read that follows a write sees it."""

    def switches(self) -> frozenset[int]:
        """Give the data path ids of the switches that are connected."""

    def rules(self, dpid: int, cookie: int = 0, mask: int = 0) -> tuple[Rule, ...]:
        """Give the rules of a switch whose cookie fits, sorted; never an empty answer of a switch that hangs."""

    def count(self, dpid: int, cookie: int, mask: int) -> int:
        """Count the rules of a switch whose cookie fits."""

    def groups(self, dpid: int) -> Mapping[int, Group]:
        """Give the groups of a switch."""

    def meters(self, dpid: int) -> Mapping[int, Meter]:
        """Give the meters of a switch."""

    def ports(self, dpid: int) -> Mapping[int, bool]:
        """Give the ports of a switch, and whether something is plugged in and answers."""

    def wires(self) -> Sequence[Wire]:
        """Give the links the controller discovered."""

    def devices(self) -> Mapping[str, tuple[int, int]]:
        """Give the switch and port where each MAC address was last seen at the rim; none if it keeps no account."""

    def write(self, dpid: int, change: Change) -> None:
        """Tell a switch what to change; says nothing about whether it did."""

    def close(self) -> None:
        """Let go of connections."""

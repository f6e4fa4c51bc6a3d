"""Rules, groups and meters of OpenFlow 1.3 in one form, whatever the controller calls them.

A match is sorted pairs of field and value, so that equal rules are equal values. What we never write ourselves is kept
as text: it is only compared and shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from ipaddress import IPv6Address
from typing import NamedTuple, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

IPV6 = 0x86DD
MARKED = "00:00:00:00:00:00"
"""The destination MAC of a frame that carries bits where its addresses should be."""
IN_PORT = 0xFFFFFFF8
"""Back out of the port a frame came in by."""
CONTROLLER = "CONTROLLER"
"""Up to the controller."""
ALL_ONES = (1 << 128) - 1

Match: TypeAlias = tuple[tuple[str, int | str], ...]


class Do(StrEnum):
    """What a rule or a bucket can do."""

    METER = "meter"
    SET = "set"
    DECREMENT = "decrement hop limit"
    HOPS = "set hop limit"
    OUTPUT = "output"
    QUEUE = "queue"
    GROUP = "group"
    GOTO = "goto"
    OTHER = "other"


class Action(NamedTuple):
    """One thing a rule does; `field` only for `SET`."""

    do: Do
    value: int | str = 0
    field: str = ""


class Rule(Struct, frozen=True, order=True):
    """One rule of a switch. Table, priority and match name it; the same three again replace it."""

    table: int
    priority: int
    match: Match
    actions: tuple[Action, ...]
    cookie: int = 0

    @property
    def key(self) -> tuple[int, int, Match]:
        """What names the rule on its switch."""
        return self.table, self.priority, self.match

    def owned(self, cookie: int) -> Rule:
        """Give the same rule with another cookie."""
        return replace(self, cookie=cookie)

    def field(self, name: str) -> int | str | None:
        """Give what the rule wants of a field, or nothing."""
        return next((value for key, value in self.match if key == name), None)

    def action(self, do: Do, field: str = "") -> int | str | None:
        """Give the value of the first action of a sort, or nothing."""
        return next((a.value for a in self.actions if a.do is do and a.field == field), None)


class Bucket(Struct, frozen=True, order=True):
    """One way out of a group; `watch` is the port that must be up for it, 0 for none."""

    actions: tuple[Action, ...]
    watch: int = 0


class Group(Struct, frozen=True, order=True):
    """A group of a switch: `indirect` does its one bucket on a copy, `failover` the first bucket whose port is up."""

    id: int
    type: str
    buckets: tuple[Bucket, ...]


class Meter(Struct, frozen=True, order=True):
    """A limit on the rules that name it, in 1,000 bit/s."""

    id: int
    kbps: int


def matching(**fields: int | str) -> Match:
    """Build a match."""
    return tuple(sorted(fields.items()))


def masked(value: int, mask: int = ALL_ONES) -> str:
    """Write an IPv6 address to match, with its mask if that is not full; bits outside the mask do not count."""
    address = str(IPv6Address(value & mask))
    return address if mask == ALL_ONES else f"{address}/{IPv6Address(mask)}"


def read_masked(text: str) -> tuple[int, int]:
    """Read an IPv6 address to match, its mask an address or a prefix length; `ValueError` for anything else."""
    address, _, mask = text.partition("/")
    if not mask:
        bits = ALL_ONES
    elif ":" in mask:
        bits = int(IPv6Address(mask))
    else:
        bits = ALL_ONES << (128 - int(mask)) & ALL_ONES
    return int(IPv6Address(address)) & bits, bits


def plain_match(fields: Mapping[str, int | str]) -> Match:
    """Give a match its one form: addresses as short as they can be, masks that ask for nothing left out."""
    found: dict[str, int | str] = {}
    for name, value in fields.items():
        if name in ("ipv6_src", "ipv6_dst"):
            address, mask = read_masked(str(value))
            if mask:
                found[name] = masked(address, mask)
        else:
            found[name] = value.lower() if isinstance(value, str) else value
    return tuple(sorted(found.items()))

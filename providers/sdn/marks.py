"""Whose a rule is: the cookie that every rule of ours carries. Pure.

A cookie has 64 bits: 20 for the repository and site, 4 for the kind, 40 for the address. What a cookie means is looked
up among the addresses that are wanted or remembered; one that neither knows is ours all the same, under a made-up
address.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

from providers.sdn.kinds import KINDS, PROVIDER
from specs.model import Address, address, parse_address, subject

OWNER_MASK = 0xFFFFF << 44
"""The bits of a cookie that say whose it is."""
WHOLE = (1 << 64) - 1
_ADDRESS_BITS = 40
_KINDS = tuple(KINDS)


@lru_cache(maxsize=256)
def owner(repository: str, site: str) -> int:
    """Give the cookie bits of everything a repository owns on a site."""
    return _number(f"{repository}/{site}", 20) << 44


@lru_cache(maxsize=100_000)
def cookie_of(repository: str, own: Address) -> int:
    """Give the cookie of a resource."""
    parts = parse_address(own)
    kind = _KINDS.index(parts.kind) + 1
    return owner(repository, parts.site) | kind << _ADDRESS_BITS | _number(own, _ADDRESS_BITS)


def same_owner(cookie: int, other: int) -> bool:
    """Tell whether two cookies belong to one owner."""
    return cookie & OWNER_MASK == other & OWNER_MASK


def kind_of(cookie: int) -> str:
    """Tell the kind a cookie of ours speaks of; empty if it speaks of none."""
    kind = cookie >> _ADDRESS_BITS & 0xF
    return _KINDS[kind - 1] if 1 <= kind <= len(_KINDS) else ""


def lost_address(site: str, cookie: int) -> Address:
    """Give an address to something of ours whose own is not remembered."""
    return address(subject(site, "-", "lost"), PROVIDER, kind_of(cookie), f"{cookie:016x}")


def _number(text: str, bits: int) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> (64 - bits)

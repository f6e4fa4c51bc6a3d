"""Gives every port of an area one of 256 bits, and keeps it. Pure.

Bit 0 to 127 stand in the IPv6 source address, 128 to 255 in the destination; within a byte the lowest bit comes first.
A port keeps its bit as long as it is known; a new port takes the free bit it likes best, which follows from its name
alone, so that two that have never met choose alike.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from hashlib import blake2b

CAPACITY = 256
"""Bits of one area."""


class BitsExhausted(ValueError):  # noqa: N818 -- reads as what it says
    """An area has more ports than bits."""


def allocate(known: Mapping[str, int], wanted: Iterable[str], resting: Collection[int] = ()) -> dict[str, int]:
    """Give bits to the wanted ports that have none; `resting` are free ones that frames may still carry.

    Gives known and new ones together; `BitsExhausted` if there is no bit left, or only resting ones.
    """
    found = dict(known)
    taken = set(known.values()) | set(resting)
    for port in sorted(set(wanted) - known.keys()):
        if len(taken) >= CAPACITY:
            resting_left = len(set(resting) - set(found.values()))
            waits = f", and {resting_left} rest until no frame carries them" if resting_left else ""
            raise BitsExhausted(f"all {CAPACITY} bits are taken{waits}")
        bit = _likes(port)
        while bit in taken:
            bit = (bit + 1) % CAPACITY
        found[port] = bit
        taken.add(bit)
    return found


def _likes(port: str) -> int:
    return blake2b(port.encode(), digest_size=1).digest()[0]


def address_bit(bit: int) -> int:
    """Give the number that has one bit set, source and destination read as one 256-bit number."""
    byte, place = divmod(bit, 8)
    return 1 << (8 * (31 - byte) + place)


def pack(bits: Iterable[int]) -> tuple[int, int]:
    """Give source and destination address of a frame that carries some bits."""
    number = 0
    for bit in bits:
        number |= address_bit(bit)
    return number >> 128, number & ((1 << 128) - 1)


def unpack(source: int, destination: int) -> frozenset[int]:
    """Read the bits out of two addresses."""
    data = source.to_bytes(16, "big") + destination.to_bytes(16, "big")
    return frozenset(8 * index + place for index, byte in enumerate(data) for place in range(8) if byte >> place & 1)

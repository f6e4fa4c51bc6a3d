"""Hosts that send and hear frames: sockets inside the namespaces of a real fabric, all in this process."""

from __future__ import annotations

import ctypes
import selectors
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv6Address

from tests.testbed.sdn.fabric import RealFabric

_NETWORK_NAMESPACE = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
PORT = 4000
"""The UDP port of every test."""


@dataclass(frozen=True, slots=True, order=True)
class Heard:
    """One UDP datagram as it came to a host."""

    source: str
    destination: str
    mac: str
    payload: bytes
    sound: bool
    """Whether its checksum is right."""


@contextmanager
def inside(namespace: str) -> Iterator[None]:
    """Let this thread work in a network namespace; what it opens stays there."""
    with open("/proc/thread-self/ns/net") as before, open(f"/run/netns/{namespace}") as there:  # noqa: PTH123 -- a handle
        _enter(there.fileno())
        try:
            yield
        finally:
            _enter(before.fileno())


def _enter(handle: int) -> None:
    if _LIBC.setns(handle, _NETWORK_NAMESPACE):
        raise OSError(ctypes.get_errno(), "cannot enter the namespace")


class Hosts:
    """Every host of a fabric, listening to all that comes."""

    def __init__(self, fabric: RealFabric) -> None:
        self._fabric = fabric
        self._ears: dict[str, socket.socket] = {}
        self._mouths: dict[str, socket.socket] = {}
        for place in fabric.hosts:
            with inside(fabric.namespace(place)):
                ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(3))
                ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
                ear.bind(("eth0", 3))
                mouth = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
                mouth.bind((fabric.address(place), PORT))
                mouth.setblocking(False)
            self._ears[place], self._mouths[place] = ear, mouth

    def say(self, place: str, destination: str, payload: bytes) -> None:
        """Send a datagram through the kernel of a host."""
        self._mouths[place].sendto(payload, (destination, PORT))

    def answer(self, place: str) -> list[tuple[bytes, str]]:
        """Take what the kernel of a host received: payload and source address."""
        found: list[tuple[bytes, str]] = []
        while True:
            try:
                payload, sender = self._mouths[place].recvfrom(2000)
            except BlockingIOError:
                return found
            found.append((payload, str(IPv6Address(sender[0]))))

    def hear(self, *said: tuple[str, str, bytes], quiet: float = 0.25) -> dict[str, list[Heard]]:
        """Say something and give what every host heard, those that heard nothing left out.

        Ends when nobody has heard anything for some time.
        """
        for place in self._ears:
            self._drain(place)
            self.answer(place)
        for place, destination, payload in said:
            self.say(place, destination, payload)
        return self.listen(quiet)

    def hear_from(self, place: str, source: str, destination: str, payload: bytes) -> dict[str, list[Heard]]:
        """Say something from another address of a host, and give what every host heard."""
        self.hear(quiet=0.0)
        with inside(self._fabric.namespace(place)), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as mouth:
            mouth.bind((source, PORT))
            mouth.sendto(payload, (destination, PORT))
        return self.listen()

    def listen(self, quiet: float = 0.25) -> dict[str, list[Heard]]:
        """Give what every host hears until it is quiet."""
        heard: dict[str, list[Heard]] = {}
        with selectors.DefaultSelector() as selector:
            for place, ear in self._ears.items():
                selector.register(ear, selectors.EVENT_READ, place)
            end = time.monotonic() + quiet
            while (left := end - time.monotonic()) > 0:
                for key, _ in selector.select(left):
                    found = self._drain(key.data)
                    if found:
                        heard.setdefault(key.data, []).extend(found)
                        end = time.monotonic() + quiet
        return heard

    def _drain(self, place: str) -> list[Heard]:
        found: list[Heard] = []
        while True:
            try:
                frame, sender = self._ears[place].recvfrom(65535)
            except BlockingIOError:
                return found
            # What a host sends itself is heard by it, too.
            if sender[2] != socket.PACKET_OUTGOING and (heard := read(frame)) is not None:
                found.append(heard)

    def close(self) -> None:
        """Close every socket."""
        for one in (*self._ears.values(), *self._mouths.values()):
            one.close()


def read(frame: bytes) -> Heard | None:
    """Read a frame with an IPv6 UDP datagram for the port of the tests; nothing for any other."""
    if frame[12:14] != b"\x86\xdd" or frame[20] != socket.IPPROTO_UDP:
        return None
    length = int.from_bytes(frame[18:20], "big")
    datagram = frame[54 : 54 + length]
    if struct.unpack("!H", datagram[2:4])[0] != PORT:
        return None
    covered = frame[22:54] + struct.pack("!II", length, socket.IPPROTO_UDP) + datagram
    return Heard(
        source=str(IPv6Address(frame[22:38])),
        destination=str(IPv6Address(frame[38:54])),
        mac=frame[:6].hex(":"),
        payload=datagram[8:],
        sound=_sum(covered) == 0xFFFF,
    )


def _sum(data: bytes) -> int:
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def payloads(heard: Sequence[Heard]) -> list[bytes]:
    """Give what was said."""
    return [one.payload for one in heard]

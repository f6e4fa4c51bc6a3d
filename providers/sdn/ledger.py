"""Remembers beside the fabric what rules cannot hold: the address behind a cookie, which bits rest, who is where.

One JSON line for every fact, appended; the last of a kind counts. All is convenience but the resting bits: bits in use
are read from the rules of the switches, and an address that is forgotten is found again among the wanted ones.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock

from msgspec import Struct

REST = timedelta(seconds=60)
"""How long a bit rests before another port may have it; a frame lives for 64 hops at most."""
_SPARE_LINES = 1000
"""How many lines may be out of date before the file is written anew."""


class Record(Struct, frozen=True):
    """What stands behind a cookie."""

    address: str
    digest: str
    provider_id: str
    fqdn: tuple[str, ...] = ()


class Ledger:
    """The file of one binding on one site."""

    def __init__(self, file: Path, clock: Callable[[], datetime]) -> None:
        self._file, self._clock, self._lock = file, clock, Lock()
        self._records: dict[int, Record] = {}
        self._bits: dict[str, int] = {}
        self._resting: dict[tuple[str, int], float] = {}
        self._devices: dict[str, str] = {}
        self._stamp: tuple[int, int] = (0, 0)
        self._lines = 0

    def refresh(self) -> None:
        """Read the file if it changed since the last look; lines that are broken count for nothing."""
        with self._lock:
            try:
                status = self._file.stat()
            except FileNotFoundError:
                return
            if (status.st_mtime_ns, status.st_size) == self._stamp:
                return
            self._records, self._bits, self._resting, self._devices, self._lines = {}, {}, {}, {}, 0
            for line in self._file.read_text("utf-8", "replace").splitlines():
                self._take(line)
            self._stamp = (status.st_mtime_ns, status.st_size)

    def record(self, cookie: int) -> Record | None:
        """Give what stands behind a cookie, if that is remembered."""
        return self._records.get(cookie)

    def remember(self, cookie: int, record: Record) -> None:
        """Remember what stands behind a cookie."""
        if self._records.get(cookie) != record:
            fact = [record.address, record.digest, record.provider_id, list(record.fqdn)]
            self._write({"cookie": f"{cookie:016x}", "is": fact})

    def forget(self, cookie: int) -> None:
        """Forget a cookie."""
        if cookie in self._records:
            self._write({"cookie": f"{cookie:016x}", "is": None})

    def bits(self) -> Mapping[str, int]:
        """Give the bit of every port that was given one."""
        return dict(self._bits)

    def keep_bit(self, port: str, bit: int) -> None:
        """Remember the bit of a port."""
        if self._bits.get(port) != bit:
            self._write({"port": port, "bit": bit})

    def rest_bit(self, port: str, area: str, bit: int) -> None:
        """Take the bit of a port back, and let it rest."""
        until = (self._clock() + REST).timestamp()
        self._write({"port": port, "bit": None, "area": area, "rests": bit, "until": until})

    def resting(self, area: str) -> frozenset[int]:
        """Give the bits of an area that rest."""
        now = self._clock().timestamp()
        return frozenset(bit for (where, bit), until in self._resting.items() if where == area and until > now)

    def devices(self) -> Mapping[str, str]:
        """Give the place where each device was last seen, by its address."""
        return dict(self._devices)

    def saw(self, device: str, place: str) -> None:
        """Remember where a device is."""
        if self._devices.get(device) != place:
            self._write({"device": device, "at": place})

    def _take(self, line: str) -> None:
        self._lines += 1
        try:
            fact = json.loads(line)
        except ValueError:
            return
        match fact:
            case {"cookie": str() as cookie, "is": None}:
                self._records.pop(int(cookie, 16), None)
            case {"cookie": str() as cookie, "is": [str() as address, str() as digest, str() as own, [*names]]}:
                self._records[int(cookie, 16)] = Record(address, digest, own, tuple(map(str, names)))
            case {"device": str() as device, "at": str() as place}:
                self._devices[device] = place
            case {"port": str() as port, "bit": int() as bit}:
                self._bits[port] = bit
            case {"port": str() as port, "area": str() as area, "rests": int() as bit, "until": float() as until}:
                self._bits.pop(port, None)
                self._resting[area, bit] = until

    def _write(self, fact: Mapping[str, object]) -> None:
        with self._lock:
            line = json.dumps(fact)
            self._take(line)
            self._file.parent.mkdir(parents=True, exist_ok=True)
            if self._lines > _SPARE_LINES + 2 * self._facts():
                self._rewrite()
            else:
                with os.fdopen(os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a") as file:
                    file.write(line + "\n")
            status = self._file.stat()
            self._stamp = (status.st_mtime_ns, status.st_size)

    def _facts(self) -> int:
        return len(self._records) + len(self._bits) + len(self._resting) + len(self._devices)

    def _rewrite(self) -> None:
        now = self._clock().timestamp()
        facts: list[Mapping[str, object]] = [
            {"cookie": f"{cookie:016x}", "is": [r.address, r.digest, r.provider_id, list(r.fqdn)]}
            for cookie, r in self._records.items()
        ]
        facts += [{"port": port, "bit": bit} for port, bit in self._bits.items()]
        facts += [{"device": device, "at": place} for device, place in self._devices.items()]
        facts += [
            {"port": "", "area": area, "rests": bit, "until": until}
            for (area, bit), until in self._resting.items()
            if until > now
        ]
        new = self._file.with_suffix(".new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_TRUNC | os.O_CREAT, 0o600), "w") as file:
            file.writelines(json.dumps(fact) + "\n" for fact in facts)
        new.replace(self._file)
        self._lines = len(facts)

"""Turns stored rows into what the protocol shows; properties are decoded only if somebody reads them.

What was shown once is kept: a row that is still the same is not shown anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast

from msgspec import Struct, field

from providers.base import Health, Mark, Present
from providers.sandpit.objects import Row
from specs.model import Address
from specs.values import Properties, Value, decode

_RUNNING = frozenset({"server", "software", "workload"})


class Stored(Mapping[str, Value]):
    """A mapping kept as JSON text until it is read."""

    __slots__ = ("_found", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._found: Properties | None = None

    def __getitem__(self, key: str) -> Value:
        return self._read()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def __repr__(self) -> str:
        return repr(self._read())

    def _read(self) -> Properties:
        if self._found is None:
            self._found = cast("Properties", decode(json.loads(self._text)))
        return self._found


class Attributes(Stored):
    """Attributes with the TOSCA node state, which follows the clock and is therefore not stored."""

    __slots__ = ("_state",)

    def __init__(self, text: str, state: str) -> None:
        self._text = text
        self._found = None
        self._state = state

    def _read(self) -> Properties:
        if self._found is None:
            self._found = {**super()._read(), "state": self._state}
        return self._found


class Sight(Struct):
    """Shows the objects of one kind and one repository, again and again."""

    kind: str
    repository: str
    _rows: Sequence[Row] = ()
    _present: Sequence[Present] = ()
    _made: dict[int, tuple[Row, Present]] = field(default_factory=dict)
    """Number of an object → its row, and what was made of it; without those that change by themselves."""

    def show(self, rows: Sequence[Row], now: float) -> Sequence[Present]:
        """Show rows as they are at `now`; the very same sequence as the last time if nothing is different."""
        if len(self._made) == len(self._rows) and rows == self._rows:
            return self._present
        self._present = [self._shown(row, now) for row in rows]
        self._rows = rows
        self._made = {
            row[0]: (row, present)
            for row, present in zip(rows, self._present, strict=True)
            if present.health is not Health.PROGRESSING
        }
        return self._present

    def _shown(self, row: Row, now: float) -> Present:
        before, present = self._made.get(row[0], (None, None))
        if present is not None and before == row:
            return present
        return next(presents(self.kind, [row], self.repository, now))


def presents(kind: str, rows: Iterable[Row], repository: str, now: float) -> Iterator[Present]:
    """Show rows of one kind as they are at `now` (seconds since the epoch)."""
    ready = "started" if kind in _RUNNING else "available"
    for number, _, address, digest, properties, attributes, seen, ready_at, trouble in rows:
        health, reason, state = Health.HEALTHY, "", ready
        if trouble:
            health, reason, state = Health.DEGRADED, trouble, "error"
        elif ready_at > now:
            health, reason, state = Health.PROGRESSING, f"ready in {ready_at - now:.1f} s", "creating"
        yield Present(
            provider_id=f"{kind}-{number}",
            mark=Mark(repository, Address(address), digest),
            properties=Stored(properties),
            attributes=Attributes(attributes, state),
            health=health,
            reason=reason,
            seen=seen,
        )

"""Turns stored rows into what the protocol shows; properties are decoded only if somebody reads them.

What was shown once is kept: an object whose stamp is still the same is not even read anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from sys import intern
from typing import cast

from msgspec import Struct

from providers.base import Health, Mark, Present
from providers.sandpit.objects import Row, Stamp, stamp_of
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
    _stamps: Sequence[Stamp] = ()
    _present: Sequence[Present] = ()
    moving: bool = False
    """Whether anything changes by itself."""

    def show(
        self, stamps: Sequence[Stamp], rows: Callable[[Sequence[int]], Iterable[Row]], now: float
    ) -> Sequence[Present]:
        """Show objects as they are at `now`; the very same sequence as the last time if nothing is different.

        `rows` reads objects by their numbers; one that is gone by then is not shown.
        """
        if stamps == self._stamps and not self.moving:
            return self._present
        known = {
            shown[0]: shown
            for shown in zip(self._stamps, self._present, strict=True)
            if shown[1].health is not Health.PROGRESSING
        }
        new = [stamp[0] for stamp in stamps if stamp not in known]
        made = {row[0]: (stamp_of(row), self._made(row, now)) for row in rows(new)}
        shown = [
            known[stamp] if stamp in known else made[stamp[0]] for stamp in stamps if stamp in known or stamp[0] in made
        ]
        self._stamps, self._present = [stamp for stamp, _ in shown], [present for _, present in shown]
        self.moving = any(present.health is Health.PROGRESSING for present in self._present)
        return self._present

    def _made(self, row: Row, now: float) -> Present:
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
            provider_id=intern(f"{kind}-{number}"),
            mark=Mark(repository, Address(intern(address)), intern(digest)),
            properties=Stored(properties),
            attributes=Attributes(attributes, state),
            health=health,
            reason=reason,
            seen=intern(seen),
        )

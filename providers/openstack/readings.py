"""Keeps what was made of the rows of a list, so that a look reads only rows that are new or changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from msgspec import Raw, Struct

from providers.answers import parsed
from providers.base import Foreign, Present, Scope
from providers.openstack.cloud import Json
from providers.openstack.hand import Hand
from providers.openstack.sight import Bulk, Question, Witness, told
from specs.model import parse_address


class _Reading(Struct, frozen=True):
    """What was made of a row, and of what else."""

    found: Present | Foreign | None
    """`None` for what belongs to our other sites."""
    told: Sequence[tuple[Question, Any]]
    answers: Mapping[Question, Sequence[Any]]
    """What other lists told about it."""


class Readings:
    """The rows of one kind, as they were read in the look before.

    What was made of a row is used again for a row of the same bytes, as long as all that was asked about it has the
    same answers: it was made of nothing else.
    """

    def __init__(self, kind: str, hand: Hand) -> None:
        self._kind = kind
        self._hand = hand
        self._scope = ("", "")
        self._kept: dict[bytes, _Reading] = {}
        """By digest of the row."""

    def of(self, rows: Iterable[Raw], scope: Scope, sight: Bulk) -> Iterator[Present | Foreign]:
        """Read a list: give ours and what belongs to others, and let `sight` know what they tell about others."""
        where = (scope.repository, scope.site)
        kept = self._kept if where == self._scope else {}
        seen: dict[bytes, _Reading] = {}
        for row in rows:
            key = sha256(row).digest()  # most of a look; processors have instructions for this one
            reading = kept.get(key)
            if reading is None or not sight.still(reading.answers):
                reading = self._read(parsed(row), scope, sight)
            seen[key] = reading
            if reading.told:
                sight.learn(reading.told)
            if reading.found is not None:
                yield reading.found
        self._scope, self._kept = where, seen

    def _read(self, row: Json, scope: Scope, sight: Bulk) -> _Reading:
        """Part ours from what belongs to others; what belongs to our other sites is neither."""
        witness = Witness(sight)
        return _Reading(self._found(row, scope, witness), tuple(told(self._kind, row)), witness.answers)

    def _found(self, row: Json, scope: Scope, sight: Bulk) -> Present | Foreign | None:
        mark = self._hand.mark(row)
        if mark is None or mark.repository != scope.repository:
            number, name = self._hand.name(row)
            return Foreign(self._kind, number, name) if number else None
        parts = parse_address(mark.address)
        if parts.site == scope.site and parts.kind == self._kind:
            return self._hand.present(row, mark, sight)
        return None

"""Remembers where every key and value of a document stands; made only when somebody asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from specs.errors import Severity
from specs.yaml.composer import AWAITED, LIST, Composer, Faults, Frame, Place

_COLUMN_BITS = 24
_MARK_BITS = 2 * _COLUMN_BITS


def _pack(event: Any) -> int:
    mark = event.start_mark
    return int(mark.line + 1) << _COLUMN_BITS | int(mark.column + 1)


def _unpack(mark: int) -> tuple[int, int]:
    return mark >> _COLUMN_BITS, mark & ((1 << _COLUMN_BITS) - 1)


class Places(Composer):
    """Composes the document once more, now with places; reports keys that stand there twice."""

    _marks: dict[int, dict[Any, int]]
    """Identity of a container → key or index → place of the key and of the value, in one number."""
    _start: int
    doubles: Faults
    """The keys that stand in a mapping twice."""

    def run(self) -> None:
        """Read as `Composer.run` does."""
        self._marks = {}
        self.doubles = Faults()
        self._start = 1 << _COLUMN_BITS | 1
        super().run()

    def locate(self, pointer: Sequence[str | int], *, key: bool) -> tuple[int, int]:
        """Give line and column of what `pointer` leads to; see `Document.locate`."""
        value, place = self.root, self._start << _MARK_BITS | self._start
        for step in pointer:
            found = self._marks.get(id(value), {}).get(step)
            if found is None:
                return _unpack(place >> _MARK_BITS)
            value, place = value[step], found
        return _unpack(place >> _MARK_BITS if key else place & ((1 << _MARK_BITS) - 1))

    def _begin(self, event: Any, container: Any, *kind: Any) -> None:
        super()._begin(event, container, *kind)
        self._marks[id(container)] = {}

    def _put(self, event: Any, value: Any) -> None:
        frame, place = self._frame, _pack(event)
        key, marks = frame.key, self._marks.get(id(frame.container))
        super()._put(event, value)
        if marks is None:
            self._start = place
        elif key is LIST:
            marks[len(frame.container) - 1] = place << _MARK_BITS | place
        elif key is AWAITED:
            marks.setdefault(frame.key, place)
        elif type(key) is str:
            marks[key] = marks[key] << _MARK_BITS | place

    def _merge(self, frame: Frame) -> None:
        marks = self._marks[id(frame.container)]
        for source in frame.merged or ():
            for key in source:
                marks.setdefault(key, self._marks[id(source)][key])
        super()._merge(frame)

    def _double(self, event: Any, key: str | Place) -> None:
        place = self._marks[id(self._frame.container)][key]
        line, _ = _unpack(place >> _MARK_BITS or place)
        name = key[:60] if isinstance(key, str) else "<<"
        message = f"the key {name!r} stands in this mapping twice, first in line {line}; remove one"
        self._note(self.doubles, event, Severity.ERROR, "duplicate-key", message)

"""Says what differs inside a nested value, for people: deepdiff's home, imported only when there is such a value."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from deepdiff import DeepDiff
from msgspec import Struct

from reconciler.difference import NOTHING, Nothing
from reconciler.shown import Shown

_MOST = 400
"""Parts of a value past which it is not taken apart: deepdiff's time grows faster than they do."""
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class Detail(Struct, frozen=True, kw_only=True):
    """One place inside a value: the way there, and what it was and will be."""

    path: str
    before: Shown | Nothing
    after: Shown | Nothing


def explain(before: Shown, after: Shown) -> tuple[Detail, ...]:
    """Give every place where two nested values differ, in a stable order; nothing for values too large for that."""
    if _parts(before) + _parts(after) > _MOST:
        return ()
    found: list[tuple[tuple[str, ...], Detail]] = []
    for how, items in DeepDiff(before, after, view="tree", threshold_to_diff_deeper=0).items():
        for item in items:
            way = item.path(output_format="list")
            detail = Detail(
                path=_written(way),
                before=NOTHING if how.endswith("_added") else item.t1,
                after=NOTHING if how.endswith("_removed") else item.t2,
            )
            found.append((tuple(f"{step:09}" if isinstance(step, int) else step for step in way), detail))
    return tuple(detail for _, detail in sorted(found, key=lambda pair: (pair[0], pair[1].path)))


def _parts(value: Shown) -> int:
    match value:
        case Mapping():
            return 1 + sum(map(_parts, value.values()))
        case str():
            return 1
        case Sequence():
            return 1 + sum(map(_parts, value))
    return 1


def _written(way: Sequence[str | int]) -> str:
    """Write a way as people do: `env.PATH`, `volumes[0].size`."""
    text = ""
    for step in way:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN.fullmatch(step):
            text += f".{step}"
        else:
            text += f'["{step}"]'
    return text.removeprefix(".")

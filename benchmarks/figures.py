"""One thing measured, and the clocks it is measured by."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing measured."""

    what: str
    value: float
    note: str = ""
    unit: str = "ms"
    name: str = ""
    """How goals call it; empty if none does."""

    def __str__(self) -> str:
        return f"{self.what:72} {self.value:12,.2f} {self.unit:6} {self.note}".rstrip()


def timed(call: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    """Give the milliseconds of one call: processor time of all threads, unless another clock is named."""
    began = clock()
    call()
    return (clock() - began) * 1000


def middle(call: Callable[[], object], rounds: int = 5, clock: Callable[[], float] = time.process_time) -> float:
    """Give the median of several calls, in milliseconds."""
    return median(timed(call, clock) for _ in range(rounds))


def collect(figures: Iterable[Figure]) -> list[Figure]:
    """Take figures, and print each as it comes."""
    taken = []
    for figure in figures:
        print(figure, flush=True)
        taken.append(figure)
    return taken


def dump(figures: Iterable[Figure]) -> str:
    """Write figures as JSON."""
    return json.dumps([asdict(figure) for figure in figures])


def load(text: str) -> list[Figure]:
    """Read figures written by `dump`."""
    return [Figure(**row) for row in json.loads(text)]


def write(file: Path, found: object) -> None:
    """Write something measured into a file, and its folder if need be."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")

"""Takes the figures of a fleet: 1,000 services of 20 nodes each on one site, all deployed.

    python -m benchmarks.fleet

Commands are whole processes, the running loop is one (`benchmarks.turns`): processor time and peak memory of each.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from benchmarks.figures import Figure, collect, load
from benchmarks.generate import change, generate
from benchmarks.loop import build, grounded
from benchmarks.peers import RECONCILER, forget
from benchmarks.process import Command, measure
from benchmarks.turns import fleet_size

SERVICES, NODES = 1000, 20
_ROUNDS = 3


def figures(services: int = SERVICES, nodes: int = NODES) -> Iterator[Figure]:
    """Build the fleet, ask about it, and let the loop keep it."""
    with tempfile.TemporaryDirectory(prefix="fleet-") as scratch:
        folder, size = Path(scratch) / "fleet", fleet_size(services, nodes)
        generate(folder, size)
        with grounded(folder) as ground:
            built = build(ground)
        yield Figure(f"fleet: {built.resources:,} resources created, processor time", built.cpu)
        lost = [_asked(folder, before=lambda: forget(folder)) for _ in range(_ROUNDS)]
        yield Figure("fleet: plan as a command, cache lost", 1000 * median(lost), name="fleet lost")
        revisions = iter(range(1, 1 + _ROUNDS))
        moved = [_asked(folder, before=lambda: change(folder, size, 1, next(revisions))) for _ in range(_ROUNDS)]
        yield Figure("fleet: plan as a command, one service changed", 1000 * median(moved), name="fleet cold")
        line = [sys.executable, "-m", "benchmarks.turns", str(folder), str(services), str(nodes)]
        yield from load(measure(Command(line=line))[1])


def _asked(folder: Path, before: Callable[[], object]) -> float:
    """Do something, then ask for a plan; give its processor seconds."""
    before()
    return measure(Command(line=[str(RECONCILER), "-C", str(folder), "plan"]))[0].cpu_seconds


if __name__ == "__main__":
    collect(figures())

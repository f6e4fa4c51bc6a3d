"""Takes the figures of the running loop over a fleet that stands as it should; one process, with every client loaded.

    python -m benchmarks.turns FOLDER

Figures are processor time of the whole process (`process_time`). Prints them as JSON, for `benchmarks.fleet`.
"""

from __future__ import annotations

import logging
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from statistics import median

from msgspec.structs import replace

from benchmarks.figures import Figure, dump, middle, timed
from benchmarks.generate import Shape, Size, change
from providers.base import Present
from providers.sandpit.database import world_file
from reconciler.diff import Seen, diff
from reconciler.look import Look, look
from reconciler.loop import Loop
from reconciler.project import Place
from specs.tosca.collector import at_rest

SITE = "site-0"
CLIENTS = ("openstack", "keystoneauth1.session", "kubernetes.client", "influxdb_client", "psycopg")
_EVER = datetime(1970, 1, 1, tzinfo=UTC)


def figures(folder: Path, size: Size) -> Iterator[Figure]:
    """Turn over a fleet at rest, then over one of whose services one has changed."""
    for client in CLIENTS:
        import_module(client)
    loop = Loop(Place(directory=folder))
    loop.poll(then_tick=False)
    take(loop)
    take(loop)
    yield Figure(name="idle", what="nothing new, nothing due", value=middle(lambda: loop.poll(then_tick=True)))
    yield Figure(name="turn", what="a turn, nothing changed anywhere", value=middle(lambda: turn(loop), rounds=9))
    looked = []
    for _ in range(9):
        touch(folder)
        looked.append(timed(lambda: turn(loop)))
    yield Figure(name="turn looked", what="a turn that has to look at every resource anew", value=median(looked))
    read, turned = [], []
    for revision in range(1, 10):
        change(folder, size, number=0, revision=revision)
        read.append(timed(lambda: loop.poll(then_tick=False)))
        turned.append(timed(lambda: turn(loop)))
        turn(loop)
    yield Figure(name="changed read", what="one service changed: reading it", value=median(read))
    yield Figure(name="changed turn", what="one service changed: planning and applying it", value=median(turned))
    both = [sum(pair) for pair in zip(read, turned, strict=True)]
    yield Figure(name="changed", what="one service changed after a turn at rest: all of it", value=median(both))
    peak = getrusage(RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    yield Figure(name="loop memory", what="peak memory of the loop, every client loaded", value=peak, unit="MB")
    yield from comparing(loop)
    loop.close()


def take(loop: Loop) -> None:
    """Take a turn on every site, due or not."""
    for pace in loop._paces.values():
        pace.due = _EVER
    for ending in loop.tick():
        ending.result()


def turn(loop: Loop) -> None:
    """Take what the loop takes when a turn is due: a look for news, then the turn."""
    loop.poll(then_tick=False)
    take(loop)


def touch(folder: Path) -> None:
    """Write into the emulated world from outside, so that nothing that is kept of it may be believed."""
    with closing(sqlite3.connect(world_file(folder / ".reconciler", SITE), isolation_level=None)) as world:
        world.execute("INSERT INTO outages VALUES ('@nowhere', '')")
        world.execute("DELETE FROM outages WHERE target = '@nowhere'")


def comparing(loop: Loop) -> Iterator[Figure]:
    """Compare what is wanted, applied and seen, from nothing, beside DeepDiff."""
    goal = loop._goal
    assert goal is not None
    with closing(loop._open_store()) as store:
        seen = look(loop._ground(goal, store), SITE)
    thousands = len(seen.desired.resources) / 1000
    ours = middle(lambda: compare(seen), rounds=9) / thousands
    moved = one_percent_moved(seen)
    theirs = middle(lambda: deepdiff(seen), rounds=1)
    yield Figure(name="diff", what="compare 1,000 resources, unchanged", value=ours)
    yield Figure(
        name="diff 1 %", what="compare 1,000 resources, 1 % changed", value=middle(lambda: compare(moved)) / thousands
    )
    yield Figure(name="deepdiff", what="DeepDiff of 1,000 resources, unchanged", value=theirs)


def compare(seen: Look) -> None:
    """Compare once more what a look showed."""
    with at_rest():
        diff(seen.desired, seen.applied, seen.seen)


def one_percent_moved(seen: Look) -> Look:
    """Let one of a hundred objects look changed."""
    snapshots = {}
    for name, snapshot in seen.seen.snapshots.items():
        present: list[Present] = [
            replace(one, seen="moved") if number % 100 == 0 else one for number, one in enumerate(snapshot.present)
        ]
        snapshots[name] = replace(snapshot, present=present)
    return replace(seen, seen=Seen(snapshots=snapshots, kinds=seen.seen.kinds))


def deepdiff(seen: Look) -> None:
    """Compare a thousand resources as DeepDiff does it."""
    found = import_module("deepdiff")
    wanted = {one.address: dict(one.properties) for one in list(seen.desired.resources.values())[:1000]}
    applied = {address: dict(seen.applied[address].properties) for address in wanted}
    found.DeepDiff(wanted, applied)


def main() -> int:
    """Take the figures of the fleet in a folder and print them."""
    logging.disable(logging.WARNING)
    folder, services, nodes = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    print(dump(figures(folder, fleet_size(services, nodes))))
    return 0


def fleet_size(services: int, nodes: int) -> Size:
    """Give the size of the fleet all these figures are about."""
    return Size(services=services, nodes=nodes, shape=Shape.CONTAINERS)


if __name__ == "__main__":
    sys.exit(main())

"""Takes the figures of the running loop: turns, reading a change, comparing, applying, writing back.

    python -m benchmarks.loop --services 276

One process does everything in it, so figures are processor time of its threads (`process_time`) unless they say wall.
276 services of 20 nodes come to some 20,000 resources. Medians of several rounds; quote ratios of one run.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from statistics import median

from benchmarks.compare import RESULTS, machine
from benchmarks.generate import Shape, Size, change, commit_everything, generate
from providers.base import Context, Mark, Present
from providers.sandpit.provider import Sandpit
from reconciler.connections import Connections
from reconciler.diff import diff
from reconciler.loop import Loop
from reconciler.project import Place, Project, utc_now
from reconciler.turn import Ground, Look, carry_out, limits_by_hand, look, make, working_on
from specs.model import Resource
from specs.repository import Repository
from specs.tosca.collector import at_rest
from state.opening import open_store

SITE = "site-0"
_LATENCY_SECONDS = 0.05
_PARALLELISM = 100


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing measured."""

    what: str
    milliseconds: float
    note: str = ""


class SlowSandpit(Sandpit):
    """A sandpit that takes its time for every create, as systems far away do."""

    def create(self, resource: Resource, mark: Mark) -> Present:
        """Wait, then create."""
        time.sleep(_LATENCY_SECONDS)
        return super().create(resource, mark)


def timed(call: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    """Give the milliseconds of one call."""
    began = clock()
    call()
    return (clock() - began) * 1000


def middle(call: Callable[[], object], rounds: int = 5) -> float:
    """Give the median of several calls, in milliseconds."""
    return median(timed(call) for _ in range(rounds))


@contextmanager
def grounded(folder: Path, connect: Callable[[Context], Sandpit] = Sandpit) -> Iterator[Ground]:
    """Give what turns stand on, for the head of a repository."""
    place = Place(directory=folder)
    with closing(open_store("", place.state_dir)) as store:
        project = Project(place=place, store=store, cache=store)
        project.connections = Connections(connect=connect, state_dir=place.state_dir)
        try:
            yield project.ground(project.read())
        finally:
            project.connections.close()


def build(ground: Ground) -> tuple[int, float, float]:
    """Apply everything; give the resources, and milliseconds of processor and wall time of the apply alone."""
    with working_on(ground, SITE):
        seen = look(ground, SITE)
        plan = make(ground, seen, limits_by_hand(ground.settings, SITE))
        began, cpu = time.perf_counter(), time.process_time()
        carry_out(ground, seen, plan, "benchmark")
        spent = (time.process_time() - cpu) * 1000
        return len(seen.desired.resources), spent, (time.perf_counter() - began) * 1000


def turns(folder: Path, size: Size) -> Iterator[Figure]:
    """Measure the loop over a fleet that stands as it should, and after a change of one service."""
    with grounded(folder) as ground:
        resources, spent, _ = build(ground)
        yield Figure(f"apply, {resources:,} creates", spent)
        seen = look(ground, SITE)
        thousands = resources / 1000
        yield Figure("diff, unchanged, for each 1,000", middle(lambda: compare(seen)) / thousands)
        moved = one_percent_moved(seen)
        yield Figure("diff, 1 % changed, for each 1,000", middle(lambda: compare(moved)) / thousands)
    loop = Loop(Place(directory=folder))
    loop.poll(then_tick=False)
    take(loop)
    yield Figure("loop, nothing new, nothing due", middle(lambda: loop.poll(then_tick=True)))
    yield Figure(f"loop, turn over {resources:,} resources looked at anew", middle(lambda: take(loop)))
    revisions = iter(range(1, 100))
    read, turned = [], []
    for _ in range(3):
        change(folder, size, number=0, revision=next(revisions))
        read.append(timed(lambda: loop.poll(then_tick=False)))
        turned.append(timed(lambda: take(loop)))
    yield Figure(f"loop, one of {size.services} services changed: reading it", median(read))
    yield Figure(f"loop, one of {size.services} services changed: the turn", median(turned))
    peak = getrusage(RUSAGE_SELF).ru_maxrss / 1024
    yield Figure("peak memory of all this", peak, "MB")
    loop.close()


def take(loop: Loop) -> None:
    """Take a turn on every site, due or not."""
    for pace in loop._paces.values():
        pace.due = datetime(1970, 1, 1, tzinfo=UTC)
    for turn in loop.tick():
        turn.result()


def compare(seen: Look) -> None:
    """Compare once more what a look showed."""
    with at_rest():
        diff(seen.desired, seen.applied, seen.seen)


def one_percent_moved(seen: Look) -> Look:
    """Let one of a hundred objects look changed."""
    snapshots = {}
    for name, snapshot in seen.seen.snapshots.items():
        present = [replace(one, seen="moved") if n % 100 == 0 else one for n, one in enumerate(snapshot.present)]
        snapshots[name] = replace(snapshot, present=present)
    return replace(seen, seen=replace(seen.seen, snapshots=snapshots))


def parallel(folder: Path) -> Iterator[Figure]:
    """Measure creates that take long each."""
    generate(folder, Size(services=25, nodes=20, shape=Shape.NORMATIVE))
    (folder / "reconciler.yaml").write_text(f"defaults: {{parallelism: {_PARALLELISM}}}\n", encoding="utf-8")
    place = folder / "sites" / f"{SITE}.yaml"
    plugin = "plugin: sandpit"
    text = place.read_text(encoding="utf-8").replace(plugin, f"{plugin}, budget: {{concurrency: {_PARALLELISM}}}")
    place.write_text(text, encoding="utf-8")
    commit_everything(folder, "Work on many at once")
    with grounded(folder, SlowSandpit) as ground:
        resources, _, wall = build(ground)
    ideal = resources * _LATENCY_SECONDS * 1000 / _PARALLELISM
    yield Figure(f"apply, {resources:,} creates of 50 ms, {_PARALLELISM} at once, wall", wall, f"ideal {ideal:.0f} ms")


def writing(folder: Path) -> Iterator[Figure]:
    """Measure a commit, and a commit that is pushed to a bare repository on this machine."""
    size = Size(services=100, nodes=4)
    source, bare = folder / "source", folder / "bare.git"
    generate(source, size)
    subprocess.run(["git", "clone", "--quiet", "--bare", str(source), str(bare)], check=True)
    numbers = iter(range(1000))
    for what, location in (("commit", str(bare)), ("commit and push", f"file://{bare}")):
        repository = Repository.open(location, folder / "state")

        def write(to: Repository = repository) -> None:
            text = f"# {next(numbers)}\n".encode()
            to.fetch()
            to.write({"specs/group-0/service-0.yaml": text}, "Change", to.author(), onto=to.resolve())

        yield Figure(f"{what}, wall", median(timed(write, time.perf_counter) for _ in range(9)))


def main() -> int:
    """Take the figures, print them and write them down."""
    parser = argparse.ArgumentParser(description="Take the figures of the running loop on the sandpit.")
    parser.add_argument("--services", type=int, default=276, help="of 20 nodes each")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="loop-") as scratch:
        fleet, size = Path(scratch) / "fleet", Size(services=given.services, nodes=20)
        generate(fleet, size)
        for group in (turns(fleet, size), parallel(Path(scratch) / "slow"), writing(Path(scratch) / "writing")):
            for figure in group:
                print(f"{figure.what:70} {figure.milliseconds:10.2f} {figure.note or 'ms'}", flush=True)
                figures.append(figure)
    given.out.mkdir(parents=True, exist_ok=True)
    rows = [{"what": one.what, "value": round(one.milliseconds, 3), "note": one.note} for one in figures]
    report = {"date": f"{utc_now():%Y-%m-%d}", "machine": machine(), "figures": rows}
    (given.out / "loop.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"written to {os.path.relpath(given.out)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

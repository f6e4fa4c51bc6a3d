"""Takes the figures of carrying out and writing back: a thousand creates, commits, and alerts that move a spec.

    python -m benchmarks.loop

Wall time where a figure says so, else processor time of all threads. Medians of several rounds.
"""

from __future__ import annotations

import heapq
import json
import logging
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar
from urllib.request import Request, urlopen

from benchmarks import crowd
from benchmarks.figures import Figure, collect, timed
from benchmarks.generate import Shape, Size, commit_everything, generate, new_repository
from providers.base import Context, Mark, Present
from providers.sandpit.provider import Sandpit
from reconciler.connections import Connections
from reconciler.look import Ground, limits_by_hand, look, make
from reconciler.loop import Loop
from reconciler.order import Operation
from reconciler.project import Place, Project, utc_now
from reconciler.turn import carry_out, working_on
from specs.model import Resource
from specs.repository import Repository
from state.opening import open_store
from state.store import Firing, Outcome, Run, Store

SITE = "site-0"
Found = TypeVar("Found", Firing, Run)
_LATENCY_SECONDS = 0.05
_PARALLELISM = 100
_ROUNDS = 3
_THOUSAND = Size(services=48, nodes=20, shape=Shape.CONTAINERS)
"""Makes 1,008 resources."""


@dataclass(frozen=True, slots=True)
class Built:
    """What it took to make everything."""

    resources: int
    cpu: float
    wall: float
    ideal: float
    """How long it takes somebody who loses no time between two calls. All in milliseconds."""


class SlowSandpit(Sandpit):
    """A sandpit that takes its time for every create, as systems far away do."""

    def create(self, resource: Resource, mark: Mark) -> Present:
        """Wait, then create."""
        time.sleep(_LATENCY_SECONDS)
        return super().create(resource, mark)


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


def build(ground: Ground) -> Built:
    """Apply everything."""
    with working_on(ground, SITE):
        seen = look(ground, SITE)
        plan = make(ground, seen, limits_by_hand(ground.settings, SITE))
        began, cpu = time.perf_counter(), time.process_time()
        carry_out(ground, seen, plan, "benchmark")
        spent, took = time.process_time() - cpu, time.perf_counter() - began
        return Built(len(seen.desired.resources), spent * 1000, took * 1000, ideal(plan.operations))


def ideal(operations: tuple[Operation, ...]) -> float:
    """Work out the milliseconds of all calls, as many at once as may be, each as soon as what it needs is there."""
    ends: dict[str, float] = {}
    free = [0.0] * _PARALLELISM
    for operation in operations:
        began = max((ends[key] for key in operation.after), default=0.0)
        ends[operation.key] = max(began, heapq.heappop(free)) + _LATENCY_SECONDS * 1000
        heapq.heappush(free, ends[operation.key])
    return max(ends.values())


def applying(folder: Path) -> Iterator[Figure]:
    """Measure creates that take no time, and creates that take long each."""
    fast = [_built(folder / f"fast-{number}", Sandpit) for number in range(_ROUNDS)]
    resources, wall = fast[0].resources, median(built.wall for built in fast)
    yield Figure(f"apply, {resources:,} creates, wall", wall, name="apply")
    yield Figure(f"apply, {resources:,} creates, processor time", median(built.cpu for built in fast))
    slow = [_built(folder / f"slow-{number}", SlowSandpit, _PARALLELISM) for number in range(_ROUNDS)]
    wall, ideally = median(built.wall for built in slow), slow[0].ideal
    note = f"ideal {ideally:.0f} ms"
    yield Figure(f"apply, {resources:,} creates of 50 ms, {_PARALLELISM} at once, wall", wall, note)
    yield Figure("apply, the same, over the ideal", wall / ideally, unit="x", name="apply slow")
    yield Figure("apply, the same, processor time", median(built.cpu for built in slow))


def _built(folder: Path, connect: Callable[[Context], Sandpit], at_once: int = 0) -> Built:
    """Apply a thousand creates to an empty world, so many at once; 0: as many as there are by default."""
    generate(folder, _THOUSAND)
    if at_once:
        (folder / "reconciler.yaml").write_text(f"defaults: {{parallelism: {at_once}}}\n", encoding="utf-8")
        place = folder / "sites" / f"{SITE}.yaml"
        plugin = "plugin: sandpit"
        text = place.read_text(encoding="utf-8").replace(plugin, f"{plugin}, budget: {{concurrency: {at_once}}}")
        place.write_text(text, encoding="utf-8")
        commit_everything(folder, "Work on many at once")
    with grounded(folder, connect) as ground:
        return build(ground)


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
            to.write({"specs/group-0/service-0.yaml": text}, "Change", to.author(), onto=to.resolve())

        write()
        yield Figure(f"{what}, wall", median(timed(write, time.perf_counter) for _ in range(9)), name=what)


# --- alerts ----------------------------------------------------------------------------------------

_SECRET = "benchmark"
"""Of a server that lives for a moment, on loopback."""
_MOST = 5
_STEPS = {"out-1": "{scale_out: 1}", "out-5": f"{{scale_out: {_MOST}}}", "back": "{scale_in_to: 2}"}
_DOCUMENTS: Mapping[str, str] = {
    "reconciler.yaml": crowd.SETTINGS,
    "sites/city.yaml": crowd.site(),
    "specs/tour.yaml": crowd.service("tour", 2, "connected", f"{{cooldown: 0 s, pool_size: {_MOST}}}", _STEPS),
    "policies/tour.yaml": crowd.alerts("tour", {step: crowd.above(step, granularity=60) for step in _STEPS}),
}


def alerting(folder: Path) -> Iterator[Figure]:
    """Measure from an alert that is posted until the world has changed, with endpoints that wait in a pool."""
    source, bare, work = folder / "source", folder / "specs.git", folder / "work"
    new_repository(source)
    for path, text in _DOCUMENTS.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text(text, encoding="utf-8")
    commit_everything(source, "Begin")
    subprocess.run(["git", "clone", "--quiet", "--bare", str(source), str(bare)], check=True)
    work.mkdir()
    os.environ["RECONCILER_SECRET_INTAKE"] = _SECRET
    loop = Loop(Place(directory=work, repo=f"file://{bare}"))
    address = loop._alerts.listen("127.0.0.1:0")
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        run_of(work, "push")
        react(work, address, "out-1")
        react(work, address, "back")
        for instances in (1, _MOST):
            taken = []
            for _ in range(5):
                taken.append(react(work, address, f"out-{instances}"))
                react(work, address, "back")
            what = f"alert received until {instances} of a pool connected, wall"
            yield Figure(what, median(taken), name=f"alert {instances}")
    finally:
        loop.stop()
        thread.join()


def react(folder: Path, address: str, trigger: str) -> float:
    """Post an alert, and wait until what it causes is done; give the milliseconds."""
    began = utc_now()
    message = {"id": trigger, "level": "CRITICAL", "time": f"{began:%Y-%m-%dT%H:%M:%S.%fZ}"}
    headers = {"Authorization": f"Bearer {_SECRET}"}
    with urlopen(Request(f"http://{address}/tour/load/{trigger}", json.dumps(message).encode(), headers), timeout=30):
        pass

    def settled(store: Store) -> Firing | None:
        return next((one for one in store.firings(since=began) if one.outcome is not Outcome.OPEN), None)

    firing = awaited(folder, settled)
    if not firing.commit:
        raise RuntimeError(f"the alert moved nothing: {firing.message}")
    run = run_of(folder, f"alert {firing.id}")
    assert run.ended_at is not None
    return (run.ended_at - began).total_seconds() * 1000


def run_of(folder: Path, cause: str) -> Run:
    """Wait for the end of the run of a cause."""

    def ended(store: Store) -> Run | None:
        return next((one for one in store.runs("city", 1000) if one.cause == cause and one.ended_at), None)

    run = awaited(folder, ended)
    if run.outcome is not Outcome.DONE:
        raise RuntimeError(f"the run because of {cause} failed: {run.message}")
    return run


def awaited(folder: Path, look_for: Callable[[Store], Found | None]) -> Found:
    """Look into the store until something is there."""
    deadline = time.monotonic() + 60
    with closing(open_store("", folder / ".reconciler")) as store:
        while (found := look_for(store)) is None:
            if time.monotonic() > deadline:
                raise TimeoutError("it did not come in a minute")
            time.sleep(0.02)
        return found


def figures() -> Iterator[Figure]:
    """Take all of them."""
    with tempfile.TemporaryDirectory(prefix="loop-") as scratch:
        for name, group in (("applying", applying), ("writing", writing), ("alerting", alerting)):
            yield from group(Path(scratch) / name)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    collect(figures())

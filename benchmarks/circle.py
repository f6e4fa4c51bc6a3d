"""Times every leg of the circle: a metric is written, an alert fires, a commit is pushed, the world changes.

    python -m benchmarks.circle --rounds 5

Wall time, on real servers: an InfluxDB is told in line protocol, and commits go to a git server over HTTP, or to a
repository on this machine. The world is the sandpit, where a server takes 700 ms to boot; instances that wait in a
pool have done so already. Medians of several rounds; what else the machine does at the time counts, so its load is
noted. Needs `influxd`: tests/testbed/influx/install.sh brings it.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, astuple, dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TypeVar
from urllib.request import Request, urlopen

from benchmarks import crowd
from benchmarks.compare import RESULTS, machine
from reconciler.loop import Loop
from reconciler.project import Place, utc_now
from state.opening import open_store
from state.store import Firing, Outcome, Run, Store
from tests.testbed.git import http_server
from tests.testbed.git.http_server import GitHttpServer
from tests.testbed.git.sandbox import bare, commit, own_home
from tests.testbed.influx.server import ADMIN, PASSWORD, InfluxServer, running_influx

_CASES = (
    (5, True, "from a pool"),
    (5, False, "from a pool, git on this machine"),
    (0, True, "without a pool"),
)
_BEFORE = 2
"""Instances before anything happens."""
_WORDS = {1: "one", 5: "five"}
"""How many instances are added → the trigger that adds them, and the field it watches."""
_STEPS = {"one": "{scale_out: 1}", "five": "{scale_out: 5}", "back": f"{{scale_in_to: {_BEFORE}}}"}
Found = TypeVar("Found", Firing, Run)


@dataclass(frozen=True, slots=True)
class Legs:
    """What one round took, in milliseconds."""

    waiting: float
    """The point was written, and its window was still open: not ours to shorten."""
    detection: float
    """The window ended, and the alert fires."""
    decision: float
    """The alert fires, and the change is decided."""
    pushing: float
    """The change is decided, and the commit is made and pushed."""
    reading: float
    """The commit is pushed, and its plan is carried out."""
    doing: float
    """The plan is carried out, and every new instance is connected."""

    @property
    def scaling(self) -> float:
        """From the alert to the changed world."""
        return self.decision + self.pushing + self.reading + self.doing


class Ear(logging.Handler):
    """Keeps what was said, and when."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.heard: list[tuple[float, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record."""
        self.heard.append((record.created, record.getMessage()))

    def when(self, *parts: str) -> float:
        """Give when something with all these parts was said first."""
        return next(at for at, text in self.heard if all(part in text for part in parts))


@dataclass(slots=True)
class Stage:
    """A loop at work between its servers."""

    folder: Path
    influx: InfluxServer
    database: str
    ear: Ear = field(default_factory=Ear)

    def round(self, instances: int) -> Legs:
        """Add instances by an alert, and take them away again by another."""
        written, firing, run = self._provoke(_WORDS[instances])
        fired, decided = self.ear.when(firing.id, " fires: "), self.ear.when(firing.id, " asks for: ")
        committed = self.ear.when(firing.id, firing.commit[:12])
        began = self.ear.when("applying because of", firing.id)
        changed = self._changed(run, instances)
        self._provoke("back")
        moments = (written, firing.at.timestamp(), fired, decided, committed, began, changed)
        return Legs(*((after - before) * 1000 for before, after in pairwise(moments)))

    def run_of(self, cause: str) -> Run:
        """Wait until the run of a cause has ended."""

        def found() -> Run | None:
            with closing(self._store()) as store:
                return next((one for one in store.runs("city", 5) if one.cause == cause and one.ended_at), None)

        return self._await(found)

    def _provoke(self, name: str) -> tuple[float, Firing, Run]:
        """Write a point that makes an alert fire, and wait for what comes of it; give when it was written."""
        with closing(self._store()) as store:
            known = {firing.id for firing in store.firings()}

        def found() -> Firing | None:
            with closing(self._store()) as store:
                return next((one for one in store.firings() if one.id not in known and one.commit), None)

        url = f"{self.influx.url}/write?db={self.database}&u={ADMIN}&p={PASSWORD}"
        line = f"frontend,flame_sfc=tour,flame_sfci=tour {name}=1000 {time.time_ns()}"
        with urlopen(Request(url, line.encode()), timeout=10):
            written = time.time()
        firing = self._await(found)
        return written, firing, self.run_of(f"alert {firing.id}")

    def _changed(self, run: Run, instances: int) -> float:
        """Give when the last part of the new instances was there."""
        names = tuple(f"frontend@dc-1.{_BEFORE + number}:" for number in range(instances))
        with closing(self._store()) as store:
            own = [entry for entry in store.journal("city", run.id) if any(name in entry.address for name in names)]
        ends = [entry.ended_at.timestamp() for entry in own if entry.ended_at and entry.outcome is Outcome.DONE]
        if len(ends) < len(own) or not ends:
            raise RuntimeError(f"the instances did not come: {run.message or run.summary}")
        return max(ends)

    def _store(self) -> Store:
        return open_store("", self.folder / ".reconciler")

    def _await(self, look: Callable[[], Found | None]) -> Found:
        deadline = time.monotonic() + 60
        while (found := look()) is None:
            if time.monotonic() > deadline:
                raise TimeoutError("; ".join(text for _, text in self.ear.heard[-5:]))
            time.sleep(0.02)
        return found


@contextmanager
def staged(root: Path, influx: InfluxServer, pool: int, *, far: bool) -> Iterator[Stage]:
    """Publish the documents, start a loop that follows them, and wait until everything stands."""
    root.mkdir()
    database = influx.new_database()
    documents = {
        "reconciler.yaml": crowd.SETTINGS,
        "sites/city.yaml": crowd.site(
            f'{{database: {database}, metrics: {{kind: influxql, url: "{influx.url}"}}}}', "{delays: {server: 700 ms}}"
        ),
        "specs/tour.yaml": crowd.service("tour", _BEFORE, "connected", f"{{cooldown: 0 s, pool_size: {pool}}}", _STEPS),
        "policies/tour.yaml": crowd.alerts("tour", {step: crowd.above(step, granularity=1) for step in _STEPS}),
    }
    commit(bare(root / "specs.git"), {path: text.encode() for path, text in documents.items()}, "Begin")
    stage = Stage(root / "work", influx, database)
    stage.folder.mkdir()
    log = logging.getLogger()
    log.addHandler(stage.ear)
    with GitHttpServer(root).running() as git:
        address = git.url("specs.git") if far else str(root / "specs.git")
        loop = Loop(Place(directory=stage.folder, repo=address))
        thread = threading.Thread(target=loop.run)
        thread.start()
        try:
            stage.run_of("push")
            yield stage
        finally:
            loop.stop()
            thread.join()
            log.removeHandler(stage.ear)


def measure(rounds: int) -> Iterator[tuple[str, Legs]]:
    """Take medians of every case: one instance and five, with a pool and without."""
    with tempfile.TemporaryDirectory(prefix="circle-") as scratch, running_influx() as influx:
        for pool, far, where in _CASES:
            with staged(Path(scratch) / where, influx, pool, far=far) as stage:
                stage.round(1)
                for instances in _WORDS:
                    taken = [stage.round(instances) for _ in range(rounds)]
                    middle = Legs(*map(median, zip(*map(astuple, taken), strict=True)))
                    yield f"{instances} {where}", middle


def main() -> int:
    """Take the figures, print them and write them down."""
    parser = argparse.ArgumentParser(description="Time every leg from a metric to a changed world.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    logging.getLogger("reconciler").setLevel(logging.DEBUG)
    rows = []
    with tempfile.TemporaryDirectory(prefix="home-") as home, own_home(Path(home)):
        os.environ |= {"RECONCILER_GIT_USERNAME": http_server.USER, "RECONCILER_GIT_PASSWORD": http_server.PASSWORD}
        os.environ |= {"RECONCILER_CLMC_USER": ADMIN, "RECONCILER_CLMC_PASSWORD": PASSWORD}
        for case, legs in measure(given.rounds):
            row = {leg: round(value, 1) for leg, value in (asdict(legs) | {"scaling": legs.scaling}).items()}
            print(f"{case:34}", *(f"{leg} {value:.1f} ms" for leg, value in row.items()), sep="  ", flush=True)
            rows.append({"case": case} | row)
    given.out.mkdir(parents=True, exist_ok=True)
    report = {
        "date": f"{utc_now():%Y-%m-%d}",
        "machine": machine(),
        "load": round(os.getloadavg()[0], 1),
        "rounds": given.rounds,
        "milliseconds": rows,
    }
    (given.out / "circle.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"written to {os.path.relpath(given.out)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

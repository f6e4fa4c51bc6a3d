"""Takes the figures of ten thousand alert triggers on one site: watching them, and all of them firing at once.

    python -m benchmarks.triggers --triggers 10000

A hundred triggers belong to each service and look at series of their own every ten seconds: thresholds, differences and
silence.
Metrics lie in the embedded store first and in an InfluxDB next (tests/testbed/influx/install.sh brings it).
Everything but the InfluxDB is one process; its processor time says how much of two cores it takes.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from benchmarks import crowd
from benchmarks.compare import RESULTS, machine
from benchmarks.figures import Figure
from benchmarks.generate import commit_everything, new_repository
from reconciler.loop import Loop
from reconciler.project import Place, utc_now
from state.metrics.embedded import Embedded
from state.metrics.influxql import InfluxQL
from state.metrics.moments import last_end, nanoseconds
from state.metrics.vocabulary import Metrics, Point
from state.opening import open_store
from state.store import Outcome
from tests.testbed.influx.server import ADMIN, PASSWORD, running_influx

_PER_SERVICE = 100
_GRANULARITY = 10
"""Seconds: of each window, and between two checks of a trigger."""
_REPORTS = 5
"""Points of each series in a window."""
_CORES = 2
_KINDS = (
    "event_type: threshold, metric: frontend.load, condition: {threshold: 100, aggregation_method: mean",
    "event_type: threshold, metric: frontend.load, condition: {threshold: 100, aggregation_method: max",
    "event_type: threshold, metric: frontend.load, condition: {threshold: 100, aggregation_method: last",
    "event_type: relative, metric: frontend.load, condition: {threshold: 50, aggregation_method: mean",
    "event_type: deadman, metric: frontend.*, condition: {threshold: 0",
)


@dataclass(frozen=True, slots=True)
class Cost:
    """What something took, in milliseconds."""

    cpu: float
    wall: float


class City:
    """A site with so many triggers, the loop that keeps it, and a clock that is moved by hand."""

    def __init__(self, folder: Path, triggers: int, settings: str) -> None:
        self.folder = folder
        self.now = last_end(utc_now(), _GRANULARITY)
        new_repository(folder)
        for path, text in _documents(triggers, settings):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
        commit_everything(folder, "Watch everything")
        self.loop = Loop(Place(directory=folder), clock=lambda: self.now)

    def turn(self) -> None:
        """Read the commit, and make it so."""
        self.loop.poll(then_tick=False)
        for turn in self.loop.tick():
            turn.result()

    def window(self, metrics: Metrics, database: str, triggers: int, load: float) -> None:
        """Let a window pass in which every series reports."""
        moments = [self.now + timedelta(seconds=_GRANULARITY * n / _REPORTS) for n in range(_REPORTS)]
        metrics.write(
            database,
            (
                Point(
                    measurement="frontend",
                    tags={
                        "flame_sfc": "tour",
                        "flame_sfci": f"tour-{number // _PER_SERVICE}",
                        "flame_sfe": f"e{number}",
                    },
                    fields={"load": load},
                    time=nanoseconds(moment),
                )
                for moment in moments
                for number in range(triggers)
            ),
        )
        self.now += timedelta(seconds=_GRANULARITY)

    def check(self) -> Cost:
        """Look at every trigger that is due."""
        cpu, wall = time.process_time(), time.perf_counter()
        self.loop.look_after_alerts()
        return Cost((time.process_time() - cpu) * 1000, (time.perf_counter() - wall) * 1000)

    def fired(self) -> int:
        """Count what has fired and was decided; `RuntimeError` if something could not be looked at."""
        with closing(open_store("", self.folder / ".reconciler")) as store:
            if problem := next((state.problem for state in store.alert_states("city") if state.problem), ""):
                raise RuntimeError(problem)
            return len(store.firings(outcome=Outcome.DONE, limit=1_000_000))


def _documents(triggers: int, settings: str) -> Iterator[tuple[str, str]]:
    yield ".gitignore", ".reconciler/\n"
    yield "reconciler.yaml", "defaults: {sync: {auto_apply: true, self_heal: true}}\n"
    yield "sites/city.yaml", crowd.site(settings)
    for first in range(0, triggers, _PER_SERVICE):
        name, own = f"tour-{first // _PER_SERVICE}", range(first, min(first + _PER_SERVICE, triggers))
        steps = {f"t{number}": "{scale_out: 1}" for number in own}
        yield f"specs/{name}.yaml", crowd.service(name, 1, "unplaced", "{mode: report}", steps)
        yield f"policies/{name}.yaml", crowd.alerts(name, {f"t{number}": _watched(number) for number in own})


def _watched(number: int) -> str:
    kind = _KINDS[number % len(_KINDS)]
    compared = "" if "deadman" in kind else ", comparison_operator: gt"
    return f"{kind}{compared}, granularity: {_GRANULARITY}, resource_type: {{flame_sfe: e{number}}}}}"


def measure(city: City, metrics: Metrics, database: str, triggers: int, where: str) -> Iterator[Figure]:
    """Watch some quiet windows, and one in which all that can fires."""
    quiet = []
    for _ in range(4):
        city.window(metrics, database, triggers, load=10)
        quiet.append(city.check())
    cost = sorted(quiet[1:], key=lambda one: one.cpu)[1]
    if city.fired():
        raise RuntimeError("something fired that should not")
    share = 100 * cost.cpu / (1000 * _GRANULARITY * _CORES)
    note = f"{cost.wall:.0f} ms wall; {share:.1f} % of {_CORES} cores at a granularity of {_GRANULARITY} s"
    yield Figure(f"{where}: {triggers:,} triggers looked at", cost.cpu, note, name="triggers")
    yield Figure(f"{where}: nothing due", min(city.check().cpu for _ in range(5)))
    city.window(metrics, database, triggers, load=500)
    cost = city.check()
    yield Figure(f"{where}: {city.fired():,} of them fire, each is decided", cost.cpu, f"{cost.wall:.0f} ms wall")


def figures(triggers: int) -> Iterator[Figure]:
    """Measure both stores."""
    with tempfile.TemporaryDirectory(prefix="triggers-") as scratch:
        city = City(Path(scratch) / "embedded", triggers, "{}")
        began = time.process_time()
        city.turn()
        yield Figure(f"{triggers:,} alerts planned and applied", (time.process_time() - began) * 1000)
        with closing(Embedded(city.folder / ".reconciler" / "clmc" / "city-clmc.metrics")) as metrics:
            yield from measure(city, metrics, "tour", triggers, "embedded")
        city.loop.close()
        with running_influx() as influx:
            database = influx.new_database()
            settings = f"{{database: {database}, metrics: {{kind: influxql, url: '{influx.url}'}}}}"
            city = City(Path(scratch) / "influx", triggers, settings)
            city.turn()
            with closing(InfluxQL(influx.url, user=ADMIN, password=PASSWORD, timeout=60)) as metrics:
                yield from measure(city, metrics, database, triggers, "InfluxDB")
            city.loop.close()


def main() -> int:
    """Take the figures, print them and write them down."""
    parser = argparse.ArgumentParser(description="Take the figures of very many triggers on one site.")
    parser.add_argument("--triggers", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    os.environ |= {"RECONCILER_CLMC_USER": ADMIN, "RECONCILER_CLMC_PASSWORD": PASSWORD}
    rows = []
    for figure in figures(given.triggers):
        print(f"{figure.what:70} {figure.value:10.1f} ms  {figure.note}", flush=True)
        rows.append({"what": figure.what, "value": round(figure.value, 3), "note": figure.note})
    given.out.mkdir(parents=True, exist_ok=True)
    report = {"date": f"{utc_now():%Y-%m-%d}", "machine": machine(), "figures": rows}
    (given.out / "triggers.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"written to {os.path.relpath(given.out)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A repository with alerts, the loop that keeps it, its metrics and its world; the clock is moved by hand."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pygit2

from providers.sandpit import sabotage
from reconciler.loop import Loop
from reconciler.loop_turn import Ending
from reconciler.project import Place
from specs.repository import Author, Repository
from state.metrics.embedded import Embedded
from state.metrics.moments import nanoseconds
from state.metrics.vocabulary import FieldValue, Point
from state.opening import open_store
from state.store import AlertState, Firing, Outcome
from tests.support.alerting import FILES
from tests.support.metering import NOON

TAGS = {"flame_sfc": "tour", "flame_sfci": "tour-1", "flame_location": "edge-1"}
PERSON = Author("Ann", "ann@example.org")


@dataclass
class Tower:
    """Everything at once."""

    folder: Path
    now: datetime = NOON
    loops: list[Loop] = field(default_factory=list)

    @property
    def loop(self) -> Loop:
        """The loop that runs now."""
        return self.loops[-1] if self.loops else self.restart()

    def restart(self, listen: str = "") -> Loop:
        """Begin with a new loop, as after a crash."""
        self.loops.append(Loop(Place(directory=self.folder), clock=lambda: self.now, listen=listen))
        return self.loops[-1]

    def close(self) -> None:
        """Close every loop."""
        for loop in self.loops:
            loop.close()

    # --- time ---

    def turn(self) -> list[Ending]:
        """Look at git, and take every turn that is due."""
        self.loop.poll(then_tick=False)
        return [turn.result(timeout=60) for turn in self.loop.tick()]

    def alerts(self) -> None:
        """Look after alerts, and let the turns that follow end."""
        self.loop.look_after_alerts()
        self.settle()

    def settle(self) -> None:
        """Wait for the turns that are taken, and take those that are due, until there are none."""
        deadline = time.monotonic() + 60
        while any(pace.busy or pace.due <= self.now for pace in self.loop._paces.values()):
            assert time.monotonic() < deadline, "the turns do not end"
            for turn in self.loop.tick():
                turn.result(timeout=60)
            time.sleep(0.01)

    def await_commit(self, count: int = 2) -> None:
        """Wait for so many commits, and for the turns that follow."""
        deadline = time.monotonic() + 30
        while self.loop._alerts.around.goal() is None or self._read() < count:
            assert time.monotonic() < deadline, f"there are only {len(self.subjects())} commits"
            time.sleep(0.01)
        self.settle()

    def _read(self) -> int:
        """Count the commits up to the one that the loop has read."""
        reading = self.loop._alerts.around.goal()
        ids = [commit.id for commit in reversed(self.git().history(1000))]
        return ids.index(reading.commit) + 1 if reading is not None else 0

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)

    # --- metrics ---

    def metrics(self) -> Embedded:
        """Open the embedded store of metrics."""
        return Embedded(self.folder / ".reconciler" / "clmc" / "bristol-clmc.metrics")

    def measure(
        self,
        seconds_ago: float = 1,
        measurement: str = "storage",
        tags: Mapping[str, str] = TAGS,
        database: str = "tour",
        **fields: FieldValue,
    ) -> None:
        """Write one point."""
        at = nanoseconds(self.now - timedelta(seconds=seconds_ago))
        with closing(self.metrics()) as store:
            store.write(database, [Point(measurement=measurement, tags=tags, fields=fields, time=at)])

    def points(self, measurement: str) -> list[tuple[dict[str, str], dict[str, FieldValue]]]:
        """Give tags and fields of every point of a measurement, in the order of time and tags."""
        file = self.folder / ".reconciler" / "clmc" / "bristol-clmc.metrics"
        with closing(sqlite3.connect(file)) as connection:
            rows = connection.execute(
                "SELECT time, tags, field, value FROM samples JOIN series ON series = id WHERE measurement = ?"
                " ORDER BY time, tags",
                (measurement,),
            ).fetchall()
        found: dict[tuple[int, str], dict[str, FieldValue]] = {}
        for at, tags, name, value in rows:
            found.setdefault((at, tags), {})[name] = value
        return [(json.loads(tags), fields) for (_, tags), fields in found.items()]

    # --- what came of it ---

    def git(self) -> Repository:
        """Open the repository."""
        return Repository.open(str(self.folder), self.folder / ".reconciler")

    def commit(self, path: str, old: str, new: str, author: Author = PERSON) -> str:
        """Change a file as a person would."""
        repository = self.git()
        head = repository.resolve()
        text = repository.tree(head).read(path).decode()
        assert old in text
        return repository.write({path: text.replace(old, new).encode()}, "By hand", author, onto=head)

    def spec(self, branch: str = "") -> str:
        """Give the text of the service spec."""
        repository = self.git()
        return repository.tree(repository.resolve(branch)).read("specs/tour.yaml").decode()

    def subjects(self) -> list[str]:
        """Give the first lines of the commits, the newest first."""
        return [commit.subject for commit in self.git().history(100)]

    def messages(self) -> list[str]:
        """Give the commits' messages, the newest first."""
        return [commit.message for commit in self.git().history(100)]

    def firings(self) -> list[Firing]:
        """Give the firings, the oldest first."""
        with closing(open_store("", self.folder / ".reconciler")) as store:
            return list(reversed(store.firings()))

    def states(self) -> list[AlertState]:
        """Give what is remembered of rules."""
        with closing(open_store("", self.folder / ".reconciler")) as store:
            return list(store.alert_states())

    def runs(self) -> list[tuple[str, Outcome]]:
        """Give cause and outcome of every run, the oldest first."""
        with closing(open_store("", self.folder / ".reconciler")) as store:
            return [(run.cause, run.outcome) for run in reversed(store.runs())]

    def addresses(self) -> set[str]:
        """Give the addresses of what is ours."""
        with closing(open_store("", self.folder / ".reconciler")) as store:
            return set(store.inventory("bristol"))

    def world(self) -> set[str]:
        """Give the addresses of what is there."""
        with closing(sabotage.open_site(self.folder / ".reconciler", "bristol")) as database:
            return {str(row["address"]) for row in sabotage.listed(database)}


def make_tower(folder: Path, changes: Mapping[str, str] | None = None) -> Tower:
    """Make the repository, with one commit, and everything around it."""
    repository = Repository.create(folder)
    config = pygit2.Repository(str(folder)).config
    config["user.name"], config["user.email"] = "Ann", "ann@example.org"
    files = {path: text.encode() for path, text in {**FILES, **(changes or {})}.items()}
    repository.write(files, "Begin", PERSON, onto="")
    return Tower(folder=folder)

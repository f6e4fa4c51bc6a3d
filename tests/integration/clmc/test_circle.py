"""Line protocol → rule → commit on the server → changed world, on real servers, killed and not."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path
from urllib.request import Request, urlopen

import pygit2
import pytest

from providers.base import Health
from reconciler.look import look
from reconciler.project import Place, opened
from specs.patch import trailer
from state.metrics.moments import nanoseconds
from state.store import Outcome
from tests.integration.clmc.circle import Circle, files, publish
from tests.support.alerting import STATE
from tests.support.metering import NOON
from tests.testbed.git import http_server
from tests.testbed.git.http_server import GitHttpServer
from tests.testbed.git.sandbox import commit, own_home
from tests.testbed.influx.server import ADMIN, PASSWORD, InfluxServer

SERVER = "bristol/tour-1/storage@edge-1.0:sandpit.server"
SCRIPT = Path(__file__).with_name("dying_circle.py")
ROOT = Path(__file__).parents[3]
TAGS = "flame_sfc=tour,flame_sfci=tour-1,flame_location=edge-1"


@dataclass
class Servers:
    """A git server, a database of an InfluxDB, and how to write to it."""

    root: Path
    git: GitHttpServer
    influx: InfluxServer
    database: str

    def measure(self, seconds: float, requests: float) -> None:
        """Write one point of line protocol, as a service would, so many seconds after noon."""
        at = nanoseconds(NOON + timedelta(seconds=seconds))
        url = f"{self.influx.url}/write?db={self.database}&u={ADMIN}&p={PASSWORD}"
        with urlopen(Request(url, f"storage,{TAGS} requests={requests} {at}".encode()), timeout=10) as answer:
            assert answer.status == 204

    def circle(self, folder: Path, name: str = "specs.git") -> Circle:
        folder.mkdir(parents=True, exist_ok=True)
        made = Circle(folder)
        made.address = self.git.url(name)
        return made

    def messages(self, name: str = "specs.git") -> list[str]:
        """Give the commits on the server, the newest first."""
        git = pygit2.Repository(str(self.root / name))
        return [commit.message for commit in git.walk(git.references["refs/heads/main"].target)]

    def spec(self, name: str = "specs.git") -> str:
        git = pygit2.Repository(str(self.root / name))
        blob = git.references["refs/heads/main"].peel(pygit2.Commit).tree / "specs/tour.yaml"
        assert isinstance(blob, pygit2.Blob)
        return blob.data.decode()


@pytest.fixture
def servers(influx: InfluxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Servers]:
    with own_home(tmp_path / "home"):
        monkeypatch.setenv("RECONCILER_GIT_USERNAME", http_server.USER)
        monkeypatch.setenv("RECONCILER_GIT_PASSWORD", http_server.PASSWORD)
        monkeypatch.setenv("RECONCILER_CLMC_USER", ADMIN)
        monkeypatch.setenv("RECONCILER_CLMC_PASSWORD", PASSWORD)
        root = tmp_path / "server"
        root.mkdir()
        database = influx.new_database()
        publish(root, "specs.git", files(influx.url, database))
        with GitHttpServer(root).running() as git:
            yield Servers(root, git, influx, database)


def test_a_metric_becomes_a_commit_on_the_server_and_a_changed_world(servers: Servers, tmp_path: Path) -> None:
    circle = servers.circle(tmp_path / "work")
    circle.turn()
    servers.measure(-30, 120)
    circle.wait(1)
    circle.alerts()
    (firing,) = circle.firings()
    message, first = servers.messages()

    assert f"edge-1: {STATE}connected  # the cabinet" in servers.spec()
    assert SERVER in circle.world()
    assert trailer(message, "Alert") == firing.id
    assert trailer(message, "Query").startswith('SELECT mean("requests") FROM "storage" WHERE time >= ')
    assert first.strip() == "Begin"
    assert circle.runs()[-1] == (f"alert {firing.id}", Outcome.DONE)
    events = servers.influx.run(
        "SELECT state, cause FROM configuration_event WHERE flame_location = 'square'", servers.database
    )
    assert f"alert {firing.id}" in str(events)
    circle.close()


def test_who_pushes_at_the_same_moment_is_kept(servers: Servers, tmp_path: Path) -> None:
    circle = servers.circle(tmp_path / "work")
    circle.turn()
    servers.measure(-30, 120)
    circle.wait(1)
    other = servers.spec().replace("http://x/f", "http://x/g")

    def push_first() -> None:
        servers.git.before_push = lambda: None
        commit(servers.root / "specs.git", {"specs/tour.yaml": other.encode()}, "Change the image")

    servers.git.before_push = push_first
    circle.alerts()
    _, *before = servers.messages()

    assert before == ["Change the image", "Begin"]
    assert servers.spec() == other.replace(f"edge-1: {STATE}placed", f"edge-1: {STATE}connected", 1)
    assert SERVER in circle.world()
    circle.close()


def test_what_a_person_has_pushed_meanwhile_is_left_alone(servers: Servers, tmp_path: Path) -> None:
    circle = servers.circle(tmp_path / "work")
    circle.turn()
    servers.measure(-30, 120)
    circle.wait(1)
    other = servers.spec().replace(f"edge-1: {STATE}placed", f"edge-1: {STATE}booted", 1)
    commit(servers.root / "specs.git", {"specs/tour.yaml": other.encode()}, "Boot it")
    circle.alerts()
    (firing,) = circle.firings()

    assert firing.outcome is Outcome.CANCELLED
    assert "is left alone" in firing.message
    assert servers.messages() == ["Boot it", "Begin"]
    assert servers.spec() == other
    circle.close()


def test_once_its_commit_is_read_an_alert_asks_the_server_nothing(servers: Servers, tmp_path: Path) -> None:
    circle = servers.circle(tmp_path / "work")
    circle.turn()
    servers.measure(-30, 120)
    circle.wait(1)
    circle.alerts()
    asked = servers.git.asked
    circle.alerts()

    assert len(servers.messages()) == 2
    assert servers.git.asked == asked
    circle.close()


def test_without_influxdb_nothing_fires_and_everything_is_unknown(
    servers: Servers, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    circle = servers.circle(tmp_path / "work")
    circle.turn()
    servers.measure(-30, 50)
    circle.wait(1)
    circle.alerts()
    servers.influx.stop()
    try:
        for _ in range(10):
            circle.wait(60)
            circle.alerts()
        problems = {state.problem for state in circle.states()}
        place = Place(directory=circle.folder, repo=circle.address)
        with opened(place) as project:
            seen = look(project.ground(project.read()), "bristol")
            healths = {p.health for p in seen.comparison.present.values() if ":clmc." in p.address}
    finally:
        servers.influx.start()

    assert circle.firings() == []
    assert all("InfluxDB" in problem or servers.influx.url in problem for problem in problems)
    assert healths == {Health.UNKNOWN}
    assert len(servers.messages()) == 1

    circle.wait(60)
    circle.alerts()
    circle.wait(120)
    circle.alerts()
    assert {firing.trigger for firing in circle.firings()} == {"nobody"}  # the deadman, and nothing else
    assert {state.problem for state in circle.states()} == {""}
    circle.close()


@pytest.mark.timeout(300)
def test_killed_between_any_two_legs_the_circle_closes_exactly_once(servers: Servers, tmp_path: Path) -> None:
    servers.measure(-30, 120)
    first = servers.circle(tmp_path / "first")
    first.turn()
    first.close()
    died = 0
    for point in count():
        name = f"specs-{point}.git"
        shutil.copytree(servers.root / "specs.git", servers.root / name)
        folder = tmp_path / f"work-{point}"
        shutil.copytree(first.folder, folder)
        shutil.rmtree(next((folder / ".reconciler").glob("repository*")), ignore_errors=True)
        address, now = servers.git.url(name), (NOON + timedelta(seconds=1)).isoformat()
        killed = run(folder, address, now, point).returncode == -signal.SIGKILL
        died += killed
        again = run(folder, address, now, -1)
        assert again.returncode == 0, again.stderr
        circle = servers.circle(folder, name)
        (firing,) = circle.firings()

        assert len(servers.messages(name)) == 2, f"at point {point}"
        assert f"edge-1: {STATE}connected" in servers.spec(name)
        assert firing.outcome is Outcome.DONE
        assert firing.commit
        assert SERVER in circle.world()
        if not killed:
            break
        shutil.rmtree(folder)
    assert died >= 12


def run(folder: Path, address: str, now: str, point: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), str(folder), address, now, str(point)]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": "."}, capture_output=True, text=True, timeout=60
    )

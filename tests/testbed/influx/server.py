"""An InfluxDB 1.x server of its own for one test session: fresh, on loopback only, with users and passwords.

Needs `influxd` of Debian's package `influxdb`; `install.sh` beside this file gets it.
"""

from __future__ import annotations

import base64
import http.client
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from urllib.parse import urlencode

from tests.testbed.influx.ports import free_port

ADMIN, PASSWORD = "reconciler", "correct-horse"
LIFE_SECONDS = 900
"""After that the server ends, even if nobody is left to end it."""

_CONFIGURATION = """
reporting-disabled = true
bind-address = "127.0.0.1:{backup}"
[meta]
  dir = "{folder}/meta"
  logging-enabled = false
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  index-version = "tsi1"
  query-log-enabled = false
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  auth-enabled = true
  log-enabled = false
[continuous_queries]
  enabled = false
[logging]
  level = "warn"
"""


@dataclass(slots=True)
class InfluxServer:
    """A server, running or stopped; its data stay."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    _numbers: Iterator[int] = field(default_factory=count)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = ["timeout", "--signal=TERM", "--kill-after=10", str(LIFE_SECONDS)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, _program(), "-config", str(self.folder / "influxdb.conf")], stdout=log, stderr=log
            )
        deadline = time.monotonic() + 30
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"InfluxDB did not start:\n{(self.folder / 'log').read_text()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=20)
            self.process = None

    def new_database(self) -> str:
        """Make an empty database and give its name."""
        name = f"chain_{next(self._numbers)}"
        self.run(f'CREATE DATABASE "{name}"')
        return name

    def run(self, statement: str, database: str = "") -> list[dict[str, object]]:
        """Run InfluxQL as the admin."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        token = base64.b64encode(f"{ADMIN}:{PASSWORD}".encode()).decode()
        body = urlencode({"q": statement, "db": database, "epoch": "ns"})
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": f"Basic {token}"}
        connection.request("POST", "/query", body, headers)
        found = json.loads(connection.getresponse().read())
        connection.close()
        results = found.get("results", [found])
        for result in results:
            if "error" in result:
                raise RuntimeError(f"{statement}: {result['error']}")
        return list(results)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == 204
        except OSError:
            return False
        finally:
            connection.close()


@contextmanager
def running_influx() -> Iterator[InfluxServer]:
    """Start a server with one admin, and end it afterwards."""
    _program()
    folder = Path(tempfile.mkdtemp(prefix="reconciler-influx-"))
    server = InfluxServer(folder, free_port())
    text = _CONFIGURATION.format(folder=folder, port=server.port, backup=free_port())
    (folder / "influxdb.conf").write_text(text)
    try:
        server.start()
        server.run(f"CREATE USER {ADMIN} WITH PASSWORD '{PASSWORD}' WITH ALL PRIVILEGES")
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def _program() -> str:
    found = shutil.which("influxd")
    if found is None:
        raise FileNotFoundError("InfluxDB is not installed; run tests/testbed/influx/install.sh as root")
    return found

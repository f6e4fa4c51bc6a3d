"""A PostgreSQL server of its own for one test session: fresh, unprivileged, on a Unix socket only.

Needs the server programs of Debian's package `postgresql`; `install.sh` beside this file gets them.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg

USER = "reconciler"
PASSWORD = "correct-horse-battery"

LIFE_SECONDS = 900
"""After that the server ends, even if nobody is left to end it."""

_OPTIONS = (
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("synchronous_commit", "off"),
    ("shared_buffers", "16MB"),
    ("max_connections", "40"),
    ("listen_addresses", ""),
    ("dynamic_shared_memory_type", "mmap"),
)


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server."""

    folder: Path
    """Where its socket and its data are."""
    process: subprocess.Popen[bytes]
    _numbers: Iterator[int] = field(default_factory=count)

    def url(self, database: str, password: str = PASSWORD) -> str:
        """Give the URL of a database."""
        return f"postgresql://{USER}:{password}@/{database}?host={self.folder}"

    def new_database(self) -> str:
        """Make an empty database and give its name."""
        name = f"store_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name}")
        return name

    def run(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run a statement as the owner of everything."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Start a server, wait until it answers, and end it afterwards."""
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="reconciler-postgres-"))
    try:
        _as_server(folder)
        _make_cluster(programs, folder)
        with _started(programs, folder) as server:
            _wait(server)
            yield server
    finally:
        shutil.rmtree(folder)


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    elsewhere = shutil.which("initdb")
    if elsewhere is None:
        raise FileNotFoundError(
            "the PostgreSQL server is not installed; run tests/testbed/postgres/install.sh as root"
            " (apt-get install postgresql)"
        )
    return Path(elsewhere).resolve().parent


def _account() -> pwd.struct_passwd | None:
    """The server refuses to run as root: then the account of the package does."""
    return pwd.getpwnam("postgres") if os.geteuid() == 0 else None


def _as_server(folder: Path) -> None:
    account = _account()
    if account is not None:
        os.chown(folder, account.pw_uid, account.pw_gid)


def _popen(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    account = _account()
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
        )


def _make_cluster(programs: Path, folder: Path) -> None:
    secret = folder / "password"
    secret.write_text(PASSWORD)
    command = [str(programs / "initdb"), "--pgdata", str(folder / "data"), "--username", USER]
    command += ["--pwfile", str(secret), "--auth", "scram-sha-256", "--no-sync"]
    # People's servers sort as people do, not by character codes.
    command += ["--encoding", "UTF8", "--locale", "C.UTF-8", "--locale-provider", "icu", "--icu-locale", "en"]
    log = folder / "initdb.log"
    if _popen(command, log).wait(timeout=60) != 0:
        raise RuntimeError(f"initdb failed:\n{log.read_text()}")


@contextmanager
def _started(programs: Path, folder: Path) -> Iterator[PostgresServer]:
    command = ["timeout", "--signal=INT", "--kill-after=10", str(LIFE_SECONDS)]
    command += [str(programs / "postgres"), "-D", str(folder / "data"), "-k", str(folder)]
    for name, value in _OPTIONS:
        command += ["-c", f"{name}={value}"]
    process = _popen(command, folder / "server.log")
    try:
        yield PostgresServer(folder, process)
    finally:
        process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown; `timeout` hands it on
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait(timeout=20)


def _wait(server: PostgresServer, patience_seconds: float = 30) -> None:
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            server.run("SELECT 1")
        except psycopg.OperationalError:
            if server.process.poll() is not None or time.monotonic() > deadline:
                log = (server.folder / "server.log").read_text()
                raise RuntimeError(f"PostgreSQL did not start:\n{log}") from None
            time.sleep(0.05)
        else:
            return

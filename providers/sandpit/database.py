"""Opens the file of an emulated site; several threads and processes may work on it at once.

Every use is one short transaction. SQLite's errors leave here as errors of the provider.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Lock

from providers.base import PermanentError, TransientError

_VERSION = 1
_LOG_PAGES = 4096
"""Written to the log until they are put into the file, for which everybody has to wait for the disk."""

_SCHEMA = """
CREATE TABLE objects (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    binding TEXT NOT NULL, kind TEXT NOT NULL, cluster TEXT NOT NULL, name TEXT NOT NULL,
    repository TEXT NOT NULL, address TEXT NOT NULL, digest TEXT NOT NULL,
    properties TEXT NOT NULL, attributes TEXT NOT NULL, seen TEXT NOT NULL,
    vcpus REAL NOT NULL, memory_mb REAL NOT NULL, disk_gb REAL NOT NULL,
    ready_at REAL NOT NULL, trouble TEXT NOT NULL
);
CREATE INDEX objects_by_owner ON objects (binding, kind, repository);
CREATE INDEX objects_by_address ON objects (binding, address);
CREATE INDEX objects_by_name ON objects (binding, kind, name);

CREATE TABLE uses (
    user INTEGER NOT NULL, used INTEGER NOT NULL, PRIMARY KEY (user, used)
) WITHOUT ROWID;
CREATE INDEX uses_by_used ON uses (used);

CREATE TABLE addresses (
    network INTEGER NOT NULL, host INTEGER NOT NULL, owner INTEGER NOT NULL, PRIMARY KEY (network, host)
) WITHOUT ROWID;
CREATE INDEX addresses_by_owner ON addresses (owner);

CREATE TABLE usage (
    binding TEXT NOT NULL, cluster TEXT NOT NULL, kind TEXT NOT NULL, objects INTEGER NOT NULL,
    vcpus REAL NOT NULL, memory_mb REAL NOT NULL, disk_gb REAL NOT NULL, PRIMARY KEY (binding, cluster, kind)
) WITHOUT ROWID;
CREATE TRIGGER count_new AFTER INSERT ON objects BEGIN
    INSERT INTO usage VALUES (new.binding, new.cluster, new.kind, 1, new.vcpus, new.memory_mb, new.disk_gb)
    ON CONFLICT DO UPDATE SET objects = objects + 1, vcpus = vcpus + new.vcpus,
        memory_mb = memory_mb + new.memory_mb, disk_gb = disk_gb + new.disk_gb;
END;
CREATE TRIGGER count_old AFTER DELETE ON objects BEGIN
    UPDATE usage SET objects = objects - 1, vcpus = vcpus - old.vcpus,
        memory_mb = memory_mb - old.memory_mb, disk_gb = disk_gb - old.disk_gb
    WHERE (binding, cluster, kind) = (old.binding, old.cluster, old.kind);
END;
CREATE TRIGGER count_change AFTER UPDATE OF cluster, vcpus, memory_mb, disk_gb ON objects BEGIN
    UPDATE usage SET objects = objects - 1, vcpus = vcpus - old.vcpus,
        memory_mb = memory_mb - old.memory_mb, disk_gb = disk_gb - old.disk_gb
    WHERE (binding, cluster, kind) = (old.binding, old.cluster, old.kind);
    INSERT INTO usage VALUES (new.binding, new.cluster, new.kind, 1, new.vcpus, new.memory_mb, new.disk_gb)
    ON CONFLICT DO UPDATE SET objects = objects + 1, vcpus = vcpus + new.vcpus,
        memory_mb = memory_mb + new.memory_mb, disk_gb = disk_gb + new.disk_gb;
END;

CREATE TABLE faults (
    number INTEGER PRIMARY KEY, call TEXT NOT NULL, cluster TEXT NOT NULL, trouble TEXT NOT NULL,
    times INTEGER NOT NULL, seconds REAL NOT NULL, UNIQUE (call, cluster, trouble)
);
CREATE TABLE outages (target TEXT PRIMARY KEY, reason TEXT NOT NULL) WITHOUT ROWID;
"""


class Database:
    """The file `sandpit-<site>.db`, opened at the first use."""

    def __init__(self, file: Path, patience_seconds: float = 30.0) -> None:
        self.file = file
        self._patience_seconds = patience_seconds
        self._turn = Lock()
        self._connection: sqlite3.Connection | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """Where everything in it stands: the file, and the log that is written before it."""
        return self.file, self.file.with_name(f"{self.file.name}-wal")

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """Give one consistent look."""
        return self._transaction("BEGIN")

    def writing(self) -> AbstractContextManager[sqlite3.Connection]:
        """Give the only writer's transaction: all of it happens or nothing."""
        return self._transaction("BEGIN IMMEDIATE")

    def version(self) -> tuple[int, int]:
        """Give something that differs, while this object lives, when anybody has written to the file."""
        with self.reading() as connection:
            (others,) = connection.execute("PRAGMA data_version").fetchone()
            return others, connection.total_changes

    def close(self) -> None:
        """Let go of the file."""
        with self._turn:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        try:
            with self._turn:
                if self._connection is None:
                    self._connection = _open(self.file, self._patience_seconds)
                connection = self._connection
                connection.execute(begin)
                try:
                    yield connection
                except BaseException:
                    connection.rollback()
                    raise
                connection.commit()
        except sqlite3.OperationalError as error:
            raise TransientError(f"{self.file} does not answer: {error}") from error
        except sqlite3.DatabaseError as error:
            raise PermanentError(f"{self.file} is damaged: {error}; remove it to begin with an empty site") from error


def world_file(state_dir: Path, site: str) -> Path:
    """Tell where the emulated site of a repository lives."""
    return state_dir / f"sandpit-{site}.db"


def _open(file: Path, patience_seconds: float) -> sqlite3.Connection:
    """Open the file, made for its owner's eyes only if it is new."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise PermanentError(f"{file} cannot be opened: {error.strerror}; the sandpit keeps its site there") from error
    connection = sqlite3.connect(file, timeout=patience_seconds, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
        _prepare(connection, file)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, file: Path) -> None:
    """Make the tables; whoever comes first does it."""
    if _version(connection) == _VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    found = _version(connection)
    if found > _VERSION:
        connection.rollback()
        raise PermanentError(f"{file} was written by a newer version ({found}); update, or remove it for an empty site")
    if found == 0:
        for statement in _statements(_SCHEMA):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {_VERSION}")
    connection.commit()


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _statements(script: str) -> Iterator[str]:
    """Cut a script into statements; `executescript` would commit after the first."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""

"""The store's database as a file: SQLite in WAL mode, readable by its owner only.

A committed transaction survives a killed process; the last ones may be lost with the machine's power
(`synchronous=NORMAL`), which leaves the file whole.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from state.database import PATIENCE_SECONDS, Cell, Row, V
from state.rows import REMEDY
from state.store import StoreError

_PAGE_BYTES = 16384
"""Of a new file: a quarter of a page must hold one item, or reading the inventory takes twice as long."""

_ACCESS = "let this user read and write the file and its folder, or name another store with --state"
_IN_USE = f"another process has kept it busy for {PATIENCE_SECONDS} seconds; run again when that one is done"
_ADVICE = {
    "SQLITE_BUSY": _IN_USE,
    "SQLITE_CANTOPEN": _ACCESS,
    "SQLITE_CORRUPT": REMEDY,
    "SQLITE_FULL": "free some room on the disk and run again",
    "SQLITE_IOERR": "check the disk and the file system under it",
    "SQLITE_LOCKED": _IN_USE,
    "SQLITE_NOTADB": f"name another file, or {REMEDY}",
    "SQLITE_PERM": _ACCESS,
    "SQLITE_READONLY": _ACCESS,
}
_REPORT = "this is a fault of the program, please report it"


class Sqlite:
    """A `state.database.Database` in one file."""

    dialect: Mapping[str, str] = {
        "text": "TEXT",
        "bytes": "BLOB",
        "number": "INTEGER PRIMARY KEY",
        "keyed": "WITHOUT ROWID",
        "token": "lower(hex(randomblob(16)))",
    }

    def __init__(self, path: Path) -> None:
        """Open the file, made new and private if there is none; its folder must exist."""
        self.place = f"state store {path}"
        try:
            with self._errors():
                if not path.exists():
                    _create(path)
                self._connection = _connect(path)
            _make_private(path)
            self._path, self._file = path, _identity(path)
        except OSError as error:
            raise StoreError(f"{self.place}: {error.strerror}; {_ACCESS}") from error

    def rows(self, read: Callable[[Row], V], statement: str, values: Sequence[Cell] = ()) -> list[V]:
        """Give what `read` makes of every row of a query, or of a change that ends in `RETURNING`."""
        with self._errors():
            self._check_file()
            return [read(row) for row in self._connection.execute(statement, values)]

    def change(self, statement: str, values: Sequence[Cell] = ()) -> int:
        """Run one statement and tell how many rows it touched."""
        with self._errors():
            self._check_file()
            return self._connection.execute(statement, values).rowcount

    def change_many(self, statement: str, many: Iterable[Sequence[Cell]]) -> None:
        """Run one statement for each set of values."""
        with self._errors():
            self._connection.executemany(statement, many)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep what happens inside together: all of it at the end, nothing after an exception."""
        self.change("BEGIN IMMEDIATE")
        try:
            yield
            self.change("COMMIT")
        except BaseException:
            self._connection.rollback()
            raise

    migration = transaction

    def has_table(self, name: str) -> bool:
        """Tell whether there is a table of that name."""
        return bool(self.rows(tuple, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)))

    def close(self) -> None:
        """Let go of the connection; closed already is fine."""
        with self._errors():
            self._connection.close()

    def _check_file(self) -> None:
        # Without this, SQLite goes on in the file that has no name any more, beside whoever makes a new one.
        if _identity(self._path) != self._file:
            raise StoreError(f"{self.place} was moved away or deleted while it was open; run again to start a new one")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            name = "_".join(getattr(error, "sqlite_errorname", "").split("_")[:2])
            raise StoreError(f"{self.place}: {error}; {_ADVICE.get(name, _REPORT)}") from error
        except UnicodeEncodeError as error:
            raise StoreError(f"{self.place} cannot hold a text: {error}; write it without that character") from error


def _create(path: Path) -> None:
    """Put an empty database under its name, private and in WAL mode from its first moment.

    Made aside and linked: whoever opens it at the same time finds all of it or nothing. Opening the
    real name to set its mode would drop the locks that other threads of this process hold on it.
    """
    aside = path.with_name(f".{path.name}-{os.getpid()}-{threading.get_ident()}")
    os.close(os.open(aside, os.O_CREAT | os.O_EXCL, 0o600))
    try:
        _connect(aside).close()
        with suppress(FileExistsError):
            path.hardlink_to(aside)
    finally:
        aside.unlink()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=PATIENCE_SECONDS, isolation_level=None)
    try:
        connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        connection.close()
        raise
    return connection


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _make_private(path: Path) -> None:
    """Take a file that others may read away from them, with the two that SQLite keeps beside it."""
    for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        with suppress(FileNotFoundError):
            if stat.S_IMODE(file.stat().st_mode) & 0o077:
                file.chmod(0o600)

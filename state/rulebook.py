"""The rules that our own evaluator watches on a site: a small file that providers write and the evaluator reads."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from msgspec import Struct

from specs.values import Properties, decode, encode
from state.store import StoreError

_TABLE = """
CREATE TABLE IF NOT EXISTS rules (
    id TEXT PRIMARY KEY, repository TEXT NOT NULL, address TEXT NOT NULL, digest TEXT NOT NULL,
    definition TEXT NOT NULL
) WITHOUT ROWID
"""


class Watched(Struct, frozen=True, kw_only=True):
    """One rule in the book, and whose it is."""

    id: str
    repository: str = ""
    """Empty: nobody's."""
    address: str = ""
    digest: str = ""
    definition: Properties


class RuleBook:
    """A book of rules in a file; several threads and processes may use it at once."""

    def __init__(self, file: Path) -> None:
        self.place = f"rule book {file}"
        self._lock = threading.Lock()
        with self._errors():
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._connection = sqlite3.connect(file, timeout=10, isolation_level=None, check_same_thread=False)
            file.chmod(0o600)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute(_TABLE)

    def all(self) -> tuple[Watched, ...]:
        """Give every rule, in the order of ids; `StoreError` if the file cannot be read."""
        with self._lock, self._errors():
            rows = self._connection.execute("SELECT id, repository, address, digest, definition FROM rules ORDER BY id")
            return tuple(map(_watched, rows))

    def get(self, identity: str) -> Watched | None:
        """Give one rule."""
        statement = "SELECT id, repository, address, digest, definition FROM rules WHERE id = ?"
        with self._lock, self._errors():
            row = self._connection.execute(statement, (identity,)).fetchone()
            return _watched(row) if row is not None else None

    def put(self, watched: Watched) -> None:
        """Write a rule over one with its id."""
        definition = json.dumps(encode(watched.definition), separators=(",", ":"), sort_keys=True)
        row = (watched.id, watched.repository, watched.address, watched.digest, definition)
        with self._lock, self._errors():
            self._connection.execute("INSERT OR REPLACE INTO rules VALUES (?, ?, ?, ?, ?)", row)

    def remove(self, identity: str) -> None:
        """Take a rule out; gone already is fine."""
        with self._lock, self._errors():
            self._connection.execute("DELETE FROM rules WHERE id = ?", (identity,))

    def version(self) -> tuple[int, int]:
        """Give something that differs when somebody has written since."""
        with self._lock, self._errors():
            (other,) = self._connection.execute("PRAGMA data_version").fetchone()
            return int(other), self._connection.total_changes

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, ValueError) as error:
            raise StoreError(f"{self.place}: {error}") from error


def _watched(row: tuple[str, str, str, str, str]) -> Watched:
    identity, repository, address, digest, definition = row
    return Watched(
        id=identity,
        repository=repository,
        address=address,
        digest=digest,
        definition=cast("Properties", decode(json.loads(definition))),
    )

"""Which store a URL means, and a store of this release's version behind it."""

from __future__ import annotations

import os
from pathlib import Path

from state.database import Database
from state.migrations import migrate
from state.sql_store import SqlStore
from state.sqlite import Sqlite
from state.store import Store, StoreError


def open_store(url: str, state_dir: Path) -> Store:
    """Open the store for the calling thread, and bring it to this release's version.

    An empty URL is `state.db` in `state_dir`, which is made and kept private. `sqlite:///state.db` is
    relative to the working directory, `sqlite:////var/lib/state.db` is absolute. `postgresql://` takes
    what libpq takes. `StoreError` says what is wrong with the place, without passwords.
    """
    database = _database(url, state_dir)
    try:
        migrate(database)
    except BaseException:
        database.close()
        raise
    return SqlStore(database)


def _database(url: str, state_dir: Path) -> Database:
    scheme, _, path = url.partition("://")
    match scheme:
        case "":
            return Sqlite(_private_folder(state_dir) / "state.db")
        case "sqlite" if path.startswith("/") and path != "/":
            return Sqlite(_named_file(path[1:]))
        case "postgres" | "postgresql":
            return _postgres(url)
    # The rest of the URL is not shown: it may hold a password.
    raise StoreError(
        "no state store can be found by its URL; write sqlite:///path, postgresql://user@host/database,"
        f" or nothing for {state_dir / 'state.db'}"
    )


def _private_folder(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise StoreError(
            f"the folder {folder} of the state store cannot be made or kept private: {error.strerror};"
            " let this user write there, or name another store with --state"
        ) from error
    return Path(os.path.realpath(folder))


def _named_file(path: str) -> Path:
    file = Path(os.path.realpath(path))
    if not file.parent.is_dir():
        raise StoreError(
            f"there is no folder {file.parent} for the state store {file}; make it first"
            " (an absolute path takes four slashes: sqlite:////var/lib/state.db)"
        )
    return file


def _postgres(url: str) -> Database:
    try:
        from state.postgres import Postgres  # psycopg is optional, and slow to load
    except ImportError as error:
        raise StoreError(
            f"a PostgreSQL store needs psycopg: {error}; pip install tosca-reconciler[postgres]"
        ) from error
    return Postgres(url)

"""The store's database on a server: PostgreSQL, for several reconcilers. The one home of psycopg.

A connection lost between two transactions is made again; one lost inside ends that transaction as a
`StoreError`. One database (or schema, by `search_path`) belongs to one spec repository.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from state.database import PATIENCE_SECONDS, Cell, Row, V
from state.store import StoreError

T = TypeVar("T")

_MIGRATION_LOCK = 0x705CA
"""The advisory lock of whoever changes tables; any number will do as long as it stays."""

_DEFAULTS = {
    "connect_timeout": str(PATIENCE_SECONDS),
    "tcp_user_timeout": "30000",  # milliseconds until a silent network counts as lost
    "fallback_application_name": "tosca-reconciler",
    "client_encoding": "UTF8",
}
_UNREADABLE = (
    "the URL of the state store cannot be read; it should look like postgresql://user:password@host:5432/database,"
    " with @ : / ? # and % inside the password written as %40 %3A %2F %3F %23 and %25"
)
_ADVICE = {
    "08": "check that the server runs and run again",
    "22": "write it without that character",
    "25": "name the server that may be written to",
    "40": "run again",
    "42": "give the store a database of its own, in which this user may create tables",
    "53": "make room on the server and run again",
    "55": f"another session has kept it busy for {PATIENCE_SECONDS} seconds; run again when that one is done",
    "57": "check that the server runs and run again",
    "58": "check the server's disk",
    "XX": "check the server's log and disk",
}
_REPORT = "this is a fault of the program, please report it"


class Postgres:
    """A `state.database.Database` on a server."""

    dialect: Mapping[str, str] = {
        "text": 'TEXT COLLATE "C"',  # sorts as Python and SQLite do
        "bytes": "BYTEA",
        "number": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        "keyed": "",
        "token": "md5(random()::text || clock_timestamp()::text)",
    }

    def __init__(self, url: str) -> None:
        """Connect to a `postgresql://` URL; what it leaves out comes from libpq's environment and files."""
        self._settings = _read(url)
        self.place = _place(self._settings)
        self._connection = self._connect()
        self._closed = False
        self._inside = False
        """Whether a transaction is open, of which a lost connection must end all."""

    def rows(self, read: Callable[[Row], V], statement: str, values: Sequence[Cell] = ()) -> list[V]:
        """Give what `read` makes of every row of a query, or of a change that ends in `RETURNING`."""
        return self._run(lambda connection: [read(row) for row in connection.execute(_marked(statement), values)])

    def change(self, statement: str, values: Sequence[Cell] = ()) -> int:
        """Run one statement and tell how many rows it touched."""
        return self._run(lambda connection: connection.execute(_marked(statement), values).rowcount)

    def change_many(self, statement: str, many: Iterable[Sequence[Cell]]) -> None:
        """Run one statement for each set of values."""
        with self._errors():
            self._connection.cursor().executemany(_marked(statement), many)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep what happens inside together: all of it at the end, nothing after an exception."""
        self.change("BEGIN ISOLATION LEVEL READ COMMITTED")
        self._inside = True
        try:
            yield
            self.change("COMMIT")
        except BaseException:
            with suppress(psycopg.Error):  # a lost connection has rolled back, and what lost it is raised
                self._connection.rollback()
            raise
        finally:
            self._inside = False

    @contextmanager
    def migration(self) -> Iterator[None]:
        """Open a transaction that no two processes are in at once."""
        with self.transaction():
            self.rows(tuple, "SELECT pg_advisory_xact_lock(?)", (_MIGRATION_LOCK,))
            yield

    def has_table(self, name: str) -> bool:
        """Tell whether there is a table of that name."""
        # Not `to_regclass`: inside a transaction that may remember what others have made since.
        statement = "SELECT 1 FROM pg_tables WHERE tablename = ? AND schemaname = current_schema()"
        return bool(self.rows(tuple, statement, (name,)))

    def close(self) -> None:
        """Let go of the connection; closed already is fine."""
        self._closed = True
        self._connection.close()

    def _run(self, work: Callable[[psycopg.Connection], T]) -> T:
        """Do one statement, once more if the connection is lost: outside transactions that does no harm."""
        if self._closed:
            raise StoreError(f"{self.place} is closed; open it again")
        with self._errors():
            try:
                return work(self._connection)
            except psycopg.OperationalError:
                if self._inside or not self._connection.closed:
                    raise
        self._connection = self._connect()
        with self._errors():
            return work(self._connection)

    def _connect(self) -> psycopg.Connection:
        try:
            connection = psycopg.connect(make_conninfo("", **self._settings), autocommit=True)
        except psycopg.Error as error:
            raise StoreError(
                f"{self.place} cannot be reached: {_text(error)};"
                " check the URL, the user's password and that the server runs"
            ) from error
        with self._errors():
            try:
                connection.execute(f"SET lock_timeout = '{PATIENCE_SECONDS}s'")
            except BaseException:
                connection.close()
                raise
        return connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise StoreError(f"{self.place}: {_text(error)}; {_advice(error)}") from error
        except UnicodeEncodeError as error:
            raise StoreError(f"{self.place} cannot hold a text: {error}; write it without that character") from error


def _read(url: str) -> dict[str, str]:
    """Take a URL apart; whatever a stray character of the password may have ended up in is refused unseen."""
    try:
        settings = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    except psycopg.ProgrammingError:
        raise StoreError(_UNREADABLE) from None  # the cause quotes the URL, password and all
    ports = settings.get("port", "").replace(",", "")
    if "@" in settings.get("host", "") + settings.get("dbname", "") or not (ports or "0").isdecimal():
        raise StoreError(_UNREADABLE)
    return _DEFAULTS | settings


def _place(settings: Mapping[str, str]) -> str:
    user = f"{settings['user']}@" if "user" in settings else ""
    port = f":{settings['port']}" if "port" in settings else ""
    return f"state store postgresql://{user}{settings.get('host', '')}{port}/{settings.get('dbname', '')}"


def _advice(error: psycopg.Error) -> str:
    match error:
        case psycopg.Error(sqlstate=str() as state):
            return _ADVICE.get(state[:2], _REPORT)
        case psycopg.OperationalError():
            return _ADVICE["08"]
        case psycopg.DataError():
            return _ADVICE["22"]
    return _REPORT


def _text(error: psycopg.Error) -> str:
    return " ".join((error.diag.message_primary or str(error)).split())


@cache
def _marked(statement: str) -> bytes:
    """Write the statement with psycopg's marks."""
    return statement.replace("?", "%s").encode()

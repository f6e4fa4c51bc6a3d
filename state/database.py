"""What a database must offer to carry the store: statements, transactions and errors in our words.

Statements are written once, in the SQL that SQLite and PostgreSQL share, with `?` for values. What
differs in a table definition is named in braces: `{text}`, `{bytes}`, `{number}`, `{keyed}`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

V = TypeVar("V")

Cell = str | int | bytes | None
"""What a column holds."""

Row = tuple[Any, ...]
"""What a query gives; the tables say which column holds what."""

PATIENCE_SECONDS = 10
"""How long to wait for a connection, or for somebody else's transaction to end."""


class Database(Protocol):
    """One connection, used by one thread. Every failure is a `StoreError`, without passwords."""

    place: str
    """Which database it is, for messages."""
    dialect: Mapping[str, str]
    """What the words in braces of a table definition mean here."""

    def rows(self, read: Callable[[Row], V], statement: str, values: Sequence[Cell] = ()) -> list[V]:
        """Give what `read` makes of every row of a query, or of a change that ends in `RETURNING`."""

    def change(self, statement: str, values: Sequence[Cell] = ()) -> int:
        """Run one statement and tell how many rows it touched."""

    def change_many(self, statement: str, many: Iterable[Sequence[Cell]]) -> None:
        """Run one statement for each set of values."""

    def transaction(self) -> AbstractContextManager[None]:
        """Keep what happens inside together: all of it at the end, nothing after an exception."""

    def migration(self) -> AbstractContextManager[None]:
        """Open a transaction that no two processes are in at once."""

    def has_table(self, name: str) -> bool:
        """Tell whether there is a table of that name."""

    def close(self) -> None:
        """Let go of the connection; closed already is fine."""

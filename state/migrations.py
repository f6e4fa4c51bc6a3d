"""The tables of the store, and how a store of an older release becomes one of this release.

A migration that was released is never edited: a change of the tables is a new one at the end.
`tests/unit/state/stores/` holds a store of each version, which must open for ever.
"""

from __future__ import annotations

from msgspec import Struct

from state.database import Database
from state.store import StoreError


class Migration(Struct, frozen=True):
    """One step from the version before to `version`."""

    version: int
    release: str
    """The first release of the program that knows this version."""
    statements: tuple[str, ...]


MIGRATIONS = (
    Migration(
        version=1,
        release="0.1.0",
        statements=(
            """
            CREATE TABLE items (
                address {text} PRIMARY KEY,
                binding {text} NOT NULL,
                provider_id {text} NOT NULL,
                digest {text} NOT NULL,
                properties {text} NOT NULL,
                requires {text} NOT NULL,
                protect BIGINT NOT NULL,
                seen {text} NOT NULL,
                revision {text} NOT NULL,
                updated_at {text} NOT NULL
            ) {keyed}
            """,
            """
            CREATE TABLE journal (
                number {number},
                id {text} NOT NULL UNIQUE,
                run {text} NOT NULL,
                site {text} NOT NULL,
                address {text} NOT NULL,
                action {text} NOT NULL,
                digest {text} NOT NULL,
                started_at {text} NOT NULL,
                outcome {text} NOT NULL,
                message {text} NOT NULL,
                ended_at {text}
            )
            """,
            "CREATE INDEX journal_by_run ON journal (run)",
            "CREATE INDEX journal_by_outcome ON journal (site, outcome)",
            """
            CREATE TABLE runs (
                id {text} PRIMARY KEY,
                site {text} NOT NULL,
                revision {text} NOT NULL,
                cause {text} NOT NULL,
                started_at {text} NOT NULL,
                outcome {text} NOT NULL,
                summary {text} NOT NULL,
                message {text} NOT NULL,
                ended_at {text}
            )
            """,
            "CREATE INDEX runs_by_time ON runs (started_at, id)",
            "CREATE INDEX runs_by_site ON runs (site, started_at, id)",
            """
            CREATE TABLE locks (
                site {text} PRIMARY KEY,
                owner {text} NOT NULL,
                host {text} NOT NULL,
                pid BIGINT NOT NULL,
                born {text} NOT NULL,
                since {text} NOT NULL
            )
            """,
            """
            CREATE TABLE suspensions (
                site {text} NOT NULL,
                service {text} NOT NULL,
                reason {text} NOT NULL,
                owner {text} NOT NULL,
                since {text} NOT NULL,
                PRIMARY KEY (site, service)
            )
            """,
            """
            CREATE TABLE cache (
                key {text} PRIMARY KEY,
                value {bytes} NOT NULL,
                written BIGINT NOT NULL
            )
            """,
            "CREATE INDEX cache_by_age ON cache (written, key)",
        ),
    ),
    Migration(
        version=2,
        release="0.1.0",
        statements=(
            """
            CREATE TABLE alerts (
                site {text} NOT NULL,
                rule {text} NOT NULL,
                status {text} NOT NULL,
                streak BIGINT NOT NULL,
                value {text} NOT NULL,
                problem {text} NOT NULL,
                checked_at {text} NOT NULL,
                since {text} NOT NULL,
                fired_at {text},
                PRIMARY KEY (site, rule)
            )
            """,
            """
            CREATE TABLE firings (
                id {text} PRIMARY KEY,
                site {text} NOT NULL,
                sfc {text} NOT NULL,
                sfci {text} NOT NULL,
                policy {text} NOT NULL,
                trigger_name {text} NOT NULL,
                source {text} NOT NULL,
                at {text} NOT NULL,
                received_at {text} NOT NULL,
                value {text} NOT NULL,
                detail {text} NOT NULL,
                outcome {text} NOT NULL,
                message {text} NOT NULL,
                revision {text} NOT NULL,
                subjects {text} NOT NULL,
                settled_at {text}
            )
            """,
            "CREATE INDEX firings_by_outcome ON firings (outcome, received_at)",
            "CREATE INDEX firings_by_time ON firings (received_at, id)",
        ),
    ),
    Migration(
        version=3,
        release="0.1.0",
        statements=(
            "CREATE TABLE inventories (site {text} PRIMARY KEY, state {text} NOT NULL)",
            "INSERT INTO inventories VALUES ('', {token})",  # of every site that was not written to since
        ),
    ),
    Migration(
        version=4,
        release="0.1.0",
        statements=(
            "DROP TABLE inventories",
            """
            CREATE TABLE inventories (
                site {text} NOT NULL,
                service {text} NOT NULL,
                state {text} NOT NULL,
                PRIMARY KEY (site, service)
            ) {keyed}
            """,
            "INSERT INTO inventories VALUES ('', '', {token})",  # of all that was not written to since
        ),
    ),
)

LATEST = MIGRATIONS[-1].version


def migrate(database: Database) -> None:
    """Bring the tables to this release's version; `StoreError` if they are of a newer release."""
    if _version(database) == LATEST:
        return
    with database.migration():
        version = _version(database)
        if version == 0:
            database.change(_render("CREATE TABLE versions (version BIGINT PRIMARY KEY, release {text})", database))
        for migration in MIGRATIONS[version:]:
            for statement in migration.statements:
                database.change(_render(statement, database))
            database.change("INSERT INTO versions VALUES (?, ?)", (migration.version, migration.release))


def _version(database: Database) -> int:
    if not database.has_table("versions"):
        return 0
    version, release = database.rows(tuple, "SELECT version, release FROM versions ORDER BY version DESC LIMIT 1")[0]
    if version > LATEST:
        raise StoreError(
            f"{database.place} holds tables of version {version}, this program knows versions up to {LATEST};"
            f" install tosca-reconciler {release} or later"
        )
    return int(version)


def _render(statement: str, database: Database) -> str:
    return statement.format_map(database.dialect)

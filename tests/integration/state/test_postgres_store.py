from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from msgspec.structs import replace

from specs.values import Secret
from state.opening import open_store
from state.store import Lock, LockedError, Store, StoreError
from tests.contract.store_suite import StoreSuite
from tests.contract.store_values import OldStore, Opened, Sql, alive, dead, entry, item, lock, run
from tests.testbed.postgres.server import PASSWORD, PostgresServer

STORES = Path(__file__).parents[2] / "unit/state/stores"

ODD_PASSWORD = "p@ss:w/o?r#d%20 'x"
END_OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}' AND pid <> pg_backend_pid()"


@pytest.fixture
def database(postgres: PostgresServer) -> str:
    return postgres.new_database()


@pytest.fixture
def url(postgres: PostgresServer, database: str) -> str:
    return postgres.url(database)


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "unused"


@pytest.fixture
def sql(postgres: PostgresServer, database: str) -> Sql:
    def run(statements: str) -> None:
        postgres.run(statements, database)

    return run


@pytest.fixture
def old_store(sql: Sql) -> OldStore:
    def fill(version: int) -> None:
        sql((STORES / f"version-{version}.postgres.sql").read_text())

    return fill


@pytest.fixture
def guest(postgres: PostgresServer) -> Iterator[str]:
    """A user who may connect and do nothing else."""
    literal = ODD_PASSWORD.replace("'", "''")
    postgres.run(f"CREATE ROLE guest LOGIN PASSWORD '{literal}'")
    yield f"guest:{quote(ODD_PASSWORD, safe='')}"
    postgres.run("DROP OWNED BY guest; DROP ROLE guest")


class TestPostgresStore(StoreSuite):
    def test_nothing_is_written_beside_the_database(self, store: Store, state_dir: Path) -> None:
        store.remember([item("bristol/shop/web:p.k")])

        assert not state_dir.exists()

    def test_the_text_of_a_secret_is_in_no_row(self, store: Store, postgres: PostgresServer, database: str) -> None:
        secret = Secret("db-password", "digest-of-it", text="hunter2")
        store.remember([item("bristol/shop/web:p.k", properties={"password": secret, "args": [secret]})])
        written = str(postgres.run("SELECT * FROM items", database))

        assert "digest-of-it" in written
        assert "hunter2" not in written

    def test_a_failure_leaves_no_transaction_open(self, store: Store, postgres: PostgresServer, database: str) -> None:
        with pytest.raises(StoreError):
            store.record([entry(1, digest="\0")])

        query = f"SELECT state FROM pg_stat_activity WHERE datname = '{database}' AND pid <> pg_backend_pid()"
        assert postgres.run(query, database) == [("idle",)]

    def test_a_connection_lost_between_transactions_is_made_again(self, store: Store, sql: Sql, database: str) -> None:
        store.save_run(run(1))
        sql(END_OTHERS.format(database))
        store.record([entry(1)])
        sql(END_OTHERS.format(database))

        assert store.journal("bristol") == (entry(1),)
        assert store.runs() == (run(1),)

    def test_a_connection_lost_inside_a_transaction_undoes_it(self, store: Store, sql: Sql, database: str) -> None:
        def cut(holder: Lock) -> bool:
            sql(END_OTHERS.format(database))
            return True

        store.lock(lock(1), alive)
        with pytest.raises(StoreError, match=r"terminating connection.*check that the server runs and run again"):
            store.lock(lock(2), cut)

        assert store.locks() == (lock(1),)

    def test_a_lock_taken_over_meanwhile_is_respected(self, store: Store, opened: Opened) -> None:
        other = opened()

        def slow(holder: Lock) -> bool:
            if holder == lock(1):
                other.lock(lock(2), dead)
            return holder == lock(1)

        store.lock(lock(1), alive)
        with pytest.raises(LockedError) as refused:
            store.lock(lock(3), slow)

        assert refused.value.lock == lock(2)
        assert store.locks() == (lock(2),)

    def test_a_closed_store_does_not_connect_again(self, store: Store, sql: Sql, database: str) -> None:
        store.close()

        with pytest.raises(StoreError, match="is closed"):
            store.record([entry(1)])

    def test_two_schemas_hold_two_stores(self, url: str, state_dir: Path, sql: Sql) -> None:
        sql("CREATE SCHEMA one; CREATE SCHEMA two")
        for schema in ("one", "two"):
            with closing(open_store(f"{url}&options=-csearch_path%3D{schema}", state_dir)) as store:
                store.save_run(replace(run(1), cause=schema))

                assert [found.cause for found in store.runs()] == [schema]


class TestTroubleWithTheServer:
    def test_a_wrong_password(self, postgres: PostgresServer, database: str, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match=r"cannot be reached: .*password authentication failed for") as refused:
            open_store(postgres.url(database, "hunter2"), tmp_path)
        assert "check the URL, the user's password" in str(refused.value)
        assert "hunter2" not in str(refused.value)

    def test_a_database_that_is_not_there(self, postgres: PostgresServer, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match='database "none" does not exist; check the URL') as refused:
            open_store(postgres.url("none"), tmp_path)
        assert PASSWORD not in str(refused.value)

    def test_a_user_who_may_not_create_tables(
        self, postgres: PostgresServer, database: str, guest: str, tmp_path: Path
    ) -> None:
        with pytest.raises(StoreError, match=r"permission denied .* in which this user may create tables") as refused:
            open_store(f"postgres://{guest}@/{database}?host={postgres.folder}", tmp_path)
        assert "p@ss" not in str(refused.value)

    def test_a_database_somebody_else_uses(self, url: str, sql: Sql, tmp_path: Path) -> None:
        sql("CREATE TABLE locks (door BIGINT)")

        with pytest.raises(StoreError, match='"locks" already exists; give the store a database of its own'):
            open_store(url, tmp_path)
        sql("DROP TABLE locks")
        open_store(url, tmp_path).close()

    def test_a_server_that_may_not_be_written(self, url: str, sql: Sql, database: str, tmp_path: Path) -> None:
        with closing(open_store(url, tmp_path)) as store:
            store.save_run(run(1))
        sql(f"ALTER DATABASE {database} SET default_transaction_read_only = on")

        with closing(open_store(url, tmp_path)) as store:
            assert store.runs() == (run(1),)
            with pytest.raises(StoreError, match="read-only transaction; name the server that may be written to"):
                store.record([entry(1)])

    def test_another_session_that_writes_for_too_long(self, opened_twice: tuple[Store, psycopg.Connection]) -> None:
        store, other = opened_twice
        with other.transaction():
            other.execute("LOCK TABLE suspensions")

            with pytest.raises(StoreError, match="lock timeout; another session has kept it busy"):
                store.resume("bristol")
        assert store.resume("bristol") is False

    @pytest.fixture
    def opened_twice(
        self, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[tuple[Store, psycopg.Connection]]:
        """An impatient store, and a session beside it."""
        monkeypatch.setattr("state.postgres.PATIENCE_SECONDS", 0.1)
        with closing(open_store(url, tmp_path)) as store, psycopg.connect(url, autocommit=True) as other:
            yield store, other

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from specs.values import Secret
from state.migrations import migrate
from state.opening import open_store
from state.sql_store import SqlStore
from state.sqlite import Sqlite
from state.store import StoreError
from tests.contract.store_suite import StoreSuite
from tests.contract.store_values import OldStore, Opened, Sql, item

NOBODY = 65534
STORES = Path(__file__).parent / "stores"


@pytest.fixture
def url() -> str:
    return ""


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / ".reconciler"


@pytest.fixture
def sql(state_dir: Path) -> Sql:
    def run(statement: str) -> None:
        with closing(sqlite3.connect(state_dir / "state.db", isolation_level=None)) as connection:
            connection.executescript(statement)

    return run


@pytest.fixture
def old_store(state_dir: Path, sql: Sql) -> OldStore:
    def fill(version: int) -> None:
        state_dir.mkdir()
        sql((STORES / f"version-{version}.sqlite.sql").read_text())

    return fill


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder that a user without rights can look into, while we are such a user."""
    folder = Path(tempfile.mkdtemp(prefix="reconciler-readonly-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def without_rights(outside: Path) -> Iterator[None]:
    """Root may write everywhere: be nobody."""
    outside.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    yield
    if root:
        os.seteuid(0)
    outside.chmod(0o755)


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


class TestSqliteStore(StoreSuite):
    def test_folder_and_files_are_for_their_owner_only(self, opened: Opened, state_dir: Path) -> None:
        opened().remember([item("bristol/shop/web:p.k")])

        assert stat.S_IMODE(state_dir.stat().st_mode) == 0o700
        assert modes(state_dir) == {"state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600}

    def test_what_others_could_read_is_taken_from_them(self, opened: Opened, state_dir: Path) -> None:
        opened().remember([item("bristol/shop/web:p.k")])
        for name in ("state.db", "state.db-wal", "state.db-shm"):
            (state_dir / name).chmod(0o644)
        state_dir.chmod(0o755)
        opened()

        assert stat.S_IMODE(state_dir.stat().st_mode) == 0o700
        assert set(modes(state_dir).values()) == {0o600}

    def test_a_new_store_in_the_place_of_a_deleted_one_is_in_another_state(
        self, opened: Opened, state_dir: Path
    ) -> None:
        with closing(opened()) as store:
            before = store.inventory_state("bristol")
        (state_dir / "state.db").unlink()

        assert opened().inventory_state("bristol") != before

    def test_nothing_is_left_beside_a_closed_store(self, opened: Opened, state_dir: Path) -> None:
        opened().close()

        assert modes(state_dir) == {"state.db": 0o600}

    def test_the_text_of_a_secret_is_in_no_file(self, opened: Opened, state_dir: Path) -> None:
        secret = Secret("db-password", "digest-of-it", text="hunter2")
        opened().remember([item("bristol/shop/web:p.k", properties={"password": secret, "args": [secret]})])
        written = b"".join(path.read_bytes() for path in state_dir.iterdir())

        assert b"digest-of-it" in written
        assert b"hunter2" not in written

    def test_it_is_in_wal_mode_and_syncs_what_wal_needs(self, state_dir: Path) -> None:
        state_dir.mkdir()
        with closing(Sqlite(state_dir / "state.db")) as database:
            assert database.rows(tuple, "PRAGMA journal_mode") == [("wal",)]
            assert database.rows(tuple, "PRAGMA synchronous") == [(1,)]

    def test_an_empty_file_becomes_a_store(self, opened: Opened, state_dir: Path) -> None:
        state_dir.mkdir()
        (state_dir / "state.db").touch()

        assert opened().runs() == ()

    def test_a_named_file_is_opened_where_the_url_says(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        open_store("sqlite:///near.db", Path("unused")).close()
        open_store(f"sqlite:///{tmp_path}/far.db", Path("unused")).close()

        assert modes(tmp_path) == {"near.db": 0o600, "far.db": 0o600}

    def test_a_relative_name_stays_what_it_was(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        with closing(open_store("sqlite:///:memory:", Path("unused"))) as store:
            monkeypatch.chdir("/")

            assert store.runs() == ()
        assert modes(tmp_path) == {":memory:": 0o600}

    def test_the_folder_of_a_named_file_is_left_as_it_is(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o755)
        open_store(f"sqlite:///{tmp_path}/state.db", Path("unused")).close()

        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755

    def test_the_name_of_a_link_is_followed(self, tmp_path: Path) -> None:
        (tmp_path / "link.db").symlink_to("real.db")
        open_store(f"sqlite:///{tmp_path}/link.db", Path("unused")).close()

        assert (tmp_path / "link.db").is_symlink()
        assert modes(tmp_path)["real.db"] == 0o600


class TestTroubleWithTheFile:
    def test_a_missing_folder_of_a_named_file(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match=r"there is no folder .*/none for .*; make it first .*four slashes"):
            open_store(f"sqlite:///{tmp_path}/none/state.db", tmp_path)

    def test_a_file_that_is_no_database(self, tmp_path: Path) -> None:
        (tmp_path / "state.db").write_text("dear diary\n" * 1000)
        (tmp_path / "state.db").chmod(0o644)

        with pytest.raises(StoreError, match=r"/state\.db: file is not a database; name another file"):
            open_store("", tmp_path)
        assert (tmp_path / "state.db").read_text().startswith("dear diary")
        assert modes(tmp_path) == {"state.db": 0o644}

    def test_a_folder_in_place_of_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "state.db").mkdir()

        with pytest.raises(StoreError, match="unable to open database file; let this user read and write"):
            open_store("", tmp_path)

    def test_a_file_in_place_of_the_folder(self, tmp_path: Path) -> None:
        (tmp_path / "state").write_text("")

        with pytest.raises(StoreError, match=r"the folder .*/state of the state store cannot be made"):
            open_store("", tmp_path / "state")

    def test_a_damaged_file(self, tmp_path: Path) -> None:
        with closing(open_store("", tmp_path)) as store:
            store.remember(item(f"bristol/shop/web.{number}:p.k") for number in range(500))
        file = tmp_path / "state.db"
        whole = file.read_bytes()
        file.write_bytes(whole[:16384] + b"\xa5" * (len(whole) - 16384))

        with (
            pytest.raises(StoreError, match=r"/state\.db: database disk image is malformed; move the store away"),
            closing(open_store("", tmp_path)) as store,
        ):
            store.inventory("bristol")

    def test_a_cut_off_file(self, tmp_path: Path) -> None:
        with closing(open_store("", tmp_path)) as store:
            store.remember(item(f"bristol/shop/web.{number}:p.k") for number in range(500))
        os.truncate(tmp_path / "state.db", 5000)

        with pytest.raises(StoreError, match="move the store away"), closing(open_store("", tmp_path)) as store:
            store.inventory("bristol")

    def test_a_folder_that_may_not_be_written(self, outside: Path, without_rights: None) -> None:
        with pytest.raises(StoreError, match=r"/state\.db: .*ermission denied; let this user read and write"):
            open_store(f"sqlite:///{outside}/state.db", outside)
        with pytest.raises(StoreError, match=r"the folder .*/state of the state store cannot be made"):
            open_store("", outside / "state")

    def test_a_file_that_may_not_be_read(self, outside: Path, request: pytest.FixtureRequest) -> None:
        open_store(f"sqlite:///{outside}/state.db", outside).close()
        (outside / "state.db").chmod(0 if os.geteuid() else 0o600)
        request.getfixturevalue("without_rights")

        with pytest.raises(StoreError, match="unable to open database file; let this user read and write"):
            open_store(f"sqlite:///{outside}/state.db", outside)

    def test_a_full_disk(self, tmp_path: Path) -> None:
        with closing(Sqlite(tmp_path / "state.db")) as database:
            migrate(database)
            store = SqlStore(database)
            store.remember([item("bristol/shop/first:p.k")])
            (pages,) = database.rows(tuple, "PRAGMA page_count")
            database.change(f"PRAGMA max_page_count = {pages[0] + 5}")

            with pytest.raises(StoreError, match="database or disk is full; free some room on the disk"):
                store.remember(item(f"bristol/shop/web.{number}:p.k") for number in range(1000))
            assert list(store.inventory("bristol")) == ["bristol/shop/first:p.k"]

    def test_a_disk_that_is_full_from_the_start(self, tmp_path: Path) -> None:
        with closing(Sqlite(tmp_path / "state.db")) as database:
            database.change("PRAGMA max_page_count = 3")

            with pytest.raises(StoreError, match="database or disk is full"):
                migrate(database)
            assert not database.has_table("versions")

    def test_another_process_that_writes_for_too_long(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        open_store("", tmp_path).close()
        monkeypatch.setattr("state.sqlite.PATIENCE_SECONDS", 0.1)
        with (
            closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as other,
            closing(open_store("", tmp_path)) as store,
        ):
            other.execute("BEGIN IMMEDIATE")

            assert store.runs() == ()
            with pytest.raises(StoreError, match="database is locked; another process has kept it busy"):
                store.resume("bristol")

    def test_a_file_moved_away_while_it_is_open(self, tmp_path: Path) -> None:
        with closing(open_store("", tmp_path)) as store:
            for path in tmp_path.iterdir():
                path.unlink()

            with pytest.raises(StoreError, match="moved away or deleted while it was open; run again"):
                store.inventory("bristol")
            with pytest.raises(StoreError, match="moved away or deleted"):
                store.remember([])

    def test_a_file_replaced_while_it_is_open(self, tmp_path: Path) -> None:
        with closing(open_store("", tmp_path)) as store:
            for path in tmp_path.iterdir():
                path.unlink()
            open_store("", tmp_path).close()

            with pytest.raises(StoreError, match="moved away or deleted"):
                store.remember([])


@pytest.mark.parametrize(
    "url", ["mysql://bob:hunter2@host/db", "bob:hunter2", "sqlite://", "sqlite:///", "sqlite:x.db"]
)
def test_a_url_of_no_known_store(url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="write sqlite:///path, postgresql://user@host/database") as refused:
        open_store(url, tmp_path)
    assert "hunter2" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []

"""The file of an emulated site is private, shared between processes, and honest when it is broken."""

from __future__ import annotations

import multiprocessing
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from providers.base import PermanentError, TransientError
from providers.sandpit import faults
from providers.sandpit.database import Database, world_file
from tests.support.sandpits import pit, thing


def make_networks(folder: Path, first: int) -> None:
    """Make five networks, each wanted by another process as well."""
    city = pit(folder)
    for number in range(first, first + 5):
        network = city.create(thing("network", f"n{number % 10}"))
        city.create(thing("port", f"p{first}-{number}", network=network.provider_id))
    city.close()


def test_nothing_is_opened_before_the_first_look(tmp_path: Path) -> None:
    city = pit(tmp_path / "state")
    city.connect()

    assert not (tmp_path / "state").exists()


def test_the_files_are_for_their_owner_only(tmp_path: Path) -> None:
    city = pit(tmp_path / "state")
    city.create(thing("network"))

    files = sorted((tmp_path / "state").iterdir())
    assert files[0].name == "sandpit-bristol.db"
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    city.close()


def test_processes_share_a_site(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=make_networks, args=(tmp_path, first)) for first in (0, 5, 10)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    city = pit(tmp_path)
    present = city.look().present

    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert sum(p.provider_id.startswith("network") for p in present) == 10
    ports = [p for p in present if p.provider_id.startswith("port")]
    assert len({(p.properties["network"], p.attributes["ip_address"]) for p in ports}) == len(ports) == 15
    city.close()


def test_threads_share_a_connection(tmp_path: Path) -> None:
    city = pit(tmp_path)
    city.connect()
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: city.create(thing("network", f"n{number % 20}")), range(80)))

    assert len({present.provider_id for present in made}) == 20
    assert len(city.look().present) == 20
    city.close()


def test_a_call_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    database = Database(tmp_path / "x.db")

    def fail() -> None:
        with database.writing() as connection:
            connection.execute("INSERT INTO outages VALUES ('*', 'x')")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM outages").fetchone() == (0,)
    database.close()


def test_a_damaged_file_is_a_permanent_error_and_makes_everything_unknown(tmp_path: Path) -> None:
    world_file(tmp_path, "bristol").write_bytes(b"this is no database" * 1000)
    city = pit(tmp_path)

    with pytest.raises(PermanentError, match=r"sandpit-bristol\.db is damaged: .*; remove it to begin"):
        city.create(thing("network"))
    assert set(city.look(unmanaged=True).unknown) >= set(city.provider.kinds)


def test_a_file_of_a_newer_version_is_not_touched(tmp_path: Path) -> None:
    file = world_file(tmp_path, "bristol")
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()

    with pytest.raises(PermanentError, match=r"was written by a newer version \(99\)"):
        pit(tmp_path).create(thing("network"))


def test_a_busy_file_is_a_transient_error(tmp_path: Path) -> None:
    patient, hasty = Database(tmp_path / "x.db"), Database(tmp_path / "x.db", patience_seconds=0.05)

    with patient.writing(), pytest.raises(TransientError, match=r"does not answer: database is locked"):
        faults.take_down(hasty, "*")
    patient.close()
    hasty.close()


def test_a_folder_that_cannot_be_made_is_a_permanent_error(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")

    with pytest.raises(PermanentError, match="cannot be opened"):
        pit(tmp_path / "state").create(thing("network"))

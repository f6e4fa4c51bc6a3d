from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from state.opening import open_store
from state.store import StoreError


@pytest.mark.parametrize(
    "url", ["mysql://bob:hunter2@host/db", "bob:hunter2", "sqlite://", "sqlite:///", "sqlite:x.db"]
)
def test_a_url_of_no_known_store(url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="write sqlite:///path, postgresql://user@host/database") as refused:
        open_store(url, tmp_path)
    assert "hunter2" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_postgresql_without_its_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "state.postgres", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(StoreError, match=r"needs psycopg: .*pip install tosca-reconciler\[postgres\]") as refused:
        open_store("postgresql://bob:hunter2@localhost/db", tmp_path)
    assert "hunter2" not in str(refused.value)


def test_sqlite_loads_nothing_of_postgresql(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from state.opening import open_store;"
        f"open_store('', pathlib.Path({str(tmp_path)!r})).close();"
        "print([name for name in sys.modules if name.startswith(('psycopg', 'state.postgres'))])"
    )
    ended = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=30)

    assert ended.stdout == "[]\n"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://bob:hun@ter2@127.0.0.1:1/db",
        "postgresql://bob:hun/ter2@127.0.0.1:1/db",
        "postgresql://bob:12/ter2@127.0.0.1:1/db",
        "postgresql://bob:hun%ter2@127.0.0.1:1/db",
        "postgresql://bob:hun:ter2/@127.0.0.1:1/db",
        "postgresql://bob:hun ter2@127.0.0.1:1/db?x=y",
        "postgresql://127.0.0.1:1/db?passwort=hunter2",
        "postgresql://127.0.0.1:1/db?password=hun&ter2=1",
    ],
)
def test_no_piece_of_a_misspelt_password_is_shown(url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="the URL of the state store cannot be read; it should look like") as refused:
        open_store(url, tmp_path)
    assert "ter2" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_server_that_does_not_answer(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"postgresql://bob@127\.0\.0\.1:1/db cannot be reached: .*refused") as refused:
        open_store("postgresql://bob:hunter2@127.0.0.1:1/db", tmp_path)
    assert "check the URL, the user's password and that the server runs" in str(refused.value)
    assert "hunter2" not in str(refused.value)

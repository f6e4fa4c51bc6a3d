"""Every test of git has a home of its own, without settings and credentials."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from specs.repository import Author
from tests.testbed.git.sandbox import bare, commit, own_home


@pytest.fixture(autouse=True)
def home(tmp_path: Path) -> Iterator[Path]:
    """The home folder of the test."""
    with own_home(tmp_path / "home") as folder:
        yield folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bare repository with one commit on `main`."""
    folder = bare(tmp_path / "specs.git")
    commit(folder, {"specs/a.yaml": b"a: 1\n", "specs/b.yaml": b"b: 1\n"}, "First")
    return folder


@pytest.fixture
def author() -> Author:
    """Who writes."""
    return Author("Policy", "policy@example.org")

"""Every test of git has a home of its own, without settings and credentials."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testbed.git.sandbox import own_home


@pytest.fixture(autouse=True)
def home(tmp_path: Path) -> Iterator[Path]:
    """The home folder of the test."""
    with own_home(tmp_path / "home") as folder:
        yield folder

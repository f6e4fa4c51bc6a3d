"""The command line on a spec repository of its own."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.city import City, make_city


@pytest.fixture
def city(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[City]:
    """Give a repository whose specs were never applied."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield make_city(tmp_path / "city", lambda: tuple(capsys.readouterr()))
    root.handlers[:] = handlers
    root.setLevel(level)

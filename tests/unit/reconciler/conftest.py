"""A bench for every test of the core that wants one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.turns import Bench, bench


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Bench]:
    """Give a bench with an empty world and an empty store."""
    there = bench(tmp_path)
    yield there
    there.store.close()

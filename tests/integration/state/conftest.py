from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.testbed.postgres.server import PostgresServer, running_postgres

pytest.register_assert_rewrite("tests.contract.store_suite")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server for the whole session."""
    with running_postgres() as server:
        yield server

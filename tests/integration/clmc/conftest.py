from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.testbed.influx.front import running_front
from tests.testbed.influx.server import ADMIN, PASSWORD, InfluxServer, running_influx

pytest.register_assert_rewrite("tests.contract.metrics_suite", "tests.contract.provider_suite")

TOKEN = "t0ken-of-the-front"


@pytest.fixture(scope="session")
def influx() -> Iterator[InfluxServer]:
    """An InfluxDB 1.x for the whole session."""
    with running_influx() as server:
        yield server


@pytest.fixture(scope="session")
def front(influx: InfluxServer) -> Iterator[str]:
    """The API of InfluxDB 2.x over the same data."""
    with running_front(influx, {TOKEN: f"{ADMIN}:{PASSWORD}"}) as url:
        yield url

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from state.metrics.embedded import Embedded
from state.metrics.flux import Flux
from state.metrics.influxql import InfluxQL
from state.metrics.vocabulary import AGGREGATIONS, Answer, Measured, Metrics, MetricsError, Point, Query, Unusable
from tests.contract.metrics_suite import EDGE_1, EDGE_2, MetricsSuite
from tests.support.metering import point, query
from tests.testbed.influx.server import ADMIN, PASSWORD, InfluxServer

TOKEN = "t0ken-of-the-front"


@pytest.fixture
def database(influx: InfluxServer) -> str:
    return influx.new_database()


@pytest.fixture(scope="session")
def shared(influx: InfluxServer) -> str:
    return influx.new_database()


def influxql(influx: InfluxServer) -> InfluxQL:
    return InfluxQL(influx.url, user=ADMIN, password=PASSWORD)


class TestInfluxQL(MetricsSuite):
    @pytest.fixture
    def metrics(self, influx: InfluxServer) -> Iterator[Metrics]:
        with closing(influxql(influx)) as opened:
            yield opened

    def test_a_wrong_password_is_an_error_and_not_missing_data(self, influx: InfluxServer, database: str) -> None:
        stranger = InfluxQL(influx.url, user=ADMIN, password="wrong")
        with closing(stranger), pytest.raises(MetricsError, match="refused: 401"):
            stranger.ask([query(database=database)])

    def test_a_database_that_is_not_there_is_an_error(self, metrics: Metrics) -> None:
        with pytest.raises(MetricsError, match="database not found"):
            metrics.ask([query(database="nowhere")])

    def test_values_of_another_type_are_refused_aloud(self, metrics: Metrics, database: str) -> None:
        metrics.write(database, [point(1, requests=1)])

        with pytest.raises(MetricsError, match="field type conflict"):
            metrics.write(database, [point(2, requests="many")])

    def test_a_retention_policy_can_be_named(self, influx: InfluxServer, database: str) -> None:
        influx.run(f'CREATE RETENTION POLICY "long" ON "{database}" DURATION INF REPLICATION 1')
        with closing(InfluxQL(influx.url, user=ADMIN, password=PASSWORD, retention="long")) as metrics:
            metrics.write(database, [point(1, requests=5)])

            assert metrics.ask([query("sum", database=database)]) == [Measured(5)]


class TestFlux(MetricsSuite):
    @pytest.fixture
    def metrics(self, front: str) -> Iterator[Metrics]:
        with closing(Flux(front, token=TOKEN, org="flame")) as opened:
            yield opened

    def test_a_wrong_token_is_an_error_and_not_missing_data(self, front: str, database: str) -> None:
        stranger = Flux(front, token="wrong", org="flame")
        with closing(stranger), pytest.raises(MetricsError, match="refused: 401"):
            stranger.ask([query(database=database)])

    def test_a_bucket_that_is_not_there_is_an_error(self, metrics: Metrics) -> None:
        with pytest.raises(MetricsError, match="not found"):
            metrics.ask([query(database="nowhere")])


def test_a_server_that_is_gone_is_an_error_and_comes_back(influx: InfluxServer, front: str, database: str) -> None:
    with closing(influxql(influx)) as first, closing(Flux(front, token=TOKEN, org="flame", timeout=5)) as second:
        first.write(database, [point(1, requests=5)])
        influx.stop()
        try:
            for metrics in (first, second):
                with pytest.raises(MetricsError):
                    metrics.ask([query("sum", database=database)])
        finally:
            influx.start()

        assert first.ask([query("sum", database=database)]) == [Measured(5)]
        assert second.ask([query("sum", database=database)]) == [Measured(5)]


HOURS = count(1)
TAGS = st.sampled_from([{}, EDGE_1, EDGE_2, {**EDGE_1, "flame_sfe": "a"}, {"flame_sfe": "a"}])
WHOLE = st.integers(-(10**6), 10**6)
BROKEN = st.floats(-(10.0**6), 10.0**6, allow_nan=False).map(lambda value: round(value, 3))
SERIES = st.lists(st.tuples(st.integers(0, 1199), TAGS), max_size=25)
QUERIES = st.lists(
    st.tuples(st.sampled_from(AGGREGATIONS), TAGS, st.integers(0, 100), st.integers(1, 60), st.sampled_from("wbt*")),
    min_size=1,
    max_size=12,
)


@given(places=SERIES, numbers=st.data(), asked=QUERIES)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_three_stores_give_equal_answers(
    influx: InfluxServer,
    front: str,
    shared: str,
    tmp_path: Path,
    places: list[tuple[int, dict[str, str]]],
    numbers: st.DataObject,
    asked: list[tuple[str, dict[str, str], int, int, str]],
) -> None:
    base = next(HOURS) * 3600  # new databases take the server a second each
    points = [
        point(base + moment / 10, tags, w=numbers.draw(WHOLE), b=numbers.draw(BROKEN), t="up")
        for moment, tags in places
    ]
    queries = [
        query("count" if field == "*" else method, tags, base + start, base + start + length, field, shared)
        for method, tags, start, length, field in asked
    ]
    with (
        closing(Embedded(tmp_path / f"{base}.db")) as first,
        closing(influxql(influx)) as second,
        closing(Flux(front, token=TOKEN, org="flame")) as third,
    ):
        answers = [_asked(metrics, shared, points, queries, writes) for metrics, writes in
                   ((first, True), (second, True), (third, False))]  # fmt: skip

    for one, *others in zip(*answers, strict=True):
        assert all(_equal(one, other) for other in others), (one, others)


def _asked(metrics: Metrics, database: str, points: list[Point], queries: list[Query], writes: bool) -> list[Answer]:
    if writes:
        metrics.write(database, points)
    return list(metrics.ask(queries))


def _equal(one: Answer, other: Answer) -> bool:
    """Sums of broken numbers depend on the order of adding in their last digits; nothing else does."""
    match one, other:
        case Measured(first), Measured(second):
            return math.isclose(first, second, rel_tol=1e-9, abs_tol=1e-6)
        case Unusable(), Unusable():
            return True
    return one == other

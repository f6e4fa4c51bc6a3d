"""What every store of metrics must do. Each one's tests subclass `MetricsSuite` and give `metrics` and `database`."""

from __future__ import annotations

import math

import pytest

from state.metrics.vocabulary import Measured, Metrics, MetricsError, Missing, Unusable
from tests.support.metering import point, query

EDGE_1 = {"flame_sfp": "storage", "flame_location": "edge-1"}
EDGE_2 = {"flame_sfp": "storage", "flame_location": "edge-2"}


class MetricsSuite:
    """The tests of every store."""

    @pytest.mark.parametrize(
        ("aggregation", "expected"),
        [
            ("count", 4),
            ("mean", 17.5),
            ("median", 15),
            ("mode", 10),
            ("sum", 70),
            ("first", 20),
            ("last", 30),
            ("max", 30),
            ("min", 10),
        ],
    )
    def test_every_aggregation_gives_one_number(
        self, metrics: Metrics, database: str, aggregation: str, expected: float
    ) -> None:
        values = (20, 10, 10, 30)
        metrics.write(database, [point(10 * n, EDGE_1, requests=value) for n, value in enumerate(values)])

        assert metrics.ask([query(aggregation, database=database)]) == [Measured(expected)]

    def test_a_window_holds_its_first_moment_and_not_its_last(self, metrics: Metrics, database: str) -> None:
        metrics.write(database, [point(second, requests=1) for second in (-0.001, 0, 59.999, 60)])

        assert metrics.ask([query("count", database=database)]) == [Measured(2)]

    def test_all_series_with_the_tags_count_together(self, metrics: Metrics, database: str) -> None:
        metrics.write(
            database,
            [
                point(1, EDGE_1, requests=10),
                point(2, {**EDGE_1, "flame_sfe": "a"}, requests=20),
                point(3, EDGE_2, requests=90),
            ],
        )
        asked = [query("mean", EDGE_1, database=database), query("mean", EDGE_2, database=database)]
        asked.append(query("sum", {"flame_sfp": "storage"}, database=database))
        asked.append(query("sum", {"flame_sfe": "a"}, database=database))
        asked.append(query("sum", database=database))

        assert metrics.ask(asked) == [Measured(15), Measured(90), Measured(120), Measured(20), Measured(120)]

    def test_many_queries_get_their_own_answers(self, metrics: Metrics, database: str) -> None:
        points = [point(1, {"flame_sfe": f"e{n}"}, requests=n) for n in range(120)]
        metrics.write(database, points)
        numbers = [5, 119, 0, 200, *range(60)]
        answers = metrics.ask([query("max", {"flame_sfe": f"e{n}"}, database=database) for n in numbers])

        assert answers == [Measured(n) if n < 120 else Missing() for n in numbers]

    def test_a_window_without_points_is_missing_but_can_be_counted(self, metrics: Metrics, database: str) -> None:
        metrics.write(database, [point(-100, EDGE_1, requests=5)])
        asked = [query(method, database=database) for method in ("mean", "count", "last", "mode")]

        assert metrics.ask(asked) == [Missing(), Measured(0), Missing(), Missing()]

    def test_a_metric_nobody_ever_wrote_is_missing(self, metrics: Metrics, database: str) -> None:
        answers = metrics.ask([query("mean", database=database), query("count", field="*", database=database)])

        assert answers == [Missing(), Measured(0)]

    def test_points_are_counted_whatever_their_fields(self, metrics: Metrics, database: str) -> None:
        metrics.write(database, [point(n, EDGE_1, requests=1, size=2.5, state="up") for n in range(3)])
        metrics.write(database, [point(9, EDGE_2, requests=1)])
        asked = [query("count", tags, field="*", database=database) for tags in ({}, EDGE_1, EDGE_2)]

        assert metrics.ask(asked) == [Measured(4), Measured(3), Measured(1)]

    def test_late_points_count_when_the_window_is_asked_for_again(self, metrics: Metrics, database: str) -> None:
        metrics.write(database, [point(30, requests=10)])
        before = metrics.ask([query("sum", database=database)])
        metrics.write(database, [point(10, requests=5)])

        assert before == [Measured(10)]
        assert metrics.ask([query("sum", database=database)]) == [Measured(15)]

    def test_points_of_the_future_wait(self, metrics: Metrics, database: str) -> None:
        metrics.write(database, [point(30, requests=10), point(75, requests=99)])

        assert metrics.ask([query("sum", database=database)]) == [Measured(10)]
        assert metrics.ask([query("sum", start=60, end=120, database=database)]) == [Measured(99)]

    def test_a_point_written_again_is_replaced(self, metrics: Metrics, database: str) -> None:
        metrics.write(database, [point(1, EDGE_1, requests=10)])
        metrics.write(database, [point(1, EDGE_1, requests=11)])

        assert metrics.ask([query("sum", database=database)]) == [Measured(11)]

    @pytest.mark.parametrize(("value", "kind"), [("high", "text"), (True, "boolean")])
    def test_of_text_and_truth_there_is_only_a_count(
        self, metrics: Metrics, database: str, value: str | bool, kind: str
    ) -> None:
        metrics.write(database, [point(1, requests=value)])
        mean, last, count = metrics.ask([query(method, database=database) for method in ("mean", "last", "count")])

        assert isinstance(mean, Unusable)
        assert kind in mean.reason
        assert isinstance(last, Unusable)
        assert count == Measured(1)

    def test_values_that_cannot_be_put_together_do_not_spoil_other_answers(
        self, metrics: Metrics, database: str
    ) -> None:
        metrics.write(database, [point(1, requests=3, state="up")])
        answers = metrics.ask([query("mean", field=name, database=database) for name in ("state", "requests")])

        assert isinstance(answers[0], Unusable)
        assert answers[1] == Measured(3)

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 2**63])
    def test_what_is_no_number_of_64_bits_is_refused(self, metrics: Metrics, database: str, value: float) -> None:
        with pytest.raises(MetricsError, match="cannot be stored"):
            metrics.write(database, [point(1, requests=value)])

        assert metrics.ask([query("count", database=database)]) == [Measured(0)]

    def test_a_counter_that_begins_again_is_a_fall(self, metrics: Metrics, database: str) -> None:
        metrics.write(database, [point(n, requests=value) for n, value in enumerate((100, 110, 3))])
        answers = metrics.ask([query("first", database=database), query("last", database=database)])

        assert answers == [Measured(100), Measured(3)]

    def test_of_one_moment_the_larger_value_is_first_and_last(self, metrics: Metrics, database: str) -> None:
        metrics.write(database, [point(1, EDGE_1, requests=1), point(1, EDGE_2, requests=2)])

        assert metrics.ask([query("first", database=database), query("last", database=database)]) == [Measured(2)] * 2

    @pytest.mark.parametrize(
        "name", ["it's", 'a "quoted" one', "back\\slash in", "a=b,c d", "ünïcode ${x}", "' OR 1=1 --"]
    )
    def test_odd_names_are_only_names(self, metrics: Metrics, database: str, name: str) -> None:
        metrics.write(database, [point(1, {"flame_sf": name}, requests=7), point(1, {"flame_sf": "other"}, requests=9)])

        assert metrics.ask([query("sum", {"flame_sf": name}, database=database)]) == [Measured(7)]

    def test_it_answers_a_ping(self, metrics: Metrics) -> None:
        metrics.ping()

        assert metrics.place

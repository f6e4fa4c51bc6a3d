from __future__ import annotations

from datetime import timedelta

import pytest

from policies.verdict import Clear, Holds, NoData, Unclear, judge, queries
from specs.tosca.rules import Condition, Event
from state.metrics.vocabulary import Answer, Measured, Missing, Unusable
from tests.support.alerting import condition, rule
from tests.support.metering import NOON

NO_TEXT = Unusable("the values are text")
RELATIVE = condition(event=Event.RELATIVE, threshold=10, operator="gte")
FALLING = condition(event=Event.RELATIVE, threshold=-10, operator="lte")
DEADMAN = condition(event=Event.DEADMAN, field="*", aggregation="count", operator="lte", threshold=2)


@pytest.mark.parametrize(
    ("operator", "below", "equal", "above"),
    [
        ("lt", True, False, False),
        ("lte", True, True, False),
        ("gt", False, False, True),
        ("gte", False, True, True),
        ("eq", False, True, False),
        ("neq", True, False, True),
    ],
)
def test_operators_compare_the_value_with_the_threshold(operator: str, below: bool, equal: bool, above: bool) -> None:
    watched = rule(condition(operator=operator))
    found = [isinstance(judge(watched, [Measured(value)]), Holds) for value in (99.5, 100, 101)]

    assert found == [below, equal, above]


def test_a_threshold_looks_at_one_window() -> None:
    (asked,) = queries(rule(), "tour", NOON)

    assert (asked.window.start, asked.window.end) == (NOON - timedelta(seconds=60), NOON)
    assert (asked.database, asked.measurement, asked.field, asked.aggregation) == (
        "tour",
        "storage",
        "requests",
        "mean",
    )


def test_a_relative_event_compares_two_windows_side_by_side() -> None:
    current, past = queries(rule(RELATIVE), "tour", NOON)

    assert past.window.end == current.window.start
    assert past.window.start == NOON - timedelta(seconds=120)


@pytest.mark.parametrize(
    ("watched", "current", "past", "holds"),
    [
        (RELATIVE, 30, 20, True),
        (RELATIVE, 29.9, 20, False),
        (RELATIVE, 20, 30, False),
        (FALLING, 20, 30, True),
        (FALLING, 20, 29, False),
        (condition(event=Event.RELATIVE, threshold=10, operator="gte", counter=True), 12, 1000, True),
        (condition(event=Event.RELATIVE, threshold=-10, operator="lte", counter=True), 12, 1000, False),
    ],
)
def test_a_relative_event_measures_the_difference(watched: Condition, current: float, past: float, holds: bool) -> None:
    verdict = judge(rule(watched), [Measured(current), Measured(past)])

    assert isinstance(verdict, Holds) is holds


def test_a_deadman_counts_points_of_any_field_and_nothing_is_a_count() -> None:
    (asked,) = queries(rule(DEADMAN), "tour", NOON)
    found = [type(judge(rule(DEADMAN), [Measured(count)])) for count in (0, 2, 3)]

    assert (asked.field, asked.aggregation) == ("*", "count")
    assert found == [Holds, Holds, Clear]


@pytest.mark.parametrize("answers", [[Missing()], [Measured(0)]])
def test_missing_data_is_no_reason_even_when_it_is_counted(answers: list[Answer]) -> None:
    assert isinstance(judge(rule(condition(aggregation="count", operator="lt")), answers), NoData)


@pytest.mark.parametrize("answers", [[Missing(), Measured(1)], [Measured(1), Missing()]])
def test_a_difference_needs_both_windows(answers: list[Answer]) -> None:
    assert isinstance(judge(rule(RELATIVE), answers), NoData)


def test_values_that_are_no_numbers_make_it_unclear() -> None:
    verdict = judge(rule(), [NO_TEXT])

    assert isinstance(verdict, Unclear)
    assert verdict.reason == "the values are text"


def test_weights_are_added_up_and_held_against_the_quorum() -> None:
    watched = rule(condition(weight=3), condition(weight=1), quorum=75)
    found = [
        type(judge(watched, [Measured(first), Measured(second)])) for first, second in ((200, 0), (0, 200), (200, 200))
    ]

    assert found == [Holds, Clear, Holds]


def test_a_condition_without_data_does_not_hold_but_the_others_count() -> None:
    watched = rule(condition(), condition(), quorum=50)

    assert isinstance(judge(watched, [Missing(), Measured(200)]), Holds)
    assert isinstance(judge(watched, [Missing(), Measured(1)]), Clear)
    assert isinstance(judge(watched, [Missing(), Missing()]), NoData)


def test_an_alert_goes_on_until_the_value_is_back_beyond_the_hysteresis() -> None:
    watched = rule(condition(hysteresis=10))

    assert isinstance(judge(watched, [Measured(95)]), Clear)
    assert isinstance(judge(watched, [Measured(95)], firing=True), Holds)
    assert isinstance(judge(watched, [Measured(90)], firing=True), Clear)

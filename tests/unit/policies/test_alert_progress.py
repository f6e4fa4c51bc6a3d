from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from policies.progress import first_state, step
from policies.verdict import Clear, Holds, NoData, Reading, Unclear, Verdict
from specs.tosca.rules import Rule
from state.store import AlertState, AlertStatus
from tests.support.alerting import condition, rule
from tests.support.metering import NOON

READINGS = (Reading(condition(), 120),)
YES, NO, GAP, DARK = Holds(READINGS), Clear(READINGS), NoData(READINGS), Unclear("no answer")


def walk(watched: Rule, verdicts: Sequence[Verdict]) -> tuple[list[bool], AlertState]:
    state = first_state(watched, "bristol", NOON, NOON)
    fired = []
    for number, verdict in enumerate(verdicts):
        made = step(watched, state, verdict, NOON + timedelta(seconds=60 * number))
        fired.append(made.fires)
        state = made.state
    return fired, state


def test_it_fires_when_it_begins_and_not_while_it_goes_on() -> None:
    fired, state = walk(rule(), [NO, YES, YES, NO, YES])

    assert fired == [False, True, False, False, True]
    assert state.status is AlertStatus.FIRING
    assert state.value == "120"


def test_a_rule_that_repeats_fires_at_every_check() -> None:
    fired, _ = walk(rule(repeats=True), [YES, YES, NO, YES])

    assert fired == [True, True, False, True]


def test_it_takes_as_many_checks_in_a_row_to_begin_and_to_end() -> None:
    fired, state = walk(rule(evaluations=3), [YES, YES, NO, YES, YES, YES, NO, NO, YES, NO, NO])

    assert fired.index(True) == 5
    assert fired.count(True) == 1
    assert (state.status, state.streak) == (AlertStatus.FIRING, 2)


def test_without_data_the_row_begins_anew_and_nothing_else_changes() -> None:
    fired, state = walk(rule(evaluations=2), [YES, GAP, YES])
    still, firing = walk(rule(), [YES, GAP, DARK])

    assert fired == [False, False, False]
    assert state.streak == 1
    assert still == [True, False, False]
    assert (firing.status, firing.problem) == (AlertStatus.FIRING, "no answer")


def test_a_problem_is_forgotten_with_the_next_answer() -> None:
    _, state = walk(rule(), [DARK, NO])

    assert state.problem == ""


def test_a_window_that_was_looked_at_changes_nothing() -> None:
    first = step(rule(), first_state(rule(), "bristol", NOON, NOON), YES, NOON)
    again = step(rule(), first.state, YES, NOON)

    assert first.fires
    assert again.state == first.state
    assert not again.fires


@given(st.lists(st.sampled_from([YES, NO, GAP, DARK]), max_size=30), st.integers(1, 3), st.integers(0, 29))
def test_stopping_and_going_on_from_the_state_fires_the_same(
    verdicts: list[Verdict], evaluations: int, stop: int
) -> None:
    watched = rule(evaluations=evaluations)
    whole, last = walk(watched, verdicts)
    state = first_state(watched, "bristol", NOON, NOON)
    fired = []
    for number, verdict in enumerate(verdicts):
        for _ in range(2 if number == stop else 1):  # killed after the state was written, and begun again
            made = step(watched, state, verdict, NOON + timedelta(seconds=60 * number))
            fired += [number] * made.fires
            state = made.state

    assert fired == [number for number, one in enumerate(whole) if one]
    assert state == last


@given(st.lists(st.sampled_from([YES, NO, GAP, DARK]), max_size=30))
def test_between_two_firings_it_was_clear(verdicts: list[Verdict]) -> None:
    fired, _ = walk(rule(), verdicts)
    firings = [number for number, one in enumerate(fired) if one]

    for earlier, later in itertools.pairwise(firings):
        assert NO in verdicts[earlier:later]

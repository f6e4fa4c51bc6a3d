"""What finds no room is tried again once the plan has removed something, and only then."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from providers.base import QuotaExceeded
from reconciler.order import Verb
from reconciler.progress import Finished, Progress
from specs.model import Address
from state.store import Outcome
from tests.support.turns import Bench
from tests.support.world import place, resource, wanted


class Late:
    """Deletes that begin once so many creates have been tried."""

    def __init__(self, creates: int) -> None:
        self._missing = creates
        self._tried = threading.Event()

    def before(self, verb: str, address: Address) -> None:
        """Hold a delete back."""
        if verb == "delete":
            assert self._tried.wait(10)

    def after(self, verb: str, address: Address) -> None:
        """Count a create."""
        if verb == "create":
            self._missing -= 1
            if self._missing <= 0:
                self._tried.set()


def test_what_found_no_room_is_made_once_something_has_gone(made: Bench) -> None:
    made.turn(wanted(resource("a"), resource("b")))
    made.world.room = 2
    late = Late(2)
    made.world.before, made.world.after = late.before, late.after
    report = made.turn(wanted(resource("c"), resource("d")))

    assert report.succeeded
    assert made.world.addresses() == [place("c"), place("d")]


def test_room_for_one_of_two_fails_the_other_in_the_words_of_the_provider(made: Bench) -> None:
    made.turn(wanted(resource("a")))
    made.world.room = 1
    late = Late(2)
    made.world.before, made.world.after = late.before, late.after
    report = made.turn(wanted(resource("c"), resource("d")))

    creates = [one for one in report.finished if one.operation.verb is Verb.CREATE]
    assert Counter(one.outcome for one in creates) == {Outcome.DONE: 1, Outcome.FAILED: 1}
    assert {one.message for one in creates if one.outcome is Outcome.FAILED} == {"there is no room"}


def test_what_went_while_the_refusal_was_on_its_way_counts(made: Bench) -> None:
    made.turn(wanted(resource("a")))
    made.world.room = 1
    tried, gone = threading.Event(), threading.Event()

    def before(verb: str, address: Address) -> None:
        assert verb == "create" or tried.wait(10)

    def after(verb: str, address: Address) -> None:
        if verb == "create":
            tried.set()
            assert gone.wait(10)

    def listen(progress: Progress) -> None:
        if isinstance(progress, Finished) and progress.operation.verb is Verb.DELETE:
            gone.set()

    made.world.before, made.world.after = before, after
    spec = wanted(resource("b"))
    report = made.carry_out(spec, made.plan(spec), listen)

    assert report.succeeded
    assert made.world.addresses() == [place("b")]


def test_a_quota_that_a_delete_frees_is_no_failure(made: Bench) -> None:
    made.turn(wanted(resource("a")))
    refused = threading.Event()

    def before(verb: str, address: Address) -> None:
        if verb == "delete":
            assert refused.wait(10)
        elif made.world.find(place("a")):
            refused.set()
            raise QuotaExceeded("quota of 1 is used up")

    made.world.before = before
    report = made.turn(wanted(resource("b")))

    assert report.succeeded
    assert made.world.addresses() == [place("b")]


def test_a_delete_that_waits_for_who_waits_for_room_ends_both(made: Bench) -> None:
    made.turn(wanted(resource("old"), resource("web", requires=["old"], peer=1)))

    def before(verb: str, address: Address) -> None:
        if verb == "create":
            raise QuotaExceeded("quota of 2 is used up")

    made.world.before = before
    report = made.turn(wanted(resource("new"), resource("web", requires=["new"], peer=2)))

    ends = {one.operation.key: (one.outcome, one.message) for one in report.finished}
    assert ends[f"create {place('new')}"] == (Outcome.FAILED, "quota of 2 is used up")
    assert ends[f"delete {place('old')}"][0] is Outcome.CANCELLED


@pytest.mark.parametrize("leaving", [True, False])
def test_an_interruption_ends_the_wait_for_room(made: Bench, leaving: bool) -> None:
    made.turn(wanted(resource("a")))
    refused = threading.Event()

    def before(verb: str, address: Address) -> None:
        if verb == "create":
            refused.set()
            raise QuotaExceeded("quota of 1 is used up")
        assert refused.wait(10)

    made.world.before = before
    spec = wanted(resource("b")) if leaving else wanted(resource("a"), resource("b"))
    report = made.carry_out(spec, made.plan(spec), interrupted=lambda: "enough" if refused.is_set() else "")

    ends = {one.operation.key: one.outcome for one in report.finished}
    assert ends[f"create {place('b')}"] in (Outcome.FAILED, Outcome.CANCELLED)

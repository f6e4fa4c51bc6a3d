"""Three-way differences: who moved, and what is not known."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from providers.base import Mark
from reconciler.diff import same
from reconciler.difference import (
    LATER,
    NOTHING,
    Changed,
    Gone,
    Missing,
    Origin,
    Recognised,
    Surplus,
    Unseen,
)
from specs.model import Resource
from specs.values import Call, Reference, Secret, Value
from tests.support.turns import Bench
from tests.support.world import REPOSITORY, Memory, place, resource, wanted


def only_change(made: Bench, *resources: Resource) -> tuple[str, Origin, object, object]:
    (difference,) = made.compare(wanted(*resources)).differences
    assert isinstance(difference, Changed)
    (change,) = difference.changes
    return change.name, change.origin, change.before, change.after


def test_what_was_never_made_is_missing_without_a_record(made: Bench) -> None:
    (difference,) = made.compare(wanted(resource("web"))).differences

    assert difference == Missing(resource=resource("web"), item=None)


def test_what_vanished_is_missing_with_its_record(made: Bench) -> None:
    made.turn(wanted(resource("web")))
    made.world.lose(place("web"))
    (difference,) = made.compare(wanted(resource("web"))).differences

    assert isinstance(difference, Missing)
    assert difference.item is not None


def test_a_moved_spec_is_pending(made: Bench) -> None:
    made.turn(wanted(resource("web", tag="a")))

    assert only_change(made, resource("web", tag="b")) == ("tag", Origin.PENDING, "a", "b")


def test_a_moved_world_is_drift(made: Bench) -> None:
    made.turn(wanted(resource("web", tag="a")))
    made.world.edit(place("web"), tag="z")

    assert only_change(made, resource("web", tag="a")) == ("tag", Origin.DRIFT, "z", "a")


def test_both_moved_is_a_conflict(made: Bench) -> None:
    made.turn(wanted(resource("web", tag="a")))
    made.world.edit(place("web"), tag="z")

    assert only_change(made, resource("web", tag="b")) == ("tag", Origin.CONFLICT, "z", "b")


def test_both_moved_to_the_same_is_only_a_record(made: Bench) -> None:
    made.turn(wanted(resource("web", tag="a")))
    made.world.edit(place("web"), tag="b")
    (difference,) = made.compare(wanted(resource("web", tag="b"))).differences

    assert isinstance(difference, Recognised)


def test_what_the_service_adds_is_no_difference(made: Bench) -> None:
    made.turn(wanted(resource("web", tag="a")))
    made.world.edit(place("web"), default="changed by the service")

    assert made.compare(wanted(resource("web", tag="a"))).differences == ()


def test_a_property_the_spec_dropped_is_pending(made: Bench) -> None:
    made.turn(wanted(resource("web", tag="a", size=1)))

    assert only_change(made, resource("web", size=1)) == ("tag", Origin.PENDING, "a", NOTHING)


def test_ours_and_unwanted_is_surplus(made: Bench) -> None:
    made.turn(wanted(resource("web")))
    (difference,) = made.compare(wanted()).differences

    assert isinstance(difference, Surplus)
    assert not difference.deposed


def test_unwanted_and_gone_leaves_only_its_record(made: Bench) -> None:
    made.turn(wanted(resource("web")))
    made.world.lose(place("web"))
    (difference,) = made.compare(wanted()).differences

    assert isinstance(difference, Gone)


@pytest.mark.parametrize("scope", ["*", "plain"])
def test_what_could_not_be_listed_is_unseen(made: Bench, scope: str) -> None:
    made.turn(wanted(resource("web")))
    made.world.unknown = {scope: "timeout"}
    (difference,) = made.compare(wanted(resource("web"))).differences

    assert difference == Unseen(address=place("web"), reason="timeout")


def test_an_outage_of_one_kind_leaves_the_others_known(made: Bench) -> None:
    made.world.unknown = {"early": "timeout"}
    (difference,) = made.compare(wanted(resource("web"))).differences

    assert isinstance(difference, Missing)


def test_an_object_without_a_record_is_recognised_by_its_mark(made: Bench) -> None:
    made.turn(wanted(resource("web", tag="a")))
    made.store.remember([], [place("web")])
    (difference,) = made.compare(wanted(resource("web", tag="a"))).differences

    assert isinstance(difference, Recognised)


def test_without_a_record_the_mark_tells_drift_from_pending(made: Bench) -> None:
    made.turn(wanted(resource("web", tag="a")))
    made.store.remember([], [place("web")])
    made.world.edit(place("web"), tag="z")

    assert only_change(made, resource("web", tag="a"))[1] is Origin.DRIFT
    assert only_change(made, resource("web", tag="b"))[1] is Origin.PENDING


def test_a_reference_to_something_made_anew_is_known_later(made: Bench) -> None:
    web = resource("web", requires=[place("db", "fixed")], peer=Reference(place("db", "fixed"), "ip"))
    made.turn(wanted(resource("db", "fixed", size=1), web))
    differences = {d.address: d for d in made.compare(wanted(resource("db", "fixed", size=2), web)).differences}
    changed = differences[web.address]

    assert isinstance(changed, Changed)
    assert changed.changes[0].after == LATER
    assert changed.changes[0].origin is Origin.FOLLOWS


def test_a_reference_follows_what_the_world_changed(made: Bench) -> None:
    web = resource("web", requires=["db"], peer=Reference(place("db"), "ip"))
    made.turn(wanted(resource("db"), web))
    made.world.edit(web.address, peer="10.9.9.9")

    assert only_change(made, resource("db"), web) == ("peer", Origin.DRIFT, "10.9.9.9", "10.0.0.1")


def test_a_guest_is_lost_with_its_host(made: Bench) -> None:
    guest = resource("app", "guest", requires=[place("db", "fixed")])
    made.turn(wanted(resource("db", "fixed", size=1), guest))
    differences = made.compare(wanted(resource("db", "fixed", size=2), guest)).differences

    assert [getattr(d, "lost_with", None) for d in differences] == [None, place("db", "fixed")]


def test_of_two_objects_the_wanted_one_is_current(made: Bench) -> None:
    new = resource("net", "early", size=2)
    made.turn(wanted(resource("net", "early", size=1)))
    Memory(made.world).create(new, Mark(REPOSITORY, new.address, new.digest))
    recognised, surplus = made.compare(wanted(new)).differences

    assert isinstance(recognised, Recognised)
    assert isinstance(surplus, Surplus)
    assert surplus.deposed
    assert surplus.present.properties["size"] == 1


def test_a_changed_protection_is_written_down(made: Bench) -> None:
    made.turn(wanted(resource("web")))
    (difference,) = made.compare(wanted(replace(resource("web"), protect=True))).differences

    assert isinstance(difference, Recognised)


def test_a_secret_is_compared_by_its_digest(made: Bench) -> None:
    made.turn(wanted(resource("web", key=Secret("token", "d1", "text"))))

    assert made.compare(wanted(resource("web", key=Secret("token", "d1")))).differences == ()
    assert only_change(made, resource("web", key=Secret("token", "d2")))[1] is Origin.PENDING


def test_a_call_over_a_reference_is_worked_out(made: Bench) -> None:
    url = Call("concat", ["http://", Reference(place("db"), "ip")])
    web = resource("web", requires=["db"], url="http://10.0.0.1")
    made.turn(wanted(resource("db"), web))
    (difference,) = made.compare(wanted(resource("db"), resource("web", requires=["db"], url=url))).differences

    assert isinstance(difference, Recognised)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, 1.0, True),
        (True, 1, False),
        (1, True, False),
        (0, False, False),
        ("1", 1, False),
        ([1, 2], [1, 2], True),
        ([1, 2], [2, 1], False),
        ({"a": [Secret("x", "d")]}, {"a": [Secret("y", "d")]}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ("ab", ["a", "b"], False),
        (None, False, False),
    ],
)
def test_equal_values_are_of_equal_type(one: Value, other: Value, equal: bool) -> None:
    assert same(one, other) is equal
    assert same(other, one) is equal

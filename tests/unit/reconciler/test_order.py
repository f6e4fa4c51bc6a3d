"""The order of operations, above all around replacements and deletes."""

from __future__ import annotations

import pytest

from reconciler.order import OrderError, operations
from reconciler.step import Action, Reason, Step
from specs.values import Reference
from tests.support.turns import Bench
from tests.support.world import KINDS, place, resource, wanted


def keys(made: Bench, *resources: object) -> list[str]:
    plan = made.plan(wanted(*resources))  # type: ignore[arg-type] # resources of any kind
    return [op.key.replace("bristol/shop/", "").replace(":memory", "") for op in plan.operations]


def test_a_replacement_deletes_first(made: Bench) -> None:
    made.turn(wanted(resource("db", "fixed", size=1)))

    assert keys(made, resource("db", "fixed", size=2)) == ["delete db.fixed", "create db.fixed"]


def test_where_the_kind_allows_it_creates_first(made: Bench) -> None:
    made.turn(wanted(resource("db", "early", size=1)))

    assert keys(made, resource("db", "early", size=2)) == ["create db.early", "delete db.early"]


def test_users_move_over_before_the_old_one_goes(made: Bench) -> None:
    web = resource("web", requires=[place("net", "early")], peer=Reference(place("net", "early"), "ip"))
    made.turn(wanted(resource("net", "early", size=1), web))

    assert keys(made, resource("net", "early", size=2), web) == [
        "create net.early",
        "update web.plain",
        "delete net.early",
    ]


def test_users_let_go_before_what_they_used_is_deleted(made: Bench) -> None:
    made.turn(wanted(resource("old"), resource("web", requires=["old"], tag="a")))

    assert keys(made, resource("web", tag="b")) == ["update web.plain", "delete old.plain"]


def test_guests_go_before_their_host_and_come_after_it(made: Bench) -> None:
    guest = resource("app", "guest", requires=[place("db", "fixed")])
    made.turn(wanted(resource("db", "fixed", size=1), guest))

    assert keys(made, resource("db", "fixed", size=2), guest) == [
        "delete app.guest",
        "delete db.fixed",
        "create db.fixed",
        "create app.guest",
    ]


def test_what_creates_first_gives_way_to_what_deletes_first(made: Bench) -> None:
    net = [place("net", "fixed")]
    made.turn(wanted(resource("net", "fixed", size=1), resource("lb", "early", requires=net, size=1)))

    assert keys(made, resource("net", "fixed", size=2), resource("lb", "early", requires=net, size=2)) == [
        "delete lb.early",
        "delete net.fixed",
        "create net.fixed",
        "create lb.early",
    ]


def test_deletes_go_by_kind_when_the_records_are_lost(made: Bench) -> None:
    made.turn(wanted(resource("a", "fixed"), resource("b", "guest", requires=[place("a", "fixed")])))
    made.store.remember([], list(made.inventory()))

    assert keys(made) == ["delete b.guest", "delete a.fixed"]


def test_a_circle_of_creations_is_refused_by_name() -> None:
    one, two = resource("one", requires=["two"]), resource("two", requires=["one"])
    steps = [
        Step(
            address=item.address,
            action=Action.CREATE,
            reason=Reason.NEW,
            binding="memory",
            resource=item,
            requires=(place("two"),) if item is one else (place("one"),),
        )
        for item in (one, two)
    ]

    with pytest.raises(OrderError, match="create bristol/shop/one"):
        operations(steps, {"memory": KINDS})

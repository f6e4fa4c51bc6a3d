from __future__ import annotations

import json
from collections.abc import Sequence

from providers.base import Finding
from reconciler.diff import diff
from reconciler.difference import Nothing
from reconciler.explain import explain
from reconciler.holds import Limits
from reconciler.plan_document import Document, moved, plan_document
from reconciler.plan_view import PlanView, view_plan, with_attributes
from reconciler.render_plan import render, summary
from reconciler.shown import Shown
from specs.desired import Desired
from specs.errors import Severity
from specs.values import Call, Reference, Secret
from tests.support.turns import EVERYTHING, Bench
from tests.support.world import NOW, place, resource, wanted

NET = place("net", "fixed")
ALL_OFF = Limits()


def view(made: Bench, desired: Desired, limits: Limits = EVERYTHING) -> PlanView:
    seen = made.seen(desired)
    return view_plan(made.plan(desired, limits), seen, diff(desired, made.inventory(), seen).present)


def details(before: Shown, after: Shown) -> Sequence[tuple[str, Shown | Nothing, Shown | Nothing]]:
    return [(detail.path, detail.before, detail.after) for detail in explain(before, after)]


def text(shown: PlanView) -> str:
    return "\n".join([*map(str, render(shown, details)), str(summary([shown]))])


def document(shown: PlanView) -> Document:
    return plan_document(shown.commit, NOW, [shown])


def shop(**server: object) -> Desired:
    properties = {"vcpus": 2, "env": {"MODE": "fast", "PASSWORD": Secret("db", "d1")}, **server}
    return wanted(
        resource("net", "fixed", size=1),
        resource("web", "plain", [NET], net=Reference(NET, "id"), **properties),  # type: ignore[arg-type]  # values of tests
    )


def plain(*names: str) -> Desired:
    return wanted(*(resource(name, size=1) for name in names))


def test_a_first_plan_adds_everything(made: Bench) -> None:
    assert text(view(made, wanted(resource("net", "fixed", size=1), resource("web", note='a "b"\n', x=None)))) == (
        """\
bristol at c1

What apply will do:

  + bristol/shop/net:memory.fixed  # wanted and never made
      + size = 1
  + bristol/shop/web:memory.plain  # wanted and never made
      + note = "a \\"b\\"\\n"
      + x    = null

Plan: 2 to add, 0 to change, 0 to destroy."""
    )


def test_a_plan_says_who_moved_what(made: Bench) -> None:
    first = wanted(
        resource("net", "fixed", size=1),
        resource("web", "plain", [NET], vcpus=2, env={"A": "1", "PW": Secret("pw", "d1")}, net=Reference(NET, "id")),
        resource("old", size=1),
    )
    made.turn(first)
    made.world.edit(place("web"), vcpus=4)
    made.world.lose(place("old"))
    second = wanted(
        resource("net", "fixed", size=2),
        resource("web", "plain", [NET], vcpus=2, env={"A": "2", "PW": Secret("pw", "d2")}, net=Reference(NET, "id")),
        resource("new", "plain", [place("web")], at=Reference(place("web"), "ip"), of=[Reference(NET, "id"), 1]),
        commit="c2",
    )

    assert text(view(made, second)) == (
        """\
bristol at c2

The world has moved since the last apply:

  ~ bristol/shop/web:memory.plain  # somebody changed it
      ~ vcpus = 2 -> 4

What apply will do:

-/+ bristol/shop/net:memory.fixed  # a change that cannot be made in place
      ~ size = 1 -> 2  # the spec changed it, forces replacement
  ~ bristol/shop/web:memory.plain  # the spec and the world both changed
      ~ env  # the spec changed it
          ~ A = "1" -> "2"
      ~ net   = "id-0001" -> (known after apply)  # what it refers to changes
      ~ vcpus = 4 -> 2  # the world changed it
  + bristol/shop/new:memory.plain  # wanted and never made
      + at = "10.0.0.3"
      + of = [(known after apply), 1]
  . 1 record of what is gone will be dropped

Plan: 2 to add, 1 to change, 1 to destroy."""
    )


def test_who_asks_sees_what_is_known_beyond_properties(made: Bench) -> None:
    made.turn(plain("a"))
    shown = view(made, wanted(resource("a", size=2)))

    assert "      = id = " not in text(shown)
    assert '      ~ size = 1 -> 2  # the spec changed it\n      = id = "id-0001"\n      = ip = "10.0.0.1"' in text(
        with_attributes(shown)
    )


def test_what_is_gone_is_drift(made: Bench) -> None:
    made.turn(plain("web"))
    made.world.lose(place("web"))

    shown = text(view(made, plain("web")))
    assert "  - bristol/shop/web:memory.plain  # it is gone" in shown
    assert "  + bristol/shop/web:memory.plain  # it was there and is gone" in shown


def test_what_is_known_by_its_mark_is_one_line_and_no_change(made: Bench) -> None:
    made.turn(plain("a", "b"))
    made.store.remember((), [place("a"), place("b")])

    assert text(view(made, plain("a", "b"))) == (
        """\
bristol at c1

What apply will do:

 <= 2 objects recognised by their owner marks

No changes. The world is as the specs say."""
    )


def test_what_is_held_back_says_why(made: Bench) -> None:
    made.turn(plain("a", "b"))

    assert text(view(made, plain("a"), ALL_OFF)) == (
        """\
bristol at c1

Held back:

  - bristol/shop/b:memory.plain  # pruning is off

No changes. 1 step held back."""
    )


def test_what_was_not_asked_for_is_counted(made: Bench) -> None:
    shown = text(view(made, plain("a", "b", "c"), Limits(targets=frozenset({place("b")}))))

    assert "    2 steps not asked for" in shown
    assert shown.endswith("Plan: 1 to add, 0 to change, 0 to destroy.")


def test_the_unknown_is_left_alone(made: Bench) -> None:
    made.turn(plain("a"))
    made.world.unknown = {"plain": "the API is down"}

    assert text(view(made, plain("a"))) == (
        """\
bristol at c1

Unknown, and left alone:

  ? bristol/shop/a:memory.plain  # the API is down

No changes. 1 resource unknown."""
    )


def test_remarks_of_providers_and_the_breaker_are_shown(made: Bench) -> None:
    made.turn(plain(*"abcd"))
    made.world.findings = (Finding(Severity.WARNING, "the quota is nearly used up"),)
    shown = text(view(made, plain("a"), Limits(default=EVERYTHING.default, breaker_count=2)))

    assert "  warning: the quota is nearly used up" in shown
    assert "The mass-change breaker stops this plan: 3 of 4 resources" in shown


def test_no_secret_is_shown_even_where_the_world_gives_it_back(made: Bench) -> None:
    secret = Secret("db", "d-i-g-e-s-t", "hunter2")
    desired = wanted(resource("web", env={"PASSWORD": secret}, args=["-p", secret], url=Call("concat", ["x:", secret])))
    first = view(made, desired)
    made.turn(desired)
    made.world.edit(place("web"), env={"PASSWORD": "hunter2"}, args=["hunter2", "-p"], url="x:hunter2")
    second = view(made, desired)
    made.world.edit(place("web"), env={"PASSWORD": "hunter2"}, args=["hunter2"], url="x:hunter2")
    third = view(made, wanted(resource("web", args=["-v"], env={}), commit="c2"))

    for shown in (first, second, third):
        printed = text(shown) + json.dumps(document(shown))
        assert "(sensitive)" in printed
        assert "hunter2" not in printed
        assert "d-i-g-e-s-t" not in printed


def test_a_long_value_is_cut(made: Bench) -> None:
    assert "(5,002 characters)" in text(view(made, wanted(resource("web", script="x" * 5000))))


# --- the document ----------------------------------------------------------------------------------


def test_the_document_has_the_shape_of_terraforms(made: Bench) -> None:
    made.turn(shop())
    made.world.edit(place("web"), vcpus=4)
    found = document(view(made, shop(vcpus=3)))

    assert found["format_version"] == "1.0"
    assert found["commit"] == "c1"
    assert found["created_at"] == "2026-01-02T03:04:05+00:00"
    assert found["summary"] == {"create": 0, "update": 1, "replace": 0, "delete": 0, "adopt": 0, "noop": 1}
    assert found["resource_changes"] == [
        {
            "address": "bristol/shop/web:memory.plain",
            "site": "bristol",
            "provider": "memory",
            "type": "memory.plain",
            "name": "shop/web",
            "requires": ["bristol/shop/net:memory.fixed"],
            "change": {
                "actions": ["update"],
                "before": {"env": {"MODE": "fast", "PASSWORD": "(sensitive)"}, "net": "id-0001", "vcpus": 4},
                "after": {"env": {"MODE": "fast", "PASSWORD": "(sensitive)"}, "net": "id-0001", "vcpus": 3},
                "after_unknown": {},
                "before_sensitive": {"env": {"PASSWORD": True}},
                "after_sensitive": {"env": {"PASSWORD": True}},
                "origins": {"vcpus": "conflict"},
            },
            "action_reason": "update_because_conflict",
        }
    ]
    drift = found["resource_drift"]
    assert isinstance(drift, list)
    assert drift[0]["change"]["before"]["vcpus"] == 2
    assert drift[0]["change"]["after"]["vcpus"] == 4


def test_what_is_not_known_yet_is_marked_and_left_out(made: Bench) -> None:
    desired = wanted(
        resource("net", "fixed", size=1),
        resource("web", "plain", [NET], net=Reference(NET, "id"), nets=[1, Reference(NET, "id")]),
    )
    changes = document(view(made, desired))["resource_changes"]

    assert isinstance(changes, list)
    assert changes[1]["change"]["after"] == {"nets": [1, None]}
    assert changes[1]["change"]["after_unknown"] == {"net": True, "nets": [False, True]}


def test_a_replacement_names_its_order_and_what_forces_it(made: Bench) -> None:
    made.turn(wanted(resource("a", "fixed", size=1), resource("b", "early", size=1)))
    desired = wanted(resource("a", "fixed", size=2), resource("b", "early", size=2))
    found = document(view(made, desired))["resource_changes"]

    assert isinstance(found, list)
    changes = sorted(found, key=lambda change: str(change["address"]))
    assert [change["change"]["actions"] for change in changes] == [["delete", "create"], ["create", "delete"]]
    assert [change["change"]["replace_paths"] for change in changes] == [[["size"]], [["size"]]]
    assert changes[0]["action_reason"] == "replace_because_cannot_update"


def test_equal_input_gives_an_equal_document(made: Bench) -> None:
    first, second = view(made, shop()), view(made, shop())

    assert json.dumps(document(first)) == json.dumps(document(second))


def test_two_documents_agree_when_the_same_would_be_done(made: Bench) -> None:
    before = document(view(made, shop()))
    made.world.add_foreign("somebody's")

    assert moved(before, document(view(made, shop())), "bristol") == ()


def test_a_document_that_would_do_something_else_is_told_apart(made: Bench) -> None:
    approved = document(view(made, plain("a", "b")))
    made.turn(plain("a"))

    assert moved(approved, document(view(made, plain("a", "b"))), "bristol") == (
        "bristol/shop/a:memory.plain would not be touched any more",
    )
    assert moved(approved, document(view(made, plain("a", "b", "c"))), "bristol")[-1] == (
        "bristol/shop/c:memory.plain would be touched as well"
    )
    assert moved(approved, document(view(made, wanted(resource("b", size=2), resource("a", size=1)))), "bristol")[
        -1
    ] == ("bristol/shop/b:memory.plain would be changed in another way")

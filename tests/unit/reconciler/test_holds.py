"""What a plan holds back, and what it holds back with it."""

from __future__ import annotations

from msgspec.structs import replace

from providers.base import Finding
from reconciler.holds import Limits, Switches
from reconciler.plan import Plan
from specs.errors import Severity
from specs.values import Reference
from tests.support.turns import EVERYTHING, Bench
from tests.support.world import place, resource, wanted


def doing(plan: Plan) -> list[str]:
    return [operation.key.replace("bristol/shop/", "").replace(":memory", "") for operation in plan.operations]


def held(plan: Plan) -> dict[str, str]:
    return {held.step.address.split("/")[2].split(":")[0]: held.why for held in plan.held}


def only(**switches: bool) -> Limits:
    return Limits(default=Switches(**switches))


def test_what_git_forgot_stays_while_pruning_is_off(made: Bench) -> None:
    made.turn(wanted(resource("web")))
    plan = made.plan(wanted(), only(prune=False))

    assert doing(plan) == []
    assert held(plan) == {"web": "pruning is off"}


def test_what_a_kept_object_stands_on_is_kept_too(made: Bench) -> None:
    made.turn(wanted(resource("db"), resource("web", requires=["db"], protect=True)))
    plan = made.plan(wanted())

    assert doing(plan) == []
    assert "stands on it and stays" in held(plan)["db"]


def test_a_lowered_state_is_no_pruning(made: Bench) -> None:
    made.turn(wanted(resource("web"), resource("web", "early")))
    plan = made.plan(wanted(resource("web")), only(prune=False))

    assert doing(plan) == ["delete web.early"]


def test_drift_stays_while_self_heal_is_off(made: Bench) -> None:
    made.turn(wanted(resource("web", tag="a"), resource("db")))
    made.world.edit(place("web"), tag="z")
    made.world.lose(place("db"))
    plan = made.plan(wanted(resource("web", tag="a"), resource("db")), only(self_heal=False))

    assert doing(plan) == []
    assert set(held(plan).values()) == {"self-heal is off"}
    assert len(plan.drift) == 2


def test_new_things_wait_while_auto_apply_is_off(made: Bench) -> None:
    plan = made.plan(wanted(resource("web")), only(auto_apply=False))

    assert held(plan) == {"web": "auto-apply is off"}


def test_switches_are_kept_by_service(made: Bench) -> None:
    limits = Limits(switches={"shop": Switches(auto_apply=False)}, default=Switches())
    plan = made.plan(wanted(resource("web"), resource("web", service="blog")), limits)

    assert [op.step.address for op in plan.operations] == [place("web", service="blog")]


def test_protected_things_are_neither_replaced_nor_deleted(made: Bench) -> None:
    made.turn(wanted(resource("db", "fixed", size=1, protect=True)))

    assert "it is protected" in held(made.plan(wanted(resource("db", "fixed", size=2, protect=True))))["db"]
    assert "it is protected" in held(made.plan(wanted()))["db"]
    assert doing(made.plan(wanted(resource("db", "fixed", size=2)))) == ["delete db.fixed", "create db.fixed"]


def test_protected_things_change_in_place(made: Bench) -> None:
    made.turn(wanted(resource("db", tag="a", protect=True)))

    assert doing(made.plan(wanted(resource("db", tag="b", protect=True)))) == ["update db.plain"]


def test_a_held_creation_holds_what_needs_it(made: Bench) -> None:
    made.world.findings = (Finding(Severity.ERROR, "no quota left", place("db")),)
    plan = made.plan(wanted(resource("db"), resource("web", requires=["db"]), resource("other")))

    assert doing(plan) == ["create other.plain"]
    assert held(plan)["db"] == "no quota left"
    assert "db:memory.plain, which is held back" in held(plan)["web"]


def test_a_finding_without_an_address_blocks_the_binding(made: Bench) -> None:
    made.world.findings = (Finding(Severity.ERROR, "no such project"),)
    plan = made.plan(wanted(resource("db")))

    assert held(plan) == {"db": "no such project"}


def test_a_warning_blocks_nothing(made: Bench) -> None:
    made.world.findings = (Finding(Severity.WARNING, "quota is short", place("db")),)
    plan = made.plan(wanted(resource("db")))

    assert doing(plan) == ["create db.plain"]
    assert [finding.message for finding in plan.findings] == ["quota is short"]


def test_nothing_is_made_on_what_could_not_be_seen(made: Bench) -> None:
    made.world.unknown = {"fixed": "timeout"}
    plan = made.plan(wanted(resource("db", "fixed"), resource("web", requires=[place("db", "fixed")])))

    assert doing(plan) == []
    assert "could not be seen" in held(plan)["web"]


def test_nothing_is_deleted_under_what_could_not_be_seen(made: Bench) -> None:
    made.turn(wanted(resource("db"), resource("app", "guest", requires=["db"])))
    made.world.unknown = {"guest": "timeout"}
    plan = made.plan(wanted())

    assert doing(plan) == []
    assert "may stand on it" in held(plan)["db"]


def test_a_target_takes_what_it_needs_along(made: Bench) -> None:
    spec = wanted(resource("db"), resource("web", requires=["db"]), resource("other"))
    plan = made.plan(spec, replace(EVERYTHING, targets=frozenset({place("web")})))

    assert doing(plan) == ["create db.plain", "create web.plain"]
    assert held(plan) == {"other": "it is not targeted"}


def test_a_target_may_be_a_subject(made: Bench) -> None:
    spec = wanted(resource("db"), resource("db", "early"), resource("web"))
    plan = made.plan(spec, replace(EVERYTHING, targets=frozenset({"bristol/shop/db"})))

    assert doing(plan) == ["create db.early", "create db.plain"]


def test_a_deleted_target_takes_what_stands_on_it_along(made: Bench) -> None:
    made.turn(wanted(resource("db"), resource("web", requires=["db"]), resource("other")))
    plan = made.plan(wanted(), replace(EVERYTHING, targets=frozenset({place("db")})))

    assert doing(plan) == ["delete web.plain", "delete db.plain"]


def test_an_exclude_holds_what_needs_it(made: Bench) -> None:
    spec = wanted(resource("db"), resource("web", requires=["db"]), resource("other"))
    plan = made.plan(spec, replace(EVERYTHING, excludes=frozenset({place("db")})))

    assert doing(plan) == ["create other.plain"]


def test_a_held_replacement_holds_what_waits_for_its_attributes(made: Bench) -> None:
    web = resource("web", requires=[place("db", "fixed")], peer=Reference(place("db", "fixed"), "ip"))
    made.turn(wanted(resource("db", "fixed", size=1, protect=True), web))
    plan = made.plan(wanted(resource("db", "fixed", size=2, protect=True), web))

    assert doing(plan) == []
    assert "which is held back" in held(plan)["web"]


def test_the_breaker_stops_a_mass_change(made: Bench) -> None:
    many = [resource(f"n{number}") for number in range(20)]
    made.turn(wanted(*many))
    limits = Limits(default=Switches(prune=True))

    assert made.plan(wanted(*many[:10]), limits).tripped == ""
    assert "11 of 20 resources of bristol" in made.plan(wanted(*many[:9]), limits).tripped


def test_the_breaker_counts_what_vanished(made: Bench) -> None:
    many = [resource(f"n{number}") for number in range(20)]
    made.turn(wanted(*many))
    for item in many[:11]:
        made.world.lose(item.address)

    assert "vanish (11)" in made.plan(wanted(*many), Limits()).tripped


def test_what_follows_a_healed_object_is_healed_with_it(made: Bench) -> None:
    db, guest = resource("db", "fixed"), resource("app", "guest", requires=[place("db", "fixed")])
    web = resource("web", requires=[place("db", "fixed")], peer=Reference(place("db", "fixed"), "ip"))
    made.turn(wanted(db, guest, web))
    made.world.lose(db.address)
    healing = Limits(default=Switches(auto_apply=False, self_heal=True))

    assert doing(made.plan(wanted(db, guest, web), healing)) == [
        "create db.fixed",
        "delete app.guest",
        "create app.guest",
        "update web.plain",
    ]


def test_what_follows_is_held_with_what_it_follows(made: Bench) -> None:
    db = resource("db", "fixed")
    web = resource("web", requires=[place("db", "fixed")], peer=Reference(place("db", "fixed"), "ip"))
    made.turn(wanted(db, web))
    made.world.lose(db.address)
    plan = made.plan(wanted(db, web), Limits(default=Switches(auto_apply=True, self_heal=False)))

    assert doing(plan) == []
    assert held(plan) == {"db": "self-heal is off", "web": f"it needs {db.address}, which is held back"}

from __future__ import annotations

import itertools
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from policies.decide import AlertLimits, Decision, Deed, Held, Nothing, decide, instances, with_changes
from policies.moves import Enter, Scale, ScaleTo, moves
from specs.model import LifecycleState, Service
from specs.patch import CountSet, Mode, Reason, SpecPatch, StateSet
from tests.support.alerting import SERVICE, service
from tests.support.metering import NOON

TOUR = service()
LIMITS = AlertLimits()


def reason(policy: str, trigger: str, at: datetime = NOON) -> Reason:
    return Reason(id="a1", site="bristol", policy=policy, trigger=trigger, at=at, value="120")


def decided(
    policy: str,
    trigger: str,
    *,
    of: Service = TOUR,
    deeds: tuple[Deed, ...] = (),
    limits: AlertLimits = LIMITS,
) -> Decision:
    return decide(of, reason(policy, trigger), deeds, limits, NOON)


def deed(seconds: float, policy: str = "crowd", way: str = "+storage@edge-1") -> Deed:
    at = NOON - timedelta(seconds=seconds)
    return Deed(service="tour-1", policy=policy, at=at, ways=frozenset({way}))


def changes(decision: Decision) -> tuple[object, ...]:
    assert isinstance(decision, SpecPatch), decision
    return decision.changes


def test_a_state_change_moves_the_function_on_the_cluster() -> None:
    found = decided("crowd", "many_requests")

    assert changes(found) == (StateSet("storage", "edge-1", LifecycleState.PLACED, LifecycleState.CONNECTED),)
    assert isinstance(found, SpecPatch)
    assert (found.service, found.file, found.mode, found.branch) == (
        "tour-1",
        "tour.yaml",
        Mode.COMMIT,
        "reconciler/tour-1/crowd/many_requests",
    )


def test_what_is_so_already_needs_no_patch() -> None:
    assert decided("crowd", "few_requests") == Nothing("storage on edge-1 is placed already")


def test_the_opposite_undoes_it() -> None:
    there = decided("crowd", "many_requests")
    assert isinstance(there, SpecPatch)
    moved = with_changes(TOUR, there.changes)
    back = decided("crowd", "few_requests", of=moved)

    assert isinstance(back, SpecPatch)
    assert with_changes(moved, back.changes) == TOUR


def test_scaling_stays_within_the_narrower_bounds() -> None:
    first = changes(decided("queue", "long_queue"))
    grown = with_changes(TOUR, [CountSet("frontend", 2, 4)])
    full = with_changes(TOUR, [CountSet("frontend", 2, 5)])

    assert first == (CountSet("frontend", 2, 4),)
    assert changes(decided("queue", "long_queue", of=grown)) == (CountSet("frontend", 4, 5),)
    assert decided("queue", "long_queue", of=full) == Nothing("frontend has its greatest number, 5 instances already")


def test_scaling_to_a_number_never_goes_the_other_way() -> None:
    assert changes(decided("queue", "short_queue")) == (CountSet("frontend", 2, 1),)
    one = with_changes(TOUR, [CountSet("frontend", 2, 1)])
    assert decided("queue", "short_queue", of=one) == Nothing("frontend has 1 instance already")


def test_without_a_greatest_number_alerts_add_nothing() -> None:
    text = SERVICE.replace("max_instances: 5, ", "").replace("max_instances: 6, default_instances: 2", "")

    assert isinstance(decided("queue", "long_queue", of=service(text)), Nothing)


@pytest.mark.parametrize(("policy", "trigger"), [("nothing", "x"), ("crowd", "unknown"), ("initial", "begin")])
def test_an_alert_nobody_waits_for_changes_nothing(policy: str, trigger: str) -> None:
    assert isinstance(decided(policy, trigger), Nothing)


def test_a_policy_rests_after_a_change() -> None:
    found = decided("crowd", "many_requests", deeds=(deed(59),))

    assert found == Held("the policy crowd rests until 12:00:01 UTC after its last change")
    assert isinstance(decided("crowd", "many_requests", deeds=(deed(60),)), SpecPatch)
    assert isinstance(decided("crowd", "many_requests", deeds=(deed(1, "queue"),)), SpecPatch)


def test_a_policy_can_say_how_long_it_rests() -> None:
    found = decided("queue", "long_queue", deeds=(deed(29, "queue", "frontend"),))

    assert isinstance(found, Held)
    assert isinstance(decided("queue", "long_queue", deeds=(deed(30, "queue", "frontend"),)), SpecPatch)


def test_there_are_only_so_many_changes_an_hour() -> None:
    limits = AlertLimits(commits_per_hour=3)
    deeds = tuple(deed(600 * number, "queue", "frontend") for number in range(1, 4))

    assert decided("crowd", "many_requests", deeds=deeds, limits=limits) == Held(
        "alerts have made 3 changes to tour-1 in an hour; that is the limit"
    )
    assert isinstance(decided("crowd", "many_requests", deeds=deeds[:2], limits=limits), SpecPatch)


def test_what_flaps_is_left_to_a_person() -> None:
    deeds = tuple(deed(100 * number, way=f"{'-+'[number % 2 == 0]}storage@edge-1") for number in range(1, 5))
    found = decided("crowd", "many_requests", deeds=deeds)

    assert isinstance(found, Held)
    assert "storage@edge-1 would turn back 4 times in 10 minutes: it flaps" in found.reason
    assert isinstance(decided("crowd", "many_requests", deeds=deeds[:3]), SpecPatch)


def test_what_goes_one_way_only_does_not_flap() -> None:
    deeds = tuple(deed(40 * number, "queue", "+frontend") for number in range(1, 12))

    assert changes(decided("queue", "long_queue", deeds=deeds)) == (CountSet("frontend", 2, 4),)


def test_changes_of_other_services_do_not_count() -> None:
    others = tuple(replace(deed(number), service="other") for number in range(40))

    assert isinstance(decided("crowd", "many_requests", deeds=others), SpecPatch)


@pytest.mark.parametrize("mode", Mode)
def test_a_policy_says_what_becomes_of_its_patches(mode: Mode) -> None:
    text = SERVICE.replace(
        "type: eu.ict-flame.policies.StateChange",
        f"type: eu.ict-flame.policies.StateChange\n        properties: {{mode: {mode}}}",
    )
    found = decided("crowd", "many_requests", of=service(text))

    assert isinstance(found, SpecPatch)
    assert found.mode is mode


def test_the_mode_of_the_settings_holds_where_a_policy_says_none() -> None:
    found = decided("crowd", "many_requests", limits=AlertLimits(mode=Mode.PROPOSE))

    assert isinstance(found, SpecPatch)
    assert found.mode is Mode.PROPOSE


BATON = SERVICE.replace(
    "properties: {max_instances: 5, cooldown: 30 s}",
    """properties:
          max_instances: 5
          auto_scale_policy:
            - name: busy
              threshold: 100.0
              comparisonOperator: ">="
              period: 30
              cooldown: 90
              mode: REACTIVE
              type: VOTED
              alarms:
                - {metric: CONSUMED_CAPACITY, statistic: avg, comparisonOperator: ">=", threshold: 140.0, weight: 1.0}
              actions: [{type: SCALE_OUT_TO, value: "4"}]""",
)


def test_the_actions_to_a_number_of_open_baton_work() -> None:
    tour = service(BATON)

    assert moves(tour, "queue", "busy") == (ScaleTo("frontend", 4, out=True),)
    assert changes(decided("queue", "busy", of=tour)) == (CountSet("frontend", 2, 4),)
    assert isinstance(decided("queue", "busy", of=tour, deeds=(deed(89, "queue", "frontend"),)), Held)


TOSCA = SERVICE.replace(
    "          in:\n",
    """          native:
            event: tosca.events.load
            condition: {constraint: "cpu.usage greater_than 80", period: 30 s, method: average}
            action:
              - call_operation: {operation: Scalable.scale_out, inputs: {value: 3}}
          native_in:
            event: tosca.events.load
            condition: {constraint: [{cpu.usage: [{less_than: 10}]}]}
            action: [{call_operation: scale_in}, {set_state: placed}]
          in:
""",
)


def test_activities_of_tosca_are_moves() -> None:
    tour = service(TOSCA)

    assert moves(tour, "queue", "native") == (Scale("frontend", 3),)
    assert moves(tour, "queue", "native_in") == (
        Scale("frontend", -1),
        Enter("frontend", "dc-1", LifecycleState.PLACED),
    )


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [("crowd", "many_requests"), ("crowd", "few_requests"), ("queue", "long_queue"), ("queue", "short_queue")]
        ),
        st.integers(1, 900),
    ),
    max_size=60,
)


@given(STEPS, st.integers(1, 6))
def test_whatever_alerts_come_the_bounds_hold(steps: list[tuple[tuple[str, str], int]], hourly: int) -> None:
    limits = AlertLimits(commits_per_hour=hourly)
    now, tour = NOON, TOUR
    deeds: list[Deed] = []
    for (policy, trigger), seconds in steps:
        now += timedelta(seconds=seconds)
        found = decide(tour, reason(policy, trigger, now), deeds, limits, now)
        if isinstance(found, SpecPatch):
            tour = with_changes(tour, found.changes)
            ways = frozenset(change.way for change in found.changes)
            deeds.append(Deed(service="tour-1", policy=policy, at=now, ways=ways))

        assert 1 <= instances(tour.nodes["frontend"]) <= 5
        assert sum(one.at > now - timedelta(hours=1) for one in deeds) <= hourly
    for earlier, later in itertools.pairwise(deeds):
        assert earlier.policy != later.policy or later.at - earlier.at >= timedelta(seconds=30)

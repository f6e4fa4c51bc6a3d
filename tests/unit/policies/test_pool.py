from __future__ import annotations

import pytest

from policies.decide import with_changes
from policies.placement import place
from specs.model import LifecycleState
from specs.patch import CountSet, StateSet
from tests.support.alerting import SERVICE, reading, service

POOLED = SERVICE.replace("max_instances: 5, cooldown", "max_instances: 5, pool_size: 2, cooldown")
C, B, P = LifecycleState.CONNECTED, LifecycleState.BOOTED, LifecycleState.PLACED


def states(count: int, state: LifecycleState = C) -> list[LifecycleState]:
    site = reading().catalogue.sites["bristol"]
    tour = with_changes(service(POOLED), [CountSet("frontend", 2, count), StateSet("frontend", "dc-1", C, state)])
    return [endpoint.state for endpoint in place(site, tour).of("frontend")]


@pytest.mark.parametrize(
    ("count", "expected"), [(1, [C, B, B]), (2, [C, C, B, B]), (4, [C, C, C, C, B]), (5, [C] * 5), (6, [C] * 6)]
)
def test_idle_instances_wait_behind_the_connected_ones(count: int, expected: list[LifecycleState]) -> None:
    assert states(count) == expected


def test_scaling_out_connects_an_instance_that_is_booted_already() -> None:
    before, after = states(2), states(3)

    assert before[2] is B
    assert after[2] is C


@pytest.mark.parametrize("state", [B, P])
def test_a_function_that_is_idle_itself_has_no_pool(state: LifecycleState) -> None:
    assert states(2, state) == [state, state]

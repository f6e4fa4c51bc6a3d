"""What came out wrong is recorded, and compared again at the next look."""

from __future__ import annotations

from msgspec.structs import replace

from providers.base import Health
from specs.model import Address
from state.store import Outcome
from tests.support.turns import Bench
from tests.support.world import place, resource, wanted


def test_what_came_out_wrong_is_compared_again(made: Bench) -> None:
    def spoil(verb: str, address: Address) -> None:
        for thing in made.world.find(address):
            made.world.things[thing.id] = replace(thing, properties={"size": 0}, health=Health.DEGRADED)

    spec = wanted(resource("web", size=1))
    made.world.slow = 1
    made.world.after = spoil
    report = made.turn(spec)

    assert not report.succeeded
    assert place("web") in made.inventory()
    assert [change.name for step in made.plan(spec).steps for change in step.changes] == ["size"]


def test_a_removal_that_went_wrong_is_a_failure_at_once(made: Bench) -> None:
    made.turn(wanted(resource("web")))
    made.world.leftover = Health.DEGRADED
    (finished,) = made.turn(wanted()).finished

    assert finished.outcome is Outcome.FAILED
    assert finished.message == "it could not be removed: it is degraded"
    assert place("web") in made.inventory()

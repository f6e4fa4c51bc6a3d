"""From any world, with any failing call, the loop converges and then plans nothing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from providers.base import PermanentError, TransientError
from reconciler.order import Verb
from reconciler.plan import Plan
from specs.desired import Desired
from specs.model import Address, Budget, Resource
from specs.values import Reference, Value
from state.opening import open_store
from state.store import Outcome, Store
from tests.support.turns import Bench, bench
from tests.support.world import place, resource, wanted

KIND_NAMES = ("plain", "fixed", "early", "guest")
SERVICES = ("shop", "shop-b", "-")
"""Two whose addresses sort otherwise than their names, and the site itself."""
RELAXED = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Killed(BaseException):
    """Stands for `kill -9`: nothing catches it."""


@contextmanager
def new_bench() -> Iterator[Bench]:
    with TemporaryDirectory() as folder:
        made = bench(Path(folder))
        try:
            yield made
        finally:
            made.store.close()


@st.composite
def specs(draw: st.DrawFn) -> Desired:
    """Draw a spec: up to seven resources of three services that require earlier ones, some by an attribute."""
    chosen = sorted(draw(st.sets(st.integers(0, 6))))
    resources: list[Resource] = []
    for number in chosen:
        kind = KIND_NAMES[number % 4]
        earlier = st.sampled_from([r.address for r in resources]) if resources else st.nothing()
        needed = sorted(draw(st.sets(earlier)))
        properties: dict[str, Value] = {"size": draw(st.integers(0, 2)), "tag": draw(st.sampled_from("ab"))}
        if draw(st.booleans()) and needed:
            properties["peer"] = Reference(needed[0], "ip")
        made = resource(f"n{number}", kind, needed, service=SERVICES[number % 3])
        resources.append(replace(made, properties=properties))
    return wanted(*resources)


@dataclass(frozen=True)
class Sabotage:
    """One change of the world behind everybody's back."""

    pick: int
    lose: bool

    def do(self, made: Bench) -> None:
        addresses = made.world.addresses()
        if addresses and self.lose:
            made.world.lose(addresses[self.pick % len(addresses)])
        elif addresses:
            made.world.edit(addresses[self.pick % len(addresses)], tag="changed by hand")


sabotages = st.lists(st.builds(Sabotage, st.integers(0, 6), st.booleans()), max_size=3)
failures = st.lists(st.sampled_from(["", "", "", "transient", "permanent", "lost answer"]), max_size=12)


def script(made: Bench, outcomes: list[str]) -> None:
    """Let the next calls go wrong as written; later ones go well."""
    before, after = iter(outcomes), [""]

    def start(verb: str, address: Address) -> None:
        after[0] = next(before, "")
        if after[0] == "transient":
            raise TransientError("try again")
        if after[0] == "permanent":
            raise PermanentError("no")

    def end(verb: str, address: Address) -> None:
        if after[0] == "lost answer":
            raise TransientError("the answer was lost")

    made.world.before, made.world.after = start, end


def settle(made: Bench, desired: Desired) -> None:
    """Turn until nothing is planned; a few turns must do."""
    script(made, [])
    for _ in range(3):
        if not made.plan(desired).operations:
            break
        report = made.turn(desired)
        assert report.succeeded, [f for f in report.finished if f.message]


def check_at_rest(made: Bench, desired: Desired) -> None:
    plan = made.plan(desired)

    assert plan.operations == ()
    assert made.world.addresses() == sorted(desired.resources)
    assert sorted(made.inventory()) == sorted(desired.resources)
    assert made.world.wrongs == []


@RELAXED
@given(st.lists(st.tuples(specs(), sabotages, failures), min_size=1, max_size=4))
def test_the_loop_converges_and_then_plans_nothing(story: list[tuple[Desired, list[Sabotage], list[str]]]) -> None:
    with new_bench() as made:
        made.budget = replace(made.budget, concurrency=1)
        foreign = made.world.add_foreign("somebody else's")
        before = made.world.things[foreign]
        for desired, harm, outcomes in story:
            for sabotage in harm:
                sabotage.do(made)
            script(made, outcomes)
            made.turn(desired)
            settle(made, desired)
            check_at_rest(made, desired)
            for sabotage in harm:
                sabotage.do(made)
                made.plan(desired)  # the bench sees to it that what is kept hides nothing

        assert made.world.things[foreign] == before


@RELAXED
@given(specs(), specs(), sabotages, st.integers(0, 2))
def test_one_undisturbed_turn_is_enough(first: Desired, second: Desired, harm: list[Sabotage], slow: int) -> None:
    with new_bench() as made:
        made.world.slow = slow
        made.turn(first)
        for sabotage in harm:
            sabotage.do(made)
        report = made.turn(second)

        assert report.succeeded, [f for f in report.finished if f.message]
        check_at_rest(made, second)


@RELAXED
@given(specs(), specs(), sabotages, st.randoms(use_true_random=False))
def test_equal_input_gives_an_equal_plan(
    first: Desired, second: Desired, harm: list[Sabotage], shuffler: random.Random
) -> None:
    with new_bench() as made:
        settle(made, first)
        for sabotage in harm:
            sabotage.do(made)
        plan = made.plan(second)
        made.world.things = dict(shuffler.sample(sorted(made.world.things.items()), len(made.world.things)))

        assert repr(made.plan(second)) == repr(plan)


@RELAXED
@given(specs(), specs(), sabotages)
def test_no_step_comes_before_what_it_needs(first: Desired, second: Desired, harm: list[Sabotage]) -> None:
    with new_bench() as made:
        settle(made, first)
        for sabotage in harm:
            sabotage.do(made)
        plan = made.plan(second)

        check_order(plan)


def check_order(plan: Plan) -> None:
    """Check that doing the operations one after another never breaks a requirement."""
    made = {op.step.address: n for n, op in enumerate(plan.operations) if op.verb is Verb.CREATE}
    deleted = {op.step.address: n for n, op in enumerate(plan.operations) if op.verb is Verb.DELETE}
    keys = [op.key for op in plan.operations]
    for number, operation in enumerate(plan.operations):
        assert all(keys.index(key) < number for key in operation.after)
        if operation.verb in (Verb.CREATE, Verb.UPDATE):
            assert all(made.get(needed, -1) < number for needed in operation.step.requires)
        if operation.verb is Verb.DELETE and operation.step.item is not None:
            later = [deleted.get(needed, len(keys)) for needed in operation.step.item.requires]
            assert all(other > number for other in later)


@RELAXED
@given(specs(), specs(), sabotages, st.integers(0, 40))
def test_a_killed_apply_ends_like_an_undisturbed_one(
    first: Desired, second: Desired, harm: list[Sabotage], deadly: int
) -> None:
    with new_bench() as made:
        settle(made, first)
        for sabotage in harm:
            sabotage.do(made)
        kill_at(made, second, deadly)
        settle(made, second)

        check_at_rest(made, second)


@settings(RELAXED, max_examples=60)
@given(specs(), specs(), sabotages, st.integers(1, 4))
def test_a_call_is_told_of_before_it_is_made_and_stands_on_records(
    first: Desired, second: Desired, harm: list[Sabotage], at_once: int
) -> None:
    with TemporaryDirectory() as folder, closing(bench(Path(folder)).store) as store:
        made = Bench(store, budget=Budget(concurrency=at_once))
        settle(made, first)
        for sabotage in harm:
            sabotage.do(made)
        untold: list[str] = []

        def before(verb: str, address: Address) -> None:
            """Read what a process that starts after a kill would read."""
            with closing(open_store("", Path(folder))) as told:
                intents = {(e.action, e.address) for e in told.journal("bristol", outcome=Outcome.OPEN)}
                records = {item.address: item.digest for item in told.inventory("bristol").values()}
            needed = second.resources[address].requires if verb != "delete" else ()
            if (verb, address) not in intents:
                untold.append(f"{verb} {address}")
            untold.extend(one for one in needed if records.get(Address(one)) != second.resources[Address(one)].digest)

        made.world.before = before
        made.turn(second)

        assert untold == []


def kill_at(made: Bench, desired: Desired, deadly: int) -> None:
    """Apply, and die at one point: before or after a journal write."""
    store, point = made.store, iter(range(10_000))

    class Dying:
        def __getattr__(self, name: str) -> object:
            method = getattr(store, name)
            if name != "record":
                return method

            def write(*args: object, **kwargs: object) -> object:
                if next(point) == deadly:
                    raise Killed
                result = method(*args, **kwargs)
                if next(point) == deadly:
                    raise Killed
                return result

            return write

    made.store = cast("Store", Dying())
    try:
        made.turn(desired)
    except Killed:
        pass
    finally:
        made.store = store


@RELAXED
@given(specs(), sabotages)
def test_an_outage_plans_neither_creation_nor_deletion(desired: Desired, harm: list[Sabotage]) -> None:
    with new_bench() as made:
        settle(made, desired)
        for sabotage in harm:
            sabotage.do(made)
        made.world.unknown = {"*": "the API is down"}
        fewer = wanted(*[r for r in desired.resources.values() if r.address != place("n0")])

        assert [op for op in made.plan(fewer).operations if op.verb is not Verb.FORGET] == []
        assert made.plan(desired).operations == ()


@RELAXED
@given(specs())
def test_a_lost_store_shows_no_changes(desired: Desired) -> None:
    with new_bench() as made:
        settle(made, desired)
        made.store.remember([], list(made.inventory()))
        plan = made.plan(desired)

        assert not plan.changes_world
        made.carry_out(desired, plan)
        check_at_rest(made, desired)

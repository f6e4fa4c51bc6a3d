"""Apply: retries, failures, health, budgets, the journal and interruption."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta

import pytest
from msgspec.structs import replace

from providers.base import Health, PermanentError, QuotaExceeded, TransientError
from reconciler.order import Verb
from reconciler.progress import Finished, Progress, Report, Retrying, Settling
from specs.desired import Desired
from specs.model import Address, Budget
from specs.values import Reference, Secret
from state.store import Outcome
from tests.support.turns import Bench
from tests.support.world import place, resource, wanted


def outcomes(report: Report) -> dict[str, str]:
    return {f.operation.key.split("/")[-1].split(":")[0]: f.outcome for f in report.finished}


def test_a_transient_error_is_tried_again(made: Bench) -> None:
    told: list[Progress] = []
    failing = iter([True, True, False])

    def before(verb: str, address: Address) -> None:
        if next(failing):
            raise TransientError("busy", timedelta(0))

    made.world.before = before
    spec = wanted(resource("web"))
    report = made.carry_out(spec, made.plan(spec), told.append)

    assert report.succeeded
    assert sum(isinstance(progress, Retrying) for progress in told) == 2


def test_a_transient_error_becomes_a_failure_in_the_end(made: Bench) -> None:
    calls = Counter[str]()

    def before(verb: str, address: Address) -> None:
        calls[verb] += 1
        raise TransientError("busy")

    made.world.before = before
    report = made.turn(wanted(resource("web")))

    assert outcomes(report) == {"web": Outcome.FAILED}
    assert calls["create"] == made.patience.attempts


def test_a_permanent_error_stops_only_what_needs_it(made: Bench) -> None:
    def before(verb: str, address: Address) -> None:
        if address == place("db"):
            raise QuotaExceeded("quota of servers is used up: 10 of 10, 1 wanted")

    made.world.before = before
    report = made.turn(
        wanted(resource("db"), resource("web", requires=["db"]), resource("cdn", requires=["web"]), resource("dns"))
    )

    assert outcomes(report) == {
        "db": Outcome.FAILED,
        "web": Outcome.CANCELLED,
        "cdn": Outcome.CANCELLED,
        "dns": Outcome.DONE,
    }
    assert next(f.message for f in report.finished if f.outcome is Outcome.FAILED).startswith("quota of servers")


def test_a_defect_of_a_provider_is_named_and_not_tried_again(made: Bench) -> None:
    def before(verb: str, address: Address) -> None:
        raise KeyError("flavor")

    made.world.before = before
    (finished,) = made.turn(wanted(resource("web"))).finished

    assert finished.outcome is Outcome.FAILED
    assert finished.message == "defect in provider 'memory': KeyError: 'flavor'"


def test_a_long_chain_fails_without_running_deep(made: Bench) -> None:
    def before(verb: str, address: Address) -> None:
        raise PermanentError("no")

    made.world.before = before
    chain = [resource("n0000"), *(resource(f"n{n:04}", requires=[f"n{n - 1:04}"]) for n in range(1, 3000))]
    report = made.turn(wanted(*chain))

    assert report.count(Outcome.CANCELLED) == 2999


def test_references_are_put_in_when_they_are_known(made: Bench) -> None:
    peer = Reference(place("db"), "ip")
    made.turn(wanted(resource("db"), resource("web", requires=["db"], peer=peer)))

    assert made.world.find(place("web"))[0].properties["peer"] == "10.0.0.1"


def test_an_attribute_that_never_comes_is_a_failure(made: Bench) -> None:
    missing = Reference(place("db"), "colour")
    report = made.turn(wanted(resource("db"), resource("web", requires=["db"], peer=missing)))

    assert outcomes(report) == {"db": Outcome.DONE, "web": Outcome.FAILED}


def test_the_texts_of_secrets_are_not_recorded(made: Bench) -> None:
    made.turn(wanted(resource("web", key=Secret("token", "d1", "hunter2"))))
    (item,) = made.inventory().values()

    assert item.properties["key"] == Secret("token", "d1")
    assert "hunter2" not in repr(item)


def test_apply_waits_for_health(made: Bench) -> None:
    told: list[Progress] = []
    made.world.slow = 3
    spec = wanted(resource("db"), resource("web", requires=["db"]))
    report = made.carry_out(spec, made.plan(spec), told.append)

    assert report.succeeded
    assert {t.health for t in made.world.things.values()} == {Health.HEALTHY}
    assert [type(p).__name__ for p in told].index("Settling") < [type(p).__name__ for p in told].index("Finished")


def test_what_is_never_ready_fails_at_its_deadline(made: Bench) -> None:
    made.world.slow = 1_000_000
    made.patience = replace(made.patience, health_deadline=timedelta(seconds=0.05))
    report = made.turn(wanted(resource("db"), resource("web", requires=["db"])))

    assert outcomes(report) == {"db": Outcome.FAILED, "web": Outcome.CANCELLED}
    assert "not ready in time" in report.finished[0].message


def test_what_vanishes_while_it_settles_fails(made: Bench) -> None:
    made.world.slow = 5
    spec = wanted(resource("db"))

    def listen(progress: Progress) -> None:
        if isinstance(progress, Settling):
            made.world.lose(place("db"))

    report = made.carry_out(spec, made.plan(spec), listen)

    assert report.finished[0].message == "it vanished while it was being made"


def test_a_look_that_began_before_an_object_was_made_does_not_miss_it(made: Bench) -> None:
    made.world.slow = 3
    spec = wanted(resource("a"), resource("b"))
    looked, settles = threading.Event(), threading.Event()

    def before(verb: str, address: Address) -> None:
        if address == place("b"):
            looked.wait(10)

    def answering() -> None:
        if made.world.find(place("a")) and not looked.is_set():
            looked.set()
            settles.wait(10)

    def listen(progress: Progress) -> None:
        if isinstance(progress, Settling) and progress.operation.step.address == place("b"):
            settles.set()

    made.world.before, made.world.answering = before, answering
    report = made.carry_out(spec, made.plan(spec), listen)

    assert settles.is_set()
    assert outcomes(report) == {"a": Outcome.DONE, "b": Outcome.DONE}


def test_an_outage_while_settling_is_waited_out(made: Bench) -> None:
    made.world.slow = 2
    spec = wanted(resource("db"))

    def listen(progress: Progress) -> None:
        if isinstance(progress, Settling):
            made.world.unknown = {"*": "the API is down"}
            threading.Timer(0.05, lambda: setattr(made.world, "unknown", {})).start()

    assert made.carry_out(spec, made.plan(spec), listen).succeeded


def test_a_budget_bounds_calls_at_once(made: Bench) -> None:
    made.budget = Budget(concurrency=2)
    busy, most = [0], [0]
    gate = threading.Lock()

    def before(verb: str, address: Address) -> None:
        with gate:
            busy[0] += 1
            most[0] = max(most[0], busy[0])

    def after(verb: str, address: Address) -> None:
        with gate:
            busy[0] -= 1

    made.world.before, made.world.after = before, after
    made.turn(wanted(*(resource(f"n{n}") for n in range(30))))

    assert 1 <= most[0] <= 2


def test_every_intent_is_journalled_before_its_call(made: Bench) -> None:
    seen: list[tuple[Address, str]] = []

    def before(verb: str, address: Address) -> None:
        seen.append((address, verb))

    made.world.before = before
    report = made.turn(wanted(resource("db"), resource("web", requires=["db"])))
    journal = made.store.journal("bristol", report.run)

    assert [(entry.address, entry.action) for entry in journal] == seen
    assert {entry.outcome for entry in journal} == {Outcome.DONE}


def interrupted_after_first(made: Bench, spec: Desired) -> tuple[Report, list[str]]:
    done: list[str] = []

    def listen(progress: Progress) -> None:
        if isinstance(progress, Finished):
            done.append(progress.operation.key)

    plan = made.plan(spec)
    report = made.carry_out(spec, plan, listen, interrupted=lambda: "a newer commit" if done else "")
    return report, done


def test_an_interruption_finishes_what_is_in_flight_and_cancels_the_rest(made: Bench) -> None:
    spec = wanted(resource("a"), resource("b", requires=["a"]), resource("c", requires=["b"]))
    report, _ = interrupted_after_first(made, spec)

    assert report.interrupted == "a newer commit"
    assert report.count(Outcome.CANCELLED) >= 1
    assert made.store.journal("bristol", outcome=Outcome.OPEN) == ()
    assert made.turn(spec).succeeded


def test_an_interruption_ends_a_retry_loop(made: Bench) -> None:
    made.patience = replace(made.patience, attempts=10**9, first_delay=timedelta(seconds=60))
    retried: list[str] = []

    def before(verb: str, address: Address) -> None:
        raise TransientError("busy")

    def listen(progress: Progress) -> None:
        if isinstance(progress, Retrying):
            retried.append(progress.why)

    made.world.before = before
    spec = wanted(resource("a"))
    report = made.carry_out(spec, made.plan(spec), listen, interrupted=lambda: "stop" if retried else "")

    assert outcomes(report) == {"a": Outcome.CANCELLED}


@pytest.mark.parametrize("kind", ["fixed", "early"])
def test_a_replacement_ends_with_one_object_and_its_record(made: Bench, kind: str) -> None:
    made.turn(wanted(resource("db", kind, size=1)))
    report = made.turn(wanted(resource("db", kind, size=2)))
    (thing,) = made.world.find(place("db", kind))

    assert report.succeeded
    assert {f.operation.verb for f in report.finished} == {Verb.CREATE, Verb.DELETE}
    assert made.inventory()[place("db", kind)].provider_id == thing.id

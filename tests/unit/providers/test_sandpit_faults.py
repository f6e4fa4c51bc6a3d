"""Calls go wrong by script, as often and where the script says, and the script outlives the process."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from providers.base import Health, PermanentError, TransientError, unknown_reason
from providers.sandpit import faults, sabotage
from providers.sandpit.database import Database
from providers.sandpit.faults import Fault, Trouble
from tests.support.sandpits import Pit, pit, thing


@pytest.fixture
def city(tmp_path: Path) -> Iterator[Pit]:
    city = pit(tmp_path)
    yield city
    city.close()


@pytest.fixture
def database(city: Pit) -> Database:
    return city.provider.world.database


def test_a_fault_spoils_as_many_calls_as_it_says(city: Pit, database: Database) -> None:
    faults.add(database, Fault(call="create:server", trouble=Trouble.FAIL, times=2))

    for _ in range(2):
        with pytest.raises(TransientError):
            city.create(thing("server"))
    assert city.create(thing("server")).health is Health.HEALTHY
    assert faults.scripted(database) == ()


def test_a_fault_without_end_spoils_every_call(city: Pit, database: Database) -> None:
    faults.add(database, Fault(call="create:server", trouble=Trouble.TIMEOUT))

    for _ in range(5):
        with pytest.raises(TransientError, match="create:server timed out"):
            city.create(thing("server"))
    assert faults.clear(database, "create:server") == 1
    assert city.create(thing("server"))


def test_other_calls_are_not_spoiled(city: Pit, database: Database) -> None:
    faults.add(database, Fault(call="create:server", trouble=Trouble.FAIL))
    faults.add(database, Fault(call="create:volume", trouble=Trouble.FAIL, cluster="edge-2"))

    assert city.create(thing("network"))
    assert city.create(thing("volume"))
    with pytest.raises(TransientError):
        city.create(thing("volume", "a", "edge-2"))


@pytest.mark.parametrize("call", ["*:*", "create:*", "*:server"])
def test_a_star_stands_for_any_verb_or_kind(city: Pit, database: Database, call: str) -> None:
    faults.add(database, Fault(call=call, trouble=Trouble.FAIL))

    with pytest.raises(TransientError):
        city.create(thing("server"))


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (Trouble.TIMEOUT, TransientError),
        (Trouble.FAIL, TransientError),
        (Trouble.REFUSE, PermanentError),
        (Trouble.UNAUTHORIZED, PermanentError),
    ],
)
def test_a_call_that_fails_does_nothing(
    city: Pit, database: Database, trouble: Trouble, error: type[Exception]
) -> None:
    kept = city.create(thing("network", "kept"))
    faults.add(database, Fault(call="*:network", trouble=trouble, times=3))
    with pytest.raises(error):
        city.create(thing("network", "new"))
    with pytest.raises(error):
        city.update(thing("network", "kept", mtu=9), kept)
    with pytest.raises(error):
        city.provider.delete(kept)

    assert [present.seen for present in city.look().present] == [kept.seen]


def test_a_lost_answer_leaves_the_work_done(city: Pit, database: Database) -> None:
    kept = city.create(thing("network", "kept"))
    faults.add(database, Fault(call="*:network", trouble=Trouble.LOSE, times=2))
    with pytest.raises(TransientError, match="connection lost"):
        city.create(thing("network", "new"))
    with pytest.raises(TransientError):
        city.provider.delete(kept)

    assert [present.address for present in city.look().present] == ["bristol/shop/new@edge-1:sandpit.network"]


def test_a_service_may_say_when_to_come_back(city: Pit, database: Database) -> None:
    faults.add(database, Fault(call="create:server", trouble=Trouble.FAIL, seconds=7))

    with pytest.raises(TransientError) as caught:
        city.create(thing("server"))
    assert caught.value.retry_after == timedelta(seconds=7)


def test_a_slow_call_is_done_and_late(city: Pit, database: Database) -> None:
    faults.add(database, Fault(call="create:server", trouble=Trouble.SLOW, seconds=60, times=1))
    made = city.create(thing("server"))
    city.wait(61)

    assert made.health is Health.PROGRESSING
    assert city.look().present[0].health is Health.HEALTHY


def test_a_list_without_its_last_page_is_noticed(city: Pit, database: Database) -> None:
    for name in "abcd":
        city.create(thing("network", name))
    faults.add(database, Fault(call="list:network", trouble=Trouble.PARTIAL, times=1))
    snapshot = city.look()

    assert len(snapshot.present) == 2
    assert snapshot.unknown == {"network": "the list of networks was cut short: 2 of 4 came"}
    assert not city.look().unknown


def test_a_list_that_fails_on_one_cluster_hides_only_that(city: Pit, database: Database) -> None:
    city.create(thing("network"))
    city.create(thing("network", "a", "edge-2"))
    faults.add(database, Fault(call="list:network", trouble=Trouble.FAIL, cluster="edge-2", times=1))
    snapshot = city.look()

    assert [present.properties["cluster"] for present in snapshot.present] == ["edge-1"]
    assert list(snapshot.unknown) == ["network@edge-2"]


@pytest.mark.parametrize(
    ("target", "hidden"),
    [
        ("*", {("network", "edge-1"), ("network", "edge-2"), ("volume", "edge-1")}),
        ("network", {("network", "edge-1"), ("network", "edge-2")}),
        ("@edge-1", {("network", "edge-1"), ("volume", "edge-1")}),
        ("network@edge-1", {("network", "edge-1")}),
    ],
)
def test_what_is_down_is_unknown_and_takes_no_calls(
    city: Pit, database: Database, target: str, hidden: set[tuple[str, str]]
) -> None:
    places = [("network", "edge-1"), ("network", "edge-2"), ("volume", "edge-1")]
    made = {place: city.create(thing(place[0], "kept", place[1])) for place in places}
    faults.take_down(database, target)
    snapshot = city.look()

    for kind, cluster in places:
        seen = made[kind, cluster].provider_id in {present.provider_id for present in snapshot.present}
        assert seen == ((kind, cluster) not in hidden)
        assert (unknown_reason(snapshot, kind, cluster) is None) == seen
        if not seen:
            with pytest.raises(TransientError, match="is down"):
                city.create(thing(kind, "new", cluster))
            with pytest.raises(TransientError, match="is down"):
                city.provider.delete(made[kind, cluster])
    assert faults.bring_up(database) == 1
    assert len(city.look().present) == len(places)


def test_foreign_objects_of_a_kind_that_is_down_are_not_reported(city: Pit, database: Database) -> None:
    city.look()
    sabotage.added(database, "city", "network", {"name": "x"})
    sabotage.added(database, "city", "server", {"name": "y"})
    faults.take_down(database, "network")

    assert [foreign.name for foreign in city.look(unmanaged=True).foreign] == ["y"]


def test_the_script_outlives_the_process(city: Pit, database: Database) -> None:
    fault = Fault(call="create:server", trouble=Trouble.FAIL, times=3, cluster="edge-1")
    faults.add(database, fault)
    faults.take_down(database, "port", "cable cut")
    other = city.connect().world.database

    assert faults.scripted(other) == (fault,)
    assert faults.down(other) == {"port": "cable cut"}
    assert str(fault) == "create:server on edge-1: fail 3 times"


@pytest.mark.parametrize("call", ["", "create", "make:server", "create:serverr", "create:server:x"])
def test_a_call_that_does_not_exist_cannot_be_spoiled(database: Database, call: str) -> None:
    with pytest.raises(PermanentError, match="is no call; write VERB:KIND"):
        faults.add(database, Fault(call=call, trouble=Trouble.FAIL))


def test_only_lists_can_be_partial(database: Database) -> None:
    with pytest.raises(PermanentError, match="only list:KIND can"):
        faults.add(database, Fault(call="create:server", trouble=Trouble.PARTIAL))


@pytest.mark.parametrize("target", ["", "serverr", "serverr@edge-1", "server@", "@"])
def test_what_does_not_exist_cannot_be_down(database: Database, target: str) -> None:
    with pytest.raises(PermanentError, match="cannot be down"):
        faults.take_down(database, target)


def test_a_look_stands_on_files_alone_once_everything_is_ready(tmp_path: Path) -> None:
    here = pit(tmp_path, settings={"delays": {"network": 5.0}})
    here.create(thing("network"))
    moving = here.look()
    here.wait(6)
    still = here.look()
    here.close()

    assert moving.sources is None
    assert still.sources == here.provider.world.database.files


def test_what_could_not_be_seen_is_looked_at_again(city: Pit, database: Database) -> None:
    faults.add(database, Fault(call="list:server", trouble=Trouble.REFUSE))

    assert city.look().sources is None

"""What a sandpit has shown once it shows again, until somebody writes or time passes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from providers.base import Health
from providers.sandpit import faults, sabotage
from providers.sandpit.faults import Fault, Trouble
from tests.support.sandpits import REPOSITORY, Pit, mark_of, pit, thing


@pytest.fixture
def city(tmp_path: Path) -> Iterator[Pit]:
    city = pit(tmp_path, settings={"delays": {"workload": 5.0}})
    yield city
    city.close()


def test_nothing_is_read_while_nobody_writes(city: Pit) -> None:
    city.create(thing("network"))

    assert city.look() is city.look()


def test_what_did_not_change_is_the_same_object(city: Pit) -> None:
    city.create(thing("network"))
    (before,) = city.look().present
    city.create(thing("network", "b"))

    assert any(present is before for present in city.look().present)


@pytest.mark.parametrize("somebody", ["this process", "another"])
def test_whoever_changes_something_is_noticed(city: Pit, somebody: str) -> None:
    city.create(thing("network", cidr="10.0.0.0/24"))
    city.look()
    if somebody == "another":
        with closing(sabotage.open_site(city.folder, "bristol")) as database:
            sabotage.changed(database, "network-1", "cidr", "10.0.1.0/24")
    else:
        sabotage.changed(city.provider.world.database, "network-1", "cidr", "10.0.1.0/24")

    assert [present.properties["cidr"] for present in city.look().present] == ["10.0.1.0/24"]


def test_what_is_gone_is_not_shown(city: Pit) -> None:
    city.create(thing("network"))
    city.look()
    with closing(sabotage.open_site(city.folder, "bristol")) as database:
        sabotage.deleted(database, "network-1")

    assert city.look().present == []


def test_what_is_being_made_is_ready_in_time(city: Pit) -> None:
    city.create(thing("workload", replicas=1))
    first = [present.health for present in city.look().present]
    city.wait(6)

    assert first == [Health.PROGRESSING]
    assert [present.health for present in city.look().present] == [Health.HEALTHY]


def test_trouble_that_is_scripted_later_spoils_the_next_look(city: Pit) -> None:
    city.create(thing("network"))
    city.look()
    with closing(sabotage.open_site(city.folder, "bristol")) as database:
        faults.add(database, Fault(call="list:network", trouble=Trouble.TIMEOUT, times=1))
        faults.take_down(database, "@edge-1")

    assert {"network"} <= city.look().unknown.keys()


def test_each_repository_sees_its_own(city: Pit) -> None:
    city.create(thing("network"))
    other = thing("network", "b")
    city.provider.create(other, mark_of(other, "another"))
    city.look()

    assert [present.mark.repository for present in city.look().present] == [REPOSITORY]

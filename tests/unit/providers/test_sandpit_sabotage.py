"""The emulated site is broken, and looked at, from outside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from providers.base import Health, PermanentError
from providers.sandpit import sabotage
from providers.sandpit.database import Database
from specs.values import Secret, Value, encode
from tests.support.sandpits import Pit, pit, thing


@pytest.fixture
def city(tmp_path: Path) -> Iterator[Pit]:
    city = pit(tmp_path)
    yield city
    city.close()


@pytest.fixture
def database(city: Pit) -> Database:
    return city.provider.world.database


def test_a_site_nobody_made_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="bristol has no sandpit at"):
        sabotage.open_site(tmp_path, "bristol")


def test_a_site_is_opened_by_its_name(city: Pit) -> None:
    city.create(thing("network"))
    database = sabotage.open_site(city.folder, "bristol")

    assert [row["id"] for row in sabotage.listed(database)] == ["network-1"]
    database.close()


def test_objects_are_listed_with_their_owner(city: Pit, database: Database) -> None:
    city.create(thing("network"))
    sabotage.added(database, "city", "server", {"name": "rogue", "cluster": "edge-2"})

    assert [(row["id"], row["owner"], row["address"]) for row in sabotage.listed(database)] == [
        ("network-1", "0123456789ab", "bristol/shop/a@edge-1:sandpit.network"),
        ("server-2", "", ""),
    ]
    assert [row["id"] for row in sabotage.listed(database, kind="server")] == ["server-2"]
    assert [row["id"] for row in sabotage.listed(database, cluster="edge-1")] == ["network-1"]


@pytest.mark.parametrize("what", ["network-1", "bristol/shop/a@edge-1:sandpit.network", "a"])
def test_an_object_is_found_by_id_address_and_name(city: Pit, database: Database, what: str) -> None:
    city.create(thing("network"))

    assert sabotage.shown(database, what)["id"] == "network-1"


def test_what_is_shown_can_be_printed(city: Pit, database: Database) -> None:
    city.create(thing("software", configuration={"password": Secret("DB", "d1", "s3cret")}))
    facts = sabotage.shown(database, "a")

    assert "s3cret" not in json.dumps(encode(facts))
    assert facts["properties"] == {
        "name": "a",
        "cluster": "edge-1",
        "configuration": {"password": Secret("DB", "d1")},
    }


def test_an_object_that_is_not_there_or_not_clear_is_an_error(city: Pit, database: Database) -> None:
    city.create(thing("network", "a"))
    city.create(thing("port", "a"))

    with pytest.raises(PermanentError, match="no object 'b'; `reconciler sandpit list`"):
        sabotage.deleted(database, "b")
    with pytest.raises(PermanentError, match="'a' may be network-1 or port-2; give the id"):
        sabotage.deleted(database, "a")


def test_deleting_asks_nobody(city: Pit, database: Database) -> None:
    network = city.create(thing("network"))
    city.create(thing("port", "b", network=network.provider_id))
    sabotage.deleted(database, network.provider_id)
    [port] = city.look().present

    assert (port.health, port.reason) == (Health.DEGRADED, "what it is made of is gone: network-1")


@pytest.mark.parametrize("value", [9000, "jumbo", [1, {"deep": None}], False])
def test_a_property_is_changed(city: Pit, database: Database, value: Value) -> None:
    before = city.create(thing("network", mtu=1400))
    facts = sabotage.changed(database, "a", "mtu", value)
    [seen] = city.look().present

    assert facts == {"changed": "network-1", "property": "mtu", "before": 1400, "after": value}
    assert seen.properties["mtu"] == value
    assert seen.seen != before.seen
    assert seen.mark == before.mark


def test_a_property_is_taken_away_by_none(city: Pit, database: Database) -> None:
    city.create(thing("network", mtu=1400))
    sabotage.changed(database, "a", "mtu", None)

    assert "mtu" not in city.look().present[0].properties


def test_a_changed_size_takes_capacity(city: Pit, database: Database) -> None:
    city.create(thing("server", vcpus=1))
    sabotage.changed(database, "a", "vcpus", 7)
    sabotage.changed(database, "a", "cluster", "edge-2")

    assert sabotage.usage(database) == [
        {
            "binding": "city",
            "cluster": "edge-2",
            "kind": "server",
            "objects": 1,
            "vcpus": 7.0,
            "memory_mb": 0.0,
            "disk_gb": 0.0,
        }
    ]


def test_an_added_object_is_nobodys(city: Pit, database: Database) -> None:
    city.create(thing("network"))
    sabotage.added(database, "", "network", {"name": "rogue"})

    assert [foreign.name for foreign in city.look(unmanaged=True).foreign] == ["rogue"]
    assert len(city.look().present) == 1


def test_an_object_is_added_to_the_binding_that_is_named(city: Pit, database: Database) -> None:
    with pytest.raises(PermanentError, match="whose world"):
        sabotage.added(database, "", "network", {"name": "rogue"})
    sabotage.added(database, "city", "network", {"name": "rogue"})

    assert city.look(unmanaged=True).foreign


def test_an_unknown_kind_cannot_be_added(database: Database) -> None:
    with pytest.raises(PermanentError, match="no kind 'teapot'; there are image, network"):
        sabotage.added(database, "city", "teapot", {})


def test_an_object_loses_its_mark(city: Pit, database: Database) -> None:
    city.create(thing("network"))
    sabotage.unmarked(database, "a")

    assert city.look().present == []
    assert city.look(unmanaged=True).foreign

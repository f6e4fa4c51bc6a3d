"""Commands break the emulated site and look at it from outside."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from providers.base import Health, PermanentError, TransientError
from providers.sandpit.database import Database
from providers.sandpit.kinds import KINDS
from providers.sandpit.sabotage import COMMANDS, Facts, open_site
from specs.values import Secret, encode
from tests.support.sandpits import Pit, pit, thing


@pytest.fixture
def city(tmp_path: Path) -> Iterator[Pit]:
    city = pit(tmp_path)
    yield city
    city.close()


def run(database: Database, name: str, /, **given: str) -> Sequence[Facts]:
    """Run a command as a command line does: options that are not given are empty."""
    command = next(command for command in COMMANDS if command.name == name)
    known = {argument.name for argument in command.arguments}
    assert given.keys() <= known
    assert {argument.name for argument in command.arguments if not argument.option} <= given.keys()
    return command.run(database, {**dict.fromkeys(known, ""), **given})


@pytest.fixture
def database(city: Pit) -> Database:
    return city.provider.world.database


def test_every_command_says_what_it_does() -> None:
    assert len({command.name for command in COMMANDS}) == len(COMMANDS)
    for command in COMMANDS:
        assert command.help
        assert not command.help.endswith(".")
        options = [argument.option for argument in command.arguments]
        assert options == sorted(options)
        assert all(argument.help for argument in command.arguments)


def test_a_site_nobody_made_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="bristol has no sandpit at"):
        open_site(tmp_path, "bristol")


def test_a_site_is_opened_by_its_name(city: Pit) -> None:
    city.create(thing("network"))
    database = open_site(city.folder, "bristol")

    assert [row["id"] for row in run(database, "list")] == ["network-1"]
    database.close()


def test_objects_are_listed_with_their_owner(city: Pit, database: Database) -> None:
    city.create(thing("network"))
    run(database, "add", kind="server", name="rogue", cluster="edge-2", properties='{"vcpus": 2}')

    assert [(row["id"], row["owner"], row["address"]) for row in run(database, "list")] == [
        ("network-1", "0123456789ab", "bristol/shop/a@edge-1:sandpit.network"),
        ("server-2", "", ""),
    ]
    assert [row["id"] for row in run(database, "list", kind="server")] == ["server-2"]
    assert [row["id"] for row in run(database, "list", cluster="edge-1")] == ["network-1"]


@pytest.mark.parametrize("what", ["network-1", "bristol/shop/a@edge-1:sandpit.network", "a"])
def test_an_object_is_found_by_id_address_and_name(city: Pit, database: Database, what: str) -> None:
    city.create(thing("network"))

    assert run(database, "show", object=what)[0]["id"] == "network-1"


def test_what_is_shown_can_be_printed(city: Pit, database: Database) -> None:
    city.create(thing("software", configuration={"password": Secret("DB", "d1", "s3cret")}))
    [facts] = run(database, "show", object="a")

    assert "s3cret" not in json.dumps(encode(facts))
    assert facts["properties"] == {
        "name": "a", "cluster": "edge-1", "configuration": {"password": Secret("DB", "d1")}
    }  # fmt: skip


def test_an_object_that_is_not_there_or_not_clear_is_an_error(city: Pit, database: Database) -> None:
    city.create(thing("network", "a"))
    city.create(thing("port", "a"))

    with pytest.raises(PermanentError, match="no object 'b'; `reconciler sandpit list`"):
        run(database, "delete", object="b")
    with pytest.raises(PermanentError, match="'a' may be network-1 or port-2; give the id"):
        run(database, "delete", object="a")


def test_deleting_asks_nobody(city: Pit, database: Database) -> None:
    network = city.create(thing("network"))
    city.create(thing("port", "b", network=network.provider_id))
    run(database, "delete", object=network.provider_id)
    [port] = city.look().present

    assert (port.health, port.reason) == (Health.DEGRADED, "what it is made of is gone: network-1")


@pytest.mark.parametrize(("value", "after"), [("9000", 9000), ("jumbo", "jumbo"), ('"9"', "9"), ("[1, 2]", [1, 2])])
def test_a_property_is_changed_to_json_or_text(city: Pit, database: Database, value: str, after: object) -> None:
    before = city.create(thing("network", mtu=1400))
    [facts] = run(database, "change", object="a", property="mtu", value=value)
    [seen] = city.look().present

    assert facts == {"changed": "network-1", "property": "mtu", "before": 1400, "after": after}
    assert seen.properties["mtu"] == after
    assert seen.seen != before.seen
    assert seen.mark == before.mark


def test_a_property_is_taken_away_by_null(city: Pit, database: Database) -> None:
    city.create(thing("network", mtu=1400))
    run(database, "change", object="a", property="mtu", value="null")

    assert "mtu" not in city.look().present[0].properties


def test_a_changed_size_takes_capacity(city: Pit, database: Database) -> None:
    city.create(thing("server", vcpus=1))
    run(database, "change", object="a", property="vcpus", value="7")
    run(database, "change", object="a", property="cluster", value="edge-2")

    assert run(database, "usage") == [
        {
            "binding": "city", "cluster": "edge-2", "kind": "server", "objects": 1,
            "vcpus": 7.0, "memory_mb": 0.0, "disk_gb": 0.0,
        }
    ]  # fmt: skip


def test_an_added_object_is_nobodys(city: Pit, database: Database) -> None:
    city.create(thing("network"))
    run(database, "add", kind="network", name="rogue")

    assert [foreign.name for foreign in city.look(unmanaged=True).foreign] == ["rogue"]
    assert len(city.look().present) == 1


def test_an_object_is_added_to_the_binding_that_is_named(city: Pit, database: Database) -> None:
    with pytest.raises(PermanentError, match="which binding"):
        run(database, "add", kind="network", name="rogue")
    run(database, "add", kind="network", name="rogue", binding="city")

    assert city.look(unmanaged=True).foreign


@pytest.mark.parametrize("properties", ["[1]", "vcpus=2", "{"])
def test_properties_to_add_are_a_json_object(city: Pit, database: Database, properties: str) -> None:
    with pytest.raises(PermanentError, match="is no JSON object"):
        run(database, "add", kind="network", name="rogue", properties=properties)


def test_an_object_loses_its_mark(city: Pit, database: Database) -> None:
    city.create(thing("network"))
    run(database, "unmark", object="a")

    assert city.look().present == []


@pytest.mark.parametrize(
    ("target", "means"), [("api", "*"), ("edge-1", "@edge-1"), ("network", "network"), ("network@edge-1",) * 2]
)
def test_a_part_of_the_site_is_taken_down_and_up(city: Pit, database: Database, target: str, means: str) -> None:
    [facts] = run(database, "down", target=target)

    assert facts["down"] == means
    with pytest.raises(TransientError, match="is down"):
        city.create(thing("network"))
    assert run(database, "troubles") == [facts]
    assert run(database, "up", target=target) == [{"ended": 1}]
    assert city.create(thing("network"))


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"trouble": "fail-once"}, "create:server: fail once"),
        ({"trouble": "fail-always"}, "create:server: fail always"),
        ({"trouble": "timeout"}, "create:server: timeout always"),
        ({"trouble": "lose", "times": "3"}, "create:server: lose 3 times"),
        ({"trouble": "slow", "seconds": "2.5", "cluster": "edge-1"}, "create:server on edge-1: slow always"),
    ],
)
def test_faults_are_scripted_in_words(database: Database, given: dict[str, str], line: str) -> None:
    run(database, "fault", call="create:server", **given)

    assert run(database, "troubles") == [{"fault": line}]
    assert run(database, "mend") == [{"cleared": 1}]
    assert run(database, "troubles") == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"trouble": "explode"}, "no trouble 'explode'; there are timeout, fail"),
        ({"trouble": "fail-twice"}, "no trouble 'fail-twice'"),
        ({"trouble": "fail", "times": "x"}, "times is 'x'; write a number"),
        ({"trouble": "fail", "seconds": "-1"}, "seconds is -1; write a number from 0 on"),
        ({"trouble": "fail", "seconds": "nan"}, "seconds is nan; write a number from 0 on"),
    ],
)
def test_faults_that_make_no_sense_are_refused(database: Database, given: dict[str, str], message: str) -> None:
    with pytest.raises(PermanentError) as caught:
        run(database, "fault", call="create:server", **given)
    assert message in str(caught.value)


def test_choices_name_every_kind() -> None:
    add = next(command for command in COMMANDS if command.name == "add")

    assert add.arguments[0].choices == tuple(KINDS)

"""What the emulated site would refuse is said at plan time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from providers.base import Finding
from providers.sandpit import faults, sabotage
from specs.errors import Severity
from specs.model import Resource
from tests.support.chains import PLENTY
from tests.support.sandpits import Pit, by_address, pit, thing


@pytest.fixture
def city(tmp_path: Path) -> Iterator[Pit]:
    city = pit(tmp_path, settings={"quota": {"network": 2}}, capacity=replace(PLENTY, vcpus=4))
    yield city
    city.close()


def findings(city: Pit, *wanted: Resource) -> list[Finding]:
    """Examine what is wanted beside what is there."""
    return list(city.provider.examine(by_address(*wanted), city.look(*wanted)))


def test_nothing_is_said_about_what_fits(city: Pit) -> None:
    assert findings(city, thing("server", "a", vcpus=4), thing("network", "a"), thing("network", "b")) == []


def test_a_name_that_is_taken_blocks_its_address(city: Pit) -> None:
    city.look()
    made = sabotage.added(city.provider.world.database, "city", "network", {"name": "a", "cluster": "edge-1"})
    wanted = thing("network", "a")
    [finding] = findings(city, wanted)

    assert (finding.severity, finding.address) == (Severity.ERROR, wanted.address)
    assert finding.message.startswith(f"network a exists as {made['id']} and is not ours; take it over with: reconc")


def test_a_name_of_ours_is_not_taken(city: Pit) -> None:
    city.create(thing("network", "a"))
    renamed = replace(thing("network", "b"), properties={"name": "a", "cluster": "edge-1"})

    assert findings(city, thing("network", "a"), renamed) == []


def test_only_what_does_not_fit_is_blocked(city: Pit) -> None:
    wanted = [thing("server", name, vcpus=2) for name in "abc"]
    [finding] = findings(city, *wanted)

    assert finding.address == wanted[2].address
    assert finding.message == "edge-1 has 0 vCPU free, bristol/shop/c@edge-1:sandpit.server needs 2"


def test_what_is_surplus_counts_as_room(city: Pit) -> None:
    city.create(thing("server", "old", vcpus=4))

    assert findings(city, thing("server", "new", vcpus=4)) == []
    assert findings(city, thing("server", "new", vcpus=4), thing("server", "old", vcpus=4))


def test_what_is_there_needs_no_room(city: Pit) -> None:
    wanted = thing("server", vcpus=4)
    city.create(wanted)

    assert findings(city, wanted) == []


def test_a_quota_that_is_spent_blocks_what_goes_beyond(city: Pit) -> None:
    wanted = [thing("network", name) for name in "abc"]
    city.create(wanted[0])
    [finding] = findings(city, *wanted)

    assert finding.address == wanted[2].address
    assert "quota of 2 networks is used up" in finding.message


def test_surplus_networks_give_their_quota_back(city: Pit) -> None:
    city.create(thing("network", "old"))
    city.create(thing("network", "older"))

    assert findings(city, thing("network", "new")) == []


def test_clients_no_link_leads_to_are_a_warning(city: Pit) -> None:
    site = city.site
    cut = replace(site, links={name: link for name, link in site.links.items() if name != "g"})
    island = Pit(folder=city.folder, site=cut)
    wanted = thing("path", clients=["dc-1", "edge-3"], links=["e"])
    [finding] = findings(island, wanted)

    assert finding.severity is Severity.WARNING
    assert finding.message == "no link of bristol leads from edge-1 to edge-3; add one to the site spec"
    assert findings(city, wanted) == []
    island.close()


def test_nothing_is_said_about_what_cannot_be_seen(city: Pit) -> None:
    city.look()
    faults.take_down(city.provider.world.database, "server")

    assert findings(city, thing("server", vcpus=99)) == []

"""Eight switches in two areas: real packets cross the border, and every area has its own bits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from providers.sdn.expand import group_address, service_address
from providers.sdn.settings import PREFIX
from specs.model import Service
from tests.support.chains import State, Where, deployed
from tests.testbed.sdn.fabric import RealFabric, running_fabric
from tests.testbed.sdn.packets import Hosts, payloads
from tests.testbed.sdn.sites import city, function
from tests.testbed.sdn.turns import Tenant, tenant

NEWS = Service(name="news", nodes={"feed": function("feed"), "copy": function("copy", "feed")})
WHERE: Where = {
    "feed": [("c0-0", 0, State.CONNECTED)],
    "copy": [("c0-1", 0, State.CONNECTED), ("c1-0", 0, State.CONNECTED), ("c1-1", 0, State.CONNECTED)],
}


@pytest.fixture(scope="module")
def two_areas() -> Iterator[RealFabric]:
    with running_fabric(city(areas=2, switches=4, extra=1, seed=4)) as fabric:
        yield fabric


@pytest.fixture
def hosts(two_areas: RealFabric) -> Iterator[Hosts]:
    with closing(Hosts(two_areas)) as hosts:
        yield hosts


@pytest.fixture
def repository(two_areas: RealFabric, tmp_path: Path) -> Iterator[Tenant]:
    two_areas.wipe()
    with closing(tenant(two_areas.site, tmp_path / "state", two_areas.address_of)) as found:
        yield found


def test_a_tree_crosses_into_another_area(two_areas: RealFabric, repository: Tenant, hosts: Hosts) -> None:
    service = deployed(NEWS, WHERE, two_areas.site, "hosts")
    report = repository.turn(service)
    heard = hosts.hear(("c0-0", group_address("bristol/news/feed@c0-0.0".replace("bristol", "city")), b"news"))

    assert report.succeeded
    assert {place: payloads(found) for place, found in heard.items()} == {
        "c0-1": [b"news"],
        "c1-0": [b"news"],
        "c1-1": [b"news"],
    }
    assert repository.compare(service).differences == ()


def test_a_name_leads_into_another_area_and_back(two_areas: RealFabric, repository: Tenant, hosts: Hosts) -> None:
    repository.turn(deployed(NEWS, WHERE, two_areas.site, "hosts"))
    feed = service_address(PREFIX, "feed.tour.example.org")
    asked = hosts.hear(("c1-1", feed, b"what is new"))
    answered = hosts.hear(("c0-0", two_areas.address("c1-1"), b"this"))

    assert {place: payloads(found) for place, found in asked.items()} == {"c0-0": [b"what is new"]}
    assert answered.keys() == {"c1-1"}
    assert answered["c1-1"][0].source == feed


def test_a_border_that_is_cut_is_gone_round(two_areas: RealFabric, repository: Tenant, hosts: Hosts) -> None:
    service = deployed(NEWS, WHERE, two_areas.site, "hosts")
    repository.turn(service)
    feed = service_address(PREFIX, "feed.tour.example.org")
    two_areas.cut("x0-0")
    try:
        two_areas.wait_until(lambda: "x0-0" in repository.compare_down(service))
        report = repository.turn(service)
        heard = hosts.hear(("c1-0", feed, b"still there"))
    finally:
        two_areas.cut("x0-0", up=True)

    assert report.succeeded
    assert heard.keys() == {"c0-0"}

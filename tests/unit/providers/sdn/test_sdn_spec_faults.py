"""What a spec gets wrong about the fabric is said with file and line, all at once, before anything is sent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from providers.base import Context, PermanentError
from providers.sdn.provider import Sdn
from providers.sdn.topology import read_fabric
from specs.errors import SpecError
from specs.model import Link, Policy, Position, Site, Switch
from specs.values import Value
from tests.support.chains import State, Where, deployed
from tests.testbed.sdn.simulator import Simulator
from tests.testbed.sdn.sites import TOUR, access_point, city, link, ring, tour

HERE = Position("sites/bristol.yaml", 12, 5)


def with_link(site: Site, new: Link) -> Site:
    """Add a link, written in a place."""
    return replace(site, links={**site.links, new.name: replace(new, position=HERE)})


def with_switch(site: Site, name: str, **properties: Value) -> Site:
    """Change a switch, written in a place."""
    return replace(site, switches={**site.switches, name: Switch(name=name, properties=properties, position=HERE)})


@pytest.mark.parametrize(
    ("spoil", "code", "says"),
    [
        (lambda s: with_link(s, link("odd", "s1:7", "s9:1")), "unknown-switch", "'s9', which is no switch"),
        (lambda s: with_link(s, link("twice", "s1:3", "s3:9")), "port-used-twice", "port 3 of s1 is used by north"),
        (lambda s: with_link(s, link("bare", "s1", "s3:9")), "missing-port", "needs the number of its port at s1"),
        (lambda s: with_link(s, link("far", "s1:251", "s3:9")), "missing-port", "from 1 to 250, not 251"),
        (lambda s: with_link(s, link("self", "s1:7", "s1:8")), "link-to-itself", "joins s1 with itself"),
        (lambda s: with_link(s, link("no", "edge-2", "edge-3")), "link-without-switch", "one end must be a switch"),
        (lambda s: with_link(s, link("second", "edge-2", "s3:9")), "attached-twice", "edge-2 is attached by"),
        (lambda s: with_switch(s, "s4"), "missing-dpid", "s4 cannot be found without a dpid"),
        (lambda s: with_switch(s, "s4", dpid="01"), "double-dpid", "s1 and s4 have one dpid"),
        (
            lambda s: with_link(with_switch(s, "s4", dpid="4", area="north"), link("x", "s1:9", "s4:1")),
            "link-between-areas",
            "leaves area north for s1, which has none",
        ),
    ],
)
def test_a_fault_of_a_site_is_said_in_its_place(spoil: Callable[[Site], Site], code: str, says: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_fabric(spoil(ring()))

    found = next(fault for fault in caught.value.diagnostics if fault.code == code)
    assert says in found.message
    assert (found.file, found.line, found.column) == ("sites/bristol.yaml", 12, 5)


def test_all_faults_come_together() -> None:
    site = with_link(with_link(ring(), link("odd", "s1:7", "s9:1")), link("twice", "s1:3", "s3:9"))

    with pytest.raises(SpecError) as caught:
        read_fabric(site)

    assert {fault.code for fault in caught.value.diagnostics} == {"unknown-switch", "port-used-twice"}


def test_bits_that_do_not_suffice_are_said() -> None:
    site = city(areas=1, switches=100, extra=60)

    with pytest.raises(SpecError, match="divide its switches into areas"):
        read_fabric(site)


def test_devices_need_addresses_and_stand_in_one_place() -> None:
    points = {"ap-1": access_point({"phone": "fd00::1", "old": "10.0.0.1"}, 1)}
    site = replace(ring(), properties={"access_points": points})

    with pytest.raises(SpecError, match="device old of ap-1 needs an IPv6 address"):
        read_fabric(site)


def provider(site: Site, folder: Path) -> Sdn:
    """Build the provider on switches in memory."""
    context = Context(binding=site.bindings["fabric"], site=site, state_dir=folder)
    return Sdn(context, lambda settings: Simulator(read_fabric(site)))


def asking(**properties: Value) -> Policy:
    """Ask something of the fabric for `web`, written in a place."""
    return Policy(
        name="quality",
        types=("eu.ict-flame.policies.Qos",),
        targets=("web",),
        properties=properties,
        position=Position("specs/tour.yaml", 40, 9),
    )


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        (asking(traffic_class="PLATINUM"), "asks for the class PLATINUM; this site has BRONZE, GOLD, SILVER"),
        (asking(max_latency_ms=1), "no way from ap-1 to edge-2, edge-3 for web that keeps to max_latency_ms 1"),
        (asking(min_bandwidth_mbps=5000), "keeps to min_mbps 5000"),
        (asking(locations=["Paris"]), "keeps to locations"),
        (asking(avoid=["nowhere"]), "avoids nowhere, which is no switch or link here"),
    ],
)
def test_what_the_fabric_cannot_give_is_said_where_it_is_asked(tmp_path: Path, policy: Policy, says: str) -> None:
    site = ring()

    with pytest.raises(SpecError) as caught:
        list(provider(site, tmp_path).expand(deployed(tour(policy), TOUR, site, "hosts")))

    found = next(fault for fault in caught.value.diagnostics if says in fault.message)
    assert (found.file, found.line) == ("specs/tour.yaml", 40)


def test_a_class_the_access_link_cannot_carry_is_said(tmp_path: Path) -> None:
    site = ring()
    site = replace(site, links={**site.links, "air": link("air", "ap-1", "s1:1", bandwidth_mbps=10)})

    with pytest.raises(SpecError, match="class GOLD"):
        list(provider(site, tmp_path).expand(deployed(tour(asking(traffic_class="GOLD")), TOUR, site, "hosts")))


def test_a_way_keeps_to_what_is_asked(tmp_path: Path) -> None:
    site = ring()
    where: Where = {"web": [("edge-2", 0, State.CONNECTED)], "store": [("edge-4", 0, State.CONNECTED)]}
    found = provider(site, tmp_path).expand(deployed(tour(asking(avoid=["north"])), where, site, "hosts"))
    names = {str(r.address): r.properties["links"] for r in found if r.kind == "name"}

    assert names["bristol/tour/web@ap-1:sdn.name"] == ["air", "south", "east", "rack-2"]


def test_every_access_point_is_led_to_the_endpoint_that_is_nearest_by_cost(tmp_path: Path) -> None:
    points: dict[str, Value] = {
        "ap-1": access_point({"phone": "fd00::1"}, 1),
        "ap-3": access_point({"pad": "fd00::9"}, 9),
    }
    site = replace(with_link(ring(), link("air-3", "ap-3", "s3:9")), properties={"access_points": points})
    dear = replace(site, links={**site.links, "north": link("north", "s1:3", "s2:3", cost=7)})
    chosen = []
    for one in (site, dear):
        found = provider(one, tmp_path).expand(deployed(tour(), TOUR, one, "hosts"))
        names = [resource.properties for resource in found if resource.kind == "name"]
        chosen.append({said["at"]: said["to"] for said in names if said["at"] in points})

    assert chosen == [{"ap-1": "edge-2", "ap-3": "edge-3"}, {"ap-1": "edge-3", "ap-3": "edge-3"}]


def test_a_class_becomes_a_limit_whose_figures_the_site_may_change(tmp_path: Path) -> None:
    site = ring()
    tuned = replace(site, properties={**site.properties, "traffic_classes": {"GOLD": {"max_bandwidth_mbps": 80.0}}})
    limits = [
        [r.properties["max_mbps"] for r in provider(one, tmp_path).expand(
            deployed(tour(asking(traffic_class="GOLD")), TOUR, one, "hosts")) if "max_mbps" in r.properties]
        for one in (site, tuned)
    ]  # fmt: skip

    assert set(limits[0]) == {100}
    assert set(limits[1]) == {80}


def test_a_device_that_moves_changes_two_names_and_no_port(tmp_path: Path) -> None:
    site = with_link(ring(), link("air-2", "ap-2", "s2:2"))
    phones = {"phone": "fd00::1", "tablet": "fd00::9"}
    before = {"ap-1": access_point(phones, 1), "ap-2": access_point({"watch": "fd00::8"}, 8)}
    after = {"ap-1": access_point({"phone": "fd00::1"}, 1),
             "ap-2": access_point({"watch": "fd00::8", "tablet": "fd00::9"}, 8)}  # fmt: skip
    worlds = []
    for points in (before, after):
        one = replace(site, properties={"access_points": points})
        sdn = provider(one, tmp_path)
        resources = [*sdn.foundation(one), *sdn.expand(deployed(tour(), TOUR, one, "hosts"))]
        worlds.append({str(resource.address): resource.properties for resource in resources})
    moved = {address for address in worlds[0] if worlds[0][address] != worlds[1][address]}

    assert worlds[0].keys() == worlds[1].keys()
    assert moved == {"bristol/tour/web@ap-1:sdn.name", "bristol/tour/web@ap-2:sdn.name"}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"controller": "onos"}, "no controller 'onos'"),
        ({"prefix": "10.0.0.0/8"}, "write an IPv6 network"),
        ({"timeout": "soon"}, "timeout"),
        ({"colour": "red"}, "unknown setting colour"),
        ({"url": 7}, "url is missing"),
        ({"controller": "floodlight", "follow_devices": True}, "floodlight is not asked where devices are"),
    ],
)
def test_settings_that_cannot_be_are_said(tmp_path: Path, settings: dict[str, Value], says: str) -> None:
    site = ring()
    binding = replace(site.bindings["fabric"], settings={**site.bindings["fabric"].settings, **settings})

    with pytest.raises(PermanentError, match=says):
        Sdn(Context(binding=binding, site=site, state_dir=tmp_path))

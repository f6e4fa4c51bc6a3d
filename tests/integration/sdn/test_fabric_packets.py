"""Real packets through a real fabric: who gets them, who does not, and what stays as it is meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from threading import Event
from time import monotonic

import pytest
from msgspec.structs import replace

from providers.base import Context, Scope
from providers.sdn.core import FORWARD, RANKS
from providers.sdn.expand import group_address, service_address
from providers.sdn.http import Web
from providers.sdn.provider import Sdn
from providers.sdn.rules import Rule
from providers.sdn.ryu import Ryu
from providers.sdn.settings import PREFIX
from specs.model import Deployment, Service, Site
from specs.values import Value, digest
from tests.support.chains import State, Where, deployed
from tests.testbed.sdn.fabric import RealFabric
from tests.testbed.sdn.packets import Heard, Hosts, payloads
from tests.testbed.sdn.sites import TOUR, access_point, following, function, limit, link, mac, tour, with_detours
from tests.testbed.sdn.turns import Tenant, tenant

WEB = service_address(PREFIX, "web.tour.example.org")
ONLY_THREE: Where = {**TOUR, "web": [("edge-2", 0, State.PLACED), ("edge-3", 0, State.CONNECTED)]}


@pytest.fixture
def hosts(clean_ring: RealFabric) -> Iterator[Hosts]:
    with closing(Hosts(clean_ring)) as hosts:
        yield hosts


@pytest.fixture
def city(clean_ring: RealFabric, tmp_path: Path) -> Iterator[Tenant]:
    with closing(tenant(clean_ring.site, tmp_path / "state", clean_ring.address_of)) as found:
        yield found


def placed(fabric: RealFabric, where: Where = TOUR, service: Service | None = None) -> Deployment:
    """Put the tour on the ring."""
    return deployed(service or tour(), where, fabric.site, "hosts")


def core_rules(fabric: RealFabric) -> dict[str, list[Rule]]:
    """Give the rules that should depend on ports only, as the switches have them, without the marks of objects."""
    with closing(Ryu(Web(fabric.url))) as controller:
        found = {name: controller.rules(bridge.dpid) for name, bridge in fabric.fabric.bridges.items()}
    return {
        name: [rule for rule in rules if rule.priority < FORWARD + RANKS or rule.priority == 65535]
        for name, rules in found.items()
    }


def test_a_name_leads_to_the_nearest_endpoint_and_back(clean_ring: RealFabric, city: Tenant, hosts: Hosts) -> None:
    assert city.turn(placed(clean_ring)).succeeded
    heard = hosts.hear(("ap-1", WEB, b"hello"))
    served = hosts.answer("edge-2")

    assert heard.keys() == {"edge-2"}
    assert heard["edge-2"] == [Heard("fd00::1", clean_ring.address("edge-2"), mac(2), b"hello", True)]
    assert served == [(b"hello", "fd00::1")]

    heard = hosts.hear(("edge-2", "fd00::1", b"welcome"))

    assert heard == {"ap-1": [Heard(WEB, "fd00::1", mac(1), b"welcome", True)]}
    assert hosts.answer("ap-1") == [(b"welcome", WEB)]


def test_a_function_reaches_what_it_requires(clean_ring: RealFabric, city: Tenant, hosts: Hosts) -> None:
    city.turn(placed(clean_ring))
    store = service_address(PREFIX, "store.tour.example.org")
    from_both = hosts.hear(("edge-2", store, b"two"), ("edge-3", store, b"three"))
    from_users = hosts.hear(("ap-1", store, b"not for you"))

    assert from_both.keys() == {"edge-4"}
    assert sorted(payloads(from_both["edge-4"])) == [b"three", b"two"]
    assert from_users == {}


def test_a_tree_reaches_two_receivers_and_nobody_else(clean_ring: RealFabric, city: Tenant, hosts: Hosts) -> None:
    city.turn(placed(clean_ring))
    group = group_address("bristol/tour/store@edge-4.0")
    heard = hosts.hear(*(("edge-4", group, b"%d" % n) for n in range(50)))

    assert heard.keys() == {"edge-2", "edge-3"}
    for receiver in heard.values():
        assert payloads(receiver) == [b"%d" % n for n in range(50)]
        assert {(one.source, one.destination, one.sound) for one in receiver} == {
            (clean_ring.address("edge-4"), group, True)
        }


def test_a_tree_reaches_three_receivers(clean_ring: RealFabric, city: Tenant, hosts: Hosts) -> None:
    news = Service(name="news", nodes={"feed": function("feed"), "copy": function("copy", "feed")})
    where: Where = {
        "feed": [("edge-2", 0, State.CONNECTED)],
        "copy": [("edge-3", 0, State.CONNECTED), ("edge-4", 0, State.CONNECTED), ("edge-2", 1, State.CONNECTED)],
    }
    wide = Service(name="wide", nodes={"feed": function("siren")})
    city.turn(placed(clean_ring, where, news), placed(clean_ring, {"feed": [("edge-3", 0, State.CONNECTED)]}, wide))
    heard = hosts.hear(("edge-2", group_address("bristol/news/feed@edge-2.0"), b"news"))
    to_users = hosts.hear(("edge-3", group_address("bristol/wide/feed@edge-3.0"), b"siren"))

    assert {place: payloads(found) for place, found in heard.items()} == {"edge-3": [b"news"], "edge-4": [b"news"]}
    assert {place: payloads(found) for place, found in to_users.items()} == {"ap-1": [b"siren"]}


def test_ordinary_traffic_and_marked_frames_of_hosts_go_nowhere(
    clean_ring: RealFabric, city: Tenant, hosts: Hosts
) -> None:
    city.turn(placed(clean_ring))

    assert hosts.hear(("ap-1", clean_ring.address("edge-3"), b"no rule for this")) == {}


def test_a_name_moves_without_a_change_in_the_core(clean_ring: RealFabric, city: Tenant, hosts: Hosts) -> None:
    city.turn(placed(clean_ring))
    before = core_rules(clean_ring)
    report = city.turn(placed(clean_ring, ONLY_THREE))

    assert report.succeeded
    assert hosts.hear(("ap-1", WEB, b"moved")).keys() == {"edge-3"}
    assert hosts.hear(("edge-3", "fd00::1", b"from there"))["ap-1"][0].source == WEB
    assert hosts.hear(("edge-2", "fd00::1", b"not any more")) == {}
    assert core_rules(clean_ring) == before


def test_a_device_that_moves_keeps_reaching_its_name(clean_ring: RealFabric, tmp_path: Path, hosts: Hosts) -> None:
    # The host of edge-4 plays a second access point, and both know the address of the device.
    tablet, counter = "fd00::9", Service(name="shop", nodes={"web": function("web")})
    clean_ring.know("edge-2", tablet)
    for place in ("ap-1", "edge-4"):
        clean_ring.take(place, tablet)
    where: Where = {"web": [("edge-2", 0, State.CONNECTED)]}
    places = {"ap-1": ("ap-1", 1), "ap-2": ("edge-4", 4)}
    core: list[dict[str, list[Rule]]] = []
    for here, (host, number) in places.items():
        site = two_points(clean_ring.site, {here: access_point({"tablet": tablet}, number)})
        with closing(tenant(site, tmp_path / "state", clean_ring.address_of)) as city:
            assert city.turn(deployed(counter, where, site, "hosts")).succeeded
        forth = hosts.hear_from(host, tablet, WEB, b"from %d" % number)
        back = hosts.hear(("edge-2", tablet, b"to %d" % number))
        core.append(core_rules(clean_ring))

        assert {place: [(one.source, one.payload) for one in heard] for place, heard in forth.items()} == {
            "edge-2": [(tablet, b"from %d" % number)]
        }
        assert {place: [(one.source, one.mac) for one in heard] for place, heard in back.items()} == {
            host: [(WEB, mac(number))]
        }
    assert core[0] == core[1]
    assert hosts.hear_from("ap-1", tablet, WEB, b"not from here any more") == {}


def test_a_device_is_followed_to_where_it_is_seen(clean_ring: RealFabric, tmp_path: Path, hosts: Hosts) -> None:
    tablet, own = "fd00::9", "02:00:00:00:00:09"
    shop = Service(name="shop", nodes={"web": function("web")})
    clean_ring.know("edge-2", tablet)
    clean_ring.take("edge-4", tablet)
    devices: dict[str, Value] = {"tablet": {"address": tablet, "mac": own}}
    site = following(two_points(clean_ring.site, {"ap-1": {"devices": devices}}))
    service = deployed(shop, {"web": [("edge-2", 0, State.CONNECTED)]}, site, "hosts")
    with closing(tenant(site, tmp_path / "state", clean_ring.address_of)) as city:
        city.turn(service)
        core = core_rules(clean_ring)
        settled = city.compare(service).differences
        clean_ring.wear("edge-4", own)
        try:
            lost = hosts.hear_from("edge-4", tablet, WEB, b"here I am")
            clean_ring.wait_until(lambda: bool(city.compare(service).differences))
            report = city.turn(service)
            # A switch may send a stream up for a moment longer, until it has looked its rules through.
            clean_ring.wait_until(lambda: "edge-2" in hosts.hear_from("edge-4", tablet, WEB, b"and now"))
            forth = hosts.hear_from("edge-4", tablet, WEB, b"and on")
            back = hosts.hear(("edge-2", tablet, b"welcome"))
            again = city.compare(service).differences
        finally:
            clean_ring.wear("edge-4", mac(4))

    assert (settled, lost, again) == ((), {}, ())
    assert report.succeeded
    assert {place: payloads(heard) for place, heard in forth.items()} == {"edge-2": [b"and on"]}
    assert {place: [(one.source, one.mac) for one in heard] for place, heard in back.items()} == {
        "edge-4": [(WEB, own)]
    }
    assert core_rules(clean_ring) == core


def two_points(site: Site, points: Mapping[str, Value]) -> Site:
    """Give the ring with an access point in the place of edge-4, and devices where they are."""
    empty: dict[str, Value] = {"ap-1": access_point({}, 1), "ap-2": access_point({}, 4)}
    return replace(
        site,
        clusters={name: one for name, one in site.clusters.items() if name != "edge-4"},
        links={**{name: one for name, one in site.links.items() if name != "rack-4"},
               "air-2": link("air-2", "ap-2", "s3:2")},
        properties={"access_points": {**empty, **points}},
    )  # fmt: skip


def test_a_cut_link_is_gone_round_and_its_return_taken(clean_ring: RealFabric, city: Tenant, hosts: Hosts) -> None:
    service = placed(clean_ring)
    city.turn(service)
    clean_ring.cut("north")
    try:
        clean_ring.wait_until(lambda: "north" in city.compare_down(service))
        lost = hosts.hear(("ap-1", WEB, b"lost"))
        repaired = city.turn(service)
        heard = hosts.hear(("ap-1", WEB, b"round it"), ("edge-2", "fd00::1", b"and back"))
        settled = city.compare(service)
    finally:
        clean_ring.cut("north", up=True)
    clean_ring.wait_until(lambda: not city.compare_down(service))
    clean_ring.wait_until_healthy()
    back = city.turn(service)

    assert lost == {}
    assert repaired.succeeded
    assert {place: payloads(found) for place, found in heard.items()} == {
        "edge-2": [b"round it"],
        "ap-1": [b"and back"],
    }
    assert settled.differences == ()
    assert back.finished
    assert hosts.hear(("ap-1", WEB, b"straight on")).keys() == {"edge-2"}
    assert city.compare(service).differences == ()


def test_switches_that_lost_everything_are_repaired_in_one_turn(
    clean_ring: RealFabric, city: Tenant, hosts: Hosts
) -> None:
    service = placed(clean_ring)
    city.turn(service)
    before = core_rules(clean_ring)
    clean_ring.stop_switches()
    clean_ring.start_switches()
    clean_ring.wait_until_healthy()
    lost = hosts.hear(("ap-1", WEB, b"lost"))
    report = city.turn(service)

    assert lost == {}
    assert report.succeeded
    assert core_rules(clean_ring) == before
    assert hosts.hear(("ap-1", WEB, b"again")).keys() == {"edge-2"}
    assert city.compare(service).differences == ()


def test_a_controller_that_restarts_loses_nothing_and_is_told_nothing(
    clean_ring: RealFabric, city: Tenant, hosts: Hosts
) -> None:
    service = placed(clean_ring)
    city.turn(service)
    clean_ring.stop_controller()
    unseen = city.compare(service)
    alive = hosts.hear(("ap-1", WEB, b"switches need no controller"))
    clean_ring.start_controller()
    clean_ring.wait_until_healthy()
    report = city.turn(service)

    assert {type(difference).__name__ for difference in unseen.differences} == {"Unseen"}
    assert alive.keys() == {"edge-2"}
    assert report.finished == ()


def test_a_service_comes_and_goes_and_leaves_nothing(clean_ring: RealFabric, city: Tenant, hosts: Hosts) -> None:
    shop = Service(name="shop", nodes={"till": function("till")})
    till = service_address(PREFIX, "till.tour.example.org")
    city.turn(placed(clean_ring))
    before = clean_ring.everything()
    city.turn(placed(clean_ring), placed(clean_ring, {"till": [("edge-4", 0, State.CONNECTED)]}, shop))
    there = hosts.hear(("ap-1", till, b"paid"))
    report = city.turn(placed(clean_ring))

    assert there.keys() == {"edge-4"}
    assert report.succeeded
    assert hosts.hear(("ap-1", till, b"closed")) == {}
    assert clean_ring.everything() == before


def test_fifty_services_leave_the_core_as_it_was(clean_ring: RealFabric, city: Tenant) -> None:
    city.address_of = lambda subject: f"fd00:1::{digest(subject)[:4]}"
    city.turn(placed(clean_ring))
    before = core_rules(clean_ring)
    shops = [
        placed(clean_ring, {f"till-{n}": [(f"edge-{2 + n % 3}", 0, State.CONNECTED)]},
               Service(name=f"shop-{n}", nodes={f"till-{n}": function(f"till-{n}")}))
        for n in range(50)
    ]  # fmt: skip
    report = city.turn(placed(clean_ring), *shops)

    assert report.succeeded
    assert core_rules(clean_ring) == before
    assert {name: len(rules) for name, rules in before.items()} == {"s1": 4 + 5 + 1, "s2": 4 + 5 + 1, "s3": 4 + 6 + 1}


def test_rules_of_others_stay(clean_ring: RealFabric, city: Tenant) -> None:
    clean_ring.ofctl("s1", "add-flow", "cookie=0xbeef,table=0,priority=7,arp,actions=drop")
    city.turn(placed(clean_ring))
    city.turn()

    assert "cookie=0xbeef" in clean_ring.ofctl("s1", "dump-flows")
    for switch in clean_ring.fabric.bridges:
        assert "dl_type=0x88cc" in clean_ring.ofctl(switch, "dump-flows")


def test_somebody_elses_rule_in_our_place_is_not_overwritten(clean_ring: RealFabric, city: Tenant) -> None:
    clean_ring.ofctl("s1", "add-flow", "cookie=0xbeef,table=1,priority=0,actions=drop")
    report = city.turn()

    failed = {f.operation.step.address: f.message for f in report.finished if "somebody else" in f.message}
    assert failed.keys() == {"bristol/-/s1@s1:sdn.switch"}
    assert "cookie=0xbeef" in clean_ring.ofctl("s1", "dump-flows")


def test_a_rule_that_somebody_changed_is_put_right(clean_ring: RealFabric, city: Tenant, hosts: Hosts) -> None:
    service = placed(clean_ring)
    city.turn(service)
    clean_ring.ofctl("s2", "mod-flows", "table=3,actions=drop")
    drifted = city.compare(service)
    city.turn(service)

    assert drifted.differences
    assert city.compare(service).differences == ()
    assert hosts.hear(("edge-2", "fd00::1", b"back"))


def test_switches_that_hang_are_unknown_and_not_empty(clean_ring: RealFabric, city: Tenant) -> None:
    service = placed(clean_ring)
    city.turn(service)
    clean_ring.pause("ovs-vswitchd")
    try:
        comparison = city.compare(service)
    finally:
        clean_ring.pause("ovs-vswitchd", resume=True)

    assert comparison.differences
    assert {type(difference).__name__ for difference in comparison.differences} == {"Unseen"}


def test_lost_state_is_found_again_in_the_switches(clean_ring: RealFabric, city: Tenant, tmp_path: Path) -> None:
    service = placed(clean_ring)
    city.turn(service)
    before = clean_ring.everything()
    with closing(tenant(clean_ring.site, tmp_path / "elsewhere", clean_ring.address_of)) as other:
        report = other.turn(service)
        emptied = other.turn()

    assert {step.operation.step.action for step in report.finished} == {"adopt"}
    assert before
    assert emptied.succeeded


def test_without_any_state_what_is_not_wanted_is_still_known_as_ours(
    clean_ring: RealFabric, city: Tenant, tmp_path: Path
) -> None:
    city.turn(placed(clean_ring))
    with closing(tenant(clean_ring.site, tmp_path / "elsewhere", clean_ring.address_of)) as other:
        plan, _, _ = other.plan()
        gone = [str(step.address) for step in plan.steps if step.action == "delete"]
        assert other.turn().succeeded

    assert len(gone) == 6
    assert all(address.startswith("bristol/-/lost:sdn.") for address in gone)
    assert not [line for line in clean_ring.everything() if "ipv6_label" in line]


def test_an_endpoint_cannot_answer_under_two_names(clean_ring: RealFabric, city: Tenant) -> None:
    twin = Service(name="twin", nodes={"till": function("till")})
    city.turn(placed(clean_ring))
    report = city.turn(placed(clean_ring), placed(clean_ring, {"till": [("edge-2", 0, State.CONNECTED)]}, twin))

    failed = {str(f.operation.step.address): f.message for f in report.finished if f.outcome == "failed"}
    assert failed.keys() == {"bristol/twin/till@ap-1:sdn.name"}
    assert "give each function an address of its own" in failed["bristol/twin/till@ap-1:sdn.name"]
    assert city.compare(placed(clean_ring)).unchanged > 10


def test_a_limit_holds(clean_ring: RealFabric, city: Tenant, hosts: Hosts) -> None:
    slow = tour(limit(1, "web"))
    report = city.turn(placed(clean_ring, TOUR, slow))
    heard = hosts.hear(*(("ap-1", WEB, bytes(1000)) for _ in range(1500)))

    assert report.succeeded
    assert city.compare(placed(clean_ring, TOUR, slow)).differences == ()
    assert 50 < len(heard["edge-2"]) < 1000


def test_the_loop_hears_of_a_cut_link_at_once(clean_ring: RealFabric, tmp_path: Path) -> None:
    heard = Event()
    context = Context(
        binding=clean_ring.site.bindings["fabric"],
        site=clean_ring.site,
        state_dir=tmp_path,
        stir=heard.set,
    )
    with closing(Sdn(context)) as provider:
        provider.observe(Scope(repository="0123456789ab", site="bristol", wanted={}))
        quiet = heard.wait(1)
        began = monotonic()
        clean_ring.cut("north")
        try:
            told = heard.wait(10)
        finally:
            clean_ring.cut("north", up=True)
    clean_ring.wait_until_healthy()

    assert not quiet
    assert told
    assert monotonic() - began < 10


def test_switches_go_round_a_dark_link_by_themselves(clean_ring: RealFabric, tmp_path: Path, hosts: Hosts) -> None:
    site = with_detours(clean_ring.site)
    service = deployed(tour(), TOUR, site, "hosts")
    with closing(tenant(site, tmp_path / "state", clean_ring.address_of)) as city:
        assert city.turn(service).succeeded
        settled = city.compare(service)
        clean_ring.cut("north")
        try:
            clean_ring.wait_until(lambda: bool(hosts.hear(("ap-1", WEB, b"round"), quiet=0.05)), seconds=5)
            forth = hosts.hear(("ap-1", WEB, b"there"))
            back = hosts.hear(("edge-2", "fd00::1", b"and back"))
            tree = hosts.hear(("edge-2", group_address("bristol/tour/web@edge-2.0"), b"to all"))
        finally:
            clean_ring.cut("north", up=True)
        clean_ring.wait_until_healthy()

    assert settled.differences == ()
    assert {place: payloads(found) for place, found in forth.items()} == {"edge-2": [b"there"]}
    assert {place: payloads(found) for place, found in back.items()} == {"ap-1": [b"and back"]}
    assert {place: payloads(found) for place, found in tree.items()} == {"ap-1": [b"to all"]}

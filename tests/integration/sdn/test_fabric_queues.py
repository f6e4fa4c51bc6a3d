"""Queues in a real database of Open vSwitch, as classes in the kernel, and frames that say where they belong.

The userspace datapath does not hand the queue of a rule on to the kernel. So what a rule says is seen in the switch,
what frames say by filters on their mark, which the kernel itself looks at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from providers.sdn.expand import service_address
from providers.sdn.settings import PREFIX
from specs.errors import Severity
from specs.model import Policy
from tests.support.chains import deployed
from tests.testbed.sdn.fabric import RealFabric
from tests.testbed.sdn.packets import Hosts, payloads
from tests.testbed.sdn.sites import TOUR, tour, with_queues
from tests.testbed.sdn.turns import Tenant, tenant

WEB = service_address(PREFIX, "web.tour.example.org")
GOLD = tour(
    Policy(name="gold", types=("eu.ict-flame.policies.Qos",), targets=("web",), properties={"traffic_class": "GOLD"})
)


@pytest.fixture
def city(clean_ring: RealFabric, tmp_path: Path) -> Iterator[Tenant]:
    site = with_queues(clean_ring.site, clean_ring.ovsdb)
    with closing(tenant(site, tmp_path / "state", clean_ring.address_of)) as found:
        yield found


def classes(fabric: RealFabric, interface: str) -> set[str]:
    """Give the classes of the kernel: number, least and most, in the kernel's words."""
    shown = fabric.tc("class", "show", "dev", interface)
    return {" ".join(found) for found in re.findall(r"class htb (1:\w+) .*? rate (\w+) ceil (\w+)", shown)}


def carried(fabric: RealFabric, interface: str, number: str) -> int:
    """Give how many packets a class of the kernel has carried."""
    shown = fabric.tc("-s", "class", "show", "dev", interface)
    found = re.search(rf"class htb {number} .*?\n Sent \d+ bytes (\d+) pkt", shown)
    return int(found[1]) if found else 0


def test_classes_become_queues_of_the_kernel(clean_ring: RealFabric, city: Tenant) -> None:
    service = deployed(GOLD, TOUR, city.site, "hosts")
    report = city.turn(service)
    clean_ring.wait_until(lambda: "1:6 50Mbit 100Mbit" in classes(clean_ring, "s1-3"))

    assert report.succeeded
    assert city.compare(service).differences == ()
    assert {"1:2 12500Kbit 25Mbit", "1:4 25Mbit 50Mbit", "1:6 50Mbit 100Mbit"} <= classes(clean_ring, "s1-3")
    assert "set_queue:5" in clean_ring.ofctl("s2", "dump-flows")


def test_frames_say_at_every_switch_which_queue_they_belong_in(
    clean_ring: RealFabric, city: Tenant, tmp_path: Path
) -> None:
    city.turn(deployed(GOLD, TOUR, city.site, "hosts"))
    for interface in ("s1-3", "s2-1"):
        clean_ring.wait_until(lambda interface=interface: "1:6 50Mbit 100Mbit" in classes(clean_ring, interface))  # type: ignore[misc]  # bound now
        words = ["parent", "1:", "protocol", "ipv6", "u32", "match", "ip6", "priority", "0xa0", "0xfc", "flowid", "1:6"]
        clean_ring.tc("filter", "add", "dev", interface, *words)
    with closing(Hosts(clean_ring)) as hosts:
        heard = hosts.hear(*(("ap-1", WEB, b"%d" % number) for number in range(20)))

    assert payloads(heard["edge-2"]) == [b"%d" % number for number in range(20)]
    assert carried(clean_ring, "s1-3", "1:6") == 20
    assert carried(clean_ring, "s2-1", "1:6") == 20


def test_queues_that_were_taken_away_come_back(clean_ring: RealFabric, city: Tenant) -> None:
    city.turn()
    clean_ring.vsctl("clear", "port", "s1-3", "qos")
    changed = [str(difference.address) for difference in city.compare().differences]
    report = city.turn()

    assert changed == ["bristol/-/north@s1:sdn.port"]
    assert report.succeeded
    assert city.compare().differences == ()
    # What was replaced is not left behind: ten ports with three queues each, and what the hand above let go of.
    assert len(clean_ring.vsctl("--columns=_uuid", "--format=csv", "--no-headings", "list", "qos").split()) <= 11


def test_queues_of_others_are_left_alone(clean_ring: RealFabric, city: Tenant) -> None:
    clean_ring.vsctl(
        "set", "port", "s1-4", "qos=@q", "--", "--id=@q", "create", "qos", "type=linux-htb", "other-config:max-rate=7"
    )
    planned, _, _ = city.plan()
    city.turn()

    assert [(f.severity, str(f.address)) for f in planned.findings] == [(Severity.ERROR, "bristol/-/south@s1:sdn.port")]
    assert 'max-rate="7"' in clean_ring.vsctl("list", "qos")


def test_nothing_is_left_when_nothing_is_wanted(clean_ring: RealFabric, city: Tenant, tmp_path: Path) -> None:
    city.turn()
    before = clean_ring.vsctl("--format=csv", "--no-headings", "--columns=_uuid", "list", "queue").split()
    plan, desired, comparison = city.plan()
    for address in sorted(desired.resources):
        if str(address).endswith(":sdn.port"):
            city.provider.delete(comparison.present[address])

    assert len(before) == 30
    assert clean_ring.vsctl("list", "qos") == clean_ring.vsctl("list", "queue") == ""
    assert plan.steps == ()


def test_a_database_that_hangs_is_unknown(clean_ring: RealFabric, tmp_path: Path) -> None:
    site = with_queues(clean_ring.site, clean_ring.ovsdb)
    binding = site.bindings["fabric"]
    hasty = replace(binding, settings={**binding.settings, "timeout": 3})
    site = replace(site, bindings={**site.bindings, "fabric": hasty})
    with closing(tenant(site, tmp_path / "state", clean_ring.address_of)) as city:
        city.turn()
        clean_ring.pause("ovsdb-server")
        try:
            comparison = city.compare()
        finally:
            clean_ring.pause("ovsdb-server", resume=True)

    assert {type(difference).__name__ for difference in comparison.differences} == {"Unseen"}
    assert len(comparison.differences) == 10

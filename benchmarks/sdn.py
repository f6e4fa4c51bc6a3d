"""Takes figures of the SDN fabric on a real one: `python -m benchmarks.sdn [--rules N]`. Needs root and the testbed.

Prints how fast rules go in, how long it takes from plan to first packet, what a moving name and a cut link lose at
1,000 packets a second, and what many edge rules cost to plan, to apply and to leave alone.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from providers.sdn.expand import service_address
from providers.sdn.settings import PREFIX
from specs.model import Deployment, Service
from specs.values import digest
from tests.support.chains import State, Where, deployed
from tests.testbed.sdn.fabric import RealFabric, running_fabric
from tests.testbed.sdn.packets import Hosts
from tests.testbed.sdn.sites import TOUR, function, ring, tour, with_detours
from tests.testbed.sdn.turns import Tenant, tenant

WEB = service_address(PREFIX, "web.tour.example.org")
ONLY_THREE: Where = {**TOUR, "web": [("edge-2", 0, State.PLACED), ("edge-3", 0, State.CONNECTED)]}
PERIOD = 0.001
"""Seconds between two packets of a stream."""


def placed(fabric: RealFabric, where: Where = TOUR, service: Service | None = None) -> Deployment:
    """Put a service on the ring."""
    return deployed(service or tour(), where, fabric.site, "hosts")


def timed(what: str, work: Callable[[], object]) -> float:
    """Do something and print how long it took."""
    began = time.perf_counter()
    work()
    took = time.perf_counter() - began
    print(f"{what:60} {took * 1000:10.1f} ms", flush=True)
    return took


class Stream:
    """Packets from the phone to a name, one every millisecond, numbered."""

    def __init__(self, hosts: Hosts, destination: str) -> None:
        self._hosts, self._destination = hosts, destination
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.sent = 0

    def __enter__(self) -> Stream:
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        due = time.perf_counter()
        while not self._stop.is_set():
            self._hosts.say("ap-1", self._destination, b"%d" % self.sent)
            self.sent += 1
            due += PERIOD
            time.sleep(max(0.0, due - time.perf_counter()))

    def lost(self) -> tuple[int, int]:
        """Give how many packets came nowhere, and the longest run of those."""
        heard = self._hosts.listen()
        came = {int(one.payload) for place in heard.values() for one in place}
        longest = run = 0
        for number in range(self.sent):
            run = 0 if number in came else run + 1
            longest = max(longest, run)
        return self.sent - len(came), longest


def moving(fabric: RealFabric, city: Tenant, hosts: Hosts) -> None:
    """Move a name back and forth under traffic."""
    for where, how in ((ONLY_THREE, "there"), (TOUR, "back")):
        plan = city.plan(placed(fabric, where))
        hosts.listen(0.05)
        with Stream(hosts, WEB) as stream:
            time.sleep(0.3)
            timed(f"move a name {how} under 1,000 packets/s", lambda plan=plan: city.carry_out(*plan))  # type: ignore[misc]  # bound now
            time.sleep(0.3)
        lost, longest = stream.lost()
        print(f"{'  packets lost, longest gap':60} {lost:4} of {stream.sent}, {longest} ms")


def cutting(fabric: RealFabric, city: Tenant, hosts: Hosts) -> None:
    """Cut a link under traffic, look until it is seen, and go round it."""
    service = placed(fabric)
    hosts.listen(0.05)
    with Stream(hosts, WEB) as stream:
        time.sleep(0.3)
        began = time.perf_counter()
        fabric.cut("north")
        while "north" not in city.compare_down(service):
            pass
        seen = time.perf_counter()
        city.turn(service)
        done = time.perf_counter()
        time.sleep(0.3)
    lost, longest = stream.lost()
    print(f"{'a link cut: seen after':60} {(seen - began) * 1000:10.1f} ms")
    print(f"{'a link cut: gone round after':60} {(done - began) * 1000:10.1f} ms")
    print(f"{'  packets lost, longest gap':60} {lost:4} of {stream.sent}, {longest} ms")
    fabric.cut("north", up=True)
    fabric.wait_until_healthy()
    city.turn(service)


def cutting_with_detours(fabric: RealFabric, hosts: Hosts, folder: Path) -> None:
    """Cut a link under traffic where switches go round it by themselves; no turn is taken."""
    site = with_detours(fabric.site)
    with closing(tenant(site, folder / "state", fabric.address_of)) as city:
        city.turn(deployed(tour(), TOUR, site, "hosts"))
        hosts.listen(0.05)
        with Stream(hosts, WEB) as stream:
            time.sleep(0.3)
            fabric.cut("north")
            time.sleep(0.3)
        lost, longest = stream.lost()
        print(
            f"{'a link cut with fast failover: packets lost, longest gap':60} {lost:4} of {stream.sent}, {longest} ms"
        )
        fabric.cut("north", up=True)
        fabric.wait_until_healthy()


def many(fabric: RealFabric, city: Tenant, rules: int) -> None:
    """Put in many names, and look again."""
    city.address_of = lambda subject: f"fd00:1::{digest(subject)[:4]}:{digest(subject)[4:8]}"
    shops = [
        placed(
            fabric,
            {"till": [(f"edge-{2 + number % 3}", 0, State.CONNECTED)]},
            Service(name=f"shop-{number}", nodes={"till": function("till", fqdn=[f"till-{number}.example.org"])}),
        )
        for number in range(rules // 6)
    ]
    plan = city.plan(*shops)
    timed(f"plan {rules} edge rules ({len(plan[0].steps)} resources)", lambda: city.plan(*shops))
    took = timed(f"apply {rules} edge rules", lambda: city.carry_out(*plan))
    print(f"{'  rules in a second':60} {rules / took:10.0f}")
    timed(f"turn without a change on {rules} rules, counting", lambda: city.turn(*shops))
    with closing(tenant(fabric.site, Path(tempfile.mkdtemp()), city.address_of)) as other:
        timed(f"first look of another process on {rules} rules, listing", lambda: other.plan(*shops))
    city.turn()


def main() -> None:
    """Take all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rules", type=int, default=3000)
    rules = parser.parse_args().rules
    with running_fabric(ring()) as fabric, closing(Hosts(fabric)) as hosts:
        folder = Path(tempfile.mkdtemp())
        with closing(tenant(fabric.site, folder / "state", fabric.address_of)) as city:
            timed("the ring itself: 3 switches, 10 ports", city.turn)
            began = time.perf_counter()
            city.turn(placed(fabric))
            hosts.hear(("ap-1", WEB, b"first"), quiet=0.0)
            print(f"{'from plan to the first packet of a service':60} {(time.perf_counter() - began) * 1000:10.1f} ms")
            moving(fabric, city, hosts)
            cutting(fabric, city, hosts)
            cutting_with_detours(fabric, hosts, folder)
            city.turn()
            many(fabric, city, rules)


if __name__ == "__main__":
    main()

"""Takes figures of the SDN fabric on a real one: `python -m benchmarks.sdn [--rules N]`. Needs root and the testbed.

Prints and writes down how fast rules go in, how long it takes from plan to first packet, what a moving name and a cut
link lose at 1,000 packets a second, and what many edge rules cost to plan, to apply and to leave alone.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.compare import RESULTS, machine
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


@dataclass
class Figures:
    """What was measured."""

    rows: list[dict[str, object]] = field(default_factory=list)

    def take(self, what: str, value: float, unit: str = "ms") -> None:
        """Print a figure and keep it."""
        print(f"{what:70} {value:10,.1f} {unit}", flush=True)
        self.rows.append({"what": what, "value": round(value, 1), "note": "" if unit == "ms" else unit})

    def timed(self, what: str, work: Callable[[], object]) -> float:
        """Do something and take how long it took, in seconds."""
        began = time.perf_counter()
        work()
        took = time.perf_counter() - began
        self.take(what, took * 1000)
        return took

    def stream(self, what: str, stream: Stream) -> None:
        """Take what a stream lost."""
        lost, longest = stream.lost()
        self.take(f"{what}: packets lost", lost, f"of {stream.sent}")
        self.take(f"{what}: longest gap", longest)

    def write(self, file: Path) -> None:
        """Write the figures down."""
        busy = f"{machine()}, load {os.getloadavg()[0]:.0f}"
        report = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": busy, "figures": self.rows}
        file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        print(f"written to {file}")


class Stream:
    """Packets from the phone to a name, one every millisecond, numbered."""

    def __init__(self, hosts: Hosts, destination: str) -> None:
        self._hosts, self._destination = hosts, destination
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.sent = 0
        self.came: dict[str, list[int]] = {}
        """Place → the numbers of the packets that came there."""

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
        for place, heard in self._hosts.listen().items():
            self.came[place] = [int(one.payload) for one in heard]
        came = {number for numbers in self.came.values() for number in numbers}
        longest = run = 0
        for number in range(self.sent):
            run = 0 if number in came else run + 1
            longest = max(longest, run)
        return self.sent - len(came), longest


def moving(fabric: RealFabric, city: Tenant, hosts: Hosts, figures: Figures) -> None:
    """Move a name back and forth under traffic."""
    for where, how, new in ((ONLY_THREE, "there", "edge-3"), (TOUR, "back", "edge-2")):
        plan = city.plan(placed(fabric, where))
        hosts.listen(0.05)
        with Stream(hosts, WEB) as stream:
            time.sleep(0.3)
            began = stream.sent
            figures.timed(
                f"a name moves {how} under 1,000 packets/s: the whole apply, {len(plan[0].steps)} steps",
                lambda plan=plan: city.carry_out(*plan),  # type: ignore[misc]  # bound now
            )
            time.sleep(0.3)
        figures.stream(f"a name moves {how}", stream)
        first = min(stream.came[new])
        last = max(number for place, numbers in stream.came.items() if place != new for number in numbers)
        figures.take(f"a name moves {how}: begin of apply to first packet at the new endpoint", first - began)
        figures.take(f"a name moves {how}: first packet there to last packet at the old one", max(0, last - first))


def cutting(fabric: RealFabric, city: Tenant, hosts: Hosts, figures: Figures) -> None:
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
    figures.take("a link is cut: seen after", (seen - began) * 1000)
    figures.take("a link is cut: gone round after", (done - began) * 1000)
    figures.stream("a link is cut, without fast failover", stream)
    fabric.cut("north", up=True)
    fabric.wait_until_healthy()
    city.turn(service)


def cutting_with_detours(fabric: RealFabric, hosts: Hosts, folder: Path, figures: Figures) -> None:
    """Cut a link under traffic where switches go round it by themselves; no turn is taken."""
    site = with_detours(fabric.site)
    with closing(tenant(site, folder / "state", fabric.address_of)) as city:
        city.turn(deployed(tour(), TOUR, site, "hosts"))
        hosts.listen(0.05)
        with Stream(hosts, WEB) as stream:
            time.sleep(0.3)
            fabric.cut("north")
            time.sleep(0.3)
        figures.stream("a link is cut, with fast failover", stream)
        fabric.cut("north", up=True)
        fabric.wait_until_healthy()


def many(fabric: RealFabric, city: Tenant, rules: int, figures: Figures) -> None:
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
    figures.timed(f"plan {rules:,} edge rules, {len(plan[0].steps):,} resources", lambda: city.plan(*shops))
    took = figures.timed(f"apply {rules:,} edge rules", lambda: city.carry_out(*plan))
    figures.take("rules installed and read back", rules / took, "in a second")
    desired = city.desired(*shops)
    figures.timed(f"turn without a change on {rules:,} rules: the look alone, counting", lambda: city.seen(desired))
    figures.timed(f"turn without a change on {rules:,} rules: all of it", lambda: city.turn(*shops))
    with closing(tenant(fabric.site, Path(tempfile.mkdtemp()), city.address_of)) as other:
        figures.timed(f"first plan of another process on {rules:,} rules, listing", lambda: other.plan(*shops))
    city.turn()


def main() -> None:
    """Take all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rules", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=RESULTS / "sdn.json")
    given = parser.parse_args()
    figures = Figures()
    with running_fabric(ring()) as fabric, closing(Hosts(fabric)) as hosts:
        folder = Path(tempfile.mkdtemp())
        with closing(tenant(fabric.site, folder / "state", fabric.address_of)) as city:
            figures.timed("the ring itself: 3 switches, 10 ports", city.turn)
            began = time.perf_counter()
            city.turn(placed(fabric))
            hosts.hear(("ap-1", WEB, b"first"), quiet=0.0)
            figures.take("from plan to the first packet of a service", (time.perf_counter() - began) * 1000)
            moving(fabric, city, hosts, figures)
            cutting(fabric, city, hosts, figures)
            cutting_with_detours(fabric, hosts, folder, figures)
            city.turn()
            many(fabric, city, given.rules, figures)
    figures.write(given.out)


if __name__ == "__main__":
    main()

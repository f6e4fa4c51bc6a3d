"""Take the figures of the OpenStack provider on the test cloud.

    python -m benchmarks.openstack --sizes 1,10,50,200

Every size is made twice: by the reconciler, and by the same calls issued directly, as many at once. Seconds are those
of the wall, ratios of one run are worth quoting. Needs tests/testbed/openstack/install.sh, and a machine with nothing
else to do.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec.structs import replace

from benchmarks.compare import machine
from reconciler.project import utc_now
from specs.model import Budget, LifecycleState, Service, Site
from specs.values import Properties
from tests.support.chains import function
from tests.support.kubernetes_turns import PATIENT, Bench, failures
from tests.support.openstack_city import site
from tests.testbed.openstack.cloud import Cloud, attached_cloud, running_cloud
from tests.testbed.openstack.operator import Operator

SIZE: dict[str, Properties] = {"host": {"num_cpus": 1, "mem_size": "64 MB", "disk_size": "1 GB"}}
AT_ONCE = 8
RESULTS = Path(__file__).parent / "results" / "openstack.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What one number of servers took, in seconds of the wall."""

    servers: int
    plan: float
    apply: float
    direct: float
    """The same calls by a plain client, until Nova lists all servers as active."""
    ratio: float
    again: float
    """A turn that finds nothing to do."""
    delete: float
    memory_mb: int
    """Peak of the whole process, with the plain client in it."""


def service(instances: int) -> Service:
    """Give instances of one function on one cluster."""
    node = function("web", image_url="glance:tiny")
    scaled = replace(node, capabilities={**SIZE, "scalable": {"default_instances": instances}})
    return Service(name="tour", nodes={"web": scaled}, states={"web": {"dc-1": LifecycleState.CONNECTED}})


def place() -> Site:
    """Give the site, with the budget of the direct calls."""
    found = site("alice", flavors="choose", ssh_key="", external_network="")
    binding = replace(found.bindings["city"], budget=Budget(concurrency=AT_ONCE))
    return replace(found, bindings={"city": binding})


def timed(what: Callable[[], object]) -> float:
    """Give the seconds something takes."""
    began = time.perf_counter()
    what()
    return time.perf_counter() - began


def direct(operator: Operator, instances: int) -> float:
    """Make network, ports and servers by plain calls, as many at once, and wait for all of them with lists."""
    flavor = next(row for row in operator.get("compute", "/flavors/detail")["flavors"] if row["name"] == "m1.nano")
    image = next(row for row in operator.get("image", "/images")["images"] if row["name"] == "tiny")
    began = time.perf_counter()
    network = operator.call("POST", "network", "/networks", {"network": {"name": "direct"}})["network"]["id"]
    subnet = {"network_id": network, "ip_version": 4, "cidr": "10.240.0.0/16"}
    operator.call("POST", "network", "/subnets", {"subnet": subnet})
    group = operator.call("POST", "network", "/security-groups", {"security_group": {"name": "direct"}})
    groups = [group["security_group"]["id"]]

    def make(number: int) -> None:
        port = {"network_id": network, "security_groups": groups, "name": f"direct-{number}"}
        made = operator.call("POST", "network", "/ports", {"port": port})["port"]["id"]
        server = {
            "name": f"direct-{number}",
            "imageRef": image["id"],
            "flavorRef": flavor["id"],
            "networks": [{"port": made}],
            "availability_zone": "bristol-hs",
        }
        operator.call("POST", "compute", "/servers", {"server": server})

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(make, range(instances)))
    pause = 0.2
    while True:
        rows = operator.get("compute", "/servers/detail")["servers"]
        if all(row["status"] == "ACTIVE" for row in rows) and len(rows) == instances:
            return time.perf_counter() - began
        assert not [row for row in rows if row["status"] == "ERROR"]
        time.sleep(pause)
        pause = min(1.0, pause * 1.5)


def measure(operator: Operator, instances: int) -> Figure:
    """Take the figures of one size."""
    alone = direct(operator, instances)
    operator.sweep()
    with TemporaryDirectory() as folder:
        bench = Bench(place(), Path(folder) / "state")
        bench.patience = replace(PATIENT, longest_poll=timedelta(seconds=5), health_deadline=timedelta(minutes=20))
        wanted = service(instances)
        plan = timed(lambda: bench.plan(wanted))
        report: list[dict[str, str]] = []
        apply = timed(lambda: report.append(failures(bench.turn(wanted))))
        assert report == [{}], report
        again = timed(lambda: bench.turn(wanted))
        delete = timed(lambda: report.append(failures(bench.turn())))
        assert report[1] == {}, report
        bench.close()
    return Figure(
        servers=instances,
        plan=round(plan, 2),
        apply=round(apply, 2),
        direct=round(alone, 2),
        ratio=round(apply / alone, 2),
        again=round(again, 2),
        delete=round(delete, 2),
        memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    )


@contextmanager
def cloud() -> Iterator[Cloud]:
    """Give a cloud of its own, or the one that is served by hand in OPENSTACK_TESTBED."""
    if folder := os.environ.get("OPENSTACK_TESTBED"):
        yield attached_cloud(Path(folder))
        return
    with TemporaryDirectory() as temporary, running_cloud(Path(temporary), life_seconds=7200) as found:
        yield found


def main() -> None:
    """Measure every size, print the figures and write them down."""
    parser = argparse.ArgumentParser(description="Take the figures of the OpenStack provider on the test cloud.")
    parser.add_argument("--sizes", default="1,10,50,200")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    figures: list[Figure] = []
    with cloud() as found:
        os.environ["OS_CLIENT_CONFIG_FILE"] = str(found.clouds_yaml)
        operator = Operator(found, "alice")
        operator.sweep()
        try:
            for size in given.sizes.split(","):
                figures.append(measure(operator, int(size)))
                print(", ".join(f"{name} {value}" for name, value in asdict(figures[-1]).items()), flush=True)
        finally:
            operator.sweep()
    report = {"date": f"{utc_now():%Y-%m-%d}", "machine": machine(), "figures": [asdict(one) for one in figures]}
    given.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"written to {os.path.relpath(given.out)}")


if __name__ == "__main__":
    main()

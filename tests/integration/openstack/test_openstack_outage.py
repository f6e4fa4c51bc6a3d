"""Services of the cloud that go away and come back while an apply is at work."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from specs.model import LifecycleState, Service
from specs.values import Properties
from tests.support.chains import function
from tests.support.kubernetes_turns import PATIENT, Bench, failures, steps
from tests.support.openstack_city import site
from tests.testbed.openstack.cloud import Cloud
from tests.testbed.openstack.operator import Operator


@pytest.fixture
def bench(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(cloud.clouds_yaml))
    bench = Bench(site("alice", flavors="choose"), tmp_path / "state")
    bench.patience = replace(
        PATIENT, attempts=8, longest_delay=timedelta(seconds=10), health_deadline=timedelta(minutes=3)
    )
    operator = Operator(cloud, "alice")
    operator.sweep()
    yield bench
    bench.close()
    operator.sweep()


def service(instances: int) -> Service:
    """Give instances of one function."""
    node = function("web", image_url="glance:tiny")
    sized: dict[str, Properties] = {"host": {"num_cpus": 1, "mem_size": "64 MB", "disk_size": "1 GB"}}
    scaled = replace(node, capabilities={**sized, "scalable": {"default_instances": instances}})
    return Service(name="tour", nodes={"web": scaled}, states={"web": {"dc-1": LifecycleState.CONNECTED}})


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["neutron", "nova-api", "keystone"])
def test_an_apply_outlasts_a_service_that_is_restarted(cloud: Cloud, bench: Bench, name: str) -> None:
    operator = Operator(cloud, "alice")
    restarts: list[threading.Thread] = []

    def restart() -> None:
        cloud.stop(name)
        cloud.start_service(name)

    def listen(progress: object) -> None:
        if not restarts and "openstack.port" in repr(progress):
            restarts.append(threading.Thread(target=restart))
            restarts[0].start()

    first = bench.turn(service(4), listen=listen)
    restarts[0].join()
    second = bench.turn(service(4))

    assert failures(second) == {}
    assert bench.plan(service(4)).operations == ()
    assert len(operator.ids("server")) == 4
    assert len(operator.ids("port")) == 4
    assert first.interrupted == ""


@pytest.mark.timeout(300)
def test_nothing_is_planned_for_what_cannot_be_seen(cloud: Cloud, bench: Bench) -> None:
    bench.turn(service(1))
    cloud.stop("neutron")
    try:
        plan = bench.plan()
        silent = bench.look(service(1)).seen.snapshots["city"].unknown
    finally:
        cloud.start_service("neutron")

    assert {"network", "port", "server", "router"} <= silent.keys()
    assert not {where for where, action in steps(plan).items() if "server" in where or "port" in where}

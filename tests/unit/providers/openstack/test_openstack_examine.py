"""What is said before anything is tried, on a double that answers what a cloud has."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from providers.base import Finding, Mark, Present, Snapshot
from providers.openstack.cloud import Cloud, Json, Service
from providers.openstack.errors import error_of
from providers.openstack.examine import examine
from providers.openstack.settings import Settings
from specs.model import Address, Resource
from specs.values import Value

FLAVORS = [{"id": f"f{n}", "name": f"c{n}", "vcpus": n, "ram": 1024 * n, "disk": 10} for n in (1, 2, 4)]


def limits(limit: int, used: int) -> Json:
    return {"limit": limit, "in_use": used, "reserved": 0}


@dataclass
class Answers:
    """A cloud of one zone with two hosts; asked for anything else, it has nothing."""

    vcpus: int = 8
    used: int = 0
    quota: Mapping[str, Json] = field(
        default_factory=lambda: {name: limits(-1, 0) for name in ("instances", "cores", "ram")}
    )
    version: str = "2.96"
    working: bool = True
    project: str = "p1"

    def remember(self, what: str, find: Callable[[], Any]) -> Any:
        return find()

    recently = remember

    def extensions(self) -> frozenset[str]:
        return frozenset()

    def has(self, service: Service) -> bool:
        return False

    def pages(self, service: Service, path: str, key: str, **query: str) -> list[Json]:
        host = {"state": "up", "status": "enabled"}
        if key == "hypervisors":
            return [{"id": number, **host, "service": {"host": number}} for number in ("h1", "h2")]
        return list(FLAVORS) if key == "flavors" else []

    def call(self, service: Service, method: str, path: str, *, doing: str) -> Json:
        state = {"available": self.working}
        known: dict[str, Json] = {
            "/": {"version": {"version": self.version}},
            "/os-availability-zone": {"availabilityZoneInfo": [{"zoneName": "core", "zoneState": state}]},
            "/os-availability-zone/detail": {"availabilityZoneInfo": [{"zoneName": "core", "hosts": ["h1", "h2"]}]},
            "/os-quota-sets/p1/detail": {"quota_set": dict(self.quota)},
        }
        if path in known:
            return known[path]
        if re.fullmatch(r"/resource_providers/h\d/inventories", path):
            stock = {"total": self.vcpus // 2, "reserved": 0, "allocation_ratio": 1.0}
            return {"inventories": {"VCPU": stock}}
        if re.fullmatch(r"/resource_providers/h\d/usages", path):
            return {"usages": {"VCPU": self.used // 2}}
        raise error_of(404, "", doing)


def server(name: str, vcpus: int = 2, zone: str = "core") -> Resource:
    properties: dict[str, Value] = {"name": name, "vcpus": vcpus, "image": "i1", "availability_zone": zone}
    return Resource(
        address=Address(f"bristol/{name}/db@edge-1.0:openstack.server"), binding="city", properties=properties
    )


def there(resource: Resource) -> Present:
    """Give a server as it is seen."""
    mark = Mark("0123456789ab", resource.address, "d1")
    return Present(provider_id="s1", mark=mark, properties=resource.properties, seen="d1")


def told(cloud: Answers, wanted: Iterable[Resource], present: Iterable[Resource] = ()) -> list[tuple[str, str]]:
    """Give which service is told what."""
    snapshot = Snapshot(present=[there(one) for one in present])
    found: Iterable[Finding] = examine(cast("Cloud", cloud), Settings(), {one.address: one for one in wanted}, snapshot)
    return [(str(one.address or "").split("/")[1] if one.address else "", one.message) for one in found]


def test_services_share_the_room_of_a_zone() -> None:
    found = told(Answers(vcpus=8, used=4), [server("a"), server("b"), server("c")])

    assert found == [("c", "edge-1 has 4 vCPU free, this plan needs 6")]


def test_what_a_plan_removes_is_room() -> None:
    assert told(Answers(vcpus=8, used=8), [server("b")], [server("a")]) == []
    assert told(Answers(vcpus=8, used=8), [server("b")], [server("a", zone="street")]) == [
        ("b", "edge-1 has 0 vCPU free, this plan needs 2")
    ]


def test_what_is_there_needs_no_room() -> None:
    assert told(Answers(vcpus=8, used=8), [server("a")], [server("a")]) == []


def test_quotas_are_told_with_what_is_used_and_wanted() -> None:
    quota = {"instances": limits(10, 9), "cores": limits(20, 17), "ram": limits(-1, 0)}
    found = told(Answers(quota=quota), [server("a"), server("b")])

    assert found == [
        ("b", "quota of instances: 9 of 10 are used, this plan needs 2 more; free some, or ask for more"),
        ("b", "quota of cores: 17 of 20 are used, this plan needs 4 more; free some, or ask for more"),
    ]


def test_a_plan_may_spend_the_quota_it_frees() -> None:
    quota = {"instances": limits(1, 1), "cores": limits(2, 2), "ram": limits(2048, 2048)}
    freed = Resource(
        address=server("a").address,
        binding="city",
        properties={**server("a").properties, "ram_mib": 2048},
    )

    assert told(Answers(quota=quota), [server("b")], [freed]) == []


def test_zones_must_be_there_and_at_work() -> None:
    assert told(Answers(), [server("a", zone="moon")]) == [("a", "there is no availability zone moon; there are core")]
    assert told(Answers(working=False), [server("a")]) == [("a", "no host of availability zone core is at work")]


def test_a_size_no_flavor_has_is_told() -> None:
    ((service, message),) = told(Answers(), [server("a", vcpus=8)])

    assert service == "a"
    assert "no flavor has 8 vCPU" in message


def test_an_old_compute_is_told_once() -> None:
    found = told(Answers(version="2.60"), [server("a"), server("b")])

    assert found == [("", "compute knows versions up to 2.60, 2.64 is needed (Rocky, 2018)")]


def test_nothing_is_said_about_what_cannot_be_seen() -> None:
    snapshot = Snapshot(unknown={"server": "it does not answer"})
    wanted = server("a", vcpus=64)

    assert examine(cast("Cloud", Answers()), Settings(), {wanted.address: wanted}, snapshot) == ()

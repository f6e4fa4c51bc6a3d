"""What Nova is asked for a server, and in which order, on a double that remembers it."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from providers.base import Mark, Present
from providers.openstack.cloud import Cloud, Json, Service
from providers.openstack.servers import ServerHand
from providers.openstack.settings import Settings
from providers.openstack.sight import Names
from specs.model import Address, Resource
from specs.values import Value

NO_HOST = {"message": "No valid host was found. There are not enough hosts available."}
FLAVOR = {"id": "f1", "name": "small", "vcpus": 1, "ram": 512, "disk": 1}


@dataclass
class Nova:
    """Answers as Nova does, as far as a create asks; a server has a host from the second look on."""

    policy: str = "anti-affinity"
    servers: dict[str, Json] = field(default_factory=dict)
    bodies: list[Json] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def pages(self, service: Service, path: str, key: str, **query: str) -> list[Json]:
        return [FLAVOR] if key == "flavors" else list(self.servers.values()) if key == "servers" else []

    def recently(self, what: str, find: Callable[[], Any]) -> Any:
        return find()

    def remember(self, what: str, find: Callable[[], Any]) -> Any:
        return find()

    def get(self, service: Service, path: str, *, doing: str) -> Json | None:
        number = path.rpartition("/")[2]
        row = self.servers.get(number)
        if row is None:
            return None
        if row.pop("looked_at", False):
            row["hostId"] = "h"
            self.told.append(f"{row['name']} has a host")
        row["looked_at"] = True
        return {"server": dict(row)}

    def call(self, service: Service, method: str, path: str, *, doing: str, body: Any = None) -> Json:
        if path.startswith("/os-server-groups"):
            return {"server_group": {"policy": self.policy}, "server_groups": []}
        if method == "DELETE" and (match := re.fullmatch(r"/servers/(\w+)", path)):
            self.told.append(f"{self.servers.pop(match[1])['name']} is deleted")
            return {}
        self.bodies.append(body)
        row = {"id": f"s{len(self.bodies)}", "status": "BUILD", "flavor": FLAVOR, "image": "", **body["server"]}
        self.told.append(f"{row['name']} is asked for")
        self.servers[row["id"]] = row
        return {"server": {"id": row["id"]}}


def create(nova: Nova, name: str = "db", **said: Value) -> Present:
    """Create a server that boots an image of an id."""
    hand = ServerHand(cast("Cloud", nova), Names(cast("Cloud", nova)), Settings())
    return hand.create(wanted(name, **said), mark(name))


def wanted(name: str, **said: Value) -> Resource:
    return Resource(
        address=mark(name).address,
        binding="city",
        properties={"name": name, "vcpus": 1, "image": "i1", "ports": ["p1"], **said},
    )


def mark(name: str) -> Mark:
    return Mark("0123456789ab", Address(f"bristol/shop/{name}@dc-1.0:openstack.server"), "d1")


def test_a_boot_volume_is_made_of_the_image_and_goes_with_its_server() -> None:
    nova = Nova()
    create(nova, boot_volume_gb=20, volumes=[{"volume": "v1", "device": "/dev/vdb"}])
    server = nova.bodies[0]["server"]

    root, data = server["block_device_mapping_v2"]
    assert "imageRef" not in server
    assert (root["uuid"], root["destination_type"], root["volume_size"]) == ("i1", "volume", 20)
    assert root["delete_on_termination"] is True
    assert (data["uuid"], data["device_name"]) == ("v1", "/dev/vdb")
    assert "delete_on_termination" not in data


def test_the_scheduler_gets_the_hints_of_the_cluster_and_the_group() -> None:
    nova = Nova()
    create(nova, scheduler_hints={"different_host": "s9"}, group="g1", availability_zone="core", key="ours")

    assert nova.bodies[0]["os:scheduler_hints"] == {"different_host": "s9", "group": "g1"}
    assert nova.bodies[0]["server"]["availability_zone"] == "core"
    assert nova.bodies[0]["server"]["key_name"] == "ours"


@pytest.mark.parametrize("policy", ["anti-affinity", "affinity"])
def test_of_a_strict_group_one_at_a_time_looks_for_a_host(policy: str) -> None:
    nova = Nova(policy)
    hand = ServerHand(cast("Cloud", nova), Names(cast("Cloud", nova)), Settings())
    names = ("a", "b", "c")
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda name: hand.create(wanted(name, group="g1"), mark(name)), names))

    asked, found = nova.told[::2], nova.told[1::2]
    assert sorted(asked) == [f"{name} is asked for" for name in names]
    assert [line.split()[0] for line in asked] == [line.split()[0] for line in found]


def test_a_group_that_bends_waits_for_nobody() -> None:
    nova = Nova("soft-anti-affinity")
    create(nova, group="g1")

    assert nova.told == ["db is asked for"]


@pytest.mark.parametrize(("fault", "again"), [(NO_HOST, True), ({"message": "Build aborted"}, False)])
def test_a_server_no_host_took_makes_way_for_a_new_one(fault: Json, again: bool) -> None:
    nova = Nova()
    first = create(nova)
    nova.servers[first.provider_id] |= {"status": "ERROR", "fault": fault}
    second = create(nova)

    assert (second.provider_id != first.provider_id) is again
    assert len(nova.servers) == 1

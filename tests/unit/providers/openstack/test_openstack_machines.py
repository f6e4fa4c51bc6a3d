"""How servers read, which flavor fits, and how many may wait for one list."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from providers.base import Health, PermanentError, TransientError
from providers.openstack.cloud import Cloud, Json
from providers.openstack.machines import found_no_room, health_of, read_server, record_of
from providers.openstack.nova import smallest
from providers.openstack.patrol import Patrol
from providers.openstack.record import pack
from providers.openstack.settings import Settings
from providers.openstack.sight import Bulk, Names
from specs.values import Properties

SIGHT = Bulk(Names(Cloud(Settings())))
SMALL = {"original_name": "m1.small", "vcpus": 1, "ram": 2048, "disk": 20}


def row(**more: Any) -> Json:
    return {
        "id": "s1",
        "name": "db",
        "status": "ACTIVE",
        "metadata": {},
        "flavor": SMALL,
        "image": {"id": "i1"},
        **more,
    }


def read(server: Json) -> Properties:
    return read_server(server, record_of(server), SIGHT)


@pytest.mark.parametrize(
    ("more", "health", "words"),
    [
        ({}, Health.HEALTHY, ""),
        ({"status": "BUILD", "OS-EXT-STS:task_state": "spawning"}, Health.PROGRESSING, "build, spawning"),
        ({"OS-EXT-STS:task_state": "deleting"}, Health.PROGRESSING, "being deleted"),
        ({"status": "DELETED"}, Health.PROGRESSING, "being deleted"),
        ({"status": "VERIFY_RESIZE"}, Health.PROGRESSING, "not confirmed"),
        ({"status": "SHUTOFF"}, Health.DEGRADED, "it is shutoff"),
        ({"status": "SHUTOFF", "OS-EXT-STS:task_state": "powering-on"}, Health.PROGRESSING, "powering-on"),
        ({"status": "ERROR"}, Health.DEGRADED, "Nova gives no reason"),
        (
            {"status": "ERROR", "fault": {"code": 500, "message": "No valid host was found. "}},
            Health.DEGRADED,
            "no host takes 1 vCPU, 2048 MiB memory, 20 GiB disk",
        ),
    ],
)
def test_health_of_servers(more: Mapping[str, Any], health: Health, words: str) -> None:
    found = health_of(row(**more))

    assert found[0] is health
    assert words in found[1]


def test_a_size_is_as_asked_while_the_flavor_is_the_chosen_one() -> None:
    asked = pack({"vcpus": 1, "ram_mib": 1000, "os": {"type": "linux"}}, {"flavor": "m1.small", "image": "i1"})
    as_asked = read(row(metadata=asked))
    resized = read(row(metadata=asked, flavor={**SMALL, "original_name": "m1.large", "vcpus": 4}))
    rebuilt = read(row(metadata=asked, image={"id": "i2"}))
    unconfirmed = read(row(metadata=asked, status="VERIFY_RESIZE"))

    assert (as_asked["vcpus"], as_asked["ram_mib"], as_asked["os"]) == (1, 1000, {"type": "linux"})
    assert (resized["vcpus"], resized["ram_mib"]) == (4, 2048)
    assert "os" not in rebuilt
    assert "vcpus" not in unconfirmed


def test_what_never_ran_has_to_be_made_anew() -> None:
    failed = row(status="ERROR", **{"OS-SRV-USG:launched_at": None})
    fallen = row(status="ERROR", **{"OS-SRV-USG:launched_at": "2026-01-01T00:00:00"})

    assert read(failed)["launched"] is False
    assert read(fallen)["launched"] is True
    assert read(fallen)["running"] is False


@pytest.mark.parametrize(
    ("status", "launched", "message", "found"),
    [
        ("ERROR", None, "No valid host was found. There are not enough hosts available.", True),
        ("ERROR", None, "Exceeded maximum number of retries. Exhausted all hosts available for retrying", True),
        ("ERROR", None, "Quota exceeded for instances: Requested 1, but already used 3 of 3 instances", True),
        ("ERROR", None, "Build of instance s1 aborted", False),
        ("ERROR", "2026-01-01T00:00:00", "No valid host was found. ", False),
        ("ACTIVE", "2026-01-01T00:00:00", "No valid host was found. ", False),
    ],
)
def test_only_what_never_found_room_may_find_some_later(
    status: str, launched: str | None, message: str, found: bool
) -> None:
    server = row(status=status, fault={"message": message}, **{"OS-SRV-USG:launched_at": launched})

    assert found_no_room(server) is found


FLAVORS: list[Json] = [
    {"name": "large", "vcpus": 4, "ram": 8192, "disk": 80},
    {"name": "small", "vcpus": 1, "ram": 2048, "disk": 20},
    {"name": "off", "vcpus": 1, "ram": 1024, "disk": 20, "OS-FLV-DISABLED:disabled": True},
    {"name": "gpu", "vcpus": 2, "ram": 4096, "disk": 40, "extra_specs": {"gpu": "1"}},
]


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ({}, "small"),
        ({"vcpus": 1, "ram_mib": 1000}, "small"),
        ({"disk_gib": 21}, "gpu"),
        ({"vcpus": 3}, "large"),
        ({"extra_specs": {"gpu": "1"}}, "gpu"),
    ],
)
def test_the_smallest_that_fits_is_chosen(asked: Properties, name: str) -> None:
    assert smallest(FLAVORS, asked, "create db")["name"] == name


def test_what_no_flavor_has_is_told_with_numbers() -> None:
    with pytest.raises(PermanentError, match="no flavor has 9 vCPU, 0 MiB memory and 0 GiB disk"):
        smallest(FLAVORS, {"vcpus": 9}, "create db")


def test_many_who_wait_share_the_lists() -> None:
    looks: list[int] = []
    gate = threading.Event()

    def look() -> list[Json]:
        gate.wait(5)
        looks.append(1)
        return [{"id": str(number), "status": "ACTIVE"} for number in range(8)]

    patrol = Patrol(look)
    with ThreadPoolExecutor(8) as pool:
        waits = [
            pool.submit(patrol.wait, str(n), lambda found: bool(found and found["status"] == "ACTIVE"), 5, "x")
            for n in range(8)
        ]
        gate.set()

        assert [wait.result()["id"] for wait in waits] == [str(number) for number in range(8)]  # type: ignore[index]  # all are there
    assert len(looks) <= 2


def test_waiting_ends() -> None:
    with pytest.raises(TransientError, match="looked at again"):
        Patrol(list).wait("1", lambda found: found is not None, 0.0, "resize db")

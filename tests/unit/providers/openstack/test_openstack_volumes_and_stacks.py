"""Volumes and stacks, on doubles of Cinder and Heat: the real cloud of the other tests has neither."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from msgspec.structs import replace

from providers.base import Health, Mark, PermanentError
from providers.openstack.cloud import Cloud, Json, Service
from providers.openstack.errors import Missing, error_of
from providers.openstack.hand import Hand
from providers.openstack.stacks import StackHand
from providers.openstack.volumes import VolumeHand
from specs.model import Address, Resource
from specs.values import Properties, Secret

VOLUME = Resource(
    address=Address("bristol/shop/data@dc-1.0:openstack.volume"),
    binding="city",
    properties={"name": "shop-data", "size_gib": 19},
)
STACK = Resource(
    address=Address("bristol/shop/legacy@dc-1.0:openstack.stack"),
    binding="city",
    properties={"name": "shop-legacy", "template": "heat: x", "parameters": {"word": Secret("W", "d", "sesame")}},
)


@dataclass
class Double:
    """Answers as Cinder and Heat do, as far as the hands ask."""

    services: frozenset[Service] = frozenset({Service.VOLUME, Service.STACK})
    volumes: dict[str, Json] = field(default_factory=dict)
    stacks: dict[str, Json] = field(default_factory=dict)
    bodies: list[Any] = field(default_factory=list)

    def has(self, service: Service) -> bool:
        return service in self.services

    def pages(self, service: Service, path: str, key: str, **query: str) -> list[Json]:
        return [dict(row) for row in (self.volumes if key == "volumes" else self.stacks).values()]

    def get(self, service: Service, path: str, *, doing: str) -> Json | None:
        number = path.rpartition("/")[2]
        rows, key = (self.volumes, "volume") if service is Service.VOLUME else (self.stacks, "stack")
        return {key: dict(rows[number])} if number in rows else None

    def call(self, service: Service, method: str, path: str, *, doing: str, body: Any = None) -> Json:
        self.bodies.append(body)
        for (verb, pattern), answer in self._answers().items():
            if method == verb and (match := re.fullmatch(pattern, path)):
                return answer(body, *match.groups())
        raise error_of(404, "", doing)

    def _answers(self) -> dict[tuple[str, str], Callable[..., Json]]:
        return {
            ("POST", "/volumes"): self._make_volume,
            ("POST", r"/volumes/([^/]+)/action"): self._extend,
            ("POST", r"/volumes/([^/]+)/metadata"): self._label,
            ("PUT", r"/volumes/([^/]+)"): self._write,
            ("DELETE", r"/volumes/([^/]+)"): self._remove_volume,
            ("POST", "/stacks"): self._make_stack,
            ("PUT", r"/stacks/[^/]+/([^/]+)"): self._tag,
            ("PATCH", r"/stacks/[^/]+/([^/]+)"): self._tag,
            ("DELETE", r"/stacks/[^/]+/([^/]+)"): self._remove_stack,
        }

    def _make_volume(self, body: Json) -> Json:
        row = {"id": f"v{len(self.volumes)}", "status": "creating", **body["volume"]}
        self.volumes[row["id"]] = row
        return {"volume": row}

    def _extend(self, body: Json, number: str) -> Json:
        self.volumes[number]["size"] = body["os-extend"]["new_size"]
        return {}

    def _label(self, body: Json, number: str) -> Json:
        self.volumes[number]["metadata"] = {**self.volumes[number].get("metadata", {}), **body["metadata"]}
        return {"metadata": self.volumes[number]["metadata"]}

    def _write(self, body: Json, number: str) -> Json:
        self.volumes[number].update(body["volume"])
        return {"volume": self.volumes[number]}

    def _remove_volume(self, body: Json, number: str) -> Json:
        self.volumes[number]["status"] = "deleting"
        return {}

    def _make_stack(self, body: Json) -> Json:
        row = {
            "id": f"s{len(self.stacks)}",
            "stack_status": "CREATE_IN_PROGRESS",
            **body,
            "tags": body["tags"].split(","),
        }
        self.stacks[row["id"]] = row
        return {"stack": {"id": row["id"]}}

    def _tag(self, body: Json, number: str) -> Json:
        self.stacks[number]["tags"] = body["tags"].split(",")
        return {}

    def _remove_stack(self, body: Json, number: str) -> Json:
        del self.stacks[number]
        return {}


def mark(resource: Resource, digest: str = "", repository: str = "0123456789ab") -> Mark:
    return Mark(repository, resource.address, digest or resource.digest)


def hands(double: Double) -> list[tuple[Hand, Resource]]:
    cloud = cast("Cloud", double)
    return [(VolumeHand(cloud), VOLUME), (StackHand(cloud), STACK)]


def changed(resource: Resource, **properties: Any) -> Resource:
    more: Properties = {**resource.properties, **properties}
    return replace(resource, properties=more)


def test_creating_twice_makes_one_object() -> None:
    double = Double()
    for hand, resource in hands(double):
        first = hand.create(resource, mark(resource))
        second = hand.create(resource, mark(resource))

        assert first.provider_id == second.provider_id
        assert first.mark == mark(resource)
        assert first.health is Health.PROGRESSING
    assert (len(double.volumes), len(double.stacks)) == (1, 1)


def test_what_lost_our_mark_is_not_deleted() -> None:
    double = Double()
    for hand, resource in hands(double):
        made = hand.create(resource, mark(resource))
        theirs = replace(made, mark=mark(resource, repository="another"))
        with pytest.raises(PermanentError, match="left alone"):
            hand.delete(theirs)
    assert (len(double.volumes), len(double.stacks)) == (1, 1)


def test_deleting_gives_what_is_left_and_twice_is_fine() -> None:
    double = Double()
    volumes, stacks = (hand for hand, _ in hands(double))
    volume = volumes.create(VOLUME, mark(VOLUME))
    stack = stacks.create(STACK, mark(STACK))
    left = volumes.delete(volume)

    assert left is not None
    assert left.health is Health.PROGRESSING
    assert stacks.delete(stack) is None
    assert stacks.delete(stack) is None


def test_volumes_grow_and_never_shrink() -> None:
    double = Double()
    hand = VolumeHand(cast("Cloud", double))
    made = hand.create(VOLUME, mark(VOLUME))
    larger = changed(VOLUME, size_gib=40, name="other")
    grown = hand.update(larger, made, mark(larger))

    assert grown.properties == {"name": "other", "size_gib": 40}
    assert grown.mark == mark(larger)
    with pytest.raises(PermanentError, match="cannot shrink"):
        hand.update(VOLUME, grown, mark(VOLUME))


def test_adopting_keeps_what_others_wrote() -> None:
    double = Double()
    double.volumes["v9"] = {"id": "v9", "name": "x", "size": 19, "status": "available", "metadata": {"team": "video"}}
    double.stacks["s9"] = {"id": "s9", "stack_name": "x", "stack_status": "CREATE_COMPLETE", "tags": ["theirs"]}
    for (hand, resource), number in zip(hands(double), ("v9", "s9"), strict=True):
        assert hand.adopt(resource, number, mark(resource)).mark == mark(resource)
        with pytest.raises(PermanentError, match="cannot be adopted"):
            hand.adopt(resource, number, mark(resource, repository="another"))
        with pytest.raises(PermanentError, match="there is no such"):
            hand.adopt(resource, "nothing", mark(resource))
    assert double.volumes["v9"]["metadata"]["team"] == "video"
    assert "theirs" in double.stacks["s9"]["tags"]


def test_a_stack_gets_the_text_of_secrets_and_shows_none() -> None:
    double = Double()
    hand = StackHand(cast("Cloud", double))
    made = hand.create(STACK, mark(STACK))

    assert double.bodies[0]["parameters"] == {"word": "sesame"}
    assert "sesame" not in repr(made)


@pytest.mark.parametrize(
    ("status", "health"),
    [
        ("CREATE_COMPLETE", Health.HEALTHY),
        ("UPDATE_IN_PROGRESS", Health.PROGRESSING),
        ("CREATE_FAILED", Health.DEGRADED),
    ],
)
def test_health_of_stacks(status: str, health: Health) -> None:
    double = Double()
    hand = StackHand(cast("Cloud", double))
    number = hand.create(STACK, mark(STACK)).provider_id
    double.stacks[number]["stack_status"] = status

    assert hand.create(STACK, mark(STACK)).health is health


def test_a_cloud_without_the_service_says_so() -> None:
    double = Double(services=frozenset())
    for hand, resource in hands(double):
        assert hand.rows("0123456789ab", everything=True) == []
        with pytest.raises(Missing, match="the cloud has no"):
            hand.create(resource, mark(resource))

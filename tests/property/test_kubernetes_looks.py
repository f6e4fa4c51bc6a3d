"""A look that reads only what changed sees what a look from nothing sees."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from zlib import crc32

from hypothesis import given, settings
from hypothesis import strategies as st

from providers.base import Health, Snapshot
from specs.model import Address, Resource
from tests.support.histories import histories
from tests.support.kubernetes_lists import Looker, address, marked

World = dict[str, Any]
"""Resource, e.g. `deployments` → objects; under `wanted` what is wanted."""

KINDS = {"deployments": "deployment", "configmaps": "configmap", "secrets": "secret"}


def look(looker: Looker, world: World) -> Snapshot:
    return looker.look(world, world["wanted"])


texts = st.sampled_from(["x", "y"])
parts: Mapping[str, st.SearchStrategy[dict[str, Any]]] = {
    "deployments": st.fixed_dictionaries({"spec": st.fixed_dictionaries({"replicas": st.integers(0, 2), "z": texts})}),
    "configmaps": st.fixed_dictionaries({"data": st.dictionaries(texts, texts)}),
    "secrets": st.just({}),
}


def wanted_of(resource: str, name: str, said: Mapping[str, Any]) -> Resource:
    """Give what a spec that says this wants."""
    own = {f"spec.{key}": value for key, value in said["spec"].items()} if "spec" in said else said
    place = {"cluster": "edge-1", "namespace": "ns", "name": name}
    return Resource(address=address(KINDS[resource], name), binding="b", properties={**place, **own})


@st.composite
def an_object(draw: st.DrawFn, resource: str, uid: str) -> dict[str, Any]:
    name, said = draw(texts), draw(parts[resource])
    where = address(KINDS[resource], name, draw(st.sampled_from(["bristol", "bristol", "porto"])))
    digest = wanted_of(resource, name, draw(parts[resource])).digest
    status = {"observedGeneration": 1, **dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), 1)}
    body: dict[str, Any] = {**said, "status": status} if resource == "deployments" else {**said}
    mark = marked(where, digest) if draw(st.booleans()) else {}
    body["metadata"] = {"name": name, "namespace": "ns", "uid": uid, **mark}
    body["metadata"]["resourceVersion"] = str(crc32(json.dumps(body).encode()))
    return body


@st.composite
def a_list(draw: st.DrawFn, resource: str) -> list[dict[str, Any]]:
    return [
        draw(an_object(resource, f"{resource}-{uid}")) for uid in draw(st.lists(st.sampled_from("123"), unique=True))
    ]


@st.composite
def wishes(draw: st.DrawFn) -> dict[Address, Resource]:
    found = [wanted_of(resource, name, draw(parts[resource])) for resource in KINDS for name in draw(st.sets(texts))]
    return {resource.address: resource for resource in found}


worlds = st.fixed_dictionaries({"wanted": wishes(), **{resource: a_list(resource) for resource in KINDS}})


@settings(max_examples=60, deadline=None)
@given(histories(worlds))
def test_a_look_after_others_sees_what_a_first_look_sees(turns: list[World]) -> None:
    experienced = Looker()
    for world in turns:
        seen, fresh = look(experienced, world), look(Looker(), world)

        assert seen == fresh
        assert seen.unknown == {}


@settings(max_examples=30, deadline=None)
@given(worlds)
def test_what_did_not_change_is_not_read_again(world: World) -> None:
    looker = Looker()
    before, after = look(looker, world).present, look(looker, world).present
    settled = [(one, other) for one, other in zip(before, after, strict=True) if one.health is Health.HEALTHY]

    assert all(one is other for one, other in settled)

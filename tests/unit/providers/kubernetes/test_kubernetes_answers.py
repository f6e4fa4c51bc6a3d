"""Answers that are not what they should be: what cannot be understood is unknown, the rest is seen."""

from __future__ import annotations

from typing import Any

import pytest

from specs.model import Address, Resource
from tests.support.kubernetes_lists import Looker, address, marked

WEB = address("deployment", "web")
CONFIG = address("configmap", "web")
FIELDS = {"name": "web", "namespace": "ns", "resourceVersion": "1"}
CONFIGMAP = {"metadata": {**FIELDS, **marked(CONFIG), "uid": "u1"}, "data": {}}
DEPLOYMENT: dict[str, Any] = {"metadata": {**FIELDS, **marked(WEB), "uid": "u2"}, "spec": {"replicas": 0}}
WANTED = {
    where: Resource(address=where, binding="edge", properties={"cluster": "edge-1", "namespace": "ns", "name": "web"})
    for where in (WEB, CONFIG)
}


def metadata(**more: Any) -> dict[str, Any]:
    return {**DEPLOYMENT, "metadata": {**DEPLOYMENT["metadata"], **more}}


@pytest.mark.parametrize("wanted", [WANTED, {}], ids=["wanted", "surplus"])
@pytest.mark.parametrize(
    "item",
    [
        {**DEPLOYMENT, "metadata": None},
        metadata(uid=None),
        metadata(uid=7),
        metadata(resourceVersion=1),
        metadata(labels=["nonsense"]),
        {**DEPLOYMENT, "spec": "nonsense"},
        {key: value for key, value in DEPLOYMENT.items() if key != "spec"},
        {**DEPLOYMENT, "status": {"observedGeneration": "1"}},
        "nonsense",
        None,
        float("nan"),
    ],
    ids=repr,
)
def test_an_object_that_cannot_be_understood_leaves_its_kind_unknown(
    item: Any, wanted: dict[Address, Resource]
) -> None:
    seen = Looker().look({"configmaps": [CONFIGMAP], "deployments": [item]}, wanted)

    assert [one.address for one in seen.present] == [CONFIG]
    assert "deployment@edge-1" in seen.unknown
    assert "configmap@edge-1" not in seen.unknown


@pytest.mark.parametrize(
    "text", [b"", b"<html>", b"[]", b'{"items": 7}', b'{"items": [{"metadata": {"uid": "u"', b"[" * 10**5]
)
def test_an_answer_that_is_no_list_is_no_empty_list(text: bytes) -> None:
    seen = Looker().look({"configmaps": [CONFIGMAP], "deployments": text}, WANTED)

    assert [one.address for one in seen.present] == [CONFIG]
    assert "cannot be understood" in seen.unknown["deployment@edge-1"]


@pytest.mark.parametrize("size", [2**64, 10**30, -1, 1.5])
def test_numbers_of_any_size_are_told_as_they_are(size: float) -> None:
    wanted = Resource(
        address=CONFIG,
        binding="edge",
        properties={"cluster": "edge-1", "namespace": "ns", "name": "web", "data": {"size": 1}},
    )
    (seen,) = Looker().look({"configmaps": [{**CONFIGMAP, "data": {"size": size}}]}, {CONFIG: wanted}).present

    assert seen.properties["data"] == {"size": size}

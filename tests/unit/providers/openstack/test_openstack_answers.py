"""Answers that are not what they should be: what cannot be understood is unknown, the rest is seen."""

from __future__ import annotations

from typing import Any

import pytest

from providers.openstack.marks import mapping, sentence
from providers.openstack.record import PREFIX
from tests.support.openstack_lists import Looker, mark

NETWORK = {
    "id": "n1",
    "name": "lan",
    "description": sentence(mark("network", "lan")),
}
SERVER: dict[str, Any] = {
    "id": "s1",
    "name": "db",
    "status": "ACTIVE",
    "metadata": mapping(mark("server", "db"), PREFIX),
}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in SERVER.items() if key != name}


@pytest.mark.parametrize(
    "row",
    [
        without("id"),
        without("status"),
        {**SERVER, "metadata": ["nonsense"]},
        {**SERVER, "flavor": "nonsense"},
        {**SERVER, "tags": 7},
        {**SERVER, "os-extended-volumes:volumes_attached": [{}]},
        "nonsense",
        None,
        [],
        float("nan"),
    ],
    ids=repr,
)
def test_a_row_that_cannot_be_understood_leaves_its_kind_unknown(row: Any) -> None:
    looker = Looker()
    good = looker.look({"networks": [NETWORK], "servers": [SERVER]})
    bad = looker.look({"networks": [NETWORK], "servers": [SERVER, row]})

    assert {one.provider_id for one in good.present} == {"n1", "s1"}
    assert {one.provider_id for one in bad.present} == {"n1"}
    assert list(bad.unknown) == ["server"]
    assert "understood" in bad.unknown["server"] or "answered without" in bad.unknown["server"]


@pytest.mark.parametrize("size", [2**64, 10**30, -1, 1.5])
def test_numbers_of_any_size_are_told_as_they_are(size: float) -> None:
    flavor = {"original_name": "m1", "vcpus": size, "ram": size, "disk": size}
    (seen,) = Looker().look({"servers": [{**SERVER, "flavor": flavor}]}).present

    assert seen.properties["vcpus"] == size


@pytest.mark.parametrize("answer", [{"servers": None}, {"servers": {}}, "nonsense", 7])
def test_an_answer_without_its_list_is_no_empty_list(answer: Any) -> None:
    seen = Looker().look({"networks": [NETWORK], "servers": answer})

    assert list(seen.unknown) == ["server"]

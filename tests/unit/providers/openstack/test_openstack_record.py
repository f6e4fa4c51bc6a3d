"""What a server does not give back is kept beside it, small and without secrets."""

from __future__ import annotations

import random
import string

import pytest

from providers.base import PermanentError
from providers.openstack.record import pack, unpack
from specs.values import Secret, Value

ASKED: dict[str, Value] = {
    "vcpus": 2,
    "os": {"distribution": "debian"},
    "ports": ["p1", "p2"],
    "software": [
        {"name": "db.create", "script": "#!/bin/sh\n", "inputs": {"word": Secret("WORD", "d1", "opensesame")}}
    ],
}


def test_what_was_asked_comes_back() -> None:
    asked, chosen = unpack(pack({**ASKED, "name": "db"}, {"flavor": "m1.small"}))

    assert asked == ASKED
    assert chosen == {"flavor": "m1.small"}


def test_no_secret_is_kept() -> None:
    packed = pack(ASKED, {})

    assert "opensesame" not in repr(unpack(packed)[0])
    assert unpack(packed)[0]["software"][0]["inputs"]["word"].digest == "d1"  # type: ignore[index,call-overload,union-attr]  # checked by running it


def test_items_are_short_and_few() -> None:
    noise = "".join(random.Random(1).choices(string.printable, k=15000))
    packed = pack({"software": [{"script": noise}]}, {})

    assert max(map(len, packed.values())) == 255
    assert len(packed) <= 100
    assert unpack(packed)[0]["software"] == [{"script": noise}]


def test_what_does_not_fit_is_refused() -> None:
    noise = "".join(random.Random(1).choices(string.printable, k=50000))

    with pytest.raises(PermanentError, match="too large"):
        pack({"name": "db", "software": [{"script": noise}]}, {})


@pytest.mark.parametrize("damage", ["", "x", "====", "eJw=", "AAAA"])
def test_a_damaged_record_is_no_record(damage: str) -> None:
    packed = {**pack(ASKED, {}), "tosca.applied.00": damage}

    assert unpack(packed) == ({}, {})

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specs.model import Capacity
from specs.tosca import units


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("size", "2 GB", 2e9),
        ("size", "1GiB", 2**30),
        ("size", "512 mb", 512e6),
        ("size", "0.5 kB", 500),
        ("size", "7 B", 7),
        ("time", "2 m", 120),
        ("time", "15 MS", 0.015),
        ("time", "1 d", 86400),
        ("frequency", "2.4 GHz", 2.4e9),
        ("frequency", "2.4 ghz", 2.4e9),
        ("bitrate", "10 Mbps", 10e6),
        ("bitrate", "1 MBps", 8e6),
        ("bitrate", "1 Kibps", 1024),
    ],
)
def test_a_scalar_is_worth_its_base_units(kind: str, text: str, expected: float) -> None:
    assert units.amount(f"scalar-unit.{kind}", text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "2", "GB", "2 XB", "-1 GB", "1e3 GB", "2 GB extra", "2 GBGB", "٢ GB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="unit"):
        units.split("scalar-unit.size", text)


def test_bits_and_bytes_a_second_are_told_apart() -> None:
    with pytest.raises(ValueError, match="unit"):
        units.split("scalar-unit.bitrate", "10 MBPS")


@given(st.sampled_from(sorted(units.UNITS)), st.integers(0, 10**9), st.data())
def test_the_one_spelling_of_a_scalar_keeps_its_worth(kind: str, number: int, data: st.DataObject) -> None:
    unit = data.draw(st.sampled_from(sorted(units.UNITS[kind])))
    written = f"{number}{data.draw(st.sampled_from(['', ' ', '  ']))}{unit}"

    canonical = units.canonical(kind, written)

    assert canonical == f"{number} {unit}"
    assert units.amount(kind, canonical) == units.amount(kind, written)


def test_a_capacity_is_read_from_the_properties_of_a_host() -> None:
    found = units.capacity({"num_cpus": 2, "mem_size": "2 GiB", "disk_size": "1 TB", "other": "x"})

    assert found == Capacity(vcpus=2, memory_mb=2147.483648, disk_gb=1000)


def test_what_a_host_does_not_say_is_nothing() -> None:
    assert units.capacity({}) == Capacity()
    assert units.seconds(None) == 0
    assert units.seconds("2 m") == 120

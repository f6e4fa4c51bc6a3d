"""Scalars with units: what `2 GB`, `30 s`, `2.4 GHz` and `10 Mbps` mean.

Values keep such scalars as text in one spelling (`2 GB`), so that a plan reads like the spec; who
needs the number asks here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from specs.model import Capacity
from specs.values import Properties, Value

_SCALAR = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)\s*")

_PREFIXES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY_PREFIXES = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_RATE_PREFIXES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}

UNITS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "scalar-unit.size": {f"{prefix}B": factor for prefix, factor in {**_PREFIXES, **_BINARY_PREFIXES}.items()},
        "scalar-unit.time": {"d": 86400, "h": 3600, "m": 60, "s": 1, "ms": 1e-3, "us": 1e-6, "ns": 1e-9},
        "scalar-unit.frequency": {"Hz": 1, "kHz": 10**3, "MHz": 10**6, "GHz": 10**9},
        "scalar-unit.bitrate": {
            f"{prefix}{unit}": factor * bits
            for prefix, factor in {**_RATE_PREFIXES, **_BINARY_PREFIXES}.items()
            for unit, bits in (("bps", 1), ("Bps", 8))
        },
    }
)
"""Scalar type → unit → how many of its base unit (byte, second, hertz, bit/s) it is."""


def split(scalar_type: str, text: str) -> tuple[str, str]:
    """Take a scalar apart into its number, as written, and its unit, as TOSCA spells it.

    Units may differ in case, except bit rates, where `bps` and `Bps` are not the same. `ValueError`
    says what is wrong and which units there are.
    """
    units = UNITS[scalar_type]
    match = _SCALAR.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no number with a unit; write for example '2 {next(iter(units))}'")
    number, written = match.groups()
    if written in units:
        return number, written
    if scalar_type != "scalar-unit.bitrate":
        for unit in units:
            if unit.lower() == written.lower():
                return number, unit
    raise ValueError(f"{written!r} is no unit of {scalar_type}; it has {', '.join(units)}")


def canonical(scalar_type: str, text: str) -> str:
    """Give the one spelling of a scalar, e.g. `2 GB` for `2gb`."""
    number, unit = split(scalar_type, text)
    return f"{number} {unit}"


def amount(scalar_type: str, text: str) -> float:
    """Give a scalar in its base unit: bytes, seconds, hertz or bit/s."""
    number, unit = split(scalar_type, text)
    return float(number) * UNITS[scalar_type][unit]


def megabytes(size: Value) -> float:
    """Give a size in 10^6 bytes; 0 for anything that is no size."""
    return amount("scalar-unit.size", size) / 10**6 if isinstance(size, str) else 0.0


def gigabytes(size: Value) -> float:
    """Give a size in 10^9 bytes; 0 for anything that is no size."""
    return amount("scalar-unit.size", size) / 10**9 if isinstance(size, str) else 0.0


def seconds(time: Value) -> float:
    """Give a time in seconds; 0 for anything that is no time."""
    return amount("scalar-unit.time", time) if isinstance(time, str) else 0.0


def capacity(properties: Properties) -> Capacity:
    """Read `num_cpus`, `mem_size` and `disk_size`, as the `host` capability and a cluster's capacity carry them."""
    cpus = properties.get("num_cpus")
    return Capacity(
        vcpus=float(cpus) if isinstance(cpus, int | float) else 0.0,
        memory_mb=megabytes(properties.get("mem_size")),
        disk_gb=gigabytes(properties.get("disk_size")),
    )

"""Amounts as Kubernetes writes them, in the one spelling its server gives back. Pure."""

from __future__ import annotations

from specs.tosca.units import amount
from specs.values import Value

_SUFFIXES = (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3))


def size(value: Value) -> str:
    """Give a size such as `2 GB` as `2G`; empty for what is no size."""
    if not isinstance(value, str):
        return ""
    count = round(amount("scalar-unit.size", value))
    for suffix, factor in _SUFFIXES:
        if count and count % factor == 0:
            return f"{count // factor}{suffix}"
    return str(count)


def processors(value: Value) -> str:
    """Give a number of processors, e.g. `2` or `500m`; empty for what is none."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return ""
    thousandths = round(value * 1000)
    return str(thousandths // 1000) if thousandths % 1000 == 0 else f"{thousandths}m"

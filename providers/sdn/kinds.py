"""What the fabric is made of, and how each kind behaves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from providers.base import Kind

PROVIDER: Final = "sdn"
_SOON = timedelta(minutes=1)
_ASKED = frozenset({"class", "min_mbps", "max_latency_ms", "max_cost", "locations", "avoid"})
"""What a way has to keep to; the fabric shows the way, not the reason for it."""

_ALL = (  # in this order for good: cookies count on it
    Kind(
        name="switch",
        description="The chain of tables of a switch, one for every port",
        replaced_by=frozenset({"dpid"}),
        deadline=_SOON,
    ),
    Kind(
        name="port",
        description="A port of a switch: its bit, and what leaves and enters there",
        replaced_by=frozenset({"switch", "port"}),
        attributes=frozenset({"bit"}),
        stands_on=("switch",),
        deadline=_SOON,
    ),
    Kind(
        name="name",
        description="At this place, the name leads to this endpoint, on this way, and back",
        replaced_by=frozenset({"at", "address"}),
        ignored=_ASKED,
        attributes=frozenset({"bits", "labels", "links"}),
        stands_on=("port",),
        deadline=_SOON,
    ),
    Kind(
        name="path",
        description="The tree that leads from an endpoint to all its clients at once",
        replaced_by=frozenset({"cluster", "address"}),
        ignored=_ASKED,
        attributes=frozenset({"bits", "labels", "links"}),
        stands_on=("port",),
        deadline=_SOON,
    ),
    Kind(
        name="detour",
        description="The way a switch takes by itself round a link that goes dark, until the next turn",
        replaced_by=frozenset({"switch", "port"}),
        stands_on=("port",),
        deadline=_SOON,
    ),
)

KINDS: Final[Mapping[str, Kind]] = {kind.name: kind for kind in _ALL}

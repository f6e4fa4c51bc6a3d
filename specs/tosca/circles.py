"""Finds nodes that require one another in a circle: none of them could ever be made first.

Connections may run in circles, two functions may talk to each other; hosts, volumes, networks and plain
dependencies may not.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

from specs.tosca.requirements import Bond
from specs.tosca.topology import Topology

_CONNECTION = "tosca.relationships.ConnectsTo"
_MOST_SHOWN = 20
"""How many circles are reported, and how many nodes of one are named."""


def check_circles(topology: Topology) -> None:
    """Report every circle of requirements at one of them."""
    wanted = {
        name: {bond.target: bond for bond in node.bonds if _CONNECTION not in bond.types}
        for name, node in topology.nodes.items()
    }
    for _ in range(_MOST_SHOWN):
        circle = _circle(wanted)
        if not circle:
            return
        first, second = circle[0], circle[1]
        shown = " -> ".join(circle if len(circle) <= _MOST_SHOWN else [*circle[: _MOST_SHOWN - 1], "…", circle[-1]])
        wanted[first].pop(second).cursor.error("requirement-cycle", f"these require one another in a circle: {shown}")


def _circle(wanted: dict[str, dict[str, Bond]]) -> list[str]:
    """Find one circle, in the order of who requires whom; nothing if there is none."""
    try:
        TopologicalSorter(wanted).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found[::-1]
    return []

"""Compares the links of the spec with what the controller sees. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from providers.base import Finding
from providers.sdn.controller import Wire
from providers.sdn.topology import Fabric, Port, Trunk
from specs.errors import Severity

Ports = Mapping[str, Mapping[int, bool]]
"""Switch → port → whether it is up; only switches that answered."""


class Cabling(Struct, frozen=True):
    """Which links carry nothing, and what is odd."""

    down: frozenset[str] = frozenset()
    findings: tuple[Finding, ...] = ()


def check(fabric: Fabric, ports: Ports, wires: Iterable[Wire]) -> Cabling:
    """Find links that are down, lead elsewhere, work one way only, were not found, or are not in the spec.

    Only what is certain takes a link out of use: a port without a carrier, another far end, one direction of two.
    A controller that has just started has found nothing yet.
    """
    checker = _Checker(fabric, ports, wires)
    for trunk in fabric.trunks.values():
        checker.trunk(trunk)
    for place in fabric.places.values():
        if checker.is_down(place.port):
            checker.lose(place.link, f"{place.name} cannot be reached: {place.port} is down")
    checker.unknown_wires()
    return Cabling(frozenset(checker.down), tuple(sorted(checker.findings, key=lambda finding: finding.message)))


class _Checker:
    def __init__(self, fabric: Fabric, ports: Ports, wires: Iterable[Wire]) -> None:
        self.down: set[str] = set()
        self.findings: list[Finding] = []
        self._fabric, self._ports = fabric, ports
        self._far = {self._port(w.source, w.source_port): self._port(w.target, w.target_port) for w in wires}

    def trunk(self, trunk: Trunk) -> None:
        """Judge one link of the spec."""
        one, other = trunk.ends
        dark = [port for port in trunk.ends if self.is_down(port)]
        if dark:
            self.lose(trunk.name, f"link {trunk.name} is down at {' and '.join(map(str, dark))}")
            return
        for here, there in (trunk.ends, trunk.ends[::-1]):
            found = self._far.get(here)
            if found is not None and found != there:
                self.lose(trunk.name, f"link {trunk.name} is miswired: {here} leads to {found}, the spec says {there}")
                return
        if one.switch not in self._ports or other.switch not in self._ports:
            return
        missing = [port for port in trunk.ends if port not in self._far]
        if len(missing) == 1:
            self.lose(trunk.name, f"link {trunk.name} works one way only: nothing comes from {missing[0]}")
        elif missing:
            self._say(f"link {trunk.name} was not found between {one} and {other}; check the cable, or wait for LLDP")

    def is_down(self, port: Port) -> bool:
        """Tell whether a switch that answered says that a port has no carrier, or is not there."""
        return port.switch in self._ports and not self._ports[port.switch].get(port.number, False)

    def lose(self, link: str, message: str) -> None:
        """Take a link out of use."""
        self.down.add(link)
        self._say(message)

    def unknown_wires(self) -> None:
        """Report links between ports the spec says nothing of, each once."""
        for here, there in sorted(self._far.items()):
            known = here in self._fabric.peers or there in self._fabric.peers
            if not known and (here < there or self._far.get(there) != here):
                self._say(f"{here} is wired to {there}, which the spec does not mention; add a link, or pull the cable")

    def _port(self, dpid: int, number: int) -> Port:
        return Port(self._fabric.switch_of.get(dpid, f"{dpid:016x}"), number)

    def _say(self, message: str) -> None:
        self.findings.append(Finding(Severity.WARNING, message))

"""Reads the fabric out of a site: switches, trunks between them, and places at their ports. Pure.

A *place* is a cluster or an access point: where frames enter and leave. A *trunk* joins two switches. Every port that
a link uses owns one bit of its area.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from ipaddress import IPv6Address

from msgspec import Struct, field

from providers.sdn.bits import CAPACITY
from specs.errors import Diagnostic, Severity, SpecError
from specs.model import Link, Position, Site, Switch
from specs.values import Properties, Value

_DATABASE = re.compile(r"tcp:\S+:\d{1,5}|unix:/\S+")
HIGHEST_PORT = 250
"""Every port has the table of its number, and a switch has 254 tables."""


class Port(Struct, frozen=True, order=True):
    """A port of a switch, written `s1:3`."""

    switch: str
    number: int

    def __str__(self) -> str:
        return f"{self.switch}:{self.number}"


class Bridge(Struct, frozen=True, kw_only=True):
    """A switch of the fabric."""

    name: str
    dpid: int
    area: str
    location: str
    highest_port: int
    """The highest port number the spec uses or announces."""
    ovsdb: str = ""
    """Where its database is, if its ports are to have queues."""


class Trunk(Struct, frozen=True, kw_only=True):
    """A cable between two switches; it carries frames both ways."""

    name: str
    ends: tuple[Port, Port]
    cost: float
    latency_ms: float
    bandwidth_mbps: float


class Place(Struct, frozen=True, kw_only=True):
    """A cluster or an access point, and the port it hangs on."""

    name: str
    link: str
    port: Port
    cost: float
    latency_ms: float
    bandwidth_mbps: float
    mac: str = ""
    """Where frames for the place are addressed to; empty if the spec does not say."""
    devices: Mapping[str, str] = field(default_factory=dict)
    """Address of a user's device → its MAC address; only at access points."""
    users: bool = False
    """Whether it is an access point."""


class Fabric(Struct, frozen=True, kw_only=True, dict=True):
    """The fabric as the spec draws it."""

    bridges: Mapping[str, Bridge]
    trunks: Mapping[str, Trunk]
    places: Mapping[str, Place]

    @cached_property
    def links(self) -> Mapping[Port, str]:
        """Every used port → the name of its link, in order."""
        found = {port: trunk.name for trunk in self.trunks.values() for port in trunk.ends}
        found |= {place.port: place.link for place in self.places.values()}
        return dict(sorted(found.items()))

    @cached_property
    def peers(self) -> Mapping[Port, Port]:
        """Both ends of every trunk → the other end."""
        return {here: there for trunk in self.trunks.values() for here, there in (trunk.ends, trunk.ends[::-1])}

    @cached_property
    def neighbours(self) -> Mapping[str, tuple[tuple[Port, Port, Trunk], ...]]:
        """Switch → its trunks as own port, far port, trunk, in the order of their names."""
        found: dict[str, list[tuple[Port, Port, Trunk]]] = {name: [] for name in self.bridges}
        for name in sorted(self.trunks):
            trunk = self.trunks[name]
            for here, there in (trunk.ends, trunk.ends[::-1]):
                found[here.switch].append((here, there, trunk))
        return {name: tuple(trunks) for name, trunks in found.items()}

    @cached_property
    def place_of(self) -> Mapping[Port, Place]:
        """Port → the place that hangs on it."""
        return {place.port: place for place in self.places.values()}

    @cached_property
    def switch_of(self) -> Mapping[int, str]:
        """Data path id → name."""
        return {bridge.dpid: bridge.name for bridge in self.bridges.values()}

    @cached_property
    def device_places(self) -> Mapping[str, str]:
        """Address of a device → the access point it is declared at."""
        return {address: place.name for place in self.places.values() for address in place.devices}

    @cached_property
    def queued(self) -> bool:
        """Whether some switch has queues: then every frame says which one it belongs in."""
        return any(bridge.ovsdb for bridge in self.bridges.values())

    def bandwidth(self, port: Port) -> float:
        """Tell how much the link at a used port carries, in 10^6 bit/s."""
        place = self.place_of.get(port)
        return place.bandwidth_mbps if place is not None else self.trunks[self.links[port]].bandwidth_mbps

    def area(self, switch: str) -> str:
        """Tell the area of a switch."""
        return self.bridges[switch].area

    def ports_of(self, area: str) -> tuple[Port, ...]:
        """Give the used ports of an area, in order."""
        return tuple(port for port in self.links if self.area(port.switch) == area)


def read_fabric(site: Site) -> Fabric:
    """Read the fabric of a site; `SpecError` with everything that is wrong about it, in its places."""
    reader = _Reader(site)
    fabric = reader.fabric()
    if reader.faults:
        raise SpecError(reader.faults)
    return fabric


class _Reader:
    def __init__(self, site: Site) -> None:
        self.faults: list[Diagnostic] = []
        self._site = site
        points = site.properties.get("access_points", {})
        self._points: Mapping[str, Value] = points if isinstance(points, Mapping) else {}
        self._used: dict[Port, str] = {}
        self._places: dict[str, Place] = {}
        self._trunks: dict[str, Trunk] = {}

    def fabric(self) -> Fabric:
        """Read what can be read; faults are collected."""
        for name in sorted(self._site.links):
            self._link(self._site.links[name])
        bridges = {name: self._bridge(self._site.switches[name]) for name in sorted(self._site.switches)}
        self._check_dpids(bridges)
        fabric = Fabric(bridges=bridges, trunks=self._trunks, places=dict(sorted(self._places.items())))
        self._check_areas(fabric)
        self._check_devices(fabric)
        return fabric

    def _fault(self, position: Position, code: str, message: str) -> None:
        self.faults.append(Diagnostic(position.file, position.line, position.column, Severity.ERROR, code, message))

    # --- switches ---

    def _bridge(self, switch: Switch) -> Bridge:
        used = [port.number for port in self._used if port.switch == switch.name]
        said = switch.properties.get("ports")
        return Bridge(
            name=switch.name,
            dpid=self._dpid(switch),
            area=_text(switch.properties, "area"),
            location=_text(switch.properties, "location"),
            highest_port=max([*used, said if isinstance(said, int) else 0]),
            ovsdb=self._ovsdb(switch),
        )

    def _ovsdb(self, switch: Switch) -> str:
        said = switch.properties.get("ovsdb", "")
        if said == "" or (isinstance(said, str) and _DATABASE.fullmatch(said)):
            return said
        message = (
            f"switch {switch.name} cannot be given queues at {said!r}; write ovsdb: tcp:10.0.0.5:6640, or unix:/path"
        )
        self._fault(switch.position, "wrong-ovsdb", message)
        return ""

    def _dpid(self, switch: Switch) -> int:
        said = switch.properties.get("dpid")
        try:
            return int(str(said).replace(":", "").removeprefix("0x"), 16)
        except ValueError:
            hint = "write its data path id in hexadecimal digits, e.g. dpid: '0000000000000001'"
            self._fault(switch.position, "missing-dpid", f"switch {switch.name} cannot be found without a dpid; {hint}")
            return 0

    def _check_dpids(self, bridges: Mapping[str, Bridge]) -> None:
        first: dict[int, str] = {}
        for bridge in bridges.values():
            other = first.setdefault(bridge.dpid, bridge.name)
            if other != bridge.name and bridge.dpid:
                message = f"switches {other} and {bridge.name} have one dpid, {bridge.dpid:x}; correct one of them"
                self._fault(self._site.switches[bridge.name].position, "double-dpid", message)

    # --- links ---

    def _link(self, link: Link) -> None:
        ends = ((link.source, link.source_port), (link.target, link.target_port))
        ports = [Port(name, number) for name, number in ends if name in self._site.switches]
        for port in ports:
            self._take(link, port)
        others = [name for name, _ in ends if name not in self._site.switches]
        for name in others:
            if name not in self._site.clusters and name not in self._points:
                message = f"link {link.name} ends at {name!r}, which is no switch, cluster or access point"
                self._fault(link.position, "unknown-switch", message)
                return
        match ports, others:
            case [one, other], []:
                self._trunk(link, one, other)
            case [port], [name]:
                self._place(link, port, name)
            case _:
                message = f"link {link.name} joins {link.source} and {link.target}; one end must be a switch"
                self._fault(link.position, "link-without-switch", message)

    def _take(self, link: Link, port: Port) -> None:
        if not 1 <= port.number <= HIGHEST_PORT:
            message = f"link {link.name} needs the number of its port at {port.switch}, from 1 to {HIGHEST_PORT}"
            self._fault(link.position, "missing-port", f"{message}, not {port.number}")
        elif (other := self._used.setdefault(port, link.name)) != link.name:
            message = f"port {port.number} of {port.switch} is used by {other} and by {link.name}; give one another"
            self._fault(link.position, "port-used-twice", message)

    def _trunk(self, link: Link, one: Port, other: Port) -> None:
        if one.switch == other.switch:
            message = f"link {link.name} joins {one.switch} with itself; name two switches"
            self._fault(link.position, "link-to-itself", message)
            return
        self._trunks[link.name] = Trunk(
            name=link.name,
            ends=(one, other),
            cost=link.cost,
            latency_ms=link.latency_ms,
            bandwidth_mbps=link.bandwidth_mbps,
        )

    def _place(self, link: Link, port: Port, name: str) -> None:
        if name in self._places:
            message = f"{name} is attached by {self._places[name].link} and by {link.name}; one link is enough"
            self._fault(link.position, "attached-twice", message)
            return
        cluster = self._site.clusters.get(name)
        point = self._points.get(name)
        said: Properties = cluster.properties if cluster else point if isinstance(point, Mapping) else {}
        self._places[name] = Place(
            name=name,
            link=link.name,
            port=port,
            cost=link.cost,
            latency_ms=link.latency_ms,
            bandwidth_mbps=link.bandwidth_mbps,
            mac=_text(said, "mac").lower(),
            devices={} if cluster else self._devices(name, said),
            users=cluster is None,
        )

    def _devices(self, point: str, said: Properties) -> dict[str, str]:
        written = said.get("devices", {})
        found: dict[str, str] = {}
        for name, device in sorted(written.items()) if isinstance(written, Mapping) else ():
            match device:
                case {"address": str() as address, **more} if (plain := plain_address(address)) is not None:
                    found[plain] = str(more.get("mac", "")).lower() or mac_of(plain) or _text(said, "mac").lower()
                case _:
                    message = f"device {name} of {point} needs an IPv6 address: {name}: {{address: 'fd00::1', mac: …}}"
                    self._fault(self._site.position, "missing-address", message)
        for address in (address for address, mac in found.items() if not mac):
            self._fault(self._site.position, "missing-mac", f"the device {address} of {point} needs a mac; add it")
        return found

    # --- the whole ---

    def _check_areas(self, fabric: Fabric) -> None:
        for trunk in fabric.trunks.values():
            areas = [self._site.switches[port.switch].properties.get("area") for port in trunk.ends]
            if areas[0] != areas[1] and not all(areas):
                bare = next(port.switch for port, area in zip(trunk.ends, areas, strict=True) if not area)
                message = (
                    f"link {trunk.name} leaves area {areas[0] or areas[1]} for {bare}, which has none; give it one"
                )
                self._fault(self._site.links[trunk.name].position, "link-between-areas", message)
        used = Counter(fabric.area(port.switch) for port in fabric.links)
        for area, ports in sorted(used.items()):
            if ports > CAPACITY:
                where = f"area {area}" if area else "the site"
                first = min(name for name, bridge in fabric.bridges.items() if bridge.area == area)
                message = f"{where} uses {ports} ports, and an area has {CAPACITY} bits; divide its switches into areas"
                self._fault(self._site.switches[first].position, "bits-exhausted", message)

    def _check_devices(self, fabric: Fabric) -> None:
        owners = Counter(address for place in fabric.places.values() for address in place.devices)
        for address in sorted(address for address, times in owners.items() if times > 1):
            message = f"the device {address} is declared at {owners[address]} access points; leave it at one"
            self._fault(self._site.position, "device-twice", message)


def plain_address(text: str) -> str | None:
    """Give an IPv6 address in its one form, or nothing for what is none."""
    try:
        return str(IPv6Address(text.partition("/")[0]))
    except ValueError:
        return None


def mac_of(address: str) -> str:
    """Read the MAC address out of an address that was made from one; empty for any other."""
    data = IPv6Address(address).packed[8:]
    if data[3:5] != b"\xff\xfe":
        return ""
    return bytes([data[0] ^ 2, *data[1:3], *data[5:]]).hex(":")


def _text(properties: Properties, name: str) -> str:
    value = properties.get(name)
    return value if isinstance(value, str) else ""

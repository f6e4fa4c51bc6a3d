"""What the emulated site works out by itself: defaults, addresses, and what TOSCA calls attributes."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from msgspec import Struct
from msgspec.structs import replace

from providers.base import PermanentError, QuotaExceeded
from providers.sandpit.objects import Thing, get
from specs.model import parse_address
from specs.values import Properties, Value

_PUBLIC = -1
"""Stands for the site's pool of public addresses where a network's number is asked for."""
_PUBLIC_RANGE = ip_network("198.18.0.0/15")  # RFC 2544: for tests, never routed
_GREATEST_HOST = 2**62
_REACHED = ("private_address", "public_address", "ip_address")

_network = lru_cache(maxsize=1024)(ip_network)
"""Reads a network as text; everything on it asks for it again."""

_DEFAULTS: Mapping[str, Properties] = {
    "image": {"format": "raw"},
    "network": {"dhcp_enabled": True, "ip_version": 4, "mtu": 1500},
    "port": {"admin_state_up": True},
    "volume": {"volume_type": "standard"},
    "server": {"hypervisor": "kvm", "boot_mode": "uefi"},
    "workload": {"restart": "always"},
    "software": {},
    "path": {"priority": 100},
    "name": {"ttl_seconds": 60},
}


def with_defaults(kind: str, number: int, properties: Properties) -> Properties:
    """Add what the site chooses where nothing was said."""
    found = {**_DEFAULTS[kind], **properties}
    if kind == "network" and "cidr" not in found:
        high, low = divmod(number, 2**8)
        six = f"fd00:0:{number >> 16 & 0xFFFF:x}:{number & 0xFFFF:x}::/64"
        found["cidr"] = six if found["ip_version"] == 6 else f"10.{high % 2**8}.{low}.0/24"
    return found


def with_attributes(connection: sqlite3.Connection, thing: Thing, parts: Mapping[str, Thing]) -> Thing:
    """Give the object with its attributes, for what it is made of; an address it already has stays."""
    found: dict[str, Value] = {"id": thing.id, "tosca_id": thing.id}
    if thing.mark is not None:
        found["tosca_name"] = parse_address(thing.mark.address).node
    match thing.kind:
        case "network":
            _keep_gateway(connection, thing)
            found["segmentation_id"] = thing.properties.get("segmentation_id", str(thing.number))
        case "port":
            found |= _port(connection, thing, parts)
        case "volume":
            found["volume_id"] = thing.id
        case "server":
            found |= _server(connection, thing, parts)
        case "workload":
            found |= _workload(connection, thing, parts)
        case "software":
            host = parts.get(str(thing.properties.get("host", "")))
            theirs = host.attributes if host else {}
            found |= {name: theirs[name] for name in _REACHED if name in theirs}
    return replace(thing, attributes=found)


def _port(connection: sqlite3.Connection, port: Thing, parts: Mapping[str, Thing]) -> dict[str, Value]:
    number = port.number
    mac = f"02:00:{number >> 24 & 255:02x}:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
    network = _network_of(port, parts)
    private = _address_on(connection, network, port) if network else ""
    return {"mac_address": mac, **(_known_as(private) if private else {})}


def _known_as(address: str) -> dict[str, Value]:
    """Give the address of a port under each name TOSCA has for it."""
    return {"ip_address": address, "private_address": address, "address": address}


def _workload(connection: sqlite3.Connection, workload: Thing, parts: Mapping[str, Thing]) -> dict[str, Value]:
    network = _network_of(workload, parts)
    private = _address_on(connection, network, workload) if network else ""
    found: dict[str, Value] = {"public_address": _public(connection, workload)}
    if network:
        found |= {"private_address": private, "ip_address": private, "networks": {network.name: _on(network, private)}}
    return found


def _network_of(thing: Thing, parts: Mapping[str, Thing]) -> Thing | None:
    return parts.get(str(thing.properties.get("network", "")))


def _server(connection: sqlite3.Connection, server: Thing, parts: Mapping[str, Thing]) -> dict[str, Value]:
    networks: dict[str, Value] = {}
    ports: dict[str, Value] = {}
    private: list[Value] = []
    for port in filter(None, map(parts.get, _ids(server.properties.get("ports")))):
        network = get(connection, str(port.properties.get("network", "")))
        if network is not None and "ip_address" in port.attributes:
            private.append(port.attributes["ip_address"])
            networks[network.name] = _on(network, port.attributes["ip_address"])
            ports[port.name] = {
                "port_id": port.id,
                "port_name": port.name,
                "network_id": network.id,
                "mac_address": port.attributes["mac_address"],
                "addresses": [port.attributes["ip_address"]],
            }
    found: dict[str, Value] = {"networks": networks, "ports": ports, "public_address": _public(connection, server)}
    return found | ({"private_address": private[0], "ip_address": private[0]} if private else {})


def _on(network: Thing, address: Value) -> Value:
    return {"network_id": network.id, "network_name": network.name, "addresses": [address]}


def _ids(value: Value) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


# --- addresses -------------------------------------------------------------------------------------


class _Range(Struct, frozen=True):
    """The hosts of a network which may be given away, counted from its first address."""

    network: IPv4Network | IPv6Network
    first: int
    last: int

    def text(self, host: int) -> str:
        return str(self.network[host])


def _address_on(connection: sqlite3.Connection, network: Thing, thing: Thing) -> str:
    """Give the object's address on its network."""
    hosts = _range(network)
    wanted = thing.properties.get("ip_address")
    if wanted is not None:
        return hosts.text(_take(connection, network, thing, _host(hosts, "ip_address", wanted)))
    first, last = thing.properties.get("ip_range_start"), thing.properties.get("ip_range_end")
    hosts = replace(
        hosts,
        first=hosts.first if first is None else _host(hosts, "ip_range_start", first),
        last=hosts.last if last is None else _host(hosts, "ip_range_end", last),
    )
    return hosts.text(_allocate(connection, network.number, thing.number, hosts, f"{network.kind} {network.name}"))


def _keep_gateway(connection: sqlite3.Connection, network: Thing) -> None:
    hosts = _range(network)
    gateway = network.properties.get("gateway_ip")
    if gateway is not None:
        host = _host(hosts, "gateway_ip", gateway)
        connection.execute("INSERT OR IGNORE INTO addresses VALUES (?, ?, ?)", (network.number, host, network.number))


def _public(connection: sqlite3.Connection, thing: Thing) -> str:
    hosts = _Range(_PUBLIC_RANGE, 1, _PUBLIC_RANGE.num_addresses - 2)
    return hosts.text(_allocate(connection, _PUBLIC, thing.number, hosts, "the pool of public addresses"))


def _range(network: Thing) -> _Range:
    """Read what may be given away on a network; `PermanentError` if it makes no sense."""
    cidr = network.properties.get("cidr")
    try:
        whole = _network(str(cidr))
    except ValueError as error:
        raise PermanentError(
            f"network {network.name}: cidr {cidr!r} is no network; write one such as 10.0.0.0/24"
        ) from error
    hosts = _Range(whole, 2, min(max(whole.num_addresses - 2, 2), _GREATEST_HOST))
    start, end = network.properties.get("start_ip"), network.properties.get("end_ip")
    return replace(
        hosts,
        first=hosts.first if start is None else _host(hosts, "start_ip", start),
        last=hosts.last if end is None else _host(hosts, "end_ip", end),
    )


def _host(hosts: _Range, name: str, value: Value) -> int:
    try:
        wanted: IPv4Address | IPv6Address = ip_address(str(value))
    except ValueError as error:
        raise PermanentError(f"{name} {value!r} is no address; write one of {hosts.network}") from error
    if wanted not in hosts.network or (number := int(wanted) - int(hosts.network[0])) > _GREATEST_HOST:
        raise PermanentError(f"{name} {value} is not in {hosts.network}")
    return number


def _take(connection: sqlite3.Connection, network: Thing, thing: Thing, host: int) -> int:
    row = connection.execute("SELECT owner FROM addresses WHERE network = ? AND host = ?", (network.number, host))
    owner = row.fetchone()
    if owner is not None and owner[0] != thing.number:
        raise PermanentError(
            f"{thing.kind} {thing.name}: {thing.properties['ip_address']} is taken on network {network.name}"
        )
    connection.execute("INSERT OR REPLACE INTO addresses VALUES (?, ?, ?)", (network.number, host, thing.number))
    return host


def _allocate(connection: sqlite3.Connection, network: int, owner: int, hosts: _Range, what: str) -> int:
    """Give the owner's address, or the one after the highest, or the lowest free one."""
    within = {"network": network, "owner": owner, "first": hosts.first, "last": hosts.last}
    mine, highest = connection.execute(
        "SELECT (SELECT host FROM addresses WHERE owner = :owner AND network = :network),"
        " (SELECT max(host) FROM addresses WHERE network = :network AND host BETWEEN :first AND :last)",
        within,
    ).fetchone()
    if mine is not None:
        return int(mine)
    host = hosts.first if highest is None else highest + 1
    if host > hosts.last:
        host = _gap(connection, within)
    if host is None or host > hosts.last:
        raise QuotaExceeded(
            f"{what} has no free address between {hosts.text(hosts.first)} and {hosts.text(hosts.last)}"
        )
    connection.execute("INSERT INTO addresses VALUES (?, ?, ?)", (network, host, owner))
    return int(host)


def _gap(connection: sqlite3.Connection, within: Mapping[str, int]) -> int | None:
    """Find the lowest free host; the hosts before `first` count as taken."""
    row = connection.execute(
        "SELECT min(host) + 1 FROM (SELECT :first - 1 AS host UNION ALL"
        " SELECT host FROM addresses WHERE network = :network AND host BETWEEN :first AND :last) AS taken"
        " WHERE NOT EXISTS (SELECT 1 FROM addresses a WHERE a.network = :network AND a.host = taken.host + 1)",
        within,
    ).fetchone()
    return row[0] if row else None

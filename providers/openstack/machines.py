"""How a server of Nova reads in the words of the spec. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.base import Health
from providers.openstack.cloud import Json
from providers.openstack.marks import is_ours
from providers.openstack.record import PREFIX, Record, unpack
from providers.openstack.sight import Sight
from specs.values import Properties, Value

_BUSY = frozenset(
    {"BUILD", "REBUILD", "REBOOT", "HARD_REBOOT", "RESIZE", "REVERT_RESIZE", "MIGRATING", "PASSWORD", "UNKNOWN"}
)
_RUNNING = frozenset(
    {"ACTIVE", "RESIZE", "VERIFY_RESIZE", "MIGRATING", "REBOOT", "HARD_REBOOT", "REBUILD", "BUILD", "DELETED"}
)
"""Nothing has to be started: it runs, will run, or is listed for the moment until its host has let go of it."""
_REMOVING = frozenset({"deleting", "soft-deleting"})
_NO_HOST = ("No valid host was found", "Exhausted all hosts")
_SPENT = "Quota exceeded"
"""Nova counts once more after it has taken a server; of several at once the last may come too late."""


def record_of(row: Json) -> Record:
    """Give what was asked of a server and what was chosen for it."""
    return unpack(row.get("metadata") or {})


def read_server(row: Json, record: Record, sight: Sight) -> dict[str, Value]:
    """Give the properties of a server."""
    metadata: Mapping[str, str] = row.get("metadata") or {}
    asked, chosen = record
    found: dict[str, Value] = {
        "name": row["name"],
        "running": row["status"] in _RUNNING or row.get("OS-EXT-STS:task_state") == "powering-on",
        "launched": _launched(row),
        "metadata": {key: value for key, value in sorted(metadata.items()) if not key.startswith(PREFIX)},
        "tags": sorted(tag for tag in row.get("tags") or () if not is_ours(tag)),
        "key": row.get("key_name") or "",
    }
    if zone := row.get("OS-EXT-AZ:availability_zone"):
        found["availability_zone"] = zone
    elif "OS-EXT-AZ:availability_zone" in row and "zone" in chosen:
        found["availability_zone"] = chosen["zone"]
    if group := sight.group(str(row["id"])):
        found["group"] = group
    found |= _size(row, asked, chosen) | _image(row, asked, chosen) | _devices(row, asked, sight)
    return found | {name: asked[name] for name in _AS_ASKED if name in asked}


_AS_ASKED = ("scheduler_hints", "boot_volume_gb", "environment", "software")


def _launched(row: Json) -> bool:
    """Tell whether it ever ran, or may yet: one that failed to build has to be made anew."""
    return row["status"] != "ERROR" or row.get("OS-SRV-USG:launched_at") is not None


def _size(row: Json, asked: Properties, chosen: Mapping[str, str]) -> dict[str, Value]:
    """Give what was asked for as long as the flavor is the one chosen for it, else what there is."""
    flavor = row.get("flavor") or {}
    if row["status"] == "VERIFY_RESIZE":
        return {"flavor": "not confirmed"}
    found: dict[str, Value] = {"flavor": flavor.get("original_name", "")}
    if chosen.get("flavor") == flavor.get("original_name"):
        return found | {name: asked[name] for name in ("vcpus", "ram_mib", "disk_gib", "extra_specs") if name in asked}
    return {**found, "vcpus": flavor.get("vcpus"), "ram_mib": flavor.get("ram"), "disk_gib": flavor.get("disk")}


def _image(row: Json, asked: Properties, chosen: Mapping[str, str]) -> dict[str, Value]:
    """Give what was asked for as long as the image is the one chosen for it, else the image's id."""
    image = row.get("image")
    number = str(image["id"]) if isinstance(image, Mapping) else chosen.get("image", "")
    found: dict[str, Value] = {"image": number}
    if number == chosen.get("image"):
        return found | {name: asked[name] for name in ("os", "image_name") if name in asked}
    return found


def _devices(row: Json, asked: Properties, sight: Sight) -> dict[str, Value]:
    """Give ports and volumes that are there, in the order in which they were asked for."""
    attached = {str(port["id"]) for port in sight.ports(str(row["id"]))}
    order = _texts(asked.get("ports"))
    ports: list[Value] = [port for port in order if port in attached]
    ports += sorted(attached - set(order))
    if row["status"] == "BUILD":  # nothing is attached yet, and all of it will be
        return {"ports": [*order], "volumes": _list(asked.get("volumes"))}
    there = {str(one["id"]) for one in row.get("os-extended-volumes:volumes_attached") or ()}
    known = [one for one in _list(asked.get("volumes")) if isinstance(one, Mapping) and one.get("volume") in there]
    named = {one["volume"] for one in known}
    more = [] if "boot_volume_gb" in asked else [{"volume": number} for number in sorted(there - named)]
    return {"ports": ports, "volumes": [*known, *more]}


def _list(found: Value) -> list[Any]:
    return list(found) if isinstance(found, list) else []


def _texts(found: Value) -> list[str]:
    return [str(one) for one in _list(found)]


def attributes_of(row: Json, record: Record, sight: Sight) -> dict[str, Value]:
    """Give what is known once a server is there: addresses, networks and ports, first things first."""
    order = _texts(record[0].get("ports"))
    ports = sorted(
        sight.ports(str(row["id"])),
        key=lambda port: (order.index(port["id"]) if port["id"] in order else 99, port["id"]),
    )
    found: dict[str, Value] = {
        "ports": {str(number): _port_info(port) for number, port in enumerate(ports)},
        "networks": _networks(ports, sight),
    }
    addresses = [address for port in ports for address in _addresses(port)]
    if addresses:
        found |= {"private_address": addresses[0], "ip_address": addresses[0]}
    if public := next(filter(None, (sight.floating(str(port["id"])) for port in ports)), ""):
        found["public_address"] = public
    return found


def _port_info(port: Json) -> dict[str, Value]:
    return {
        "port_name": port["name"],
        "port_id": port["id"],
        "network_id": port["network_id"],
        "mac_address": port["mac_address"],
        "addresses": [*_addresses(port)],
    }


def _networks(ports: list[Json], sight: Sight) -> dict[str, Value]:
    found: dict[str, dict[str, Value]] = {}
    for port in ports:
        name = sight.network_name(str(port["network_id"]))
        entry = found.setdefault(name, {"network_name": name, "network_id": port["network_id"], "addresses": []})
        entry["addresses"] = [*_list(entry["addresses"]), *_addresses(port)]
    return dict(found)


def _addresses(port: Json) -> list[str]:
    return [str(one["ip_address"]) for one in port.get("fixed_ips", ())]


def health_of(row: Json) -> tuple[Health, str]:
    """Say how a server is doing, with Nova's own words where something failed."""
    status, task = str(row["status"]), row.get("OS-EXT-STS:task_state")
    if task in _REMOVING or status == "DELETED":
        return Health.PROGRESSING, "it is being deleted"
    if status == "ERROR":
        return Health.DEGRADED, _fault(row)
    if status == "VERIFY_RESIZE":
        return Health.PROGRESSING, "its new size is not confirmed"
    if task or status in _BUSY:
        return Health.PROGRESSING, f"{status.lower()}{f', {task}' if task else ''}"
    if status != "ACTIVE":
        return Health.DEGRADED, f"it is {status.lower()}; the next turn starts it"
    return Health.HEALTHY, ""


def found_no_room(row: Json) -> bool:
    """Tell whether it failed because no host took it, or because a quota was spent while it was on its way."""
    message = _message(row)
    full = is_no_host(message) or _SPENT in message
    return row["status"] == "ERROR" and not _launched(row) and full


def is_no_host(message: str) -> bool:
    """Tell whether Nova says that no host has room."""
    return any(words in message for words in _NO_HOST)


def _message(row: Json) -> str:
    return str((row.get("fault") or {}).get("message") or "Nova gives no reason").rstrip(". ")


def _fault(row: Json) -> str:
    message = _message(row)
    if is_no_host(message):
        flavor = row.get("flavor") or {}
        size = f"{flavor.get('vcpus')} vCPU, {flavor.get('ram')} MiB memory, {flavor.get('disk')} GiB disk"
        return f"{message}: no host takes {size}; free some, ask for less, or place it elsewhere"
    return message

"""Says before anything is tried what the cloud would refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from providers.base import Finding, PermanentError, Present, ProviderError, Snapshot, unknown_reason
from providers.openstack.cloud import MICROVERSION, Cloud, Json, Service
from providers.openstack.images import image_named, image_of_system
from providers.openstack.networks import network_named
from providers.openstack.neutron import FORMS
from providers.openstack.nova import all_flavors, smallest
from providers.openstack.settings import Settings
from specs.errors import Severity
from specs.model import Address, Resource, parse_address
from specs.values import Properties

_QUOTAS = {
    "network": "network",
    "subnet": "subnet",
    "port": "port",
    "router": "router",
    "floating_ip": "floatingip",
    "security_group": "security_group",
}
"""Kind → quota of the network service."""
_SERVICES = {"volume": (Service.VOLUME, "volumes"), "stack": (Service.STACK, "Heat stacks")}


def examine(
    cloud: Cloud, settings: Settings, wanted: Mapping[Address, Resource], snapshot: Snapshot
) -> tuple[Finding, ...]:
    """Find what cannot be made; nothing is said about what already is, or about what cannot be seen.

    What is surplus counts as free: a plan removes it, and what found no room waits for that.
    """
    if "*" in snapshot.unknown or not wanted:
        return ()
    there = {present.address for present in snapshot.present}
    new = [wanted[address] for address in sorted(wanted.keys() - there) if _visible(address, snapshot)]
    surplus = [present for present in snapshot.present if present.address not in wanted]
    found: list[Finding] = []
    for look in (_too_old, _lacking, _unnamed, _placeless, _sizeless, _crowded, _over_quota, _full):
        try:
            found += look(_Case(cloud, settings, new, surplus))
        except ProviderError:  # what does not answer now is reported by `observe`, or comes up in apply
            continue
    return tuple(found)


class _Case:
    """What is examined."""

    def __init__(self, cloud: Cloud, settings: Settings, new: Sequence[Resource], surplus: Sequence[Present]) -> None:
        self.cloud = cloud
        self.settings = settings
        self.new = new
        self.surplus = surplus

    def of(self, kind: str) -> list[Resource]:
        """Give the new resources of a kind."""
        return [resource for resource in self.new if resource.kind == kind]

    def surplus_of(self, kind: str) -> list[Present]:
        """Give what a plan may remove first."""
        return [present for present in self.surplus if parse_address(present.address).kind == kind]


def _visible(address: Address, snapshot: Snapshot) -> bool:
    parts = parse_address(address)
    return unknown_reason(snapshot, parts.kind, parts.cluster) is None


def _error(resource: Resource, message: str) -> Finding:
    return Finding(Severity.ERROR, message, resource.address)


def _too_old(case: _Case) -> Iterator[Finding]:
    """Look whether Nova knows the version all calls are made in."""
    version = case.cloud.remember("microversion", lambda: _newest(case.cloud))
    if _number(version) < _number(MICROVERSION):
        message = f"compute knows versions up to {version or 'none'}, {MICROVERSION} is needed (Rocky, 2018)"
        yield Finding(Severity.ERROR, message)


def _newest(cloud: Cloud) -> str:
    return str(
        cloud.call(Service.COMPUTE, "GET", "/", doing="read the version of compute").get("version", {}).get("version")
    )


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _lacking(case: _Case) -> Iterator[Finding]:
    """Look for services and extensions that are not there."""
    for resource in case.new:
        form = FORMS.get(resource.kind)
        if form is not None and form.extension and form.extension not in case.cloud.extensions():
            yield _error(
                resource, f"the network service has no extension {form.extension}, which {resource.kind} needs"
            )
        service = _SERVICES.get(resource.kind)
        if service is not None and not case.cloud.has(service[0]):
            yield _error(
                resource,
                f"the cloud has no {service[1]} ({service[0]} service); take {resource.kind} out, or install it",
            )
        if resource.properties.get("boot_volume_gb") and not case.cloud.has(Service.VOLUME):
            yield _error(resource, "the cloud has no volumes to boot from (boot_volume_gb); boot from the image")


def _unnamed(case: _Case) -> Iterator[Finding]:
    """Look for networks and images that are to be there and are not."""
    asked: dict[str, str] = {}

    def ask(key: str, find: Callable[[], str]) -> str:
        if key not in asked:
            try:
                find()
                asked[key] = ""
            except PermanentError as error:
                asked[key] = str(error)
        return asked[key]

    for resource in case.new:
        for key, find in _lookups(case.cloud, resource.properties):
            if message := ask(key, find):
                yield _error(resource, message)


def _lookups(cloud: Cloud, said: Properties) -> Iterator[tuple[str, Callable[[], str]]]:
    """Give what a resource takes for granted, each with a way to find it."""
    network, image, system = said.get("network_name"), said.get("image_name"), said.get("os")
    if network:
        yield f"network {network}", lambda: network_named(cloud, str(network))
    if image:
        yield f"image {image}", lambda: image_named(cloud, str(image), "choose an image")
    if isinstance(system, Mapping):
        yield f"os {dict(system)}", lambda: image_of_system(cloud, system, "choose an image")


def _placeless(case: _Case) -> Iterator[Finding]:
    """Look for availability zones that are not there, or are out of work."""
    servers = [one for one in case.of("server") if one.properties.get("availability_zone")]
    if not servers:
        return
    found = case.cloud.call(Service.COMPUTE, "GET", "/os-availability-zone", doing="list availability zones")
    zones = {str(row["zoneName"]): bool(row["zoneState"]["available"]) for row in found["availabilityZoneInfo"]}
    for resource in servers:
        zone = str(resource.properties["availability_zone"])
        if zone not in zones:
            yield _error(
                resource, f"there is no availability zone {zone}; there are {', '.join(sorted(zones)) or 'none'}"
            )
        elif not zones[zone]:
            yield _error(resource, f"no host of availability zone {zone} is at work")


def _sizeless(case: _Case) -> Iterator[Finding]:
    """Look for sizes no flavor has."""
    servers = [one for one in case.of("server") if "flavor" not in one.properties]
    if not servers:
        return
    flavors = all_flavors(case.cloud)
    for resource in servers:
        try:
            smallest(flavors, resource.properties, f"create {resource.address}")
        except PermanentError as error:
            yield _error(resource, str(error))


def _crowded(case: _Case) -> Iterator[Finding]:
    """Compare what is new with the quotas of the network service."""
    if not any(case.of(kind) for kind in _QUOTAS):
        return
    path = f"/quotas/{case.cloud.project}/details.json"
    quota = case.cloud.call(Service.NETWORK, "GET", path, doing="read the quotas of the network service")["quota"]
    for kind, name in _QUOTAS.items():
        limits = quota.get(name) or {}
        room = _room(limits.get("limit", -1), limits.get("used", 0), limits.get("reserved", 0))
        room += len(case.surplus_of(kind))
        for number, resource in enumerate(case.of(kind), start=1):
            if number > room:
                yield _error(resource, _spent(f"{name}s", limits.get("limit"), limits.get("used"), len(case.of(kind))))


def _over_quota(case: _Case) -> Iterator[Finding]:
    """Compare new servers with the quotas of Nova: instances, cores and memory."""
    servers = case.of("server")
    if not servers:
        return
    path = f"/os-quota-sets/{case.cloud.project}/detail"
    quota = case.cloud.call(Service.COMPUTE, "GET", path, doing="read the quotas of compute")["quota_set"]
    sizes = [_size(case, resource) for resource in servers]
    for name, word, said in (("instances", "", ""), ("cores", "vcpus", "vcpus"), ("ram", "ram", "ram_mib")):
        limits = quota[name]
        room = _room(limits["limit"], limits["in_use"], limits["reserved"])
        room += sum(_whole(one.properties, said) if said else 1 for one in case.surplus_of("server"))
        needs = [int(size.get(word, 0)) if word else 1 for size in sizes]
        spent = 0
        for resource, need in zip(servers, needs, strict=True):
            spent += need
            if spent > room:
                yield _error(resource, _spent(name, limits["limit"], limits["in_use"], sum(needs)))


def _size(case: _Case, resource: Resource) -> Json:
    said: Properties = resource.properties
    try:
        return smallest(all_flavors(case.cloud), said, "choose") if "flavor" not in said else {}
    except PermanentError:
        return {}


def _room(limit: int, used: int, reserved: int) -> int:
    return 10**9 if limit < 0 else max(0, limit - used - reserved)


def _spent(name: str, limit: object, used: object, wanted: int) -> str:
    return f"quota of {name}: {used} of {limit} are used, this plan needs {wanted} more; free some, or ask for more"


def _full(case: _Case) -> Iterator[Finding]:
    """Compare new servers with what hosts have left in their zone, where the credentials let us look."""
    servers = [one for one in case.of("server") if one.properties.get("vcpus")]
    if not servers:
        return
    room = _free(case.cloud)
    for present in case.surplus_of("server"):
        for zone in {"", str(present.properties.get("availability_zone", ""))} & room.keys():
            room[zone] += _whole(present.properties, "vcpus")
    asked: dict[str, list[Resource]] = {}
    for resource in servers:
        asked.setdefault(str(resource.properties.get("availability_zone", "")), []).append(resource)
    for zone, resources in asked.items():
        if zone in room:
            spent = 0
            wanted = sum(_whole(one.properties, "vcpus") for one in resources)
            for resource in resources:
                spent += _whole(resource.properties, "vcpus")
                if spent > room[zone]:
                    cluster = parse_address(resource.address).cluster or zone
                    yield _error(resource, f"{cluster} has {room[zone]} vCPU free, this plan needs {wanted}")


def _whole(properties: Properties, name: str) -> int:
    found = properties.get(name)
    return found if isinstance(found, int) else 0


def _free(cloud: Cloud) -> dict[str, int]:
    """Give the free vCPUs by zone, as Placement counts them; the empty zone is all. Only administrators may look."""
    found: dict[str, int] = {"": 0}
    zones = cloud.call(Service.COMPUTE, "GET", "/os-availability-zone/detail", doing="list the hosts of zones")
    of_host = {host: str(row["zoneName"]) for row in zones["availabilityZoneInfo"] for host in row.get("hosts") or ()}
    for row in cloud.pages(Service.COMPUTE, "/os-hypervisors/detail", "hypervisors"):
        if row["state"] == "up" and row["status"] == "enabled":
            free = _free_cores(cloud, str(row["id"]))
            for zone in ("", of_host.get(str(row["service"]["host"]), "")):
                found[zone] = found.get(zone, 0) + max(0, free)
    return found


def _free_cores(cloud: Cloud, host: str) -> int:
    where, doing = f"/resource_providers/{host}", "read what a host has left"
    stock = cloud.call(Service.PLACEMENT, "GET", f"{where}/inventories", doing=doing)["inventories"].get("VCPU")
    used = cloud.call(Service.PLACEMENT, "GET", f"{where}/usages", doing=doing)["usages"].get("VCPU", 0)
    return int((stock["total"] - stock["reserved"]) * stock["allocation_ratio"]) - int(used) if stock else 0

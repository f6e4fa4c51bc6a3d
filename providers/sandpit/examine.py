"""Says before anything is tried what the emulated site would refuse."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set

from providers.base import Finding, Present, ProviderError, Snapshot, unknown_reason
from providers.sandpit.fabric import Ways, ways_from
from providers.sandpit.objects import name_of, takes
from providers.sandpit.place import PROVIDER
from providers.sandpit.world import World, name_taken, quota_spent, shortage
from specs.errors import Severity
from specs.model import Address, Capacity, Resource, Site, parse_address
from specs.shares import ByService, Share
from specs.values import Properties

_PATH = f":{PROVIDER}.path"


def examine(world: World, site: Site, wanted: Mapping[Address, Resource], snapshot: Snapshot) -> tuple[Finding, ...]:
    """Find what cannot be made; nothing is said about what already is, or about what cannot be seen.

    What is surplus counts as free: a plan may remove it first.
    """
    wanted = wanted if isinstance(wanted, ByService) else ByService.of(wanted.items())
    there = snapshot.by_address
    missing = wanted.beyond(there)
    unwanted = there.beyond(wanted) if len(there) > len(wanted) - len(missing) else set()
    new = [wanted[address] for address in sorted(missing) if _visible(address, snapshot)]
    surplus = [present for present in snapshot.present if present.address in unwanted] if unwanted else []
    try:
        return (
            *(_taken(world, new, {present.provider_id for present in snapshot.present}) if new else ()),
            *_over_quota(world, new, surplus),
            *_over_capacity(world, new, surplus),
            *_cut_off(site, wanted),
        )
    except ProviderError:  # a site that does not answer is reported by `observe`
        return ()


def _visible(address: Address, snapshot: Snapshot) -> bool:
    parts = parse_address(address)
    return unknown_reason(snapshot, parts.kind, parts.cluster) is None


def _taken(world: World, new: Iterable[Resource], ours: Set[str]) -> Iterator[Finding]:
    for resource in new:
        for other in world.namesakes(resource.kind, resource.properties):
            if other not in ours:
                message = name_taken(other, name_of(resource.properties), resource.address)
                yield Finding(Severity.ERROR, message, resource.address)


def _over_quota(world: World, new: Iterable[Resource], surplus: Iterable[Present]) -> Iterator[Finding]:
    room = {kind: limit - world.count(kind) for kind, limit in world.settings.quota.items()}
    for kind in (parse_address(present.address).kind for present in surplus):
        if kind in room:
            room[kind] += 1
    for resource in new:
        if resource.kind in room:
            room[resource.kind] -= 1
            if room[resource.kind] < 0:
                message = quota_spent(resource.kind, world.settings.quota[resource.kind], resource.address)
                yield Finding(Severity.ERROR, message, resource.address)


def _over_capacity(world: World, new: Iterable[Resource], surplus: Iterable[Present]) -> Iterator[Finding]:
    room: dict[str, Capacity] = {}
    needs = [(resource, takes(resource.kind, resource.properties)) for resource in new]
    needs = [(resource, need) for resource, need in needs if need != Capacity()]
    for cluster in sorted({_cluster(resource.properties) for resource, _ in needs}):
        freed = [
            takes(parse_address(p.address).kind, p.properties) for p in surplus if _cluster(p.properties) == cluster
        ]
        room[cluster] = sum(freed, world.room(cluster))
    for resource, need in needs:
        cluster = _cluster(resource.properties)
        if short := shortage(cluster, room[cluster], need, resource.address):
            yield Finding(Severity.ERROR, short, resource.address)
        else:
            room[cluster] += Capacity(vcpus=-need.vcpus, memory_mb=-need.memory_mb, disk_gb=-need.disk_gb)


def _cut_off(site: Site, wanted: ByService[Address, Resource]) -> Iterator[Finding]:
    """Warn of clients that no link leads to."""
    ways: dict[str, Ways] = {}
    for resource in (one for share in wanted.shares.values() for one in share.fact(_paths)):
        start = _cluster(resource.properties)
        if start not in ways:
            ways[start] = ways_from(site, start)
        clients = resource.properties["clients"]
        if lost := [str(c) for c in clients if c not in ways[start]] if isinstance(clients, list) else []:
            message = f"no link of {site.name} leads from {start} to {', '.join(lost)}; add one to the site spec"
            yield Finding(Severity.WARNING, message, resource.address)


def _paths(share: Share[Address, Resource]) -> tuple[Resource, ...]:
    return tuple(resource for address, resource in share.items() if address.endswith(_PATH))


def _cluster(properties: Properties) -> str:
    return str(properties.get("cluster", ""))

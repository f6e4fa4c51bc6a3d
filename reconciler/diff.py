"""Pair what is wanted, what was applied and what is seen, and say how they differ.

Three-way: `desired` against `applied` (the inventory) shows what the spec changed, `observed`
against `applied` what the world changed. A property is compared only if the spec mentions it, or
mentioned it when it was last applied. Resources whose digests have not moved on either side are
passed over without a look at their properties. Pure; differences come in the order of requirements.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from graphlib import TopologicalSorter
from operator import is_not

from msgspec import Struct, field

from providers.base import Kind, Present, Snapshot, unknown_reason
from reconciler.difference import (
    LATER,
    NOTHING,
    Change,
    Changed,
    Difference,
    Gone,
    Later,
    Missing,
    Nothing,
    Origin,
    Recognised,
    Side,
    Surplus,
    Unseen,
)
from reconciler.resolve import resolve
from specs.desired import Desired
from specs.model import Address, Resource, parse_address
from specs.shares import ByService, Share
from specs.values import Properties, Secret
from state.store import Item


class Seen(Struct, frozen=True, kw_only=True):
    """What every binding of a site answered, and how its kinds behave."""

    snapshots: Mapping[str, Snapshot]
    """By binding."""
    kinds: Mapping[str, Mapping[str, Kind]]
    """By binding, then by kind."""


class Comparison(Struct, frozen=True, kw_only=True):
    """All differences of one site, and what was compared."""

    differences: tuple[Difference, ...]
    unchanged: int
    present: ByService[Address, Present]


class Known(Struct):
    """What the last comparison of a site found in each service: it is looked for again where a share is another."""

    _seen: Sequence[ByService[Address, Present]] = ()
    _present: ByService[Address, Present] = field(default_factory=lambda: ByService({}))
    """What was seen, of all bindings together."""
    _moved: dict[str, _Moved] = field(default_factory=dict)

    def together(self, seen: Sequence[ByService[Address, Present]]) -> ByService[Address, Present]:
        """Join what several bindings show; a share with the same objects as before is the same as before."""
        if len(seen) != len(self._seen) or any(map(is_not, seen, self._seen)):
            self._seen, self._present = seen, ByService.together(seen).like(self._present)
        return self._present

    def moved(
        self,
        wanted: ByService[Address, Resource],
        applied: ByService[Address, Item],
        present: ByService[Address, Present],
    ) -> set[Address]:
        """Find what does not stand on all three sides alike."""
        before, self._moved = self._moved, {}
        names = dict.fromkeys((*wanted.shares, *applied.shares, *present.shares))
        of_wanted, of_applied, of_present = wanted.shares.get, applied.shares.get, present.shares.get
        found: set[Address] = set()
        for name in names:
            last, one, two, three = before.get(name), of_wanted(name), of_applied(name), of_present(name)
            if last is None or last.wanted is not one or last.applied is not two or last.present is not three:
                last = _Moved(one, two, three, tuple(_moved(one, two, three)))
            self._moved[name] = last
            found.update(last.addresses)
        return found


class _Moved(Struct, frozen=True):
    """What moved in one service, and the shares in which that was found."""

    wanted: Share[Address, Resource] | None
    applied: Share[Address, Item] | None
    present: Share[Address, Present] | None
    addresses: tuple[Address, ...]


def diff(desired: Desired, applied: ByService[Address, Item], seen: Seen, known: Known | None = None) -> Comparison:
    """Compare what is wanted on a site with what was applied and what is seen; `known` only saves time."""
    known = known or Known()
    present = _current(desired, applied, seen, known)
    moved = known.moved(desired.resources, applied, present)
    suspects = moved | _standing_on(desired, moved)
    comparer = _Comparer(applied, present, seen)
    for address in _in_order(desired.resources, {one for one in suspects if one in desired.resources}):
        comparer.compare(desired.resources[address])
    unwanted = sorted(address for address in moved if address not in desired.resources)
    differences = (
        *comparer.differences,
        *_surplus(unwanted, applied, present, seen),
        *_unwanted_records(unwanted, applied, present, seen),
    )
    unchanged = len(desired.resources) - len(comparer.differences)
    return Comparison(differences=differences, unchanged=unchanged, present=present)


def _current(
    desired: Desired, applied: Mapping[Address, Item], seen: Seen, known: Known
) -> ByService[Address, Present]:
    """Give one object for every address; a cut-short replacement leaves two that share one."""
    together = known.together([snapshot.by_address for snapshot in seen.snapshots.values()])
    if len(together) == _number_seen(seen):
        return together
    current: dict[Address, Present] = {}
    for snapshot in seen.snapshots.values():
        for present in snapshot.present:
            rival = current.setdefault(present.address, present)
            if rival is not present:
                current[present.address] = _better(rival, present, desired, applied)
    return ByService.of(current.items())


def _number_seen(seen: Seen) -> int:
    return sum(len(snapshot.present) for snapshot in seen.snapshots.values())


def _better(one: Present, other: Present, desired: Desired, applied: Mapping[Address, Item]) -> Present:
    """Prefer the object that is as wanted, then the recorded one, then a stable choice."""

    def merit(present: Present) -> tuple[bool, bool, str]:
        resource = desired.resources.get(present.address)
        item = applied.get(present.address)
        return (
            resource is not None and present.mark.digest == resource.digest,
            item is not None and present.provider_id == item.provider_id,
            present.provider_id,
        )

    return max(one, other, key=merit)


def _moved(
    wanted: Mapping[Address, Resource] | None,
    applied: Mapping[Address, Item] | None,
    present: Mapping[Address, Present] | None,
) -> Iterator[Address]:
    """Find what moved in one service on any side, or does not stand on all of them."""
    if wanted is None or applied is None or present is None:
        yield from {*(wanted or ()), *(applied or ()), *(present or ())}
        return
    for address, resource in wanted.items():
        item = applied.get(address)
        there = present.get(address)
        if (
            item is None
            or there is None
            or item.digest != resource.digest
            or item.seen != there.seen
            or item.provider_id != there.provider_id
            or item.requires != resource.requires
            or item.protect != resource.protect
        ):
            yield address
    yield from (applied.keys() | present.keys()) - wanted.keys()


def _standing_on(desired: Desired, moved: Set[Address]) -> set[Address]:
    reached: set[Address] = set()
    waiting = list(moved)
    while waiting:
        for address in desired.requirers(waiting.pop()):
            if address not in reached:
                reached.add(address)
                waiting.append(address)
    return reached


def _in_order(resources: Mapping[Address, Resource], chosen: Set[Address]) -> Iterator[Address]:
    """Give the chosen addresses, what others need first, equals in the order of addresses."""
    sorter: TopologicalSorter[Address] = TopologicalSorter()
    for address in sorted(chosen):
        sorter.add(address, *(Address(n) for n in resources[address].requires if n in chosen))
    sorter.prepare()
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        yield from ready
        sorter.done(*ready)


class _Comparer:
    """Compares resources one after another and remembers what will not stay as it is."""

    def __init__(self, applied: Mapping[Address, Item], present: Mapping[Address, Present], seen: Seen) -> None:
        self.differences: list[Difference] = []
        self._applied = applied
        self._present = present
        self._seen = seen
        self._renewed: set[Address] = set()
        """What will be made anew: its attributes are known only after apply."""
        self._unseen: dict[Address, str] = {}

    def compare(self, resource: Resource) -> None:
        """Add the difference of one resource, if there is one; what it requires came before."""
        address = resource.address
        parts = parse_address(address)
        snapshot = self._seen.snapshots[resource.binding]
        item, present = self._applied.get(address), self._present.get(address)
        if present is None:
            reason = unknown_reason(snapshot, parts.kind, parts.cluster)
            if reason is not None:
                self._unseen[address] = reason
                self.differences.append(Unseen(address=address, reason=reason, requires=_needs(resource)))
                return
            self._renewed.add(address)
            self.differences.append(Missing(resource=resource, item=item))
            return
        kind = self._seen.kinds[resource.binding][parts.kind]
        lost_with = self._lost_with(resource, kind)
        changes = tuple(self._changes(resource, present, item, kind))
        if changes or lost_with:
            changed = Changed(resource=resource, present=present, item=item, changes=changes, lost_with=lost_with)
            if changed.replaces:
                self._renewed.add(address)
            self.differences.append(changed)
        elif not _recorded(resource, present, item):
            self.differences.append(Recognised(resource=resource, present=present))

    def _lost_with(self, resource: Resource, kind: Kind) -> Address | None:
        for needed in resource.requires:
            if needed in self._renewed and parse_address(needed).kind in kind.dies_with:
                return Address(needed)
        return None

    def _changes(self, resource: Resource, present: Present, item: Item | None, kind: Kind) -> Iterator[Change]:
        mentioned = set(resource.properties) | (set(item.properties) if item else set())
        for name in sorted(mentioned):
            after = self._settled(_side(resource.properties, name))
            if name in kind.ignored:
                before = self._settled(_side(item.properties, name)) if item else after
            else:
                before = _side(present.properties, name)
            if not same(before, after):
                origin = self._origin(resource, item, present, name)
                yield Change(name=name, before=before, after=after, origin=origin, replaces=name in kind.replaced_by)

    def _origin(self, resource: Resource, item: Item | None, present: Present, name: str) -> Origin:
        if item is None:
            if present.mark.digest != resource.digest:
                return Origin.PENDING
            return Origin.FOLLOWS if self._settled(_side(resource.properties, name)) == LATER else Origin.DRIFT
        applied = _side(item.properties, name)
        spec_moved = not same(applied, _side(resource.properties, name))
        was = self._settled(applied)
        world_moved = was not in (NOTHING, LATER) and not same(_side(present.properties, name), was)
        if spec_moved:
            return Origin.CONFLICT if world_moved else Origin.PENDING
        return Origin.DRIFT if world_moved else Origin.FOLLOWS

    def _settled(self, side: Side) -> Side:
        """Put in what references mean now, or `LATER`."""
        return side if isinstance(side, Nothing | Later) else resolve(side, self._look)

    def _look(self, target: Address) -> Present | None:
        return None if target in self._renewed else self._present.get(target)


def same(one: Side, other: Side) -> bool:
    """Tell whether two sides mean the same; secrets by digest only."""
    match one, other:
        case Secret(digest=left), Secret(digest=right):
            return left == right
        case Mapping(), Mapping():
            return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
        case str(), _:
            return one == other
        case Sequence(), Sequence() if not isinstance(other, str):
            return len(one) == len(other) and all(map(same, one, other))
        case bool(), _:
            return one is other
    return one == other and not isinstance(other, bool)


def _side(properties: Properties, name: str) -> Side:
    return properties.get(name, NOTHING)


def _recorded(resource: Resource, present: Present, item: Item | None) -> bool:
    return (
        item is not None
        and item.digest == resource.digest
        and item.provider_id == present.provider_id
        and item.requires == resource.requires
        and item.protect == resource.protect
    )


def _needs(resource: Resource) -> tuple[Address, ...]:
    return tuple(Address(needed) for needed in resource.requires)


def _surplus(
    unwanted: Iterable[Address], applied: Mapping[Address, Item], current: Mapping[Address, Present], seen: Seen
) -> list[Surplus]:
    surplus = {address for address in unwanted if address in current}
    if not surplus and len(current) == _number_seen(seen):
        return []
    found = []
    for binding, snapshot in seen.snapshots.items():
        for present in snapshot.present:
            address = present.address
            deposed = current[address] is not present
            if deposed or address in surplus:
                item = None if deposed else applied.get(address)
                found.append(Surplus(present=present, item=item, binding=binding, deposed=deposed))
    return sorted(found, key=lambda surplus: (surplus.address, surplus.present.provider_id))


def _unwanted_records(
    unwanted: Iterable[Address], applied: Mapping[Address, Item], present: Mapping[Address, Present], seen: Seen
) -> Iterator[Gone | Unseen]:
    for address in unwanted:
        if address not in applied or address in present:
            continue
        item = applied[address]
        parts = parse_address(address)
        snapshot = seen.snapshots.get(item.binding)
        if snapshot is None:
            reason: str | None = f"the site has no provider binding {item.binding!r} any more"
        else:
            reason = unknown_reason(snapshot, parts.kind, parts.cluster)
        if reason is None:
            yield Gone(item)
        else:
            yield Unseen(address=address, reason=reason, requires=item.requires)

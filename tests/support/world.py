"""A world in memory and a provider for it: kinds that replace, follow, wait and fail on request.

Shared by the unit and property tests of the core. The world notes every call that comes before what it
needs, or that takes away what something stands on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ClassVar, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from providers.base import (
    Finding,
    Foreign,
    Health,
    Kind,
    Mark,
    PermanentError,
    Present,
    Scope,
    Snapshot,
)
from specs.desired import Desired
from specs.model import Address, Deployment, Resource, Role, Site, parse_address
from specs.shares import ByService
from specs.values import Properties, Secret, Value, digest

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
REPOSITORY = "0123456789ab"


def clock() -> datetime:
    """Tell a time that stands still."""
    return NOW


Result = TypeVar("Result")

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(name="plain", description="changes in place"),
        Kind(name="fixed", description="is replaced when its size changes", replaced_by=frozenset({"size"})),
        Kind(
            name="early",
            description="is replaced when its size changes, the new one first",
            replaced_by=frozenset({"size"}),
            create_before_delete=True,
            stands_on=("fixed", "plain"),
        ),
        Kind(
            name="guest",
            description="dies with what it stands on",
            dies_with=frozenset({"fixed", "early"}),
            stands_on=("fixed", "early", "plain"),
        ),
    )
}


def resource(
    name: str,
    kind: str = "plain",
    requires: Iterable[str] = (),
    *,
    service: str = "shop",
    protect: bool = False,
    **properties: Value,
) -> Resource:
    """Build a resource of the memory world on the site `bristol`."""
    needed = tuple(sorted(place(item) if ":" not in item else item for item in requires))
    return Resource(
        address=place(name, kind, service=service),
        binding="memory",
        properties=properties,
        requires=needed,
        protect=protect,
    )


def place(name: str, kind: str = "plain", *, service: str = "shop") -> Address:
    """Give the address of a resource of the memory world."""
    return Address(f"bristol/{service}/{name}:memory.{kind}")


def wanted(*resources: Resource, commit: str = "c1") -> Desired:
    """Build what a commit wants."""
    ordered = sorted(resources, key=lambda item: item.address)
    nodes: dict[str, set[str]] = {}
    for parts in (parse_address(item.address) for item in ordered):
        nodes.setdefault(parts.service, set()).add(parts.node)
    return Desired(
        site="bristol",
        commit=commit,
        resources=ByService.of((item.address, item) for item in ordered),
        nodes=nodes,
    )


class Thing(Struct, frozen=True, kw_only=True):
    """One object of the world."""

    id: str
    mark: Mark | None
    properties: Properties
    health: Health = Health.HEALTHY
    no_room: bool = False


Hook = Callable[[str, Address], None]
"""Called before every call with its verb and address; raises to make it fail."""


@dataclass
class World:
    """The objects there are, what was called, and what goes wrong."""

    things: dict[str, Thing] = field(default_factory=dict)
    calls: list[tuple[str, Address]] = field(default_factory=list)
    before: Hook = lambda verb, address: None
    after: Hook = lambda verb, address: None
    answering: Callable[[], None] = lambda: None
    """Called when a look is done, before its answer is given."""
    unknown: Mapping[str, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    slow: int = 0
    """How many looks a new object stays Progressing."""
    leftover: Health | None = None
    """How what was deleted looks while it is still there; it stays, then."""
    room: int = 1_000_000
    """How many objects find a place; the others are made and stay without one."""
    wrongs: list[str] = field(default_factory=list)
    """Calls that came in the wrong order."""
    replacing: set[Address] = field(default_factory=set)
    """What a plan deletes first and makes anew: what stands on it may stay meanwhile."""
    requires: Mapping[Address, tuple[str, ...]] = field(default_factory=dict)
    """What stands on what, once the plan is done."""
    _next: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def new_id(self) -> str:
        """Give an id that was never used."""
        self._next += 1
        return f"id-{self._next:04}"

    def addresses(self) -> list[Address]:
        """Give the address of every object that is ours, sorted."""
        return sorted(thing.mark.address for thing in self.things.values() if thing.mark)

    def find(self, address: Address) -> list[Thing]:
        """Give the objects at an address."""
        return [t for t in self.things.values() if t.mark and t.mark.address == address]

    def edit(self, address: Address, **properties: Value) -> None:
        """Change properties behind everybody's back."""
        for thing in self.find(address):
            self.things[thing.id] = replace(thing, properties={**thing.properties, **properties})

    def lose(self, address: Address) -> None:
        """Remove an object behind everybody's back."""
        for thing in self.find(address):
            del self.things[thing.id]

    def add_foreign(self, name: str) -> str:
        """Put an object there that carries no mark."""
        thing = Thing(id=self.new_id(), mark=None, properties={"name": name})
        self.things[thing.id] = thing
        return thing.id


class Memory:
    """The provider of a memory world."""

    name: ClassVar[str] = "memory"
    roles: ClassVar[frozenset[Role]] = frozenset(Role)
    kinds: ClassVar[Mapping[str, Kind]] = KINDS

    def __init__(self, world: World) -> None:
        self.world = world
        self._looks = world.slow

    def foundation(self, site: Site) -> Iterable[Resource]:
        """Give nothing: the memory world needs no foundation."""
        return ()

    def expand(self, deployment: Deployment) -> Iterable[Resource]:
        """Give nothing: tests make their resources themselves."""
        return ()

    def observe(self, scope: Scope) -> Snapshot:
        """List everything of ours."""
        with self.world._lock:
            if self._looks:
                self._looks -= 1
            else:
                for thing in list(self.world.things.values()):
                    if thing.health is Health.PROGRESSING:
                        self.world.things[thing.id] = replace(thing, health=Health.HEALTHY)
            things = sorted(self.world.things.values(), key=lambda thing: thing.id)
            blind = self.world.unknown
            ours = [t for t in things if t.mark and t.mark.repository == scope.repository]
            snapshot = Snapshot(
                present=[_seen(t) for t in ours if "*" not in blind and _kind(t) not in blind],
                unknown=blind,
                foreign=[Foreign("plain", t.id, str(t.properties.get("name"))) for t in things if not t.mark],
                findings=self.world.findings,
            )
        self.world.answering()
        return snapshot

    def examine(self, wanted: Mapping[Address, Resource], snapshot: Snapshot) -> Iterable[Finding]:
        """Have nothing to say."""
        return ()

    def create(self, resource: Resource, mark: Mark) -> Present:
        """Make an object, once."""
        return self._call("create", resource.address, lambda: self._create(resource, mark))

    def update(self, resource: Resource, current: Present, mark: Mark) -> Present:
        """Write all properties."""
        return self._call("update", resource.address, lambda: self._update(resource, current, mark))

    def delete(self, current: Present) -> Present | None:
        """Remove an object."""
        return self._call("delete", current.address, lambda: self._delete(current))

    def adopt(self, resource: Resource, provider_id: str, mark: Mark) -> Present:
        """Put a mark on a foreign object."""
        thing = replace(self.world.things[provider_id], mark=mark)
        self.world.things[provider_id] = thing
        return _seen(thing)

    def close(self) -> None:
        """Do nothing."""

    def _call(self, verb: str, address: Address, work: Callable[[], Result]) -> Result:
        self.world.before(verb, address)
        with self.world._lock:
            self.world.calls.append((verb, address))
            result = work()
        self.world.after(verb, address)
        return result

    def _create(self, resource: Resource, mark: Mark) -> Present:
        world = self.world
        for thing in world.find(resource.address):
            if thing.mark == mark and not thing.no_room:
                return _seen(thing)
            if thing.no_room:
                del world.things[thing.id]
        if world.find(resource.address) and not KINDS[parse_address(resource.address).kind].create_before_delete:
            raise PermanentError(f"{resource.address} is there already, as something else")
        there = set(world.addresses())
        missing = [needed for needed in resource.requires if needed not in there]
        if missing:
            world.wrongs.append(f"{resource.address} was made before {missing}")
        full = sum(not thing.no_room for thing in world.things.values()) >= world.room
        thing = Thing(
            id=world.new_id(),
            mark=mark,
            properties=_kept(resource.properties),
            health=Health.DEGRADED if full else Health.PROGRESSING if world.slow else Health.HEALTHY,
            no_room=full,
        )
        world.things[thing.id] = thing
        return _seen(thing)

    def _update(self, resource: Resource, current: Present, mark: Mark) -> Present:
        thing = self.world.things.get(current.provider_id)
        if thing is None:
            raise PermanentError(f"{current.provider_id} is not there any more")
        fixed = KINDS[parse_address(resource.address).kind].replaced_by
        if any(thing.properties.get(name) != resource.properties.get(name) for name in fixed):
            self.world.wrongs.append(f"{resource.address} was changed where it cannot be")
        thing = replace(thing, mark=mark, properties=_kept(resource.properties))
        self.world.things[thing.id] = thing
        return _seen(thing)

    def _delete(self, current: Present) -> Present | None:
        thing = self.world.things.get(current.provider_id)
        if thing is None:
            return None
        if thing.mark is None or thing.mark.repository != REPOSITORY:
            self.world.wrongs.append(f"{thing.id} is not ours")
            return None
        if self.world.leftover is not None:
            self.world.things[thing.id] = replace(thing, health=self.world.leftover)
            return replace(_seen(thing), health=Health.PROGRESSING)
        del self.world.things[thing.id]
        if self.world.find(current.address):
            return None
        for address in self._guests_of(current.address):
            self.world.lose(address)
        if current.address not in self.world.replacing:
            standing = [a for a in self.world.addresses() if current.address in self.world.requires.get(a, ())]
            self.world.wrongs += [f"{current.address} was deleted under {a}" for a in standing]
        return None

    def _guests_of(self, host: Address) -> list[Address]:
        """Find what goes down with an object."""
        kind = parse_address(host).kind
        above = [a for a in self.world.addresses() if host in self.world.requires.get(a, ())]
        return [a for a in above if kind in KINDS[parse_address(a).kind].dies_with]


def _kind(thing: Thing) -> str:
    return parse_address(thing.mark.address).kind if thing.mark else ""


def _kept(properties: Properties) -> Properties:
    """Keep what a service would give back: secrets without their text."""
    return {n: Secret(v.name, v.digest) if isinstance(v, Secret) else v for n, v in properties.items()}


def _seen(thing: Thing) -> Present:
    if thing.mark is None:
        raise AssertionError("only marked objects are seen")
    attributes: Properties = {"id": thing.id, "ip": f"10.0.0.{int(thing.id[3:])}"}
    return Present(
        provider_id=thing.id,
        mark=thing.mark,
        properties={**thing.properties, "default": "of the service"},
        attributes=attributes,
        health=thing.health,
        reason="there is no room" if thing.no_room else "",
        no_room=thing.no_room,
        seen=digest([thing.properties, attributes]),
    )

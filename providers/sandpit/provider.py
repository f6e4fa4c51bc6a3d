"""Speaks the provider protocol for the emulated site."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from operator import is_
from threading import Lock
from typing import ClassVar

from msgspec import Struct

from providers.base import (
    Context,
    Finding,
    Foreign,
    Kind,
    Mark,
    PermanentError,
    Present,
    ProviderError,
    Scope,
    Snapshot,
    roles_of,
)
from providers.sandpit.database import Database, world_file
from providers.sandpit.examine import examine
from providers.sandpit.expand import expand
from providers.sandpit.fabric import connect
from providers.sandpit.kinds import KINDS, ROLES
from providers.sandpit.objects import Thing
from providers.sandpit.settings import read_settings
from providers.sandpit.sight import Sight, presents
from providers.sandpit.world import World
from specs.model import Address, Deployment, Resource, Role, Site
from specs.values import Properties


class Sandpit:
    """One binding to the emulated site of a repository."""

    name: ClassVar[str] = "sandpit"
    roles: ClassVar[frozenset[Role]] = frozenset({Role.COMPUTE, Role.NETWORK})
    kinds: ClassVar[Mapping[str, Kind]] = KINDS

    def __init__(self, context: Context, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._binding = context.binding.name
        self._roles = roles_of(context.binding, context.site, self.roles)
        self._site = context.site
        self.world = World(
            Database(world_file(context.state_dir, context.site.name)),
            context.site,
            binding=context.binding.name,
            settings=read_settings(context.site, context.binding),
            clock=clock,
        )
        self._looking = Lock()
        self._sights: dict[tuple[str, str], Sight] = {}
        """By kind and repository."""
        self._kept: dict[str, _Kept] = {}
        """By repository."""
        self._examined: tuple[object, object, tuple[Finding, ...]] = (None, None, ())
        """What was examined last, and what was found."""

    def foundation(self, site: Site) -> Iterable[Resource]:
        """Give nothing: an emulated site is there by itself."""
        return ()

    def expand(self, deployment: Deployment) -> Iterable[Resource]:
        """Turn endpoints into machines and containers, paths and names, as far as the binding's roles go."""
        if Role.COMPUTE in self._roles:
            yield from expand(deployment, self._binding)
        if Role.NETWORK in self._roles:
            yield from connect(deployment, self._binding)

    def observe(self, scope: Scope) -> Snapshot:
        """List every kind, one call each; while nobody has written, what the last look showed is shown again."""
        with self._looking:
            try:
                version = None if scope.unmanaged else self.world.version()
            except ProviderError as error:
                return Snapshot(unknown={"*": str(error)})
            before = self._kept.get(scope.repository)
            if before is not None and version is not None and version == before.version:
                return before.snapshot
            shown, snapshot = self._look(scope)
            if snapshot.sources is not None and not scope.unmanaged:
                if before is not None and len(shown) == len(before.shown) and all(map(is_, shown, before.shown)):
                    snapshot = before.snapshot
                self._kept[scope.repository] = _Kept(version, shown, snapshot)
            return snapshot

    def _look(self, scope: Scope) -> tuple[Sequence[Sequence[Present]], Snapshot]:
        """Give what each kind shows, and all of it together."""
        shown: list[Sequence[Present]] = []
        unknown: dict[str, str] = {}
        for kind in self._kinds():
            sight = self._sights.setdefault((kind, scope.repository), Sight(kind, scope.repository))
            try:
                listing = self.world.listing(kind, scope.repository)
                shown.append(sight.show(listing.stamps, self.world.rows, self.world.now()))
            except ProviderError as error:
                unknown[kind] = str(error)
                continue
            unknown |= {f"{kind}@{cluster}": why for cluster, why in listing.unseen.items()}
            if len(listing.stamps) < listing.total:
                unknown[kind] = f"the list of {kind}s was cut short: {len(listing.stamps)} of {listing.total} came"
        moving = any(self._sights[kind, scope.repository].moving for kind in self._kinds())
        snapshot = Snapshot(
            present=[one for of_kind in shown for one in of_kind],
            unknown=unknown,
            foreign=self._foreign(scope, unknown),
            sources=None if unknown or moving else self.world.database.files,
        )
        return shown, snapshot

    def examine(self, wanted: Mapping[Address, Resource], snapshot: Snapshot) -> Iterable[Finding]:
        """Look for names that are taken, clusters that are full, quotas that are spent and ways that do not exist."""
        if self._examined[0] is not wanted or self._examined[1] is not snapshot:
            self._examined = (wanted, snapshot, examine(self.world, self._site, wanted, snapshot))
        return self._examined[2]

    def create(self, resource: Resource, mark: Mark) -> Present:
        """Make the object; the second time it is found by its mark."""
        return self._present(self.world.create(resource.kind, _settled(resource), mark))

    def update(self, resource: Resource, current: Present, mark: Mark) -> Present:
        """Change the object in place."""
        return self._present(self.world.update(current.provider_id, _settled(resource), mark))

    def delete(self, current: Present) -> Present | None:
        """Remove the object and the software on it."""
        self.world.delete(current.provider_id, str(current.properties.get("cluster", "")), current.mark)
        return None

    def adopt(self, resource: Resource, provider_id: str, mark: Mark) -> Present:
        """Put our mark on somebody else's object."""
        return self._present(
            self.world.adopt(resource.kind, provider_id, str(resource.properties.get("cluster", "")), mark)
        )

    def close(self) -> None:
        """Let go of the file."""
        self.world.database.close()

    def _foreign(self, scope: Scope, unknown: dict[str, str]) -> tuple[Foreign, ...]:
        if not scope.unmanaged:
            return ()
        try:
            found = self.world.foreign(scope.repository)
        except ProviderError as error:
            unknown["*"] = str(error)
            return ()
        return tuple(foreign for foreign in found if foreign.kind not in unknown)

    def _kinds(self) -> Iterator[str]:
        return (kind for kind in KINDS if ROLES[kind] in self._roles)

    def _present(self, thing: Thing) -> Present:
        repository = thing.mark.repository if thing.mark else ""
        return next(presents(thing.kind, [thing.row], repository, self.world.now()))


class _Kept(Struct, frozen=True):
    """A look that only a write can make untrue."""

    version: object
    """Of the file, before the look."""
    shown: Sequence[Sequence[Present]]
    """By kind."""
    snapshot: Snapshot


def _settled(resource: Resource) -> Properties:
    """Give the properties, every reference put in; one that is left is a fault of whoever calls."""
    if resource.references:
        raise PermanentError(f"{resource.address} refers to {resource.references[0].target}, which is not known yet")
    return resource.properties

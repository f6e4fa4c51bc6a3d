"""An emulated site in a folder, with a clock that is moved by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from providers.base import Context, Mark, Present, Scope, Snapshot
from providers.sandpit.provider import Sandpit
from specs.model import Address, Binding, Capacity, Resource, Site, address, subject
from specs.values import Properties, Value
from tests.support.chains import bristol

REPOSITORY = "0123456789ab"


@dataclass
class Pit:
    """A sandpit and the hands of a test in it."""

    folder: Path
    site: Site
    now: datetime = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
    _open: list[Sandpit] = field(default_factory=list)

    @property
    def provider(self) -> Sandpit:
        """The first connection."""
        return self._open[0] if self._open else self.connect()

    def connect(self, binding: str = "city") -> Sandpit:
        """Open one more connection."""
        context = Context(binding=self.site.bindings[binding], site=self.site, state_dir=self.folder)
        self._open.append(Sandpit(context, lambda: self.now))
        return self._open[-1]

    def wait(self, seconds: float) -> None:
        """Move the clock."""
        self.now += timedelta(seconds=seconds)

    def create(self, wanted: Resource, repository: str = REPOSITORY) -> Present:
        """Make an object as an apply does."""
        return self.provider.create(wanted, mark_of(wanted, repository))

    def update(self, wanted: Resource, current: Present) -> Present:
        """Change an object as an apply does."""
        return self.provider.update(wanted, current, mark_of(wanted))

    def look(self, *wanted: Resource, unmanaged: bool = False) -> Snapshot:
        """Observe as an apply does."""
        scope = Scope(repository=REPOSITORY, site="bristol", wanted=by_address(*wanted), unmanaged=unmanaged)
        return self.provider.observe(scope)

    def close(self) -> None:
        """Close every connection."""
        for provider in self._open:
            provider.close()


def pit(folder: Path, *bindings: Binding, settings: Properties | None = None, capacity: Capacity | None = None) -> Pit:
    """Give an emulated `bristol` in a folder."""
    return Pit(folder=folder, site=bristol(*bindings, settings=settings, capacity=capacity))


def thing(kind: str, name: str = "a", cluster: str = "edge-1", /, **properties: Value) -> Resource:
    """Build a resource without a service around it."""
    place: dict[str, Value] = {"cluster": cluster} if cluster else {}
    return Resource(
        address=address(subject("bristol", "shop", name, cluster), "sandpit", kind),
        binding="city",
        properties={"name": name, **place, **properties},
    )


def by_address(*resources: Resource) -> Mapping[Address, Resource]:
    """Index resources."""
    return {resource.address: resource for resource in resources}


def mark_of(resource: Resource, repository: str = REPOSITORY) -> Mark:
    """Give the mark an apply writes."""
    return Mark(repository, resource.address, resource.digest)

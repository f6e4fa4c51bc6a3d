"""What one commit wants on one site: every resource, service by service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from functools import cached_property

from msgspec import Struct, field

from specs.model import Address, Resource
from specs.shares import ByService, Share, service_of


class Desired(Struct, frozen=True, kw_only=True, dict=True):
    """What one commit wants on one site."""

    site: str
    commit: str
    resources: ByService[Address, Resource]
    """In the order of their addresses."""
    nodes: Mapping[str, Set[str]] = field(default_factory=dict)
    """Service → the names of its nodes, deployed or not."""
    rules: Mapping[str, int] = field(default_factory=dict)
    """Service → how many alert rules watch it, if any do."""

    @cached_property
    def by_binding(self) -> Mapping[str, ByService[Address, Resource]]:
        """Binding → its resources, in the order of addresses."""
        found: dict[str, dict[str, Share[Address, Resource]]] = {}
        for service, share in self.resources.shares.items():
            names = share.fact(_bindings)
            for name in names:
                found.setdefault(name, {})[service] = share if len(names) == 1 else share.fact(_by_binding)[name]
        return {name: ByService(found[name]) for name in sorted(found)}

    def requirers(self, address: Address) -> Iterator[Address]:
        """Give what requires a resource: first in its own service."""
        service = service_of(address)
        for other in (service, *self._reached_from.get(service, ())):
            yield from self.resources.of_service(other).fact(_requirers).get(address, ())

    @cached_property
    def _reached_from(self) -> Mapping[str, Sequence[str]]:
        """Service → the other services in which something requires a resource of it."""
        found: dict[str, list[str]] = {}
        for service, share in self.resources.shares.items():
            for needed in share.fact(reached):
                found.setdefault(needed, []).append(service)
        return found


def reached(share: Share[Address, Resource]) -> frozenset[str]:
    """Give the other services of which something in a share requires a resource."""
    own = {service_of(address) for address in share}
    return frozenset(service_of(needed) for one in share.values() for needed in one.requires) - own


def _bindings(share: Share[Address, Resource]) -> tuple[str, ...]:
    return tuple(sorted({one.binding for one in share.values()}))


def _by_binding(share: Share[Address, Resource]) -> Mapping[str, Share[Address, Resource]]:
    return {
        name: Share((address, one) for address, one in share.items() if one.binding == name)
        for name in share.fact(_bindings)
    }


def _requirers(share: Share[Address, Resource]) -> Mapping[str, Sequence[Address]]:
    found: dict[str, list[Address]] = {}
    for address, one in share.items():
        for needed in one.requires:
            found.setdefault(needed, []).append(address)
    return found

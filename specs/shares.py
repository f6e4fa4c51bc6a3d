"""Values under addresses, kept service by service: who looks again passes over the services that are the same."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from typing import Any, TypeVar

K = TypeVar("K", bound=str)
V = TypeVar("V")
V2 = TypeVar("V2")
F = TypeVar("F")


def service_of(address: str) -> str:
    """Give the service an address names; empty if it is none."""
    return address.partition("/")[2].partition("/")[0]


class Share(dict[K, V]):
    """What one service has: built once, then never written to, and so the same as long as it is the same object."""

    __slots__ = ("_facts",)

    def __init__(self, values: Mapping[K, V] | Iterable[tuple[K, V]]) -> None:
        super().__init__(values)
        self._facts: dict[Callable[..., Any], Any] = {}

    def fact(self, work: Callable[[Share[K, V]], F]) -> F:
        """Give what a function makes of this share; it is asked once."""
        if work not in self._facts:
            self._facts[work] = work(self)
        found: F = self._facts[work]
        return found


class ByService(Mapping[K, V]):
    """All shares together, in the order of addresses as far as each share is."""

    __slots__ = ("_length", "shares")

    def __init__(self, shares: Mapping[str, Share[K, V]]) -> None:
        # As in whole addresses, where a slash comes after the name.
        self.shares = {name: shares[name] for name in sorted(shares, key=lambda name: f"{name}/") if shares[name]}
        self._length = sum(map(len, self.shares.values()))

    @staticmethod
    def of(values: Iterable[tuple[K, V]]) -> ByService[K, V]:
        """Sort addresses and their values into shares; of two under one address the later stays."""
        found: dict[str, dict[K, V]] = {}
        for address, value in values:
            service = service_of(address)
            if service in found:
                found[service][address] = value
            else:
                found[service] = {address: value}
        return ByService({service: Share(share) for service, share in found.items()})

    @staticmethod
    def together(parts: Iterable[ByService[K, V]]) -> ByService[K, V]:
        """Join what several say; of two under one address the later stays."""
        found: dict[str, Share[K, V]] = {}
        for part in parts:
            for service, share in part.shares.items():
                found[service] = Share({**found[service], **share}) if service in found else share
        return ByService(found)

    def like(self, before: ByService[K, V]) -> ByService[K, V]:
        """Give the same with the shares of `before` where these hold the very same objects."""
        old = before.shares
        return ByService(
            {name: old[name] if _same(share, old.get(name)) else share for name, share in self.shares.items()}
        )

    def exchanged(self, services: Set[str], others: ByService[K, V]) -> ByService[K, V]:
        """Give the same with the shares that others have of some services."""
        rest = {name: share for name, share in self.shares.items() if name not in services}
        return ByService({**rest, **others.shares})

    def beyond(self, other: ByService[K, V2]) -> set[K]:
        """Give the addresses that the other does not have."""
        found: set[K] = set()
        for name, share in self.shares.items():
            theirs = other.shares.get(name)
            if theirs is None:
                found.update(share)
            elif not share.keys() <= theirs.keys():
                found |= share.keys() - theirs.keys()
        return found

    def of_service(self, service: str) -> Share[K, V]:
        """Give the share of one service; empty if it has none."""
        return self.shares.get(service) or Share(())

    def __getitem__(self, address: K) -> V:
        return self.shares[service_of(address)][address]

    def __iter__(self) -> Iterator[K]:
        for share in self.shares.values():
            yield from share

    def __len__(self) -> int:
        return self._length

    def __repr__(self) -> str:
        return repr(dict(self))


def _same(share: Share[K, V], other: Share[K, V] | None) -> bool:
    return other is not None and share.keys() == other.keys() and all(map(operator.is_, share.values(), other.values()))

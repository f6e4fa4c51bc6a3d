"""Speaks the provider protocol for one project of one cloud."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from operator import attrgetter
from threading import Lock
from typing import ClassVar

from msgspec import Raw, Struct, field

from providers.answers import understood
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
from providers.openstack.cloud import Cloud
from providers.openstack.examine import examine
from providers.openstack.expand import expand
from providers.openstack.hand import Hand
from providers.openstack.images import ImageHand
from providers.openstack.kinds import KINDS
from providers.openstack.networks import network_hands
from providers.openstack.nova import FlavorHand, GroupHand, KeypairHand
from providers.openstack.readings import Readings
from providers.openstack.servers import ServerHand
from providers.openstack.settings import Settings, read_settings
from providers.openstack.sight import Bulk, Names
from providers.openstack.stacks import StackHand
from providers.openstack.volumes import VolumeHand
from specs.model import Address, Deployment, Resource, Role, Site, parse_address

_NEEDS: Mapping[str, tuple[str, ...]] = {
    "router": ("port", "subnet"),
    "server": ("port", "floating_ip", "server_group"),
    "port_pair_group": ("port_pair",),
    "port_chain": ("flow_classifier",),
}
"""Kind → kinds whose lists it is read with; those are read first."""


class _View(Struct):
    """What one look brought."""

    present: list[Present] = field(default_factory=list)
    foreign: list[Foreign] = field(default_factory=list)
    unknown: dict[str, str] = field(default_factory=dict)


class OpenStack:
    """One binding to one project of a cloud."""

    name: ClassVar[str] = "openstack"
    roles: ClassVar[frozenset[Role]] = frozenset({Role.COMPUTE})
    kinds: ClassVar[Mapping[str, Kind]] = KINDS

    def __init__(self, context: Context, connect: Callable[[Settings], Cloud] = Cloud) -> None:
        roles_of(context.binding, context.site, self.roles)
        self._binding = context.binding.name
        self._threads = max(1, context.binding.budget.concurrency)
        self._settings = read_settings(context.site, context.binding)
        self._cloud = connect(self._settings)
        self._names = Names(self._cloud)
        self._lock = Lock()
        self._turns: dict[Address, tuple[Lock, int]] = {}
        """Address → who makes it now, and how many wait or work."""
        self._hands: Mapping[str, Hand] = {
            "image": ImageHand(self._cloud, self._settings.timeout_seconds),
            "flavor": FlavorHand(self._cloud),
            "keypair": KeypairHand(self._cloud),
            **dict(network_hands(self._cloud, self._names)),
            "server_group": GroupHand(self._cloud),
            "volume": VolumeHand(self._cloud),
            "server": ServerHand(self._cloud, self._names, self._settings),
            "stack": StackHand(self._cloud),
        }
        self._readings = {kind: Readings(kind, hand) for kind, hand in self._hands.items()}

    def foundation(self, site: Site) -> Iterable[Resource]:
        """Give nothing: a cloud is there by itself."""
        return ()

    def expand(self, deployment: Deployment) -> Iterable[Resource]:
        """Turn endpoints into machines, with their images, networks and addresses."""
        return expand(deployment, self._binding, self._settings)

    # --- looking ---

    def observe(self, scope: Scope) -> Snapshot:
        """List every kind, one call each, all at once."""
        view = _View()
        lists = self._lists(scope, view)
        if not lists:
            return Snapshot(present=[], unknown={"*": next(iter(view.unknown.values()))})
        sight = Bulk(self._names)
        for kind in sorted(lists, key=_NEEDS.__contains__):
            if blind := [needed for needed in _NEEDS.get(kind, ()) if needed in view.unknown]:
                view.unknown[kind] = view.unknown[blind[0]]
                continue
            try:
                self._sort(kind, lists.pop(kind), scope, sight, view)
            except ProviderError as error:
                view.unknown[kind] = str(error)
        self._names.learn(sight.networks())
        view.present.sort(key=attrgetter("mark.address", "provider_id"))
        return Snapshot(present=view.present, unknown=view.unknown, foreign=tuple(view.foreign))

    def _lists(self, scope: Scope, view: _View) -> dict[str, list[Raw]]:
        def rows(kind: str) -> list[Raw] | ProviderError:
            try:
                return self._hands[kind].rows(scope.repository, everything=scope.unmanaged)
            except ProviderError as error:
                return error

        found: dict[str, list[Raw]] = {}
        with ThreadPoolExecutor(self._threads, thread_name_prefix="openstack") as pool:
            for kind, answer in zip(self._hands, pool.map(rows, self._hands), strict=True):
                if isinstance(answer, ProviderError):
                    view.unknown[kind] = str(answer)
                else:
                    found[kind] = answer
        return found

    def _sort(self, kind: str, rows: Iterable[Raw], scope: Scope, sight: Bulk, view: _View) -> None:
        with understood(f"the list of {kind}"):
            found = list(self._readings[kind].of(rows, scope, sight))
        view.present += (one for one in found if isinstance(one, Present))
        if scope.unmanaged:
            view.foreign += (one for one in found if isinstance(one, Foreign))

    def examine(self, wanted: Mapping[Address, Resource], snapshot: Snapshot) -> Iterable[Finding]:
        """Look for what the cloud lacks: services, extensions, zones, sizes, images and room in its quotas."""
        return examine(self._cloud, self._settings, wanted, snapshot)

    # --- working ---

    def create(self, resource: Resource, mark: Mark) -> Present:
        """Make the object; the second time it is found by its mark."""
        with self._alone(resource.address):
            return self._hands[resource.kind].create(_settled(resource), mark)

    def update(self, resource: Resource, current: Present, mark: Mark) -> Present:
        """Change the object in place."""
        return self._hands[resource.kind].update(_settled(resource), current, mark)

    def delete(self, current: Present) -> Present | None:
        """Remove the object."""
        return self._hands[parse_address(current.address).kind].delete(current)

    def adopt(self, resource: Resource, provider_id: str, mark: Mark) -> Present:
        """Put our mark on somebody else's object."""
        return self._hands[resource.kind].adopt(resource, provider_id, mark)

    @contextmanager
    def _alone(self, address: Address) -> Iterator[None]:
        """Let one thread at a time make what stands at an address: looking for the mark and making it are two calls."""
        with self._lock:
            turn, waiting = self._turns.get(address, (Lock(), 0))
            self._turns[address] = (turn, waiting + 1)
        try:
            with turn:
                yield
        finally:
            with self._lock:
                turn, waiting = self._turns[address]
                if waiting > 1:
                    self._turns[address] = (turn, waiting - 1)
                else:
                    del self._turns[address]

    def close(self) -> None:
        """Let go of connections."""
        self._cloud.close()


def _settled(resource: Resource) -> Resource:
    """Give a resource whose references are all put in; one that is left is a fault of whoever calls."""
    if resource.references:
        raise PermanentError(f"{resource.address} refers to {resource.references[0].target}, which is not known yet")
    return resource

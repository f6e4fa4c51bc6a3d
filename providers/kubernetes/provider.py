"""Speaks the provider protocol for the Kubernetes clusters of a binding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import ClassVar

from msgspec import Struct

from providers.base import (
    Context,
    Finding,
    Kind,
    Mark,
    PermanentError,
    Present,
    Scope,
    Snapshot,
    roles_of,
    unknown_reason,
)
from providers.kubernetes.connection import Connection
from providers.kubernetes.examine import examine
from providers.kubernetes.expand import expand
from providers.kubernetes.hands import Hands
from providers.kubernetes.identity import parse_identity, uid_of
from providers.kubernetes.kinds import KINDS
from providers.kubernetes.server import Server
from providers.kubernetes.settings import Access, read_settings
from providers.kubernetes.sight import Sight
from providers.kubernetes.watching import Keeper
from specs.model import Address, Deployment, Resource, Role, Site, parse_address


class _Backend(Struct, frozen=True):
    """What we do at one API server."""

    server: Server
    sight: Sight
    hands: Hands
    keeper: Keeper | None


class Kubernetes:
    """One binding to the API servers behind its clusters; each is spoken to when it is needed first."""

    name: ClassVar[str] = "kubernetes"
    roles: ClassVar[frozenset[Role]] = frozenset({Role.COMPUTE})
    kinds: ClassVar[Mapping[str, Kind]] = KINDS

    def __init__(
        self,
        context: Context,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        connect: Callable[[Access], Connection] = Connection,
    ) -> None:
        if find_spec("kubernetes") is None:
            raise ImportError("the Python client `kubernetes` is not installed")
        roles_of(context.binding, context.site, self.roles)
        self._binding = context.binding
        self._settings = read_settings(context.site, context.binding)
        self._backends = [
            self._backend(Server(access, clusters, connect(access)), clock, context.stir)
            for access, clusters in self._settings.accesses().items()
        ]

    def _backend(self, server: Server, clock: Callable[[], datetime], stir: Callable[[], None] | None) -> _Backend:
        threads = min(8, max(1, self._binding.budget.concurrency))
        keeper = None if stir is None else Keeper(server, stir)
        return _Backend(
            server=server,
            sight=Sight(server, self._settings, threads, clock, keeper.pages if keeper else None),
            hands=Hands(server, self._settings, keeper),
            keeper=keeper,
        )

    def foundation(self, site: Site) -> Iterable[Resource]:
        """Give nothing: clusters are there by themselves."""
        return ()

    def expand(self, deployment: Deployment) -> Iterable[Resource]:
        """Turn endpoints into workloads and the ways to them."""
        return expand(deployment, self._settings, self._binding.name)

    def observe(self, scope: Scope) -> Snapshot:
        """Look at all API servers at once."""
        if not self._backends:
            return Snapshot()
        with ThreadPoolExecutor(len(self._backends), thread_name_prefix="kubernetes-look") as pool:
            views = list(pool.map(lambda backend: backend.sight.look(scope), self._backends))
        unknown = {key: why for view in views for key, why in view.unknown.items()}
        return Snapshot(
            present=list(_each_once((present for view in views for present in view.present), unknown)),
            unknown=unknown,
            foreign=tuple(
                {uid_of(foreign.provider_id): foreign for view in views for foreign in view.foreign}.values()
            ),
            findings=tuple(finding for view in views for finding in view.findings),
        )

    def examine(self, wanted: Mapping[Address, Resource], snapshot: Snapshot) -> Iterable[Finding]:
        """Look for names that are taken and for what manifests may not bring."""
        for backend in self._backends:
            yield from examine(backend.server, self._settings, wanted, snapshot)

    def create(self, resource: Resource, mark: Mark) -> Present:
        """Apply the object; one that is there with our mark is found by it."""
        return self._of(str(resource.properties["cluster"])).hands.create(resource, mark)

    def update(self, resource: Resource, current: Present, mark: Mark) -> Present:
        """Apply what changed; fields that are no longer wanted go."""
        return self._of(parse_identity(current.provider_id).cluster).hands.update(resource, current, mark)

    def delete(self, current: Present) -> Present | None:
        """Delete the object, pods first."""
        return self._of(parse_identity(current.provider_id).cluster).hands.delete(current)

    def adopt(self, resource: Resource, provider_id: str, mark: Mark) -> Present:
        """Put our labels and annotations on somebody else's object."""
        return self._of(parse_identity(provider_id).cluster).hands.adopt(resource, provider_id, mark)

    def close(self) -> None:
        """Let go of all connections."""
        for backend in self._backends:
            if backend.keeper is not None:
                backend.keeper.close()
            backend.server.close()

    def _of(self, cluster: str) -> _Backend:
        for backend in self._backends:
            if cluster in backend.server.clusters:
                return backend
        raise PermanentError(f"binding {self._binding.name} serves no cluster {cluster!r}; look again and plan anew")


def _each_once(found: Iterable[Present], unknown: Mapping[str, str]) -> Iterator[Present]:
    """Give every object once, though two ways may lead to one API server.

    It is shown as the way of its own cluster sees it. Where that one is blind, what another sees there is not told.
    """
    at_home: dict[str, Present] = {}
    strays: dict[str, Present] = {}
    for present in found:
        group = at_home if present.properties["cluster"] == parse_address(present.address).cluster else strays
        group[uid_of(present.provider_id)] = present
    yield from at_home.values()
    for uid, present in strays.items():
        named = parse_address(present.address)
        hidden = unknown_reason(Snapshot(unknown=unknown), named.kind, named.cluster)
        if uid not in at_home and hidden is None:
            yield present

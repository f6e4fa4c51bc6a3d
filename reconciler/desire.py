"""Put services on a site, let its providers turn them into resources, and link these to one another.

Pure: providers expand without connecting. Faults of any service stop the whole site, because a
resource left out by mistake would look like one that is no longer wanted. What is worked out of one service is a
value of its own, so that whoever asks again can bring along what has not changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter

from policies.placement import Demand, demand_of, overloads, place
from providers.base import Provider, ProviderError
from specs.errors import ReconcilerError
from specs.model import Address, Alerts, Desired, Resource, Service, Site, Subject, parse_address, subject
from specs.values import Call, Reference, Secret, Value, rewrite


class DesireError(ReconcilerError):
    """What the specs want of a site cannot be expressed in resources; carries every reason."""

    def __init__(self, site: str, faults: Iterable[str]) -> None:
        self.site = site
        self.faults = tuple(faults)
        super().__init__(f"{site}: " + f"\n{site}: ".join(self.faults))


@dataclass(frozen=True, slots=True)
class Wish:
    """What the documents say about one site at one commit, and who serves it."""

    commit: str
    site: Site
    services: tuple[Service, ...]
    providers: Mapping[str, Provider]
    """By binding."""
    alerts: tuple[Alerts, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """What the providers make of one service, or of the site itself; not linked yet."""

    service: Service | None
    demand: Demand | None
    resources: tuple[Resource, ...]
    nodes: frozenset[Subject]
    faults: tuple[str, ...]
    subjects: Mapping[Subject, Address]
    """Who stands for an endpoint."""
    places: Mapping[Subject, tuple[Address, ...]]
    """Who stands for a node, as seen from another endpoint; sorted."""
    speaks_of: frozenset[str]
    """Services whose endpoints or nodes something stands for here."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Linked:
    """The resources of a part, linked to those of others."""

    part: Part
    beside: Mapping[str, tuple[Part, ...]]
    """Service → the parts in which what was linked to was looked for."""
    resources: Mapping[Address, Resource]
    faults: tuple[str, ...]
    crosses: bool
    """Whether something in it requires a resource of another part."""


@dataclass(frozen=True, slots=True)
class Worked:
    """What is wanted of a site, and the parts it was put together from."""

    desired: Desired
    linked: Mapping[str, Linked]
    """By service; the site itself under an empty name."""


def desire(wish: Wish, secret_digest: Callable[[str], str]) -> Desired:
    """Work out every resource the commit wants on the site; `DesireError` with all reasons why not.

    `secret_digest` gives the digest a secret compares by, and raises `ReconcilerError` without one.
    """
    return work_out(wish, secret_digest, {}).desired


def work_out(wish: Wish, secret_digest: Callable[[str], str], known: Mapping[str, Linked]) -> Worked:
    """Do what `desire` does; `known` was worked out for the same site, providers, alerts and secrets."""
    parts = {"": known[""].part if "" in known else _foundation(wish)}
    for service in wish.services:
        before = known.get(service.name)
        same = before is not None and before.part.service == service
        parts[service.name] = before.part if before is not None and same else _part(wish, service)
    anchors = _Anchors(parts.values())
    linked = {}
    for name, part in parts.items():
        before = known.get(name)
        if before is None or before.part is not part or not anchors.are(before.beside):
            before = _link_part(part, anchors, secret_digest)
        linked[name] = before
    return Worked(_put_together(wish, linked, fresh=linked.items() - known.items()), linked)


def _put_together(wish: Wish, linked: Mapping[str, Linked], fresh: Iterable[tuple[str, Linked]]) -> Desired:
    demands = [one.part.demand for one in linked.values() if one.part.demand is not None]
    faults = [fault for demand in demands for fault in demand.unplaced]
    faults += overloads(wish.site, demands)
    faults += [fault for one in linked.values() for fault in one.part.faults]
    merged: dict[Address, Resource] = {}
    for one in linked.values():
        merged.update(one.resources)
    if len(merged) < sum(len(one.part.resources) for one in linked.values()):
        faults.extend(_doubles(linked.values()))
    resources = {address: merged[address] for address in sorted(merged)}
    faults += [fault for one in linked.values() for fault in one.faults]
    faults.extend(
        _graph_faults(resources, {*(one for _, one in fresh), *(one for one in linked.values() if one.crosses)})
    )
    if faults:
        raise DesireError(wish.site.name, dict.fromkeys(faults))
    nodes = frozenset[Subject]().union(*(one.part.nodes for one in linked.values()))
    return Desired(site=wish.site.name, commit=wish.commit, resources=resources, nodes=nodes)


def _doubles(linked: Iterable[Linked]) -> Iterator[str]:
    found: set[Address] = set()
    for one in linked:
        for resource in one.part.resources:
            if resource.address in found:
                yield f"{resource.address} is wanted twice; give one of the two another name"
            found.add(resource.address)


# --- expanding -------------------------------------------------------------------------------------


def _foundation(wish: Wish) -> Part:
    resources = [one for name in sorted(wish.providers) for one in wish.providers[name].foundation(wish.site)]
    return _made(None, None, resources, frozenset(), ())


def _part(wish: Wish, service: Service) -> Part:
    deployment = replace(place(wish.site, service), alerts=wish.alerts)
    resources: list[Resource] = []
    faults: list[str] = []
    for name in sorted(wish.providers):
        try:
            resources.extend(wish.providers[name].expand(deployment))
        except ProviderError as error:
            faults.append(f"{service.name}: {error}")
    nodes = frozenset(subject(wish.site.name, service.name, node) for node in service.nodes)
    return _made(service, demand_of(deployment), resources, nodes, tuple(faults))


def _made(
    service: Service | None,
    demand: Demand | None,
    resources: list[Resource],
    nodes: frozenset[Subject],
    faults: tuple[str, ...],
) -> Part:
    subjects: dict[Subject, Address] = {}
    places: dict[Subject, list[Address]] = {}
    speaks_of: set[str] = set()
    for resource in resources:
        if resource.stands:
            parts = parse_address(resource.address)
            subjects[parts.subject] = resource.address
            places.setdefault(subject(parts.site, parts.service, parts.node), []).append(resource.address)
            speaks_of.add(parts.service)
    return Part(
        service=service,
        demand=demand,
        resources=tuple(resources),
        nodes=nodes,
        faults=faults,
        subjects=subjects,
        places={node: tuple(sorted(addresses)) for node, addresses in places.items()},
        speaks_of=frozenset(speaks_of),
    )


# --- linking ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Anchors:
    """Who stands for an endpoint, and for a node as seen from another endpoint; by service."""

    parts: Iterable[Part]
    _of_service: dict[str, tuple[Part, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for part in self.parts:
            for service in part.speaks_of:
                self._of_service[service] = (*self._of_service.get(service, ()), part)

    def beside(self, target: str) -> tuple[str, tuple[Part, ...]]:
        """Give the service of a subject, and the parts in which it may be found."""
        service = target.split("/", 2)[1] if "/" in target else ""
        return service, self._of_service.get(service, ())

    def are(self, beside: Mapping[str, tuple[Part, ...]]) -> bool:
        """Tell whether services are still spoken of by the very same parts."""
        return all(self._of_service.get(service, ()) == parts for service, parts in beside.items())

    def find(self, target: str, seeker: Address) -> list[Address]:
        """Give who stands for a subject: its own, else one for all instances on its cluster, else the nearest."""
        _, parts = self.beside(target)
        own = _of_subject(parts, Subject(target)) or _for_all(parts, target)
        if own is not None:
            return [own]
        candidates = sorted(address for part in parts for address in part.places.get(Subject(target), ()))
        here = parse_address(seeker)
        near = [a for a in candidates if parse_address(a).cluster == here.cluster]
        same = [a for a in near if parse_address(a).index == here.index]
        return same or near or candidates


def _of_subject(parts: tuple[Part, ...], target: Subject) -> Address | None:
    return next((part.subjects[target] for part in reversed(parts) if target in part.subjects), None)


def _for_all(parts: tuple[Part, ...], target: str) -> Address | None:
    """Find who stands for all instances of a node on one cluster, where they are not told apart: the first does."""
    stem, dot, _ = target.rpartition(".")
    return _of_subject(parts, Subject(f"{stem}.0")) if dot and "@" in stem else None


def _link_part(part: Part, anchors: _Anchors, secret_digest: Callable[[str], str]) -> Linked:
    linker = _Linker(anchors, secret_digest)
    expanded = {one.address: one for one in part.resources}
    resources = {address: linker.link(expanded[address]) for address in sorted(expanded)}
    crosses = any(needed not in resources for one in resources.values() for needed in one.requires)
    return Linked(part=part, beside=linker.beside, resources=resources, faults=tuple(linker.faults), crosses=crosses)


class _Linker:
    """Links resources, and remembers what is wrong with them and where they were looked for."""

    def __init__(self, anchors: _Anchors, secret_digest: Callable[[str], str]) -> None:
        self._anchors = anchors
        self._secret_digest = secret_digest
        self.faults: list[str] = []
        self.beside: dict[str, tuple[Part, ...]] = {}

    def link(self, resource: Resource) -> Resource:
        """Replace subjects by addresses, give secrets their digests and require what is referred to."""
        requires = {address for wanted in resource.requires for address in self._addresses(wanted, resource)}

        def settle(expression: Reference | Secret | Call) -> Value:
            match expression:
                case Secret(name):
                    return self._sealed(name, resource.address)
                case Reference(target, attribute, path):
                    found = self._addresses(target, resource)
                    if not found:
                        self.faults.append(
                            f"{resource.address} needs {attribute} of {target}, which is not deployed here"
                        )
                        return expression
                    requires.add(found[0])
                    return Reference(found[0], attribute, path)
            return expression

        properties = resource.properties
        if resource.references or resource.secrets:
            properties = {name: rewrite(value, settle) for name, value in properties.items()}
        requires.discard(resource.address)
        return replace(resource, properties=properties, requires=tuple(sorted(requires)))

    def _addresses(self, target: str, resource: Resource) -> list[Address]:
        if ":" in target:
            return [Address(target)]
        service, parts = self._anchors.beside(target)
        self.beside[service] = parts
        return self._anchors.find(target, resource.address)

    def _sealed(self, name: str, address: Address) -> Secret:
        try:
            return Secret(name, self._secret_digest(name))
        except ReconcilerError as error:
            self.faults.append(f"{address}: {error}")
            return Secret(name)


def _graph_faults(resources: Mapping[Address, Resource], doubtful: Iterable[Linked]) -> Iterator[str]:
    """Find what nothing makes, and circles: none can close without a part that is new or requires another part."""
    edges = {address: one.requires for linked in doubtful for address, one in linked.resources.items()}
    for address in sorted(edges):
        for needed in edges[address]:
            if needed not in resources:
                yield f"{address} requires {needed}, which nothing makes"
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        yield f"these require one another in a circle: {' -> '.join(reversed(error.args[1]))}"

"""Put services on a site, let its providers turn them into resources, and link these to one another.

Pure: providers expand without connecting. Faults of any service stop the whole site, because a
resource left out by mistake would look like one that is no longer wanted. What is worked out of one service is a
value of its own, so that whoever asks again can bring along what has not changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from graphlib import CycleError, TopologicalSorter

from msgspec import Struct, field
from msgspec.structs import replace

from policies.placement import Demand, demand_of, overloads, place
from providers.base import Provider, ProviderError
from specs.desired import Desired, reached
from specs.errors import ReconcilerError
from specs.model import Address, Alerts, Resource, Service, Site, Subject, parse_address, subject
from specs.shares import ByService, Share, service_of
from specs.tosca.watches import rules_of
from specs.values import Call, Reference, Secret, Value, expressions, rewrite


class DesireError(ReconcilerError):
    """What the specs want of a site cannot be expressed in resources; carries every reason."""

    def __init__(self, site: str, faults: Iterable[str]) -> None:
        self.site = site
        self.faults = tuple(faults)
        super().__init__(f"{site}: " + f"\n{site}: ".join(self.faults))


class Wish(Struct, frozen=True):
    """What the documents say about one site at one commit, and who serves it."""

    commit: str
    site: Site
    services: tuple[Service, ...]
    providers: Mapping[str, Provider]
    """By binding."""
    alerts: tuple[Alerts, ...] = ()


class Part(Struct, frozen=True, kw_only=True, eq=False):
    """What is said to all others about one service, or about the site itself."""

    service: Service | None
    demand: Demand | None
    faults: tuple[str, ...]
    subjects: Mapping[Subject, Address]
    """Who stands for an endpoint."""
    places: Mapping[Subject, tuple[Address, ...]]
    """Who stands for a node, as seen from another endpoint; sorted."""
    speaks_of: frozenset[str]
    """Services whose endpoints or nodes something stands for here."""
    rules: int
    """How many alert rules watch it."""


class Linked(Struct, frozen=True, kw_only=True, eq=False):
    """The resources the providers make of a part, linked to those of others."""

    part: Part
    beside: Mapping[str, tuple[Part, ...]]
    """Service → the parts in which what was linked to was looked for."""
    shares: Mapping[str, Share[Address, Resource]]
    """By service: its own, and seldom another one."""
    faults: tuple[str, ...]


class Worked(Struct, frozen=True):
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
    parts: dict[str, Part] = {}
    expanded: dict[str, Sequence[Resource]] = {}
    for name, service in (("", None), *((service.name, service) for service in wish.services)):
        before = known.get(name)
        if before is not None and (before.part.service is service or before.part.service == service):
            parts[name] = before.part
        else:
            parts[name], expanded[name] = _part(wish, service)
    anchors = _Anchors(parts.values())
    linked = {}
    for name, part in parts.items():
        before = known.get(name)
        if before is None or before.part is not part or not anchors.are(before.beside):
            resources = expanded.pop(name) if name in expanded else _part(wish, part.service)[1]
            before = _link_part(part, resources, anchors, secret_digest)
        linked[name] = before
    return Worked(_put_together(wish, linked, known), linked)


def _put_together(wish: Wish, linked: Mapping[str, Linked], known: Mapping[str, Linked]) -> Desired:
    demands = [one.part.demand for one in linked.values() if one.part.demand is not None]
    faults = [fault for demand in demands for fault in demand.unplaced]
    faults += overloads(wish.site, demands)
    faults += [fault for one in linked.values() for fault in one.part.faults]
    shares: dict[str, Share[Address, Resource]] = {}
    new: set[str] = set()
    for name, one in linked.items():
        for service, share in one.shares.items():
            if service in shares:
                faults += _doubles(shares[service], share)
                share = Share(sorted({**shares[service], **share}.items()))
                new.add(service)
            shares[service] = share
            if known.get(name) is not one:
                new.add(service)
    resources = ByService(shares)
    faults += [fault for one in linked.values() for fault in one.faults]
    faults += _graph_faults(resources, new)
    if faults:
        raise DesireError(wish.site.name, dict.fromkeys(faults))
    nodes = {service.name: service.nodes.keys() for service in wish.services}
    rules = {name: one.part.rules for name, one in linked.items() if one.part.rules}
    return Desired(site=wish.site.name, commit=wish.commit, resources=resources, nodes=nodes, rules=rules)


def _doubles(one: Mapping[Address, Resource], other: Mapping[Address, Resource]) -> Iterator[str]:
    for address in sorted(one.keys() & other.keys()):
        yield _wanted_twice(address)


def _wanted_twice(address: Address) -> str:
    return f"{address} is wanted twice; give one of the two another name"


# --- expanding -------------------------------------------------------------------------------------


def _part(wish: Wish, service: Service | None) -> tuple[Part, Sequence[Resource]]:
    """Ask the providers what they make of a service, or of the site itself."""
    resources: list[Resource] = []
    faults: list[str] = []
    demand, rules = None, 0
    if service is None:
        resources += (one for name in sorted(wish.providers) for one in wish.providers[name].foundation(wish.site))
    else:
        deployment = replace(place(wish.site, service), alerts=wish.alerts)
        demand, rules = demand_of(deployment), len(rules_of(service, wish.alerts))
        for name in sorted(wish.providers):
            try:
                resources.extend(wish.providers[name].expand(deployment))
            except ProviderError as error:
                faults.append(f"{service.name}: {error}")
    twice = (address for address, number in Counter(one.address for one in resources).items() if number > 1)
    faults += map(_wanted_twice, twice)
    standing = [one.address for one in resources if one.stands]
    part = Part(
        service=service,
        demand=demand,
        rules=rules,
        faults=tuple(faults),
        subjects={parse_address(address).subject: address for address in standing},
        places=_places(standing),
        speaks_of=frozenset(map(service_of, standing)),
    )
    return part, resources


def _places(standing: Iterable[Address]) -> Mapping[Subject, tuple[Address, ...]]:
    found: dict[Subject, list[Address]] = {}
    for address in sorted(standing):
        parts = parse_address(address)
        found.setdefault(subject(parts.site, parts.service, parts.node), []).append(address)
    return {node: tuple(addresses) for node, addresses in found.items()}


# --- linking ---------------------------------------------------------------------------------------


class _Anchors(Struct):
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


def _link_part(
    part: Part, expanded: Sequence[Resource], anchors: _Anchors, secret_digest: Callable[[str], str]
) -> Linked:
    linker = _Linker(anchors, secret_digest)
    resources = [(one.address, linker.link(one)) for one in sorted(expanded, key=lambda one: one.address)]
    shares = ByService.of(resources).shares
    return Linked(part=part, beside=linker.beside, shares=shares, faults=tuple(linker.faults))


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
        if any(True for _ in expressions(properties)):
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


def _graph_faults(resources: ByService[Address, Resource], new: Set[str]) -> Iterator[str]:
    """Find what nothing makes, and circles: none can close without a share that is new or reaches another."""
    doubtful = [share for name, share in resources.shares.items() if name in new or share.fact(reached)]
    edges = {address: one.requires for share in doubtful for address, one in share.items()}
    for address in sorted(edges):
        for needed in edges[address]:
            if needed not in resources:
                yield f"{address} requires {needed}, which nothing makes"
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        yield f"these require one another in a circle: {' -> '.join(reversed(error.args[1]))}"

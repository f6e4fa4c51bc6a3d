"""Put services on a site, let its providers turn them into resources, and link these to one another.

Pure: providers expand without connecting. Faults of any service stop the whole site, because a
resource left out by mistake would look like one that is no longer wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter

from policies.placement import capacity_findings, place
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


def desire(wish: Wish, secret_digest: Callable[[str], str]) -> Desired:
    """Work out every resource the commit wants on the site; `DesireError` with all reasons why not.

    `secret_digest` gives the digest a secret compares by, and raises `ReconcilerError` without one.
    """
    faults: list[str] = []
    resources = _unique(_expand(wish, faults), faults)
    anchors = _Anchors(resources.values())
    nodes = frozenset(
        subject(wish.site.name, service.name, node) for service in wish.services for node in service.nodes
    )
    linked = {address: _link(resources[address], anchors, secret_digest, faults) for address in sorted(resources)}
    faults.extend(_graph_faults(linked))
    if faults:
        raise DesireError(wish.site.name, faults)
    return Desired(site=wish.site.name, commit=wish.commit, resources=linked, nodes=nodes)


def _expand(wish: Wish, faults: list[str]) -> Iterable[Resource]:
    deployments = [replace(place(wish.site, service), alerts=wish.alerts) for service in wish.services]
    faults.extend(capacity_findings(wish.site, deployments))
    for name in sorted(wish.providers):
        provider = wish.providers[name]
        yield from provider.foundation(wish.site)
        for deployment in deployments:
            try:
                yield from provider.expand(deployment)
            except ProviderError as error:
                faults.append(f"{deployment.service.name}: {error}")


def _unique(resources: Iterable[Resource], faults: list[str]) -> dict[Address, Resource]:
    found: dict[Address, Resource] = {}
    for resource in resources:
        if resource.address in found:
            faults.append(f"{resource.address} is wanted twice; give one of the two another name")
        found[resource.address] = resource
    return found


class _Anchors:
    """Who stands for an endpoint, and for a node as seen from another endpoint."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._of_subject: dict[Subject, Address] = {}
        self._of_node: dict[Subject, list[Address]] = {}
        for resource in resources:
            if resource.stands:
                parts = parse_address(resource.address)
                self._of_subject[parts.subject] = resource.address
                node = subject(parts.site, parts.service, parts.node)
                self._of_node.setdefault(node, []).append(resource.address)
        for addresses in self._of_node.values():
            addresses.sort()

    def find(self, target: str, seeker: Address) -> list[Address]:
        """Give who stands for a subject: its own, else one for all instances on its cluster, else the nearest."""
        own = self._of_subject.get(Subject(target)) or self._for_all(target)
        if own is not None:
            return [own]
        candidates = self._of_node.get(Subject(target), [])
        here = parse_address(seeker)
        beside = [a for a in candidates if parse_address(a).cluster == here.cluster]
        same = [a for a in beside if parse_address(a).index == here.index]
        return same or beside or candidates

    def _for_all(self, target: str) -> Address | None:
        """Find who stands for all instances of a node on one cluster, where they are not told apart: the first does."""
        stem, dot, _ = target.rpartition(".")
        return self._of_subject.get(Subject(f"{stem}.0")) if dot and "@" in stem else None


def _link(resource: Resource, anchors: _Anchors, secret_digest: Callable[[str], str], faults: list[str]) -> Resource:
    """Replace subjects by addresses, give secrets their digests and require what is referred to."""
    requires = {address for wanted in resource.requires for address in _addresses(wanted, resource, anchors)}

    def settle(expression: Reference | Secret | Call) -> Value:
        match expression:
            case Secret(name):
                return _sealed(name, resource.address, secret_digest, faults)
            case Reference(target, attribute, path):
                found = _addresses(target, resource, anchors)
                if not found:
                    faults.append(f"{resource.address} needs {attribute} of {target}, which is not deployed here")
                    return expression
                requires.add(found[0])
                return Reference(found[0], attribute, path)
        return expression

    properties = resource.properties
    if resource.references or resource.secrets:
        properties = {name: rewrite(value, settle) for name, value in properties.items()}
    requires.discard(resource.address)
    return replace(resource, properties=properties, requires=tuple(sorted(requires)))


def _graph_faults(resources: Mapping[Address, Resource]) -> Iterable[str]:
    for resource in resources.values():
        for needed in resource.requires:
            if needed not in resources:
                yield f"{resource.address} requires {needed}, which nothing makes"
    try:
        TopologicalSorter({address: resource.requires for address, resource in resources.items()}).prepare()
    except CycleError as error:
        yield f"these require one another in a circle: {' -> '.join(reversed(error.args[1]))}"


def _addresses(target: str, resource: Resource, anchors: _Anchors) -> list[Address]:
    return [Address(target)] if ":" in target else anchors.find(target, resource.address)


def _sealed(name: str, address: Address, secret_digest: Callable[[str], str], faults: list[str]) -> Secret:
    try:
        return Secret(name, secret_digest(name))
    except ReconcilerError as error:
        faults.append(f"{address}: {error}")
        return Secret(name)

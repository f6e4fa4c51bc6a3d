"""Configuration events: what an apply changed, endpoint by endpoint, for those who look at metrics."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from policies.placement import place
from providers.base import Chronicler, ConfigurationEvent, ProviderError
from reconciler.order import Verb
from reconciler.progress import Report
from specs.catalogue import Catalogue
from specs.model import AddressParts, Endpoint, LifecycleState, Site, Subject, parse_address
from specs.tosca.watches import chain_of, instance_of
from state.store import Outcome

logger = logging.getLogger(__name__)

_CHANGING = frozenset({Verb.CREATE, Verb.UPDATE, Verb.DELETE})


def events_of(report: Report, catalogue: Catalogue, cause: str, at: datetime) -> tuple[ConfigurationEvent, ...]:
    """Give one event for each endpoint or node that a run changed, in the order of subjects."""
    site = catalogue.sites[report.site]
    services = {service.name: service for service in catalogue.services_on(report.site)}
    changed = tuple(_changed(report))
    touched = {parts.service for parts, _ in changed} & services.keys()
    placed = {name: place(site, services[name]).endpoints for name in sorted(touched)}
    found: dict[Subject, ConfigurationEvent] = {}
    for parts, action in changed:
        service = services.get(parts.service)
        if service is not None and parts.node not in service.nodes:
            continue  # shared by a whole service, or no endpoint at all, like an alert
        for endpoint in _endpoints(parts, placed.get(parts.service, ())):
            chain = (chain_of(service), instance_of(service)) if service is not None else (parts.service,) * 2
            event = _event(endpoint, site, chain, action)
            found.setdefault(
                endpoint.subject, replace(event, at=at, run=report.run, commit=catalogue.commit, cause=cause)
            )
    return tuple(found[subject] for subject in sorted(found))


def _changed(report: Report) -> Iterator[tuple[AddressParts, str]]:
    for finished in report.finished:
        operation = finished.operation
        if finished.outcome is Outcome.DONE and operation.verb in _CHANGING:
            yield parse_address(operation.step.address), str(operation.step.action)


def _endpoints(parts: AddressParts, placed: Iterable[Endpoint]) -> Sequence[Endpoint]:
    """Give the endpoints that an address belongs to; one that is gone is in no state any more."""
    same = [
        endpoint
        for endpoint in placed
        if (endpoint.node, endpoint.cluster) == (parts.node, parts.cluster)
        and (parts.index < 0 or endpoint.index in (parts.index, -1))
    ]
    gone = Endpoint(
        site=parts.site,
        service=parts.service,
        node=parts.node,
        cluster=parts.cluster,
        index=parts.index,
        state=LifecycleState.UNPLACED,
    )
    return same or [gone]


def _event(endpoint: Endpoint, site: Site, chain: tuple[str, ...], action: str) -> ConfigurationEvent:
    cluster = site.clusters.get(endpoint.cluster)
    return ConfigurationEvent(
        site=site.name,
        sfc=chain[0],
        sfci=chain[1],
        function=endpoint.node,
        endpoint=str(endpoint.subject),
        cluster=endpoint.cluster,
        location=cluster.location if cluster is not None else "",
        state=str(endpoint.state),
        action=action,
    )


def record(report: Report, catalogue: Catalogue, cause: str, at: datetime, providers: Mapping[str, object]) -> None:
    """Hand what a run changed to every provider that keeps a record; one that cannot is logged: the run is done."""
    keepers = {name: provider for name, provider in providers.items() if isinstance(provider, Chronicler)}
    events = events_of(report, catalogue, cause, at) if keepers else ()
    for name, keeper in keepers.items():
        try:
            if events:
                keeper.record(events)
        except ProviderError as error:
            logger.warning("%s %s: %s", report.site, name, error)

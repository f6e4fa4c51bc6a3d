"""Speaks the provider protocol for the monitoring system."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

from providers.base import (
    ConfigurationEvent,
    Context,
    Finding,
    Foreign,
    Health,
    Kind,
    Mark,
    PermanentError,
    Present,
    ProviderError,
    Scope,
    Snapshot,
    TransientError,
)
from providers.clmc.builtin import Builtin
from providers.clmc.engine import Engine, Object
from providers.clmc.events import event_point
from providers.clmc.expand import KIND, expand, rules_for
from providers.clmc.kapacitor import Kapacitor
from providers.clmc.settings import Settings, read_settings
from specs.errors import Severity
from specs.model import Address, Alerts, Deployment, Resource, Role, Service, Site
from specs.tosca.rules import Rule, identity
from specs.values import Value, digest
from state.metrics.opening import open_metrics
from state.metrics.vocabulary import Metrics, MetricsError
from state.rulebook import RuleBook, Watched


class Clmc:
    """One binding to the monitoring of a site."""

    name: ClassVar[str] = "clmc"
    roles: ClassVar[frozenset[Role]] = frozenset({Role.MONITORING})
    kinds: ClassVar[Mapping[str, Kind]] = {
        KIND: Kind(
            name=KIND,
            description="An alert rule: what is watched, what it is compared with, and who is told",
            replaced_by=frozenset({"sfc", "sfci", "policy", "trigger"}),
            attributes=frozenset({"id"}),
            deadline=timedelta(minutes=1),
        )
    }

    def __init__(self, context: Context, engine: Engine | None = None) -> None:
        self._context = context
        self._binding = context.binding.name
        self.settings = read_settings(context.site, context.binding)
        self._file = context.state_dir / "clmc" / f"{context.site.name}-{context.binding.name}"
        self._engine = engine if engine is not None else _engine(self.settings, self._file)
        self._metrics: Metrics | None = None

    # --- what is wanted ---

    def foundation(self, site: Site) -> Iterable[Resource]:
        """Give nothing: monitoring is there by itself."""
        return ()

    def expand(self, deployment: Deployment) -> Iterable[Resource]:
        """Turn the rules of a service into alerts."""
        return expand(deployment, self._binding, self._engine, self.settings)

    # --- what is there ---

    def observe(self, scope: Scope) -> Snapshot:
        """List every alert of the engine."""
        try:
            objects = self._engine.list()
        except ProviderError as error:
            return Snapshot(present=[], unknown={KIND: str(error)})
        deaf = self._deafness() if objects else ""
        ours = [present_of(one, deaf) for one in objects if one.mark and one.mark.repository == scope.repository]
        foreign = (
            tuple(
                Foreign(KIND, one.id, one.name)
                for one in objects
                if one.mark is None or one.mark.repository != scope.repository
            )
            if scope.unmanaged
            else ()
        )
        return Snapshot(present=ours, foreign=foreign)

    def examine(self, wanted: Mapping[Address, Resource], snapshot: Snapshot) -> Iterable[Finding]:
        """Say when the metrics do not answer: the rules can be changed all the same, but nothing fires."""
        if not wanted or snapshot.unknown:
            return
        try:
            self.metrics().ping()
        except MetricsError as error:
            yield Finding(Severity.WARNING, f"no alert can be evaluated: {error}")

    def _deafness(self) -> str:
        """Say why our own evaluator cannot tell anything now; empty if it can, or if another engine watches."""
        if not isinstance(self._engine, Builtin):
            return ""
        try:
            self.metrics().ping()
        except MetricsError as error:
            return f"nothing can be evaluated: {error}"
        return ""

    # --- hands ---

    def create(self, resource: Resource, mark: Mark) -> Present:
        """Make the alert; the second time it is found by its mark."""
        own = _identity(resource)
        there = self._engine.find(own)
        if there is not None and not _is_of(there, mark):
            raise PermanentError(f"{resource.address}: the alert {own[:12]} is somebody else's; remove or adopt it")
        if there is not None and there.mark == mark and dict(there.properties) == dict(resource.properties):
            return present_of(there)
        return present_of(self._engine.put(own, mark, resource.properties))

    def update(self, resource: Resource, current: Present, mark: Mark) -> Present:
        """Write the alert anew."""
        there = self._engine.find(current.provider_id)
        if there is None:
            raise PermanentError(f"{resource.address}: the alert is gone; the next turn makes it anew")
        if not _is_of(there, mark):
            raise PermanentError(f"{resource.address}: the alert lost our mark; adopt it to go on")
        return present_of(self._engine.put(current.provider_id, mark, resource.properties))

    def delete(self, current: Present) -> Present | None:
        """Remove the alert, if it is still ours."""
        there = self._engine.find(current.provider_id)
        if there is None:
            return None
        if not _is_of(there, current.mark):
            raise PermanentError(f"{current.address}: the alert lost our mark; it stays")
        self._engine.remove(current.provider_id)
        return None

    def adopt(self, resource: Resource, provider_id: str, mark: Mark) -> Present:
        """Put our mark on an alert; the next turn corrects what differs."""
        there = self._engine.find(provider_id)
        if there is None:
            raise PermanentError(f"{resource.address}: there is no alert {provider_id} to adopt")
        return present_of(self._engine.put(provider_id, mark, there.properties))

    def close(self) -> None:
        """Let go of the engine and the metrics."""
        self._engine.close()
        if self._metrics is not None:
            self._metrics.close()

    # --- beside the protocol ---

    def metrics(self) -> Metrics:
        """Give the store of metrics, connected when first asked for; `MetricsError` if it cannot be."""
        if self._metrics is None:
            self._metrics = open_metrics(self.settings.metrics, self._file.with_suffix(".metrics"))
        return self._metrics

    def database_of(self, sfc: str) -> str:
        """Give the database that holds the metrics of a chain."""
        return self.settings.database_of(sfc)

    @property
    def lag(self) -> timedelta:
        """How long late points are waited for."""
        return self.settings.lag

    @property
    def keeps_metrics(self) -> bool:
        """Whether the metrics lie in a file of ours, which we write as well."""
        return self.settings.metrics.kind == "embedded"

    def rules_of(self, service: Service, alerts: Iterable[Alerts]) -> tuple[Rule, ...]:
        """Give the rules a commit wants for a service, as this monitoring watches them."""
        return tuple(rules_for(service, alerts, self.settings))

    def watched(self) -> tuple[Watched, ...]:
        """Give the rules our own evaluator is to watch; none if another engine does."""
        return self._engine.watched() if isinstance(self._engine, Builtin) else ()

    def rules_version(self) -> object:
        """Give something that differs when the rules to be watched have changed."""
        return self._engine.version() if isinstance(self._engine, Builtin) else None

    def record(self, events: Sequence[ConfigurationEvent]) -> None:
        """Write what was changed beside the metrics; `TransientError` if they do not answer."""
        if not self.settings.events:
            return
        try:
            for database in sorted({self.settings.database_of(event.sfc) for event in events}):
                points = [event_point(e) for e in events if self.settings.database_of(e.sfc) == database]
                self.metrics().write(database, points)
        except MetricsError as error:
            raise TransientError(f"configuration events could not be written: {error}") from error


def _engine(settings: Settings, file: Path) -> Engine:
    if settings.engine == "kapacitor" and settings.kapacitor is not None:
        return Kapacitor(settings, settings.kapacitor)
    return Builtin(RuleBook(file.with_suffix(".rules")), settings.handler_secret)


def _is_of(there: Object, mark: Mark) -> bool:
    """Tell whether an alert carries the mark of this address, whatever was written to it last."""
    own = there.mark
    return own is not None and (own.repository, own.address) == (mark.repository, mark.address)


def _identity(resource: Resource) -> str:
    given = resource.properties
    return identity(*(str(given[key]) for key in ("sfc", "sfci", "policy", "trigger")))


def present_of(one: Object, deaf: str = "") -> Present:
    """Show an alert that carries a mark; how it does is unknown while nothing can be heard of the metrics."""
    mark = one.mark or Mark("", Address(""), "")
    attributes: dict[str, Value] = {"id": one.id}
    return Present(
        provider_id=one.id,
        mark=mark,
        properties=one.properties,
        attributes=attributes,
        health=Health.UNKNOWN if deaf else one.health,
        reason=deaf or one.reason,
        seen=digest([dict(one.properties), attributes]),
    )

"""Which alert rules a commit holds, site by site, and which of them somebody means by a name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from providers.base import Provider
from reconciler.alerts_check import Monitor, monitors_of
from specs.catalogue import Catalogue
from specs.errors import SettingsError
from specs.model import Service
from specs.tosca.rules import Rule
from specs.tosca.wording import suggest


class Placed(Struct, frozen=True, kw_only=True):
    """One rule on one site."""

    site: str
    service: Service
    rule: Rule
    monitor: Monitor

    @property
    def name(self) -> str:
        """What people call it: `service/policy/trigger`."""
        return f"{self.service.name}/{self.rule.policy}/{self.rule.trigger}"


def placed_rules(catalogue: Catalogue, site: str, providers: Mapping[str, Provider]) -> Iterator[Placed]:
    """Give the rules of a site in the order of services, policies and triggers."""
    for monitor in monitors_of(providers).values():
        for service in catalogue.services_on(site):
            for rule in monitor.rules_of(service, catalogue.alerts):
                yield Placed(site=site, service=service, rule=rule, monitor=monitor)


def chosen(rules: Iterable[Placed], names: Iterable[str]) -> list[Placed]:
    """Give the rules with these names, or with names that end so; `SettingsError` for a name nobody has."""
    everything, wanted = list(rules), list(names)
    if not wanted:
        return everything
    for name in wanted:
        if not any(_is_called(one, name) for one in everything):
            known = suggest(name, {one.name.partition("/")[2] for one in everything})
            raise SettingsError(f"there is no alert {name!r}{known}")
    return [one for one in everything if any(_is_called(one, name) for name in wanted)]


def _is_called(one: Placed, name: str) -> bool:
    return f"/{one.name}".endswith(f"/{name}")

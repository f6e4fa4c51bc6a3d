"""Turns the rules that watch a service on a site into resources; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from providers.base import PermanentError
from providers.clmc.engine import Engine
from providers.clmc.settings import Settings
from specs.model import Alerts, Deployment, Resource, Service, address, subject
from specs.tosca.naming import is_name
from specs.tosca.rules import Rule
from specs.tosca.watches import rules_of

KIND = "alert"


def expand(deployment: Deployment, binding: str, engine: Engine, settings: Settings) -> Iterator[Resource]:
    """Give one resource for each rule, in the order of addresses."""
    service = deployment.service
    for rule in rules_for(service, deployment.alerts, settings):
        for name in (rule.policy, rule.trigger):
            if not is_name(name):
                raise PermanentError(
                    f"{name!r} stands in addresses; name policies and triggers with letters and digits"
                )
        owner = subject(deployment.site.name, service.name, rule.policy)
        yield Resource(
            address=address(owner, "clmc", KIND, rule.trigger),
            binding=binding,
            properties=engine.properties(rule),
        )


def rules_for(service: Service, alerts: Iterable[Alerts], settings: Settings) -> Iterator[Rule]:
    """Give the rules of a service as they are watched: over the points of its chain instance only."""
    for rule in rules_of(service, alerts):
        yield with_chain_tags(rule) if settings.chain_tags else rule


def with_chain_tags(rule: Rule) -> Rule:
    """Narrow a rule to the points of its chain instance."""
    tags = {"flame_sfc": rule.sfc, "flame_sfci": rule.sfci}
    return replace(rule, conditions=tuple(replace(one, tags={**tags, **one.tags}) for one in rule.conditions))

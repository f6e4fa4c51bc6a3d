"""Holds an alerts spec against the service spec of the same chain instance: FLAME lets neither stand alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from specs.errors import Diagnostic, Severity
from specs.model import Alerts, Policy, Position, Service, Trigger
from specs.tosca.flame import CONSTRAINT_PREFIX, SCALING, SFEMC, STATE_CHANGE
from specs.tosca.wording import suggest

_ACTING = (STATE_CHANGE, SCALING)


def mismatches(alerts: Alerts, services: Iterable[Service]) -> Iterable[Diagnostic]:
    """Say where an alerts spec and the service spec of the same chain instance do not fit together."""
    of_chain = [service for service in services if service.metadata.get("sfci", service.name) == alerts.sfci]
    if not of_chain:
        message = f"no service spec is of the chain instance {alerts.sfci!r}: its alerts move nothing"
        yield _at(alerts.position, Severity.WARNING, "alerts-alone", message)
    for service in of_chain[:1]:
        yield from _mismatches(alerts, service)


def _mismatches(alerts: Alerts, service: Service) -> Iterable[Diagnostic]:
    sfc = service.metadata.get("sfc", alerts.sfc)
    if sfc != alerts.sfc:
        message = f"metadata.sfc is {alerts.sfc!r}, but {service.position.file} says {sfc!r}"
        yield _at(alerts.position, Severity.ERROR, "alerts-mismatch", message)
    changes = {name: policy for name, policy in service.policies.items() if any(map(policy.is_a, _ACTING))}
    for policy in alerts.policies.values():
        for trigger in policy.triggers.values():
            if SFEMC in _handlers(trigger):
                yield from _trigger_mismatch(policy, trigger, service, changes)
    yield from _never_fired(alerts, service, changes)


def _trigger_mismatch(
    policy: Policy, trigger: Trigger, service: Service, changes: Mapping[str, Policy]
) -> Iterable[Diagnostic]:
    other = changes.get(policy.name)
    where = service.position.file
    if other is None:
        what = f"a StateChange or Scaling policy {policy.name!r}"
        message = f"{SFEMC} needs {what} in {where}{suggest(policy.name, changes)}"
        yield _at(policy.position, Severity.ERROR, "alerts-mismatch", message)
    elif trigger.name not in _watched(other):
        hint = suggest(trigger.name, _watched(other))
        wanted = f"'constraint: {CONSTRAINT_PREFIX}{trigger.name}'"
        message = f"{SFEMC} needs a trigger with {wanted} in {policy.name!r} of {where}{hint}"
        yield _at(trigger.position, Severity.ERROR, "alerts-mismatch", message)


def _never_fired(alerts: Alerts, service: Service, changes: Mapping[str, Policy]) -> Iterable[Diagnostic]:
    for name, policy in changes.items():
        known = alerts.policies[name].triggers if name in alerts.policies else {}
        for trigger in policy.triggers.values():
            constraint = trigger.condition.get("constraint")
            if not isinstance(constraint, str) or not constraint.startswith(CONSTRAINT_PREFIX):
                continue
            watched = constraint.removeprefix(CONSTRAINT_PREFIX)
            if watched not in known:
                message = f"no trigger {watched!r} of a policy {name!r} in {alerts.position.file} ever fires this"
                yield _at(trigger.position, Severity.WARNING, "never-fired", message)


def _watched(policy: Policy) -> frozenset[str]:
    constraints = (trigger.condition.get("constraint") for trigger in policy.triggers.values())
    return frozenset(
        text.removeprefix(CONSTRAINT_PREFIX)
        for text in constraints
        if isinstance(text, str) and text.startswith(CONSTRAINT_PREFIX)
    )


def _handlers(trigger: Trigger) -> Sequence[object]:
    match trigger.action:
        case {"implementation": [*handlers]}:
            return handlers
    return ()


def _at(position: Position, severity: Severity, code: str, message: str) -> Diagnostic:
    return Diagnostic(position.file, position.line, position.column, severity, code, message)

"""A plan as JSON, in the shape of Terraform's plan representation, so that tools made for that read it. Pure.

Equal plans give equal documents but for `created_at`. No secret is in one. Beyond Terraform's shape stand
`held_changes` (with `why`), `unseen`, `findings`, `summary` and, in a change, `origins`: who moved a property.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import TypeAlias

from providers.base import Finding
from reconciler.plan_view import DriftView, PlanView, StepView
from reconciler.shown import Marker, Shown, ShownProperties
from reconciler.step import Action, Reason, Step
from specs.errors import Severity
from specs.model import Address, parse_address

FORMAT_VERSION = "1.0"

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
Document: TypeAlias = dict[str, Json]


def plan_document(commit: str, created_at: datetime, views: Sequence[PlanView], errors: Iterable[str] = ()) -> Document:
    """Put the plans of some sites, made from one commit, into one document; `errors` are of sites without a plan."""
    said = [*errors, *(error for view in views for error in _errors(view))]
    return {
        "format_version": FORMAT_VERSION,
        "commit": commit,
        "created_at": created_at.isoformat(),
        "observed_digest": _observed_digest(views),
        "resource_changes": [_change_of(step) for view in views for step in view.steps],
        "resource_drift": [_drift_of(drift) for view in views for drift in view.drift],
        "held_changes": [{**_change_of(held.view), "why": held.why} for view in views for held in view.held],
        "unseen": [{"address": str(item.address), "reason": item.reason} for view in views for item in view.unseen],
        "findings": [finding_document(finding) for view in views for finding in view.findings],
        "errors": [{"message": message} for message in said],
        "summary": _summary(views),
    }


def finding_document(finding: Finding) -> Document:
    """Put one remark of a provider into a document."""
    address = str(finding.address) if finding.address else None
    return {"severity": str(finding.severity), "message": finding.message, "address": address}


def _errors(view: PlanView) -> Iterator[str]:
    if view.tripped:
        yield view.tripped
    for finding in view.findings:
        if finding.severity is Severity.ERROR:
            yield f"{finding.address or view.site}: {finding.message}"


def _observed_digest(views: Sequence[PlanView]) -> str:
    text = "\n".join(f"{view.site} {view.observed_digest}" for view in views)
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _summary(views: Sequence[PlanView]) -> Document:
    actions = {"create": Action.CREATE, "update": Action.UPDATE, "replace": Action.REPLACE, "delete": Action.DELETE}
    counted: Document = {name: sum(view.count(action) for view in views) for name, action in actions.items()}
    counted["adopt"] = sum(view.count(Action.ADOPT) for view in views)
    counted["noop"] = sum(view.unchanged for view in views)
    return counted


# --- changes ---------------------------------------------------------------------------------------


def _change_of(view: StepView) -> Document:
    step = view.step
    change: Document = {"actions": list(_actions(step)), **_sides(view.before, view.after)}
    if paths := [[change.name] for change in view.changes if change.replaces]:
        change["replace_paths"] = paths
    if origins := {change.name: str(change.origin) for change in view.changes if change.origin}:
        change["origins"] = origins
    if step.action is Action.ADOPT and step.present:
        change["importing"] = {"id": step.present.provider_id}
    return {**_identity(step.address), "requires": list(step.requires), "change": change, "action_reason": reason(step)}


def _identity(address: Address) -> Document:
    parts = parse_address(address)
    return {
        "address": str(address),
        "site": parts.site,
        "provider": parts.provider,
        "type": f"{parts.provider}.{parts.kind}",
        "name": parts.subject.partition("/")[2] + (f"/{parts.name}" if parts.name else ""),
    }


def _actions(step: Step) -> tuple[str, ...]:
    match step.action:
        case Action.REPLACE:
            return ("create", "delete") if step.create_before_delete else ("delete", "create")
        case Action.ADOPT:
            return ("no-op",)
    return (str(step.action),)


def reason(step: Step) -> str:
    """Give the reason of a step in one word, as Terraform would spell it."""
    if step.reason is Reason.NOT_IN_SPEC:
        return "delete_because_no_resource_config"
    return f"{step.action}_because_{step.reason.name.lower()}"


def _drift_of(view: DriftView) -> Document:
    actions: list[Json] = ["delete"] if view.after is None else ["update"]
    change: Document = {"actions": actions, **_sides(view.before, view.after)}
    if origins := {change.name: str(change.origin) for change in view.changes if change.origin}:
        change["origins"] = origins
    return {**_identity(view.address), "change": change}


def _sides(before: ShownProperties | None, after: ShownProperties | None) -> Document:
    return {
        "before": _known(before),
        "after": _known(after),
        "after_unknown": _where(after, Marker.LATER) or {},
        "before_sensitive": _where(before, Marker.SENSITIVE) or {},
        "after_sensitive": _where(after, Marker.SENSITIVE) or {},
    }


def _known(value: Shown) -> Json:
    """Give the part of a value that is known; in a list, `null` keeps the place of what is not."""
    match value:
        case Marker.LATER:
            return None
        case Marker():
            return str(value.value)
        case Mapping():
            return {key: _known(item) for key, item in value.items() if item is not Marker.LATER}
        case str():
            return value
        case Sequence():
            return [_known(item) for item in value]
    return value


def _where(value: Shown, marker: Marker) -> Json:
    """Give `true` where a marker stands, in the structure of the value; `None` if it stands nowhere."""
    match value:
        case Marker():
            return True if value is marker else None
        case Mapping():
            found: Document = {}
            for key, item in value.items():
                if (place := _where(item, marker)) is not None:
                    found[key] = place
            return found or None
        case str():
            return None
        case Sequence():
            items = [_where(item, marker) for item in value]
            return [item or False for item in items] if any(items) else None
    return None


# --- comparing -------------------------------------------------------------------------------------


def moved(approved: Document, now: Document, site: str) -> tuple[str, ...]:
    """Say what differs between two documents in what would be done to a site; nothing if they agree.

    What only writes records (adopting, forgetting) may come and go.
    """
    before, after = _by_address(approved, site), _by_address(now, site)
    said = []
    for address in sorted(before.keys() | after.keys()):
        if address not in after:
            said.append(f"{address} would not be touched any more")
        elif address not in before:
            said.append(f"{address} would be touched as well")
        elif before[address] != after[address]:
            said.append(f"{address} would be changed in another way")
    if not said and list(before) != list(after):
        said.append(f"the steps on {site} would be done in another order")
    return tuple(said)


def _by_address(document: Document, site: str) -> dict[str, Json]:
    found: dict[str, Json] = {}
    changes = document.get("resource_changes")
    for change in changes if isinstance(changes, list) else ():
        match change:
            case {"site": str() as where, "address": str() as address, "change": {"actions": [*actions]}}:
                if where == site and not {"no-op", "forget"}.issuperset(map(str, actions)):
                    found[address + "'" * sum(key.rstrip("'") == address for key in found)] = change
    return found

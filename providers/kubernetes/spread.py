"""Where among the nodes of a Kubernetes pods should go: what Placement policies say. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from providers.kubernetes.naming import DOMAIN, NODE, SERVICE, label_value
from providers.kubernetes.place import Place
from specs.model import Policy
from specs.values import Value

PLACEMENT = "eu.ict-flame.policies.Placement"
_HOST = "kubernetes.io/hostname"


def affinity(place: Place) -> dict[str, Value]:
    """Prefer nodes with the tier, the location and the labels of the policies; keep targets apart if they say so."""
    found: dict[str, Value] = {}
    if wanted := [expression for policy in _policies(place) for expression in _expressions(policy)]:
        preference: Value = {"weight": 100, "preference": {"matchExpressions": wanted}}
        found["nodeAffinity"] = {"preferredDuringSchedulingIgnoredDuringExecution": [preference]}
    apart = sorted({name for p in _policies(place) if p.properties.get("anti_affinity") is True for name in p.targets})
    if apart:
        rule: Value = {
            "labelSelector": {
                "matchLabels": {SERVICE: label_value(place.first.service)},
                "matchExpressions": [{"key": NODE, "operator": "In", "values": [label_value(name) for name in apart]}],
            },
            "topologyKey": _HOST,
        }
        found["podAntiAffinity"] = {"requiredDuringSchedulingIgnoredDuringExecution": [rule]}
    return found


def spread(place: Place) -> list[Value]:
    """Spread pods over the nodes if a policy says so."""
    if not any(policy.properties.get("spread") is True for policy in _policies(place)):
        return []
    return [
        {
            "maxSkew": 1,
            "topologyKey": _HOST,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": place.labels},
        }
    ]


def _policies(place: Place) -> Iterator[Policy]:
    for policy in place.layout.deployment.service.policies.values():
        if policy.is_a(PLACEMENT) and place.node.name in policy.targets:
            yield policy


def _expressions(policy: Policy) -> Iterator[Value]:
    for name in ("tier", "location"):
        said = policy.properties.get(name)
        if isinstance(said, str):
            yield _is(f"{DOMAIN}/{name}", said)
    labels = policy.properties.get("labels")
    if isinstance(labels, Mapping):
        for name in sorted(labels):
            yield _is(name, str(labels[name]))


def _is(label: str, value: str) -> Value:
    return {"key": label, "operator": "In", "values": [label_value(value)]}

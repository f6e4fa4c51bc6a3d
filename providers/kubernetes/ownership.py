"""Who owns which fields of an object, as `managedFields` tells. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from providers.kubernetes.errors import Claim
from providers.kubernetes.naming import MANAGER, Json
from specs.values import Value

_CLIENT_SIDE = frozenset({"kubectl-client-side-apply", "kubectl-last-applied"})
"""Managers that apply without saying so."""


def owned_fields(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give the fields we own by having applied them."""
    for entry in metadata.get("managedFields") or ():
        if entry.get("manager") == MANAGER and entry.get("operation") == "Apply":
            found = entry.get("fieldsV1")
            return found if isinstance(found, dict) else {}
    return {}


def owned_keys(metadata: Mapping[str, Any], field: str) -> frozenset[str]:
    """Give the keys we own of a map at the top level."""
    return frozenset(key.removeprefix("f:") for key in owned_fields(metadata).get(f"f:{field}") or {})


def appliers(metadata: Mapping[str, Any]) -> frozenset[str]:
    """Give the other managers that keep applying what they want; who changed a field once by hand is none."""
    return frozenset(
        entry["manager"]
        for entry in metadata.get("managedFields") or ()
        if entry.get("manager") not in (None, MANAGER)
        and (entry.get("operation") == "Apply" or entry["manager"] in _CLIENT_SIDE)
    )


def contested(claims: Sequence[Claim], metadata: Mapping[str, Any]) -> tuple[Claim, ...]:
    """Give the claims that would come back if we took the field: those of managers that apply."""
    others = appliers(metadata)
    return tuple(claim for claim in claims if claim.manager in others)


def simulated(wanted: Json, live: Json, fields: Mapping[str, Any]) -> Json:
    """Work out what applying would make of the parts of an object, for servers that will not say."""
    by_part: dict[str, Any] = {}
    for name, inner in fields.items():
        plain = name.removeprefix("f:")
        if plain == "metadata":
            by_part |= {key.removeprefix("f:"): item for key, item in inner.items()}
        elif plain == "spec":
            by_part |= {f"spec.{key.removeprefix('f:')}": item for key, item in inner.items()}
        else:
            by_part[plain] = inner
    return _applied_map(wanted, live, {f"f:{name}": inner for name, inner in by_part.items()})


def _applied(wanted: Any, live: Any, fields: Mapping[str, Any]) -> Any:
    match wanted, live:
        case dict(), dict():
            return _applied_map(wanted, live, fields)
        case list(), list() if any(key.startswith("k:") for key in fields):
            return _applied_list(wanted, live, fields)
        case list(), list() if len(wanted) == len(live):
            return [_applied(one, other, {}) for one, other in zip(wanted, live, strict=True)]
    return wanted


def _applied_map(wanted: Mapping[str, Value], live: Json, fields: Mapping[str, Any]) -> Json:
    kept: Json = {}
    for key, value in live.items():
        ours = fields.get(f"f:{key}")
        if key in wanted or ours is None:
            kept[key] = value
        elif isinstance(value, dict) and ours and (theirs := _applied_map({}, value, ours)):
            kept[key] = theirs
    made = {key: _applied(value, live.get(key), fields.get(f"f:{key}") or {}) for key, value in wanted.items()}
    return {**kept, **made}


def _applied_list(wanted: list[Any], live: list[Any], fields: Mapping[str, Any]) -> list[Any]:
    names = [json.loads(key.removeprefix("k:")) for key in fields if key.startswith("k:")]
    keys = sorted(names[0])

    def name(item: Any) -> str:
        return json.dumps([item.get(key) for key in keys]) if isinstance(item, dict) else json.dumps(item)

    ours = {json.dumps([found.get(key) for key in keys]) for found in names}
    there = {name(item): item for item in live}
    made = {name(item): item for item in wanted}
    kept = [item for key, item in there.items() if key not in made and key not in ours]
    return [_applied(item, there.get(key), {}) for key, item in made.items()] + kept

"""Between properties and manifests: takes objects apart into comparable parts, and puts them together again. Pure.

A part is a label map, an annotation map, one field of `spec` (named `spec.<field>`) or another field of the top level.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from msgspec.structs import replace

from providers.base import Mark, PermanentError
from providers.kubernetes.kinds import Form
from providers.kubernetes.naming import (
    ADDRESS,
    ADOPTED,
    DIGEST,
    MANAGED_BY,
    REPOSITORY,
    ROLLS_WITH,
    SECRETS,
    SITE,
    Json,
    compact,
    mark_annotations,
    mark_labels,
)
from providers.kubernetes.ownership import owned_fields
from specs.model import Resource
from specs.values import Call, Properties, Reference, Secret, Value, decode, encode, rewrite

OWN_WORDS = ("cluster", "namespace", "name", "api_version", "object_kind", "in_place", "force", "rolls_with")
"""Properties that are no part of the object's text."""

_LEFT_OUT = ("apiVersion", "kind", "metadata", "status")
_MARK_LABELS = (MANAGED_BY, REPOSITORY, SITE)
_MARK_ANNOTATIONS = (ADDRESS, DIGEST, SECRETS, ADOPTED)


def parts_of(body: Mapping[str, Any]) -> dict[str, Value]:
    """Take an object apart; the owner mark, identity and status are left out."""
    metadata = body.get("metadata") or {}
    parts: dict[str, Value] = {}
    for name, ours in (("labels", _MARK_LABELS), ("annotations", _MARK_ANNOTATIONS)):
        found = {key: value for key, value in (metadata.get(name) or {}).items() if key not in ours}
        if found:
            parts[name] = found
    for name, value in body.items():
        if name == "spec" and isinstance(value, Mapping) and value:
            parts |= {f"spec.{field}": _without_note(field, item) for field, item in value.items()}
        elif name not in _LEFT_OUT:
            parts[name] = value
    return parts


def manifest_of(resource: Resource, version: str, kind: str, mark: Mark) -> Json:
    """Write a resource, references and secrets put in, as the object to apply; the mark included."""
    properties = dict(resource.properties)
    metadata: Json = {
        "name": properties["name"],
        "labels": {**_mapping(properties, "labels"), **mark_labels(mark)},
        "annotations": {**_mapping(properties, "annotations"), **mark_annotations(mark)},
    }
    if "namespace" in properties:
        metadata["namespace"] = properties["namespace"]
    body: Json = {"apiVersion": version, "kind": kind, "metadata": metadata}
    sealed = resource.kind == "secret"
    if sealed:
        metadata["annotations"][SECRETS] = compact(encode(properties["data"]))
    for name, value in properties.items():
        if name in OWN_WORDS or name in ("labels", "annotations"):
            continue
        if sealed and name == "data" and isinstance(value, Mapping):
            body["data"] = {key: _opened(resource, item) for key, item in value.items()}
        elif name.startswith("spec."):
            body.setdefault("spec", {})[name.removeprefix("spec.")] = _plain(resource, value)
        else:
            body[name] = _plain(resource, value)
    if "rolls_with" in properties:
        _note_rolls_with(body, properties["rolls_with"])
    return body


def with_pods_kept(resource: Resource, form: Form, live: Mapping[str, Any]) -> Resource:
    """Let a workload keep the pods it has when their number has just become an autoscaler's affair.

    A field we own and no longer write falls back to its default, and a service that many use to a single pod.
    """
    if form.object not in ("Deployment", "StatefulSet") or "spec.replicas" in resource.properties:
        return resource
    number = live["spec"].get("replicas")
    ours = "f:replicas" in (owned_fields(live["metadata"]).get("f:spec") or {})
    if not number or not ours:
        return resource
    return replace(resource, properties={**resource.properties, "spec.replicas": number})


def _note_rolls_with(body: Json, value: Value) -> None:
    template = dict(body["spec"]["template"])
    metadata = dict(template.get("metadata") or {})
    metadata["annotations"] = {**(metadata.get("annotations") or {}), ROLLS_WITH: compact(encode(value))}
    template["metadata"] = metadata
    body["spec"]["template"] = template


def _without_note(field: str, value: Any) -> Any:
    """Leave out of a pod template what `rolls_with` has written there: that is a property of its own."""
    metadata = value.get("metadata") if field == "template" and isinstance(value, Mapping) else None
    if not metadata or ROLLS_WITH not in (metadata.get("annotations") or {}):
        return value
    annotations = {key: text for key, text in metadata["annotations"].items() if key != ROLLS_WITH}
    metadata = {key: item for key, item in metadata.items() if key != "annotations"}
    metadata |= {"annotations": annotations} if annotations else {}
    rest = {key: item for key, item in value.items() if key != "metadata"}
    return {**rest, "metadata": metadata} if metadata else rest


def rolls_with_of(body: Mapping[str, Any]) -> Value:
    """Read what the pods were last made for."""
    template = (body.get("spec") or {}).get("template") or {}
    text = ((template.get("metadata") or {}).get("annotations") or {}).get(ROLLS_WITH)
    return _decoded(text)


def sealed_data(metadata: Mapping[str, Any]) -> dict[str, Value]:
    """Read which secrets stand in a secret."""
    found = _decoded((metadata.get("annotations") or {}).get(SECRETS))
    return dict(found) if isinstance(found, Mapping) else {}


def closed(value: Value) -> Value:
    """Take the texts of secrets out of a value."""
    return rewrite(value, lambda item: Secret(item.name, item.digest) if isinstance(item, Secret) else item)


def _decoded(text: object) -> Value:
    if not isinstance(text, str):
        return None
    try:
        return decode(json.loads(text))
    except ValueError:
        return None


def _mapping(properties: Properties, name: str) -> dict[str, Value]:
    found = properties.get(name)
    return dict(found) if isinstance(found, Mapping) else {}


def _opened(resource: Resource, value: Value) -> str:
    if isinstance(value, Secret):
        return base64.b64encode(value.text.encode()).decode()
    return base64.b64encode(str(value).encode()).decode() if isinstance(value, str) else _refuse(resource, value)


def _refuse(resource: Resource, value: object) -> str:
    raise PermanentError(f"{resource.address}: {value!r} cannot stand in a secret; write text")


def _plain(resource: Resource, value: Value) -> Any:
    """Give plain JSON; a secret may stand in secrets only."""

    def refuse(item: object) -> Value:
        what = f"the secret {item.name!r}" if isinstance(item, Secret) else "what is not known yet"
        raise PermanentError(f"{resource.address} holds {what} where Kubernetes would show it; move it to env or files")

    return cast("Any", rewrite(value, refuse))


# --- seeing the world through what is wanted -------------------------------------------------------

_KEYS = ("name", "mountPath", "containerPort", "port", "key", "ip", "topologyKey", "type", "host", "path")


def is_plain(wanted: Value) -> bool:
    """Tell whether a value says all there is to say: nothing in it is known only later."""
    match wanted:
        case str() | bool() | int() | float() | None:
            return True
        case dict():
            return all(map(is_plain, wanted.values()))
        case list():
            return all(map(is_plain, wanted))
    return False


def fill(wanted: Value, live: Any) -> Value:
    """Give the wanted value, what is known only later taken from the live one."""
    match wanted:
        case str() | bool() | int() | float() | None:
            return wanted
        case Secret():
            return Secret(wanted.name, wanted.digest)
        case Mapping():
            there = live if isinstance(live, Mapping) else {}
            return {
                key: fill(item, there.get(key))
                for key, item in wanted.items()
                if key in there or not isinstance(item, Reference | Call)
            }
        case Sequence():
            others = live if isinstance(live, list) else []
            return [fill(item, other) for item, other in _paired(wanted, others, _key_of(wanted, others))]
    return cast("Value", live)


def covers(wanted: Value, live: Any) -> bool:
    """Tell whether everything wanted is there, literally; more may be there."""
    match wanted:
        case bool():
            return live is wanted
        case str() | int() | float() | None:
            return type(live) is not bool and bool(wanted == live)
        case Secret():
            return isinstance(live, Secret) and live.digest == wanted.digest
        case dict() | Mapping():  # what JSON is made of is recognised in a tenth of the time
            return isinstance(live, dict) and all(
                key in live and covers(item, live[key]) for key, item in wanted.items()
            )
        case list() | Sequence():
            if not isinstance(live, list):
                return False
            name = _key_of(wanted, live)
            return (name is not None or len(wanted) == len(live)) and all(
                covers(item, other) for item, other in _paired(wanted, live, name)
            )
    return live is not None


def seen_through(wanted: Value, live: Any, answer: Any) -> Value:
    """Show what is live in the shape of what is wanted.

    `answer` is what the server would make of the wanted. Where it is live already the wanted is shown, because
    the server means the same by it; what applying would change or remove is shown as it is.
    """
    if answer == live:
        return fill(wanted, live)
    match wanted, live, answer:
        case Mapping(), Mapping(), Mapping():
            ours = {key: seen_through(wanted[key], live[key], answer.get(key)) for key in wanted if key in live}
            moved = {key: live[key] for key in live if key not in wanted and answer.get(key) != live[key]}
            return {**ours, **moved}
        case str(), _, _:
            return cast("Value", live)
        case Sequence(), list(), list():
            return _list_through(wanted, live, answer)
    return cast("Value", live)


def _list_through(wanted: Sequence[Value], live: list[Any], answer: list[Any]) -> Value:
    key = _key_of(wanted, live)
    if key is None or _key_of(wanted, answer) != key:
        if len(wanted) == len(live) == len(answer):
            return [seen_through(*three) for three in zip(wanted, live, answer, strict=True)]
        return live
    there, then = {item[key]: item for item in live}, {item[key]: item for item in answer}
    ours = {cast("Mapping[str, Any]", item)[key]: item for item in wanted}
    shown: list[Value] = [seen_through(ours[name], there[name], then.get(name)) for name in ours if name in there]
    return [*shown, *(there[name] for name in there if name not in ours and then.get(name) != there[name])]


def _paired(wanted: Sequence[Value], live: Sequence[Any], key: str | None) -> list[tuple[Value, Any]]:
    """Pair the items of two lists by what tells them apart, or else by their order."""
    if key is not None:
        by_name = {item[key]: item for item in live}
        return [(item, by_name.get(cast("Mapping[str, Any]", item)[key])) for item in wanted]
    return [(item, live[n] if n < len(live) else None) for n, item in enumerate(wanted)]


def _key_of(wanted: Sequence[Value], live: Sequence[Any]) -> str | None:
    """Find what tells the items of a list apart."""
    items = [item for item in (*wanted, *live) if isinstance(item, Mapping)]
    if not items or len(items) < len(wanted) + len(live):
        return None
    for key in _KEYS:
        if key in items[0]:
            names = [item.get(key) for item in items]
            ours, theirs = names[: len(wanted)], names[len(wanted) :]
            if (
                all(isinstance(name, str | int) for name in names)
                and len(set(ours)) == len(ours)
                and len(set(theirs)) == len(theirs)
            ):
                return key
    return None

"""Turns a live object into what the rest of the project compares and shows. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from providers.base import Health, Mark, Present
from providers.kubernetes.discovery import Served
from providers.kubernetes.health import judge
from providers.kubernetes.identity import Identity
from providers.kubernetes.naming import Json
from providers.kubernetes.ownership import owned_keys
from providers.kubernetes.shape import (
    OWN_WORDS,
    covers,
    fill,
    is_plain,
    parts_of,
    rolls_with_of,
    sealed_data,
    seen_through,
)
from specs.model import Resource, parse_address
from specs.values import Properties, Secret, Value, digest

CHANGED = "changed in the cluster"
"""Stands in the place of a secret's digest when its content is not what we wrote."""


class Sample(Struct, frozen=True, kw_only=True):
    """A live object that carries our mark."""

    served: Served
    handle: str
    """Names the API server in its id."""
    cluster: str
    body: Json
    mark: Mark

    @property
    def uid(self) -> str:
        """Its identity in time."""
        return str(self.body["metadata"]["uid"])

    @property
    def version(self) -> str:
        """Changes with every change of the object."""
        return str(self.body["metadata"]["resourceVersion"])


def wanted_parts(wanted: Resource) -> dict[str, Value]:
    """Give the properties that are text of the object."""
    return {name: value for name, value in wanted.properties.items() if name not in OWN_WORDS}


def is_as_applied(sample: Sample, wanted: Resource) -> bool:
    """Tell whether the object surely is as wanted; if not, the server has to be asked what applying would change."""
    if sample.mark.digest != wanted.digest:
        return False
    if wanted.kind == "secret":
        return True
    if "rolls_with" in wanted.properties and not covers(wanted.properties["rolls_with"], rolls_with_of(sample.body)):
        return False
    return covers(wanted_parts(wanted), parts_of(sample.body))


def present(
    sample: Sample,
    wanted: Resource | None,
    after: Mapping[str, Value] | None = None,
    verdict: tuple[Health, str] | None = None,
    *,
    in_place: bool = True,
) -> Present:
    """Show an object in the words of the spec.

    `after` are the parts as the server would make them of the wanted; without them the object is taken to be as wanted.
    """
    properties = _base(sample, wanted, in_place=in_place)
    if wanted is not None:
        properties |= _sealed(sample, wanted) if wanted.kind == "secret" else _parts(sample, wanted, after)
    attributes = _attributes(sample)
    health, reason = verdict or judge(sample.body, sample.served.form.object)
    return Present(
        provider_id=str(identity_of(sample)),
        mark=sample.mark,
        properties=properties,
        attributes=attributes,
        health=health,
        reason=reason,
        seen=digest({"properties": properties, "attributes": attributes}),
    )


def sample_of(served: Served, body: Json, mark: Mark, clusters: tuple[str, ...]) -> Sample:
    """Take a live object with its mark; its cluster is the one its address names, if the server stands behind that."""
    named = parse_address(mark.address).cluster
    return Sample(
        served=served, handle=clusters[0], cluster=named if named in clusters else clusters[0], body=body, mark=mark
    )


def identity_of(sample: Sample) -> Identity:
    """Give the id of an object."""
    metadata = sample.body["metadata"]
    return Identity(
        sample.handle, sample.served.form.id, metadata.get("namespace", ""), metadata["name"], metadata["uid"]
    )


def _base(sample: Sample, wanted: Resource | None, *, in_place: bool) -> dict[str, Value]:
    metadata = sample.body["metadata"]
    found: dict[str, Value] = {"cluster": sample.cluster}
    if metadata.get("namespace"):
        found["namespace"] = metadata["namespace"]
    elif wanted is not None and "namespace" in wanted.properties:  # only the server knows that the kind has none
        found["namespace"] = wanted.properties["namespace"]
    found["name"] = metadata["name"]
    if parse_address(sample.mark.address).kind == "object":
        said = wanted.properties if wanted is not None else {}
        found["api_version"] = said.get("api_version", sample.served.api_version)
        found["object_kind"] = sample.served.form.object
        found["in_place"] = in_place
    if wanted is not None and "force" in wanted.properties:
        found["force"] = wanted.properties["force"]
    return found


def _parts(sample: Sample, wanted: Resource, after: Mapping[str, Value] | None) -> dict[str, Value]:
    shown: Value = wanted_parts(wanted)
    if after is not None:
        shown = seen_through(shown, parts_of(sample.body), after)
    elif not is_plain(shown):
        shown = fill(shown, parts_of(sample.body))
    found: dict[str, Value] = dict(shown) if isinstance(shown, Mapping) else {}
    rolls_with = rolls_with_of(sample.body)
    if rolls_with is not None:
        found["rolls_with"] = rolls_with
    return found


def _sealed(sample: Sample, wanted: Resource) -> dict[str, Value]:
    """Show a secret by its record of what was written, and by who owns it since."""
    metadata = sample.body["metadata"]
    ours = owned_keys(metadata, "data")
    data: dict[str, Value] = {
        key: value if key in ours else _changed(value) for key, value in sealed_data(metadata).items()
    }
    found: dict[str, Value] = {}
    live = parts_of(sample.body)
    for name in ("labels", "annotations"):
        said = wanted.properties.get(name)
        if isinstance(said, dict):
            there: Any = live.get(name) or {}
            found[name] = {key: there[key] for key in said if key in there}
    found["data"] = data
    if "type" in wanted.properties:
        found["type"] = wanted.properties["type"]
    return found


def _changed(value: Value) -> Value:
    return Secret(value.name if isinstance(value, Secret) else "?", CHANGED)


def _attributes(sample: Sample) -> Properties:
    body = sample.body
    found: dict[str, Value] = {"id": sample.uid}
    kind, spec, status = sample.served.form.object, body.get("spec") or {}, body.get("status") or {}
    if parse_address(sample.mark.address).kind == "object":
        return found
    metadata = body["metadata"]
    if kind == "Service":
        own = spec.get("clusterIP")
        found["private_address"] = own if own and own != "None" else f"{metadata['name']}.{metadata['namespace']}.svc"
    if kind == "PersistentVolumeClaim":
        found["volume_id"] = metadata["name"]
    if kind in ("Service", "Ingress"):
        for item in (status.get("loadBalancer") or {}).get("ingress") or ():
            found["public_address"] = item.get("ip") or item.get("hostname")
            break
    return found

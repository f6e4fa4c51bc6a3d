"""What a node says about Kubernetes in particular: its property `kubernetes`, a mapping. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from providers.base import PermanentError
from specs.model import Node
from specs.values import Properties, Value

_MAPS = ("pod", "container", "service", "ingress", "service_account", "autoscale", "disruption", "files", "labels")

_WORDS = {"autoscale": {"min", "max", "cpu"}, "service_account": {"token", "name"}}
"""Of mappings that are not merged into what Kubernetes knows itself."""


class Wishes(Struct, frozen=True, kw_only=True):
    """Corrections to what the provider makes of a node; `pod`, `container`, `service` and `ingress` are merged in."""

    pod: Properties = field(default_factory=dict)
    container: Properties = field(default_factory=dict)
    service: Properties = field(default_factory=dict)
    ingress: Properties | None = field(default_factory=dict)
    """`None`: no ingress, whatever names the node has."""
    service_account: Properties = field(default_factory=dict)
    """`token: true` mounts a token; `name` takes an account that exists."""
    autoscale: Properties = field(default_factory=dict)
    """`cpu` in percent, `min` and `max` (else those of `scalable`): the cluster chooses the number of pods."""
    disruption: Properties = field(default_factory=dict)
    """`minAvailable` or `maxUnavailable`."""
    files: Properties = field(default_factory=dict)
    """Path in the container → text."""
    labels: Properties = field(default_factory=dict)
    """Labels of the pods."""
    stateful: bool | None = None
    state_path: str = ""
    """Where a function with state finds its storage."""
    force: bool = False
    """Take fields from other managers."""


def read_wishes(node: Node, where: str) -> Wishes:
    """Read the property `kubernetes` of a node; `PermanentError` for what nobody understands."""
    said = node.properties.get("kubernetes") or {}
    known = Wishes.__struct_fields__
    if not isinstance(said, Mapping) or (said.keys() - {*known}):
        raise PermanentError(f"{where}: kubernetes is {said!r}; write a mapping of {', '.join(known)}")
    found: dict[str, Value] = dict(said)
    if found.get("ingress", {}) is False:
        found["ingress"] = None
    for name, value in found.items():
        if name in _MAPS and not isinstance(value, Mapping) and not (name == "ingress" and value is None):
            raise PermanentError(f"{where}: kubernetes.{name} is {value!r}; write a mapping")
        if isinstance(value, Mapping) and name in _WORDS and (unknown := sorted(value.keys() - _WORDS[name])):
            raise PermanentError(
                f"{where}: kubernetes.{name} knows {', '.join(sorted(_WORDS[name]))}, not {', '.join(unknown)}"
            )
        if name in ("force", "stateful") and not isinstance(value, bool):
            raise PermanentError(f"{where}: kubernetes.{name} is {value!r}; write true or false")
    return Wishes(**found)  # type: ignore[arg-type]  # every name is a field, and its type was looked at above


def merged(value: Properties, patch: Properties) -> dict[str, Value]:
    """Merge mappings into mappings; what is null goes, everything else is replaced."""
    found = dict(value)
    for name, change in patch.items():
        current = found.get(name)
        if change is None:
            found.pop(name, None)
        elif isinstance(change, Mapping):
            found[name] = merged(current if isinstance(current, Mapping) else {}, change)
        else:
            found[name] = change
    return found

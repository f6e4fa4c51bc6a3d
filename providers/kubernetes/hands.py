"""Changes objects behind one API server: create, update, delete, adopt, each safe to repeat."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from providers.base import Mark, PermanentError, Present, TransientError
from providers.kubernetes.discovery import Served
from providers.kubernetes.errors import Gone, Moved
from providers.kubernetes.identity import parse_identity
from providers.kubernetes.kinds import BY_RESOURCE, FORMS
from providers.kubernetes.naming import (
    ADDRESS,
    ADOPTED,
    REPOSITORY,
    SERVICE,
    Json,
    mark_annotations,
    mark_labels,
    mark_of,
)
from providers.kubernetes.ownership import owned_fields
from providers.kubernetes.presenting import present, sample_of
from providers.kubernetes.server import Server
from providers.kubernetes.settings import Settings
from providers.kubernetes.shape import manifest_of, with_pods_kept
from providers.kubernetes.watching import Keeper
from specs.model import Resource, parse_address

_WITH_PODS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicaSet"})
"""What goes only when its pods are gone, so that what they stand on goes after them."""

_CLUSTER_OWN = frozenset({"kube-root-ca.crt", "default"})
"""What the cluster itself puts into every namespace."""


class Hands:
    """Writes to one API server."""

    def __init__(self, server: Server, settings: Settings, keeper: Keeper | None = None) -> None:
        self._server = server
        self._settings = settings
        self._keeper = keeper

    def create(self, resource: Resource, mark: Mark) -> Present:
        """Make an object, or find it made."""
        served = self._served(resource)
        try:
            return self._found_or_written(served, resource, mark)
        except Moved:  # made in the same moment, perhaps by ourselves
            return self._found_or_written(served, resource, mark)

    def _found_or_written(self, served: Served, resource: Resource, mark: Mark) -> Present:
        live = self._server.get(served, str(resource.properties.get("namespace", "")), str(resource.properties["name"]))
        if live is not None:
            self._check_ours(live, mark, resource)
            if mark_of(live["metadata"], mark.repository) == mark:
                return self._shown(served, live, mark, resource)
        return self._write(served, resource, mark, live)

    def update(self, resource: Resource, current: Present, mark: Mark) -> Present:
        """Change an object in place."""
        found = self._server.find(parse_identity(current.provider_id))
        if found is None:
            raise Gone(f"{resource.address}: {current.provider_id} is gone; the next plan makes it anew")
        _, live = found
        self._check_ours(live, mark, resource)
        return self._write(self._served(resource), resource, mark, live)

    def delete(self, current: Present) -> Present | None:
        """Remove an object and what belongs to it; a namespace that was there before us is only given back."""
        identity = parse_identity(current.provider_id)
        found = self._server.find(identity)
        if found is None:
            return None
        served, live = found
        metadata = live["metadata"]
        mark = mark_of(metadata, current.mark.repository)
        if mark is None or mark.address != current.mark.address:
            raise PermanentError(f"{current.address}: {current.provider_id} does not carry our mark any more; it stays")
        if ADOPTED in (metadata.get("annotations") or {}):
            self._give_back(served, live)
            return None
        if not metadata.get("deletionTimestamp"):
            self._check_nobody_else(served, metadata["name"], current)
        with self._writing(served, live):
            if not metadata.get("deletionTimestamp"):
                self._server.remove(served, live, foreground=served.form.object in _WITH_PODS)
            left = self._server.find(identity)
            if left is None:
                self._note_gone(served, live)
                return None
            self._note(*left)
        return present(sample_of(*left, mark, self._server.clusters), None)

    def adopt(self, resource: Resource, provider_id: str, mark: Mark) -> Present:
        """Put our mark on somebody else's object."""
        found = self._server.find(parse_identity(provider_id))
        if found is None:
            raise PermanentError(f"{resource.address}: {provider_id} is not there")
        served, live = found
        metadata = live["metadata"]
        if REPOSITORY in (metadata.get("labels") or {}) and mark_of(metadata, mark.repository) is None:
            raise PermanentError(f"{resource.address}: {provider_id} belongs to another repository")
        body = self._bare(served, live, mark_labels(mark), mark_annotations(mark))
        if served.form.kind == "namespace":
            body["metadata"]["annotations"][ADOPTED] = "true"
        return self._shown(served, self._server.apply(served, body, live, force=False), mark, resource)

    # --- writing ---

    def _write(self, served: Served, resource: Resource, mark: Mark, live: Json | None) -> Present:
        written = resource if live is None else with_pods_kept(resource, served.form, live)
        body = manifest_of(written, served.api_version, served.form.object, mark)
        if live is not None:
            body["metadata"]["uid"] = live["metadata"]["uid"]
            if ADOPTED in (live["metadata"].get("annotations") or {}):
                body["metadata"]["annotations"][ADOPTED] = "true"
        force = resource.properties.get("force") is True
        with self._writing(served, body):
            return self._shown(served, self._server.apply(served, body, live, force=force), mark, resource)

    def _served(self, resource: Resource) -> Served:
        try:
            served = self._server.served(resource)
        except Gone as error:
            raise TransientError(f"{resource.address}: {error}") from error
        if resource.kind == "object" and served.form.id not in BY_RESOURCE:
            check_allowed(served.form.id, resource, self._settings)
        return served

    def _check_ours(self, live: Json, mark: Mark, resource: Resource) -> None:
        metadata = live["metadata"]
        if metadata.get("deletionTimestamp"):
            raise TransientError(f"{resource.address}: its predecessor {metadata['name']} is still being deleted")
        found = mark_of(metadata, mark.repository)
        if found is None or found.address != mark.address:
            raise PermanentError(f"{resource.address}: {taken(live)}")

    def _give_back(self, served: Served, live: Json) -> None:
        """Take our mark off: we own nothing of an object once we apply nothing of it."""
        if owned_fields(live["metadata"]):
            self._server.apply(served, self._bare(served, live, {}, {}), live, force=False)
        self._note_gone(served, live)

    def _bare(self, served: Served, live: Json, labels: dict[str, str], annotations: dict[str, str]) -> Json:
        metadata: Json = {"name": live["metadata"]["name"], "uid": live["metadata"]["uid"]}
        if live["metadata"].get("namespace"):
            metadata["namespace"] = live["metadata"]["namespace"]
        if labels:
            metadata |= {"labels": labels, "annotations": dict(annotations)}
        return {"apiVersion": served.api_version, "kind": served.form.object, "metadata": metadata}

    def _check_nobody_else(self, served: Served, name: str, current: Present) -> None:
        """Refuse to take a namespace or a definition away from what others have put into it."""
        if served.form.kind == "namespace":
            inside = (
                *(form.id for form in FORMS.values() if form.namespaced),
                "pods",
                *sorted(self._settings.manifests),
            )
            theirs = sorted(found for resource in inside for found in self._of_others(resource, name, current.mark))
        elif served.form.resource == "customresourcedefinitions":
            theirs = sorted(self._of_others(name, "", current.mark))
        else:
            return
        if theirs:
            raise PermanentError(
                f"{current.address}: others have put {', '.join(theirs[:5])} into {served.form.object.lower()} {name};"
                " move or delete that first"
            )

    def _of_others(self, resource: str, namespace: str, mark: Mark) -> Iterator[str]:
        try:
            served = self._server.discovery.of_resource(resource)
        except Gone:
            return
        if namespace and not served.form.namespaced:
            return
        for _, page in self._server.pages(served, "", namespace, metadata_only=True):
            for item in page:
                if _is_strange(item["metadata"], resource, mark):
                    yield f"{served.form.object} {item['metadata']['name']}"

    # --- showing ---

    def _shown(self, served: Served, live: Json, mark: Mark, resource: Resource) -> Present:
        self._note(served, live)
        return present(sample_of(served, live, mark, self._server.clusters), resource)

    def _writing(self, served: Served, body: Json) -> AbstractContextManager[None]:
        return nullcontext() if self._keeper is None else self._keeper.writing(served, body)

    def _note(self, served: Served, live: Json) -> None:
        if self._keeper is not None:
            self._keeper.note(served, live)

    def _note_gone(self, served: Served, live: Json) -> None:
        if self._keeper is not None:
            self._keeper.note_gone(served, live)


def taken(live: Json) -> str:
    """Say whose an object is that stands where ours should."""
    metadata = live["metadata"]
    annotations: dict[str, Any] = metadata.get("annotations") or {}
    owner = f"belongs to {annotations[ADDRESS]}" if ADDRESS in annotations else "is not ours"
    return f"{metadata['name']} is there already and {owner}; adopt it, remove it or choose another name"


def check_allowed(name: str, resource: Resource, settings: Settings) -> None:
    """Refuse what we could make but would not find again."""
    if name not in settings.manifests:
        raise PermanentError(
            f"{resource.address}: {name} is not among what manifests may bring here;"
            f" add {name} to `manifests` in the settings of the binding, and to the role of its user"
        )


def _is_strange(metadata: Json, resource: str, mark: Mark) -> bool:
    """Tell whether somebody else would miss an object if what carries our mark goes; no pod of ours is left by then."""
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    owned = resource != "pods" and any(owner.get("controller") for owner in metadata.get("ownerReferences") or ())
    if owned or metadata.get("deletionTimestamp"):
        return False
    if REPOSITORY in labels:
        found = mark_of(metadata, mark.repository)
        return found is None or parse_address(found.address).site != parse_address(mark.address).site
    disk_of_a_set = resource == "persistentvolumeclaims" and SERVICE in labels
    token = "kubernetes.io/service-account.name" in annotations
    return not (disk_of_a_set or token or metadata["name"] in _CLUSTER_OWN)

"""One API server as we work with it: what it offers, and the calls on its objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from providers.answers import understood
from providers.base import TransientError
from providers.kubernetes.connection import APPLY, METADATA_LIST, Call, Connection
from providers.kubernetes.discovery import Discovery, Served
from providers.kubernetes.errors import Claimed, Expired, Gone, told
from providers.kubernetes.identity import Identity
from providers.kubernetes.listing import Page, page_of
from providers.kubernetes.naming import MANAGER, Json
from providers.kubernetes.ownership import contested
from providers.kubernetes.settings import Access
from specs.model import Resource

PAGE: Final = 500
"""Objects in one page of a list: what is held in memory at once, as bytes."""
_TRIES = 3


class Server:
    """The API server behind some clusters of a site."""

    def __init__(self, access: Access, clusters: tuple[str, ...], connection: Connection) -> None:
        self.access = access
        self.clusters = clusters
        self.connection = connection
        self.discovery = Discovery(connection)

    @property
    def handle(self) -> str:
        """The cluster its objects' ids begin with: the first."""
        return self.clusters[0]

    def served(self, resource: Resource) -> Served:
        """Say how a resource is offered here."""
        if resource.kind == "object":
            properties = resource.properties
            return self.discovery.of_object(str(properties["api_version"]), str(properties["object_kind"]))
        return self.discovery.of_kind(resource.kind)

    def get(self, served: Served, namespace: str, name: str) -> Json | None:
        """Read one object; `None` if it is not there."""
        try:
            return self.connection.call(Call(path=served.path(namespace, name)))
        except Gone:
            return None

    def find(self, identity: Identity) -> tuple[Served, Json] | None:
        """Read the object with an id; `None` if it is gone, a successor of its name notwithstanding."""
        try:
            served = self.discovery.of_resource(identity.resource)
        except Gone:
            return None
        body = self.get(served, identity.namespace, identity.name)
        return None if body is None or body["metadata"]["uid"] != identity.uid else (served, body)

    def pages(
        self, served: Served, selector: str, namespace: str = "", *, metadata_only: bool = False
    ) -> Iterator[tuple[str, Page]]:
        """List a resource page by page, each with the version of the list.

        When the server forgets the snapshot in between, the list starts anew: one object may then come twice.
        """
        query: dict[str, str | int] = {"limit": PAGE, **({"labelSelector": selector} if selector else {})}
        for _ in range(_TRIES):
            try:
                yield from self._pages(served, {**query}, namespace, metadata_only=metadata_only)
            except Expired:
                continue
            return
        raise TransientError(f"the list of {served.form.id} changes faster than it can be read")

    def _pages(
        self, served: Served, query: dict[str, str | int], namespace: str, *, metadata_only: bool
    ) -> Iterator[tuple[str, Page]]:
        while True:
            call = Call(path=served.path(namespace), query=query)
            if metadata_only:
                call = Call(path=served.path(namespace), query=query, accept=METADATA_LIST)
            text = self.connection.fetch(call)
            with understood(f"the list of {served.form.id}"):
                page, version, rest = page_of(text)
            yield version, page
            if not rest:
                return
            query = {**query, "continue": rest}

    def apply(self, served: Served, body: Json, live: Json | None, *, force: bool, dry_run: bool = False) -> Json:
        """Apply an object; fields somebody changed by hand are taken back, fields others apply only with `force`.

        Raises `Claimed` with the claims that stand in the way.
        """
        try:
            return self._patch(served, body, force=force, dry_run=dry_run)
        except Claimed as error:
            metadata: Mapping[str, Any] = (live or {}).get("metadata") or {}
            if claims := contested(error.claims, metadata):
                what = f"{served.form.object} {body['metadata']['name']}"
                raise Claimed(f"{what}: {told(claims)}", claims) from error
        return self._patch(served, body, force=True, dry_run=dry_run)

    def _patch(self, served: Served, body: Json, *, force: bool, dry_run: bool) -> Json:
        metadata = body["metadata"]
        query: dict[str, str | int] = {"fieldManager": MANAGER, "force": "true" if force else "false"}
        if dry_run:
            query["dryRun"] = "All"
        path = served.path(metadata.get("namespace", ""), metadata["name"])
        return self.connection.call(Call(method="PATCH", path=path, query=query, body=body, content_type=APPLY))

    def remove(self, served: Served, body: Json, *, foreground: bool) -> None:
        """Delete exactly this object; what belongs to it goes first if asked."""
        metadata = body["metadata"]
        options: Json = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": metadata["uid"]},
            "propagationPolicy": "Foreground" if foreground else "Background",
        }
        path = served.path(metadata.get("namespace", ""), metadata["name"])
        try:
            self.connection.call(Call(method="DELETE", path=path, body=options))
        except Gone:
            return

    def close(self) -> None:
        """Let go of connections."""
        self.connection.close()

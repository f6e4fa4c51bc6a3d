"""Says before anything is tried what will not work: names that are taken, resources that manifests may not bring."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from providers.base import Finding, PermanentError, ProviderError, Snapshot, unknown_reason
from providers.kubernetes.discovery import Served
from providers.kubernetes.errors import Gone
from providers.kubernetes.hands import check_allowed, taken
from providers.kubernetes.kinds import BY_RESOURCE
from providers.kubernetes.server import Server
from providers.kubernetes.settings import Settings
from specs.errors import Severity
from specs.model import Address, Resource, parse_address


def examine(
    server: Server, settings: Settings, wanted: Mapping[Address, Resource], snapshot: Snapshot
) -> Iterator[Finding]:
    """Look where what is missing should go; says nothing of what cannot be seen."""
    present = {seen.address for seen in snapshot.present}
    missing = [r for a, r in wanted.items() if a not in present and not _hidden(snapshot, a)]
    here = [resource for resource in missing if resource.properties["cluster"] in server.clusters]
    made_by_us = {str(r.properties["name"]) for r in here if r.kind == "namespace"}
    groups: dict[tuple[Served, str], list[Resource]] = {}
    for resource in here:
        try:
            served = server.served(resource)
            if served.form.id not in BY_RESOURCE:
                check_allowed(served.form.id, resource, settings)
        except Gone:  # its definition may come with the same plan
            continue
        except PermanentError as error:
            yield Finding(Severity.ERROR, str(error), resource.address)
            continue
        except ProviderError:  # seen again when it is made
            continue
        namespace = str(resource.properties.get("namespace", ""))
        if namespace not in made_by_us:
            groups.setdefault((served, namespace), []).append(resource)
    for (served, namespace), resources in groups.items():
        yield from _taken(server, served, namespace, resources)


def _taken(server: Server, served: Served, namespace: str, resources: Iterable[Resource]) -> Iterator[Finding]:
    """Find who stands where ours should: one by one if they are few, else by one list."""
    by_name = {str(resource.properties["name"]): resource for resource in resources}
    try:
        if not served.form.namespaced or len(by_name) <= 3:
            found = [body for name in by_name if (body := server.get(served, namespace, name)) is not None]
        else:
            pages = server.pages(served, "", namespace, metadata_only=True)
            found = [body for _, page in pages for body in page if body["metadata"]["name"] in by_name]
    except ProviderError:
        return
    for body in found:
        if not body["metadata"].get("deletionTimestamp"):
            resource = by_name[body["metadata"]["name"]]
            yield Finding(Severity.ERROR, f"{resource.address}: {taken(body)}", resource.address)


def _hidden(snapshot: Snapshot, address: Address) -> bool:
    parts = parse_address(address)
    return unknown_reason(snapshot, parts.kind, parts.cluster) is not None

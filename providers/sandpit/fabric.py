"""Connects endpoints: a tree of links to the clients of each, and a registration of every name. Pure.

The tree is the union of the cheapest ways from the endpoint's cluster to its clients: the clusters of the functions
that require it. What nobody requires serves the users, who come by the access points of the site; a site that names
none is served to its clusters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from heapq import heappop, heappush

from providers.base import PermanentError
from providers.sandpit.place import PROVIDER, SERVICE_FUNCTION, Layout
from specs.model import Address, Deployment, Endpoint, LifecycleState, Node, Resource, Service, Site, address
from specs.values import Reference, Value

QOS = "eu.ict-flame.policies.Qos"

_FQDN = re.compile(
    r"(?=.{1,253}$)(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*"
)

Ways = Mapping[str, tuple[str, ...]]
"""Place → names of the links on the cheapest way there, from the nearest on."""


def connect(deployment: Deployment, binding: str) -> tuple[Resource, ...]:
    """Give paths and names of every connected service function, in the order of addresses."""
    layout = Layout(deployment)
    found: dict[Address, Resource] = {}
    ways: dict[str, Ways] = {}
    for endpoint in deployment.endpoints:
        node = deployment.service.nodes[endpoint.node]
        if node.is_a(SERVICE_FUNCTION) and endpoint.state.reaches(LifecycleState.CONNECTED):
            if endpoint.cluster not in ways:
                ways[endpoint.cluster] = ways_from(deployment.site, endpoint.cluster)
            path = _path(layout, endpoint, ways[endpoint.cluster], binding)
            found |= {path.address: path} if path else {}
            found.update((name.address, name) for name in _names(endpoint, node, path, binding))
    return tuple(found[key] for key in sorted(found))


def ways_from(site: Site, start: str) -> Ways:
    """Find the cheapest way from one place of the site to every other: by cost, then latency, then name."""
    links: dict[str, list[tuple[str, str, float, float]]] = {}
    for name in sorted(site.links):
        link = site.links[name]
        links.setdefault(link.source, []).append((name, link.target, link.cost, link.latency_ms))
        links.setdefault(link.target, []).append((name, link.source, link.cost, link.latency_ms))
    found: dict[str, tuple[str, ...]] = {}
    waiting: list[tuple[float, float, tuple[str, ...], str]] = [(0.0, 0.0, (), start)]
    while waiting:
        cost, latency, way, place = heappop(waiting)
        if place not in found:
            found[place] = way
            for name, target, more_cost, more_latency in links.get(place, ()):
                if target not in found:
                    heappush(waiting, (cost + more_cost, latency + more_latency, (*way, name), target))
    return found


def _path(layout: Layout, endpoint: Endpoint, ways: Ways, binding: str) -> Resource | None:
    """Make the tree to the clients; nothing on a site without links, nor for clients next door."""
    clients = _clients(layout, endpoint)
    if not clients or not layout.deployment.site.links:
        return None
    links = {link for client in clients for link in ways.get(client, ())}
    properties: dict[str, Value] = {
        "name": endpoint.subject.partition("/")[2],
        "cluster": endpoint.cluster,
        "clients": list(clients),
        "links": sorted(links),
    }
    if quality := _quality(layout.deployment.service, endpoint.node):
        properties["quality"] = quality
    return Resource(
        address=address(endpoint.subject, PROVIDER, "path"),
        binding=binding,
        properties=properties,
        requires=(endpoint.subject,),
    )


def _quality(service: Service, node: str) -> dict[str, Value]:
    """Gather what QoS policies say of a node, itself or a group of it; the later by name wins."""
    found: dict[str, Value] = {}
    for name in sorted(service.policies):
        policy = service.policies[name]
        groups = (service.groups[target].members for target in policy.targets if target in service.groups)
        if policy.is_a(QOS) and (node in policy.targets or any(node in members for members in groups)):
            found |= policy.properties
    return found


def _clients(layout: Layout, endpoint: Endpoint) -> list[str]:
    callers = layout.callers.get(endpoint.node, ())
    if callers:
        places = {
            caller.cluster
            for node in callers
            for caller in layout.endpoints.get(node.name, ())
            if caller.state.reaches(LifecycleState.CONNECTED)
        }
    else:
        points = layout.deployment.site.properties.get("access_points")
        places = set(points) if isinstance(points, Mapping) else set(layout.deployment.site.clusters)
    return sorted(places - {endpoint.cluster, ""})


def _names(endpoint: Endpoint, node: Node, path: Resource | None, binding: str) -> Iterator[Resource]:
    said = node.properties.get("fqdn")
    requires = (endpoint.subject, *((path.address,) if path else ()))
    for fqdn in [said] if isinstance(said, str) else said if isinstance(said, list) else []:
        if not isinstance(fqdn, str) or not _FQDN.fullmatch(fqdn):
            raise PermanentError(
                f"{endpoint.subject}: fqdn {fqdn!r} is no host name; write one such as video.example.org"
            )
        properties: dict[str, Value] = {
            "name": f"{fqdn}@{endpoint.subject.partition('@')[2]}",
            "fqdn": fqdn,
            "cluster": endpoint.cluster,
            "address": Reference(endpoint.subject, "private_address"),
        }
        yield Resource(
            address=address(endpoint.subject, PROVIDER, "name", fqdn.replace("*", "_")),
            binding=binding,
            properties=properties,
            requires=tuple(sorted(requires)),
        )

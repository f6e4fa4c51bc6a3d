"""Says what will not work before anything is tried. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from providers.base import Finding, Snapshot
from providers.sdn.controller import Controller
from providers.sdn.ovsdb import Shape
from providers.sdn.topology import Port
from specs.errors import Severity
from specs.model import Address, Resource, parse_address
from specs.values import Reference


def examine(
    wanted: Mapping[Address, Resource], snapshot: Snapshot, controller: Controller, shapes: Mapping[Port, Shape]
) -> Iterator[Finding]:
    """Look for names two functions claim, limits the controller cannot set, and ports with queues of nobody we know."""
    owners: dict[str, str] = {}
    for address in sorted(wanted):
        resource = wanted[address]
        if resource.kind == "name":
            service = _server(resource)
            name = (
                ", ".join(map(str, resource.properties["fqdn"]))
                if isinstance(resource.properties["fqdn"], list)
                else ""
            )
            other = owners.setdefault(str(resource.properties["address"]), service)
            if other != service:
                message = f"the name {name} is claimed by {other} and by {service}; give it to one of them"
                yield Finding(Severity.ERROR, message, address)
        if "queues" in resource.properties:
            port = Port(str(resource.properties["switch"]), int(str(resource.properties["port"])))
            if port in shapes and not shapes[port].cookie:
                message = f"{port} has queues of somebody else; remove them there, or take ovsdb out of the switch"
                yield Finding(Severity.ERROR, message, address)
        if "max_mbps" in resource.properties and not controller.meters_possible:
            message = f"{controller.name} cannot limit flows; ask for no class or bandwidth, or use another controller"
            yield Finding(Severity.ERROR, message, address)


def _server(resource: Resource) -> str:
    endpoint = resource.properties.get("endpoint")
    if isinstance(endpoint, Reference):
        parts = endpoint.target.partition(":")[0].partition("@")[0]
        return parts.partition("/")[2]
    found = parse_address(resource.address)
    return f"{found.service}/{found.node}"

"""Turns the endpoints a binding hosts into resources; pure.

An endpoint is a stack: image, flavor, network and security group when placed; ports, addresses and the server when
booted.
"""

from __future__ import annotations

from collections.abc import Iterator

from providers.base import PermanentError
from providers.openstack.chain import chain
from providers.openstack.machine import server
from providers.openstack.net import floating_ip, network, own_network, port
from providers.openstack.place import COMPUTE, FUNCTION, NETWORK, PORT, Layout, Place
from providers.openstack.settings import Settings
from specs.model import Address, Artifact, Deployment, Node, Resource
from specs.tosca.units import gigabytes
from specs.values import Value

_SOFTWARE = ("tosca.nodes.SoftwareComponent", "tosca.nodes.WebApplication", "tosca.nodes.Database")


def expand(deployment: Deployment, binding: str, settings: Settings) -> tuple[Resource, ...]:
    """Give the resources of every endpoint of a binding, in the order of addresses."""
    layout = Layout(deployment, binding, settings)
    found: dict[Address, Resource] = {}
    for endpoint in deployment.endpoints:
        if endpoint.binding == binding:
            place = Place(layout=layout, endpoint=endpoint, node=layout.nodes[endpoint.node])
            found.update((resource.address, resource) for resource in _stack(place))
    if found:
        found.update((resource.address, resource) for resource in own_network(layout, found))
    return tuple(found[key] for key in sorted(found))


def _stack(place: Place) -> Iterator[Resource]:
    if artifact := _template(place.node):
        return _heat(place, artifact)
    for type_name in place.node.types:
        match type_name:
            case "eu.ict-flame.nodes.ServiceFunction":
                return server(_machine(place, FUNCTION))
            case "tosca.nodes.Compute":
                return server(_machine(place, COMPUTE))
            case "tosca.nodes.network.Network":
                return network(place)
            case "tosca.nodes.network.Port":
                return port(place)
            case "tosca.nodes.network.FloatingIP":
                return floating_ip(place)
            case "tosca.nodes.BlockStorage":
                return _volume(place)
            case "tosca.nodes.nfv.FP":
                return chain(place)
            case "tosca.nodes.SoftwareComponent" | "tosca.nodes.WebApplication" | "tosca.nodes.Database":
                return _software(place)
    raise PermanentError(
        f"{place.endpoint.subject}: OpenStack cannot make a {place.node.types[0]}; derive it from a service function,"
        " or from Compute, Network, Port, FloatingIP, BlockStorage or SoftwareComponent of TOSCA, or bring a Heat"
        " template"
    )


def _machine(place: Place, type_name: str) -> Place:
    if place.node.is_a(type_name) and place.node.properties.get("hypervisor") == "docker":
        raise PermanentError(
            f"{place.endpoint.subject}: hypervisor docker asks for containers; OpenStack makes machines,"
            " so write kvm or lxd, or place it on a cluster that Kubernetes serves"
        )
    return place


def _software(place: Place) -> Iterator[Resource]:
    """Make nothing: the machine underneath installs it. What has none is a fault."""
    if not place.layout.machine_of(place.node.name):
        raise PermanentError(f"{place.endpoint.subject}: software needs a host; require a Compute")
    return iter(())


def _volume(place: Place) -> Iterator[Resource]:
    said = place.node.properties
    if said.get("volume_id"):
        return
    properties: dict[str, Value] = {"name": place.label}
    size = said.get("size")
    if isinstance(size, str):
        properties["size_gib"] = max(1, -(-int(gigabytes(size) * 10**9) // 2**30))
    if said.get("snapshot_id"):
        properties["snapshot_id"] = said["snapshot_id"]
    if place.zone.availability_zone:
        properties["availability_zone"] = place.zone.availability_zone
    yield place.resource(place.address("volume"), properties, stands=True)


def _template(node: Node) -> Artifact | None:
    for artifact in node.artifacts.values():
        if artifact.name == "heat" or artifact.file.endswith((".hot", ".hot.yaml")):
            return artifact
    return None


def _heat(place: Place, artifact: Artifact) -> Iterator[Resource]:
    if not artifact.content:
        raise PermanentError(f"{place.endpoint.subject}: the Heat template {artifact.file} is not in the repository")
    parameters = {name: value for name, value in place.node.properties.items() if value is not None}
    properties: dict[str, Value] = {"name": place.label, "template": artifact.content, "parameters": parameters}
    requires = {place.peer(node.name) for _, node in place.targets() if not node.is_a(NETWORK) and not node.is_a(PORT)}
    yield place.resource(place.address("stack"), properties, requires, stands=True)

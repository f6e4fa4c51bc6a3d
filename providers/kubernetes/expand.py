"""Turns the endpoints a binding hosts into resources; pure.

All endpoints of a node on a cluster become one workload: namespace, configuration, secrets and a workload without pods
when placed; its pods when booted; network policy, service and ingress when connected.
"""

from __future__ import annotations

from collections.abc import Iterator

from providers.base import PermanentError
from providers.kubernetes.exposure import connected, tended
from providers.kubernetes.manifests import carries_manifests, manifests
from providers.kubernetes.place import Layout, Place, places
from providers.kubernetes.settings import Settings
from providers.kubernetes.workload import FUNCTION, VOLUMES, claim, workload
from specs.model import Address, Deployment, Resource

_PODS = (FUNCTION, "tosca.nodes.Compute", "tosca.nodes.Container.Application")
_FLAT = ("tosca.nodes.network.Network", "tosca.nodes.network.Port")
_WISHES_OF_NETWORKS = ("cidr", "start_ip", "end_ip", "gateway_ip", "segmentation_id", "physical_network", "ip_address")


def expand(deployment: Deployment, settings: Settings, binding: str) -> tuple[Resource, ...]:
    """Give the resources of every endpoint of a binding, in the order of addresses."""
    found: dict[Address, Resource] = {}
    for place in places(Layout(deployment), settings, binding):
        for resource in _stack(place):
            found[resource.address] = resource
    return tuple(found[address] for address in sorted(found))


def _stack(place: Place) -> Iterator[Resource]:
    node = place.node
    if any(node.is_a(name) for name in _FLAT):
        _check_flat(place)
        return
    if place.cluster not in place.settings.spots:
        raise PermanentError(f"{place.first.subject}: Kubernetes needs a cluster for it; place it on one")
    if carries_manifests(node):
        yield from place.namespace_resource()
        yield from manifests(place)
    elif any(node.is_a(name) for name in VOLUMES):
        yield from place.namespace_resource()
        yield from claim(place)
    elif any(node.is_a(name) for name in _PODS):
        yield from place.namespace_resource()
        yield from workload(place)
        yield from tended(place)
        yield from connected(place)
    else:
        raise PermanentError(
            f"{place.first.subject}: Kubernetes cannot make a {node.types[0]}; derive it from a service function,"
            " Compute, Container.Application or BlockStorage of TOSCA, or give it artifacts with manifests"
        )


def _check_flat(place: Place) -> None:
    """Pods share the network of their cluster: a network node is nothing to make, unless it wants something of it."""
    said = [name for name in _WISHES_OF_NETWORKS if place.node.properties.get(name) is not None]
    if said:
        raise PermanentError(
            f"{place.first.subject}: Kubernetes gives pods addresses of its own; remove {', '.join(said)}"
        )

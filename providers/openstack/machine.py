"""One machine with all it needs: image, size, key, group, ports, public address, and what is installed on it. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from providers.base import PermanentError
from providers.openstack.cloud_init import checked_name
from providers.openstack.net import groups, outer, port_properties, ports_of, wants_public
from providers.openstack.place import FLOATING_IP, PROVIDER, Place, label_of
from specs.model import Node, Operation, Policy, Resource, address, subject
from specs.tosca.units import capacity
from specs.values import Reference, Value, digest, rewrite

_PLACEMENT = "tosca.policies.Placement"
_PLACES = ("clusters", "tier", "location", "labels", "spread", "anti_affinity")
_RUN = ("Standard.create", "Standard.configure", "Standard.start")
_FORMATS = {"qcow2": "qcow2", "iso": "iso", "vmdk": "vmdk", "vhd": "vhd", "vhdx": "vhdx", "vdi": "vdi", "ami": "ami"}
_OWN_WORDS = frozenset({"protect", "cluster", "tags"})
"""Metadata of a node that means something to us; the rest goes to the server."""


def server(place: Place) -> Iterator[Resource]:
    """Make the stack of a machine as far as its state reaches."""
    properties: dict[str, Value] = {"name": place.label, "running": True, "launched": True}
    for part, resource in (_image(place), _size(place), _key(place), _group(place)):
        properties |= part
        if resource is not None:
            yield resource
    yield from groups(place, place.node)
    requires = {reference.target for reference in properties.values() if isinstance(reference, Reference)}
    if not place.booted:
        return
    ports, made = _ports(place)
    yield from made
    requires |= {reference.target for reference in ports} | set(_outside(place))
    for resource in _public(place, ports[0].target):
        requires.add(resource.address)
        yield resource
    properties |= {"ports": [*ports], **_placing(place), **_volumes(place), **_software(place, ports[0].target)}
    # whole nodes: the endpoint next door may be placed only, and linking finds the nearest that runs
    requires |= {place.layout.own_subject(name) for name in place.layout.machine_needs.get(place.node.name, ())}
    yield place.resource(place.address("server"), properties, requires, stands=True)


# --- what it is made of ----------------------------------------------------------------------------

Part = tuple[dict[str, Value], Resource | None]
"""Properties of the server, and what they stand for where it has to be made."""


def _image(place: Place) -> Part:
    source = _source(place.node)
    url = source.pop("url", None)
    if url is None:
        system = {key: value for key, value in place.node.capabilities.get("os", {}).items() if value is not None}
        if not system:
            raise PermanentError(
                f"{place.endpoint.subject} has no image; give it an image artifact, or say in its os capability which"
                " image of the cloud it runs"
            )
        return {"os": system}, None
    text = str(url)
    if text.startswith("glance:"):
        return {"image_name": text.removeprefix("glance:")}, None
    if not text.startswith(("http://", "https://", "file:")):
        raise PermanentError(
            f"{place.endpoint.subject}: image {text!r}: write a URL of http, https or file, or glance:NAME"
        )
    where = place.of_node("image")
    ending = text.rpartition(".")[2].lower()
    properties: dict[str, Value] = {
        "name": label_of(place.layout.own_subject(place.node.name)),
        "format": _FORMATS.get(ending, "raw"),
        **source,
        "url": url,
        "uploaded": True,
    }
    return {"image": Reference(where, "id")}, place.resource(where, properties)


def _source(node: Node) -> dict[str, Value]:
    """Say where the image is and how to know it: from the properties of a function, or an artifact."""
    about = node.properties.get("image")
    known = {key: value for key, value in about.items() if value is not None} if isinstance(about, Mapping) else {}
    if (url := node.properties.get("image_url")) is not None:
        return {**known, "url": url}
    for artifact in node.artifacts.values():
        if ".Image" in artifact.type:
            checked = {
                name: artifact.properties[name] for name in ("checksum", "format") if artifact.properties.get(name)
            }
            return {**checked, **known, "url": artifact.file}
    return {"url": about} if isinstance(about, str) else {}


def _size(place: Place) -> Part:
    """Ask for a size, or for a flavor made for it; sizes of the spec are decimal, Nova's binary."""
    host = place.node.capabilities.get("host", {})
    takes = capacity(host)
    asked: dict[str, Value] = {}
    if host.get("num_cpus") is not None:
        asked["vcpus"] = math.ceil(takes.vcpus)
    if host.get("mem_size") is not None:
        asked["ram_mib"] = math.ceil(takes.memory_mb * 10**6 / 2**20)
    if host.get("disk_size") is not None:
        asked["disk_gib"] = math.ceil(takes.disk_gb * 10**9 / 2**30)
    specs: dict[str, Value] = dict(place.zone.flavor_extra_specs)
    if place.settings.flavors == "choose":
        return {**asked, **({"extra_specs": specs} if specs else {})}, None
    size: dict[str, Value] = {"vcpus": 1, "ram_mib": 512, "disk_gib": 1, **asked}
    cluster = place.endpoint.cluster if specs else ""
    owner = subject(place.endpoint.site, place.endpoint.service, place.node.name, cluster)
    name = f"{label_of(owner)}-{size['vcpus']}c-{size['ram_mib']}m-{size['disk_gib']}g"
    name += f"-{digest(specs)[:6]}" if specs else ""
    where = address(owner, PROVIDER, "flavor")
    return {"flavor": Reference(where, "name")}, place.resource(where, {"name": name, **size, "extra_specs": specs})


def _key(place: Place) -> Part:
    if not place.settings.ssh_key:
        return {}, None
    where = address(place.layout.own_subject(""), PROVIDER, "keypair", "own")
    properties: dict[str, Value] = {"public_key": place.settings.ssh_key.strip()}
    return {"key": Reference(where, "name")}, place.resource(where, properties)


def _group(place: Place) -> Part:
    service = place.layout.deployment.service
    for name in sorted(service.policies):
        policy = service.policies[name]
        members = {
            one for target in policy.targets if target in service.groups for one in service.groups[target].members
        }
        if policy.is_a(_PLACEMENT) and place.node.name in {*policy.targets, *members} and (rule := _rule(policy)):
            owner = subject(place.endpoint.site, service.name, service.name, place.endpoint.cluster)
            where = address(owner, PROVIDER, "server_group", name)
            return {"group": Reference(where, "id")}, place.resource(where, {"policy": rule})
    return {}, None


def _rule(policy: Policy) -> str:
    """Say what a placement policy means for the hosts inside a cluster; one that only names clusters means nothing."""
    said = policy.properties.get("affinity")
    if isinstance(said, str):
        return said
    if policy.properties.get("anti_affinity") is True:
        return "anti-affinity"
    if policy.properties.get("spread") is True:
        return "soft-anti-affinity"
    return "" if any(policy.properties.get(name) is not None for name in _PLACES) else "affinity"


# --- where it is reached ---------------------------------------------------------------------------


def _ports(place: Place) -> tuple[list[Reference], list[Resource]]:
    written = [Reference(place.peer(node.name), "id") for node in ports_of(place)]
    if written:
        return written, []
    properties, requires = port_properties(place, place.node)
    made = place.resource(place.address("port"), properties, requires)
    return [Reference(made.address, "id")], [made]


def _public(place: Place, port: str) -> Iterator[Resource]:
    if not wants_public(place):
        return
    if not place.settings.external_network:
        raise PermanentError(
            f"{place.endpoint.subject} is to be reached from outside (network_name PUBLIC); say in the settings of the"
            f" binding {place.layout.binding} which external_network its address comes from"
        )
    properties: dict[str, Value] = {
        "network_name": place.settings.external_network,
        "port": Reference(port, "id"),
    }
    yield place.resource(place.address("floating_ip"), properties, {port, *outer(place)})


def _outside(place: Place) -> Iterator[str]:
    """Name the public addresses the spec gives to the ports of a machine: it knows them once it is there."""
    for port in ports_of(place):
        for node in place.layout.callers.get(port.name, ()):
            if node.is_a(FLOATING_IP) and place.layout.serves(node.name):
                yield place.peer(node.name)


# --- what runs on it -------------------------------------------------------------------------------


def _placing(place: Place) -> dict[str, Value]:
    found: dict[str, Value] = {}
    if place.zone.availability_zone:
        found["availability_zone"] = place.zone.availability_zone
    if place.zone.scheduler_hints:
        found["scheduler_hints"] = dict(place.zone.scheduler_hints)
    if place.settings.boot_volume_gb:
        found["boot_volume_gb"] = place.settings.boot_volume_gb
    said = place.node.metadata
    if more := {key: value for key, value in said.items() if key not in _OWN_WORDS}:
        found["metadata"] = {key: str(value) for key, value in sorted(more.items())}
    if tags := sorted({tag.strip() for tag in str(said.get("tags", "")).split(",")} - {""}):
        found["tags"] = [*tags]
    return found


def _volumes(place: Place) -> dict[str, Value]:
    found: list[Value] = []
    for requirement, node in place.targets():
        if node.is_a("tosca.nodes.BlockStorage"):
            there = node.properties.get("volume_id")
            volume: Value = there if there else Reference(place.peer(node.name), "id")
            device = requirement.properties.get("device")
            found.append({"volume": volume, **({"device": device} if device else {})})
    return {"volumes": found} if found else {}


def _software(place: Place, first_port: str) -> dict[str, Value]:
    """Say which scripts set the machine up, those of hosts first, and in which environment."""

    def settle(value: Value) -> Value:
        return rewrite(value, lambda one: place.seen_from(one, first_port) if isinstance(one, Reference) else one)

    steps: list[Value] = []
    for node in (place.node, *place.layout.hosted_on(place.node.name)):
        for name in _RUN:
            operation = node.operations.get(name)
            if operation is None or not (operation.implementation or operation.content):
                continue
            inputs = {checked_name(node.name, key): settle(value) for key, value in operation.inputs.items()}
            step: dict[str, Value] = {
                "name": f"{node.name}.{name.partition('.')[2]}",
                "script": _script(node, operation),
            }
            steps.append({**step, "inputs": inputs} if inputs else step)
    found: dict[str, Value] = {"software": steps} if steps else {}
    environment = place.node.properties.get("env")
    if isinstance(environment, Mapping) and environment:
        found["environment"] = {key: settle(value) for key, value in environment.items()}
    return found


def _script(node: Node, operation: Operation) -> str:
    if operation.content:
        return operation.content
    artifact = node.artifacts.get(operation.implementation)
    if artifact is not None and artifact.content:
        return artifact.content
    raise PermanentError(
        f"{node.name}: the script {operation.implementation} of {operation.name} is not in the repository"
    )

"""Fills the cloud: `content.py identity|rest PORTS_JSON HOSTS_JSON`. What is there already stays."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from typing import Any

import openstack

stage, ports, hosts = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
cloud: Any = openstack.connect(cloud="admin")
SIZES = (("m1.nano", 64, 1, 1), ("m1.tiny", 512, 1, 1), ("m1.small", 2048, 1, 20), ("m1.medium", 4096, 2, 40),
         ("m1.large", 8192, 4, 80))  # fmt: skip


def url(service: str, path: str = "") -> str:
    """Say where a service is."""
    return f"http://127.0.0.1:{ports[service]}{path}"


def identity() -> None:
    """Make the catalogue, the users of the services, and two projects with a user each."""
    known = {service.type: service for service in cloud.identity.services()}
    places = {"image": url("image"), "placement": url("placement"), "network": url("network"),
              "compute": url("compute", "/v2.1")}  # fmt: skip
    for kind, place in places.items():
        service = known.get(kind) or cloud.identity.create_service(type=kind, name=kind)
        there = {endpoint.interface for endpoint in cloud.identity.endpoints(service_id=service.id)}
        for interface in {"public", "internal"} - there:
            cloud.identity.create_endpoint(service_id=service.id, interface=interface, region_id="RegionOne", url=place)
    roles = {role.name: role for role in cloud.identity.roles()}
    for user in ("nova", "neutron", "glance", "placement"):
        give(user, "service", "service", [roles["admin"], roles["service"]])
    for user in ("alice", "bob"):
        give(user, user, user, [roles["member"]])


def give(name: str, password: str, project_name: str, roles: list[Any]) -> None:
    """Make a user with roles in a project."""
    users = {user.name for user in cloud.identity.users()}
    projects = {project.name: project for project in cloud.identity.projects()}
    project = projects.get(project_name) or cloud.identity.create_project(name=project_name, domain_id="default")
    if name not in users:
        user = cloud.identity.create_user(name=name, password=password, domain_id="default")
        for role in roles:
            cloud.identity.assign_project_role_to_user(project, user, role)


def wait_for_hosts() -> None:
    """Wait until every host is known and up."""
    deadline = time.monotonic() + 120
    while True:
        up = {service.host for service in cloud.compute.services() if service.state == "up"}
        others = {service.binary for service in cloud.compute.services() if service.state == "up"}
        known = {host.name for host in cloud.compute.hypervisors()}
        if hosts.keys() <= up & known and {"nova-conductor", "nova-scheduler"} <= others:
            return
        if time.monotonic() > deadline:
            sys.exit(f"hosts are missing: {hosts.keys() - (up & known)}; what is up: {others}")
        time.sleep(0.3)


def places() -> None:
    """Make an aggregate for every availability zone."""
    known = {aggregate.name: aggregate for aggregate in cloud.compute.aggregates()}
    for zone in sorted(set(hosts.values())):
        aggregate = known.get(zone) or cloud.compute.create_aggregate(name=zone, availability_zone=zone)
        for host in sorted(host for host in hosts if hosts[host] == zone and host not in (aggregate.hosts or [])):
            cloud.compute.add_host_to_aggregate(aggregate, host)


def sizes() -> None:
    """Make flavors."""
    known = {flavor.name for flavor in cloud.compute.flavors()}
    for name, ram, cpus, disk in SIZES:
        if name not in known:
            cloud.compute.create_flavor(name=name, ram=ram, vcpus=cpus, disk=disk)


def image() -> None:
    """Bring an image of 64 KiB that says it is Debian 12."""
    if cloud.image.find_image("tiny"):
        return
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"\0" * 65536)
        file.flush()
        cloud.create_image(
            "tiny", filename=file.name, disk_format="raw", container_format="bare", wait=True, visibility="public",
            os_distro="debian", os_version="12", os_type="linux",
        )  # fmt: skip


def outer_network() -> None:
    """Make the network that floating IPs come from."""
    if cloud.network.find_network("public"):
        return
    network = cloud.network.create_network(
        name="public", is_router_external=True, provider_network_type="flat", provider_physical_network="public"
    )
    cloud.network.create_subnet(
        name="public", network_id=network.id, ip_version=4, cidr="198.51.0.0/16", is_dhcp_enabled=False,
        gateway_ip="198.51.0.1", allocation_pools=[{"start": "198.51.1.1", "end": "198.51.250.254"}],
    )  # fmt: skip


if stage == "identity":
    identity()
else:
    wait_for_hosts()
    places()
    sizes()
    image()
    outer_network()

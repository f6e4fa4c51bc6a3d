"""What OpenStack can make, and how each kind behaves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from providers.base import Kind

_EVERY = frozenset({"id", "state", "tosca_id", "tosca_name"})
_SOON = timedelta(minutes=2)

_ALL = (
    Kind(
        name="image",
        description="A disk image in Glance, uploaded from where the spec says",
        replaced_by=frozenset({"url", "checksum", "format"}),
        attributes=_EVERY,
        create_before_delete=True,
        deadline=timedelta(minutes=30),
    ),
    Kind(
        name="flavor",
        description="A size of servers, where the site lets sizes be made",
        replaced_by=frozenset({"name", "vcpus", "ram_mib", "disk_gib", "extra_specs"}),
        attributes=_EVERY | {"name"},
        deadline=_SOON,
    ),
    Kind(
        name="keypair",
        description="The public key that servers let in; Nova knows it by name only",
        replaced_by=frozenset({"public_key"}),
        attributes=_EVERY | {"name", "fingerprint"},
        deadline=_SOON,
    ),
    Kind(
        name="network",
        description="A layer-2 network",
        replaced_by=frozenset({"network_type", "physical_network", "segmentation_id"}),
        attributes=_EVERY | {"segmentation_id"},
        deadline=_SOON,
    ),
    Kind(
        name="subnet",
        description="An address range of a network",
        replaced_by=frozenset({"network", "network_name", "cidr", "ip_version"}),
        attributes=_EVERY,
        stands_on=("network",),
        dies_with=frozenset({"network"}),
        deadline=_SOON,
    ),
    Kind(
        name="router",
        description="Leads from the networks of a service to the outer one",
        attributes=_EVERY | {"public_address"},
        stands_on=("subnet",),
        deadline=_SOON,
    ),
    Kind(
        name="security_group",
        description="Which traffic reaches the ports that carry it, rule by rule",
        attributes=_EVERY,
        deadline=_SOON,
    ),
    Kind(
        name="qos_policy",
        description="How much bandwidth the ports that carry it may use",
        attributes=_EVERY,
        deadline=_SOON,
    ),
    Kind(
        name="port",
        description="A place on a network, with its addresses, rules and bandwidth",
        replaced_by=frozenset({"network", "network_name", "ip_address"}),
        attributes=_EVERY | {"address", "ip_address", "mac_address", "private_address"},
        stands_on=("network", "subnet", "security_group", "qos_policy"),
        dies_with=frozenset({"network", "subnet"}),
        deadline=_SOON,
    ),
    Kind(
        name="floating_ip",
        description="An address of the outer network, led to a port",
        replaced_by=frozenset({"network_name", "address"}),
        attributes=_EVERY | {"floating_ip_address", "public_address", "ip_address"},
        stands_on=("port", "router"),
        deadline=_SOON,
    ),
    Kind(
        name="server_group",
        description="Keeps servers together or apart; Nova knows it by name only",
        replaced_by=frozenset({"policy"}),
        attributes=_EVERY,
        deadline=_SOON,
    ),
    Kind(
        name="volume",
        description="A block device of Cinder",
        replaced_by=frozenset({"type", "snapshot_id", "availability_zone"}),
        attributes=_EVERY | {"volume_id"},
        deadline=timedelta(minutes=10),
    ),
    Kind(
        name="server",
        description="A machine; changes size in place, and is built anew in place when its image or scripts change",
        replaced_by=frozenset({"availability_zone", "group", "launched", "scheduler_hints", "boot_volume_gb"}),
        attributes=_EVERY | {"private_address", "public_address", "ip_address", "networks", "ports"},
        stands_on=("image", "flavor", "keypair", "port", "floating_ip", "server_group", "volume"),
        dies_with=frozenset({"server_group"}),
        deadline=timedelta(minutes=15),
    ),
    Kind(
        name="port_pair",
        description="Where traffic enters and leaves one function of a chain",
        replaced_by=frozenset({"ingress", "egress"}),
        attributes=_EVERY,
        stands_on=("server", "port"),
        dies_with=frozenset({"port", "server"}),
        deadline=_SOON,
    ),
    Kind(
        name="port_pair_group",
        description="One hop of a chain: port pairs that share its traffic",
        attributes=_EVERY,
        stands_on=("port_pair",),
        deadline=_SOON,
    ),
    Kind(
        name="flow_classifier",
        description="Which traffic goes through a chain",
        replaced_by=frozenset({"protocol", "source_port", "source_ip_prefix", "destination_ip_prefix", "ports"}),
        attributes=_EVERY,
        stands_on=("port",),
        dies_with=frozenset({"port"}),
        deadline=_SOON,
    ),
    Kind(
        name="port_chain",
        description="Leads traffic through functions, hop by hop",
        attributes=_EVERY | {"chain_id"},
        stands_on=("port_pair_group", "flow_classifier"),
        deadline=_SOON,
    ),
    Kind(
        name="stack",
        description="A Heat template that was there before, run as it is",
        ignored=frozenset({"template", "parameters"}),
        attributes=_EVERY | {"outputs"},
        deadline=timedelta(minutes=30),
    ),
)

KINDS: Final[Mapping[str, Kind]] = {kind.name: kind for kind in _ALL}

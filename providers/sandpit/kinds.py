"""What the sandpit can make, and how each kind behaves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from providers.base import Kind
from specs.model import Role

_OS = frozenset({"architecture", "type", "distribution", "version"})
_EVERY = frozenset({"id", "state", "tosca_id", "tosca_name"})
_REACHED = _EVERY | {"private_address", "public_address", "ip_address"}
_SOON = timedelta(minutes=2)

_ALL = (
    Kind(
        name="image",
        description="A disk image in the store of a cluster",
        replaced_by=frozenset({"cluster", "url", "checksum", "format"}) | _OS,
        attributes=_EVERY,
        create_before_delete=True,
        deadline=_SOON,
    ),
    Kind(
        name="network",
        description="A layer-2 network with one address range",
        replaced_by=frozenset(
            {"cluster", "cidr", "ip_version", "start_ip", "end_ip", "gateway_ip", "network_type", "physical_network"}
            | {"segmentation_id"}
        ),
        attributes=_EVERY | {"segmentation_id"},
        deadline=_SOON,
    ),
    Kind(
        name="port",
        description="A place on a network, with its addresses",
        replaced_by=frozenset({"cluster", "network", "ip_address"}),
        attributes=_EVERY | {"address", "ip_address", "mac_address", "private_address"},
        stands_on=("network",),
        dies_with=frozenset({"network"}),
        deadline=_SOON,
    ),
    Kind(
        name="volume",
        description="A block device a server can attach, or a store of objects",
        replaced_by=frozenset({"cluster", "snapshot_id"}),
        attributes=_EVERY | {"volume_id"},
        create_before_delete=True,
        deadline=_SOON,
    ),
    Kind(
        name="server",
        description="A machine under LXD or KVM; takes capacity of its cluster",
        replaced_by=frozenset({"cluster", "hypervisor", "image"}),
        attributes=_REACHED | {"networks", "ports"},
        stands_on=("image", "port", "volume"),
    ),
    Kind(
        name="workload",
        description="Containers of one image, as many as `replicas`; takes capacity of its cluster",
        replaced_by=frozenset({"cluster", "network"}),
        attributes=_REACHED | {"networks"},
        stands_on=("network", "volume"),
        dies_with=frozenset({"network"}),
    ),
    Kind(
        name="software",
        description="Something installed on a server or another software by the scripts of the spec",
        replaced_by=frozenset({"cluster", "host"}),
        attributes=_REACHED,
        stands_on=("server", "workload"),
        dies_with=frozenset({"server", "software", "workload"}),
    ),
    Kind(
        name="path",
        description="The tree of links that leads from an endpoint to its clients",
        replaced_by=frozenset({"cluster"}),
        attributes=_EVERY,
        stands_on=("server", "workload"),
        deadline=_SOON,
    ),
    Kind(
        name="name",
        description="A registration: this name is served at this address",
        replaced_by=frozenset({"cluster", "fqdn"}),
        attributes=_EVERY,
        stands_on=("path", "server", "workload"),
        deadline=_SOON,
    ),
)

KINDS: Final[Mapping[str, Kind]] = {kind.name: kind for kind in _ALL}

ROLES: Final[Mapping[str, Role]] = {name: Role.NETWORK if name in ("path", "name") else Role.COMPUTE for name in KINDS}
"""Which role of the binding a kind belongs to."""

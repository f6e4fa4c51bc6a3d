"""Stands in for the agents of the network service: binds every port at once and says it is up.

A host that `bind_fail_hosts` means binds nothing. Routers' ports are up, floating IPs as soon as they lead somewhere.
"""

from __future__ import annotations

from typing import Any

import faults
from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.callbacks import events, registry, resources
from neutron_lib.plugins import directory
from neutron_lib.plugins.ml2 import api

_OF_ROUTERS = ("network:router_interface", "network:router_gateway")


class TestbedBinding(api.MechanismDriver):  # type: ignore[misc] # runs in Neutron's environment, unseen by mypy
    """The driver."""

    def initialize(self) -> None:
        """Listen for floating IPs."""
        registry.subscribe(self._floating_ip, resources.FLOATING_IP, events.AFTER_CREATE)
        registry.subscribe(self._floating_ip, resources.FLOATING_IP, events.AFTER_UPDATE)

    @property
    def connectivity(self) -> str:
        """Give the layer ports are joined on."""
        return str(portbindings.CONNECTIVITY_L2)

    def bind_port(self, context: Any) -> None:
        """Bind a port as Open vSwitch would."""
        if faults.matches("bind_fail_hosts", context.host):
            return
        details = {
            portbindings.CAP_PORT_FILTER: True,
            portbindings.OVS_HYBRID_PLUG: False,
            "bridge_name": "br-int",
            portbindings.VIF_DETAILS_CONNECTIVITY: portbindings.CONNECTIVITY_L2,
        }
        for segment in context.segments_to_bind:
            context.set_binding(
                segment[api.ID], portbindings.VIF_TYPE_OVS, details, status=constants.PORT_STATUS_ACTIVE
            )
            return

    def create_port_postcommit(self, context: Any) -> None:
        """Say that a router's port is up."""
        port = context.current
        if port["device_owner"] in _OF_ROUTERS and port["status"] != constants.PORT_STATUS_ACTIVE:
            elevated = context.plugin_context.elevated()
            directory.get_plugin().update_port_status(elevated, port["id"], constants.PORT_STATUS_ACTIVE)

    update_port_postcommit = create_port_postcommit

    def _floating_ip(self, resource: Any, event: Any, trigger: Any, payload: Any) -> None:
        found = payload.latest_state
        status = constants.FLOATINGIP_STATUS_ACTIVE if found.get("port_id") else constants.FLOATINGIP_STATUS_DOWN
        if found.get("status") != status:
            trigger.update_floatingip_status(payload.context.elevated(), found["id"], status)

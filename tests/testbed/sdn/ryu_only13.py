"""A Ryu app: speaks OpenFlow 1.3 and nothing newer, and wakes the link discovery every second.

`ofctl_rest` alone would agree on 1.4 with a bridge that offers it. After a long dump Ryu may stop sending LLDP.
"""

from __future__ import annotations

from ryu.base import app_manager
from ryu.lib import hub
from ryu.ofproto import ofproto_v1_3


class Only13(app_manager.RyuApp):  # type: ignore[misc] # runs in Ryu's environment, unseen by mypy
    """The app."""

    OFP_VERSIONS = (ofproto_v1_3.OFP_VERSION,)

    def start(self):  # type: ignore[no-untyped-def] # runs in Ryu's environment, unseen by mypy
        """Begin waking."""
        super().start()
        return hub.spawn(self._wake)

    def _wake(self):  # type: ignore[no-untyped-def]
        while True:
            hub.sleep(1)
            switches = app_manager.lookup_service_brick("switches")
            if switches is not None:
                switches.lldp_event.set()

"""Nova's own fake hypervisor, with faults on demand, and with servers it knows again after a restart."""

from __future__ import annotations

import os
import time
from typing import Any

import faults
from nova import exception
from nova.compute import power_state
from nova.virt import fake


class TestbedDriver(fake.FakeDriverWithoutFakeNodes):  # type: ignore[misc] # runs in Nova's environment, unseen by mypy
    """A host with room for thousands; the plain fake driver would be another host after every start."""

    vcpus = int(os.environ.get("TESTBED_VCPUS") or 1000)
    memory_mb = int(os.environ.get("TESTBED_MEMORY_MB") or 800000)
    local_gb = int(os.environ.get("TESTBED_DISK_GB") or 600000)

    def spawn(self, context: Any, instance: Any, *arguments: Any, **named: Any) -> Any:
        """Bring up a server, or fail as a test wants."""
        if faults.matches("spawn_abort_names", instance.display_name):
            raise exception.BuildAbortException(instance_uuid=instance.uuid, reason="the test wants it to end")
        if faults.matches("spawn_fail_names", instance.display_name) or faults.matches("spawn_fail_hosts", self._host):
            raise exception.NovaException("the test wants it to fail")  # tried again on another host
        return super().spawn(context, instance, *arguments, **named)

    def destroy(self, context: Any, instance: Any, *arguments: Any, **named: Any) -> Any:
        """Take down a server, once a test lets it go, or fail as it wants."""
        while faults.get("destroy_held", False):
            time.sleep(0.1)
        if faults.matches("destroy_fail_names", instance.display_name):
            raise exception.NovaException("the test wants it to stay")
        return super().destroy(context, instance, *arguments, **named)

    def get_host_uptime(self) -> str:
        """Give what `uptime` would print."""
        return " 00:00:00 up 1 day,  0:00,  0 users,  load average: 0.00, 0.00, 0.00"

    def resume_state_on_host_boot(self, context: Any, instance: Any, *arguments: Any, **named: Any) -> None:
        """Know a server of a former life."""
        if instance.uuid not in self.instances:
            self.instances[instance.uuid] = fake.FakeInstance(instance.name, power_state.RUNNING, instance.uuid)

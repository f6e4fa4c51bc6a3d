"""Runs nova-compute once for every host, forked from one process so that they share what they import.

`computes.py ETC_FOLDER LOG_FOLDER HOST...`; ends when it is told to, with its children.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback

from nova import config
from nova.cmd import compute

conf, log, *hosts = sys.argv[1:]
# The spacings of periodic tasks are read at import: the configuration must be there before.
config.parse_args(["nova-compute", "--config-file", f"{conf}/nova.conf"], init_rpc=False)

import glanceclient.v2.client  # noqa: E402, F401 -- shared by all children
import nova.compute.manager  # noqa: E402
import nova.image.glance  # noqa: E402
import nova.network.neutron  # noqa: E402
import nova.virt.driver  # noqa: E402
import nova.virt.fake  # noqa: E402
import virt  # noqa: E402
from nova.scheduler.client import report  # noqa: E402

# Nova reads every allocation of a host at every claim, one call each, to mend devices the fake driver does not have;
# with a hundred servers a host that was half of all the work.
report.SchedulerReportClient.get_allocations_for_provider_tree = lambda self, context, nodename: {}
config.CONF.clear()
sys.modules["nova.virt.testbed"] = virt
nova.virt.testbed = virt


def serve(host: str) -> None:
    """Be nova-compute of one host."""
    output = os.open(f"{log}/compute-{host}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(output, 1)
    os.dup2(output, 2)
    files = (f"{conf}/nova.conf", f"{conf}/compute-{host}.conf")
    sys.argv = ["nova-compute", *(word for file in files for word in ("--config-file", file))]
    try:
        compute.main()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(0)


children: list[int] = []
for name in hosts:
    child = os.fork()
    if child == 0:
        serve(name)
    children.append(child)


def stop(*_: object) -> None:
    """End the children and this."""
    for number in children:
        try:
            os.kill(number, signal.SIGKILL)
        except ProcessLookupError:
            continue
    os._exit(0)


signal.signal(signal.SIGTERM, stop)
for number in children:
    os.waitpid(number, 0)

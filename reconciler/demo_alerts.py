"""The part of the demo's story that alerts tell: what is written for it, and the visitors who make it happen."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

from reconciler.project import STATE_FOLDER
from reconciler.starter import SERVICE, SITE, SPEC
from specs.errors import ReconcilerError
from specs.repository import Repository
from state.metrics.embedded import Embedded
from state.metrics.lines import read_lines
from state.opening import open_store
from state.store import Outcome

ALERTS = f"policies/{SERVICE}.yaml"
_METRICS = Path(STATE_FOLDER) / "clmc" / f"{SITE}-clmc.metrics"
_DEVICES = 4
_BETWEEN_SECONDS = 0.25
"""Between two reports of a device."""
_LONGEST_SECONDS = 120

_MONITORING = """\
    clmc:
      type: eu.ict-flame.nodes.Provider
      properties: {plugin: clmc, roles: [monitoring]}

"""
_CROWD = """\
    - crowd:
        type: eu.ict-flame.policies.StateChange
        properties: {cooldown: 1 s}
        triggers:
          come:
            condition: {constraint: "clmc::many_requests"}
            action: {storage: {lifecycle_actions: {edge-1: eu.ict-flame.sfe.state.lifecycle.connected}}}
          gone:
            condition: {constraint: "clmc::few_requests"}
            action: {storage: {lifecycle_actions: {edge-1: eu.ict-flame.sfe.state.lifecycle.placed}}}
"""
_WATCHED = """\
# What is watched, and what it is compared with. Policies and triggers have the names that specs/vr-tour.yaml uses.
tosca_definitions_version: tosca_simple_profile_for_nfv_1_0_0
imports: [flame_clmc_alerts_definitions.yaml]
metadata: {sfc: vr-tour, sfci: vr-tour}

topology_template:
  policies:
    - crowd:
        type: eu.ict-flame.policies.StateChange
        triggers:
          many_requests:
            event_type: threshold
            metric: storage.requests
            condition:
              threshold: 20
              granularity: 2
              aggregation_method: mean
              resource_type: {flame_location: market-square}
              comparison_operator: gt
            action: {implementation: [flame_sfemc]}
          few_requests:
            event_type: threshold
            metric: storage.requests
            condition:
              threshold: 5
              granularity: 2
              aggregation_method: mean
              resource_type: {flame_location: market-square}
              comparison_operator: lt
            action: {implementation: [flame_sfemc]}
"""
_SWITCH = ("  # services: ", f"  services: {{{SERVICE}: {{prune: true}}}} # going back means deleting\n  # services: ")


def watch(folder: Path) -> Iterable[str]:
    """Write down what is watched and what may happen then, in one commit."""
    repository = Repository.open(str(folder), folder / STATE_FOLDER)
    head = repository.resolve()
    tree, site = repository.tree(head), f"sites/{SITE}.yaml"
    first = "    dc-1:\n"
    changes = {
        site: tree.read(site).decode().replace(first, _MONITORING + first, 1),
        SPEC: tree.read(SPEC).decode() + _CROWD,
        ALERTS: _WATCHED,
        "reconciler.yaml": tree.read("reconciler.yaml").decode().replace(*_SWITCH, 1),
    }
    contents = {path: text.encode() for path, text in changes.items()}
    repository.write(contents, "Send the storage to the crowd", repository.author(), onto=head)
    return ()


def line(device: int, requests: int) -> str:
    """Write what one emulated user device reports, in line protocol."""
    tags = f"flame_sfc={SERVICE},flame_sfci={SERVICE},flame_location=market-square,device=ue-{device}"
    return f"storage,{tags} requests={requests}"


def visit(requests: int, commits: int) -> Callable[[Path], Iterable[str]]:
    """Let every device report again and again, until alerts have made so many commits and the world has followed."""

    def act(folder: Path) -> Iterable[str]:
        deadline = time.monotonic() + _LONGEST_SECONDS
        with closing(Embedded(folder / _METRICS)) as metrics:
            while _applied(folder) < commits:
                if time.monotonic() > deadline:
                    raise ReconcilerError("no alert has changed the world; please report it")
                lines = "\n".join(line(device, requests) for device in range(1, _DEVICES + 1))
                metrics.write(SERVICE, read_lines(lines, time.time_ns()))
                time.sleep(_BETWEEN_SECONDS)
        return ()

    return act


def _applied(folder: Path) -> int:
    """Count the commits of alerts that were applied."""
    with closing(open_store("", folder / STATE_FOLDER)) as store:
        return sum(run.cause.startswith("alert ") and run.outcome is Outcome.DONE for run in store.runs(SITE, 100))


def last_commit(folder: Path) -> Iterable[str]:
    """Give the message of the last commit."""
    (commit,) = Repository.open(str(folder), folder / STATE_FOLDER).history(1)
    return commit.message.splitlines()


class Background:
    """`reconciler run`, as a process beside the story."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, folder: Path) -> Iterable[str]:
        """Begin; its log goes where ours goes."""
        self._process = subprocess.Popen([sys.executable, "-m", "reconciler.cli.main", "run"], cwd=folder)
        return ()

    def stop(self, folder: Path | None = None) -> Iterable[str]:
        """End it, if it runs."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None
        return ()

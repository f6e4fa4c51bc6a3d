"""The whole program on a real API server: documents in git, processes that are killed, a loop that is not asked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from specs.repository import Author, Repository
from tests.support.kubernetes_turns import until
from tests.testbed.kubernetes.control_plane import ControlPlane
from tests.testbed.kubernetes.gate import Gate

RECONCILER = Path(sys.executable).with_name("reconciler")
SETTINGS = """
defaults: {sync: {auto_apply: true, self_heal: true, prune: true}}
timing: {poll: 1s, jitter: 0s, drift: 10m, backoff: 2s}
"""
SITE = """
tosca_definitions_version: tosca_simple_yaml_1_3
metadata: {site: SITE}
imports: [flame_definitions.yaml]
topology_template:
  node_templates:
    kube:
      type: eu.ict-flame.nodes.Provider
      properties:
        plugin: kubernetes
        settings: {kubeconfig: KUBECONFIG, namespace: "{site}-{service}-{cluster}"}
    edge-1:
      type: eu.ict-flame.nodes.Cluster
      properties:
        capacity: {num_cpus: 16, mem_size: 32 GB, disk_size: 1 TB}
        properties: {context: test}
"""
SPEC = """
tosca_definitions_version: tosca_simple_yaml_1_3
metadata: {template_name: tour, sites: all}
imports: [kubernetes_definitions.yaml]
topology_template:
  node_templates:
    web:
      type: reconciler.nodes.kubernetes.Function
      properties:
        image_url: docker://registry.example.org/web:1
        fqdn: [web.tour.example.org]
        ports: [8080]
        env: {MODE: fast, STORE: {get_attribute: [store, private_address]}}
        kubernetes:
          pod: {terminationGracePeriodSeconds: 5}
      capabilities:
        host: {properties: {num_cpus: 1, mem_size: 512 MB}}
        scalable: {properties: {min_instances: 1, max_instances: 3, default_instances: 2}}
      requirements:
        - peer: store
    store:
      type: eu.ict-flame.nodes.ServiceFunction
      properties: {hypervisor: kvm, image_url: "docker://registry.example.org/store:1", ports: [5432]}
      capabilities:
        host: {properties: {num_cpus: 1, mem_size: 1 GB, disk_size: 4 GB}}
    chart:
      type: reconciler.nodes.kubernetes.Manifests
      artifacts:
        all: {type: reconciler.artifacts.kubernetes.Manifest, file: ../manifests/extra.yaml}
  policies:
    - init:
        type: eu.ict-flame.policies.InitialPolicy
        properties: {parent: tour}
        triggers:
          start:
            condition: {constraint: initialise}
            action:
              web: {fqdn: web.tour.example.org, lifecycle_actions: {edge-1: eu.ict-flame.sfe.state.lifecycle.connected}}
              store: {fqdn: store.example.org, lifecycle_actions: {edge-1: eu.ict-flame.sfe.state.lifecycle.connected}}
"""
MANIFEST = """
apiVersion: v1
kind: ConfigMap
metadata: {name: extra}
data: {colour: blue}
"""


@dataclass
class Town:
    """A spec repository for one site, and the program on it."""

    plane: ControlPlane
    gate: Gate
    folder: Path
    site: str

    @property
    def namespace(self) -> str:
        """Where the service is."""
        return f"{self.site}-tour-edge-1"

    def command(self, *arguments: str) -> list[str]:
        """Give a command line."""
        return [str(RECONCILER), "-C", str(self.folder), *arguments]

    def run(self, *arguments: str, expected: int = 0) -> Any:
        """Run a command to its end and give its JSON."""
        command = self.command("--json", *arguments)
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)

        assert done.returncode == expected, done.stderr + done.stdout
        return json.loads(done.stdout)

    def objects(self) -> set[str]:
        """Give what there is of ours in the namespace."""
        kinds = "deployments,statefulsets,services,configmaps,secrets,serviceaccounts,networkpolicies,ingresses"
        chosen = "app.kubernetes.io/managed-by=tosca-reconciler"
        return set(self.plane.kubectl("-n", self.namespace, "get", kinds, "-l", chosen, "-o", "name").split())


@pytest.fixture
def gate(plane: ControlPlane) -> Iterator[Gate]:
    with Gate(plane.url, plane.folder / "ca.crt").running() as gate:
        yield gate


@pytest.fixture
def town(plane: ControlPlane, gate: Gate, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Town]:
    site = f"town{abs(hash(request.node.nodeid)) % 10**8}"
    folder = tmp_path / "specs"
    kubeconfig = plane.kubeconfig_of(tmp_path / "kubeconfig", url=gate.url)
    site_spec = SITE.replace("SITE", site).replace("KUBECONFIG", str(kubeconfig))
    files = {"reconciler.yaml": SETTINGS, "sites/lab.yaml": site_spec, "specs/tour.yaml": SPEC}
    repository = Repository.create(folder)
    contents = {name: text.encode() for name, text in {**files, "manifests/extra.yaml": MANIFEST}.items()}
    repository.write(contents, "Begin", Author("Ann", "ann@example.org"), onto="")
    yield Town(plane, gate, folder, site)
    plane.kubectl("delete", "namespace", f"{site}-tour-edge-1", "--wait=false", "--ignore-not-found")


def test_documents_become_workloads(town: Town) -> None:
    town.run("validate")
    plan = town.run("plan")
    town.run("apply", "--auto-approve")
    again = town.run("plan", "--detailed-exitcode")
    status = town.run("status")
    settings = json.loads(town.plane.kubectl("-n", town.namespace, "get", "configmap", "web", "-o", "json"))
    web = json.loads(town.plane.kubectl("-n", town.namespace, "get", "deployment", "web", "-o", "json"))

    assert {change["type"] for change in plan["resource_changes"]} >= {"kubernetes.deployment", "kubernetes.object"}
    assert again["summary"]["noop"] == len(plan["resource_changes"])
    assert '"Synced"' in json.dumps(status)
    assert settings["data"] == {"MODE": "fast", "STORE": f"store.{town.namespace}.svc"}
    assert web["status"]["readyReplicas"] == 2
    assert web["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 5


def test_drift_is_named_by_its_field(town: Town) -> None:
    town.run("apply", "--auto-approve")
    town.plane.kubectl("-n", town.namespace, "scale", "deployment/web", "--replicas=3")
    drift = town.run("drift", expected=2)

    assert f"{town.site}/tour/web@edge-1.0:kubernetes.deployment" in json.dumps(drift)
    assert '"spec.replicas": 3' in json.dumps(drift)


@pytest.mark.parametrize("writes", [1, 4, 9])
def test_a_killed_apply_is_taken_up_where_it_was(town: Town, writes: int) -> None:
    process = subprocess.Popen(town.command("apply", "--auto-approve"), stdout=subprocess.DEVNULL)
    until(lambda: written(town.gate) >= writes or process.poll() is not None, f"{writes} writes", 60)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=10)
    town.run("apply", "--auto-approve")
    plan = town.run("plan", "--detailed-exitcode")

    assert process.returncode == -signal.SIGKILL
    assert plan["summary"]["create"] == plan["summary"]["update"] == 0
    assert town.objects() == {
        "configmap/extra",
        "configmap/web",
        "deployment.apps/web",
        "ingress.networking.k8s.io/web",
        "networkpolicy.networking.k8s.io/store",
        "networkpolicy.networking.k8s.io/web",
        "service/store",
        "service/web",
        "serviceaccount/store",
        "serviceaccount/web",
        "statefulset.apps/store",
    }


def written(gate: Gate) -> int:
    return sum(call.startswith("PATCH") for call in list(gate.calls))


def test_the_loop_heals_within_seconds_of_a_change(town: Town) -> None:
    log = town.folder.parent / "loop.log"
    with log.open("wb") as output:
        process = subprocess.Popen(town.command("run"), stdout=output, stderr=subprocess.STDOUT)
    try:
        until(lambda: "applied" in log.read_text(), f"the first apply: {log}", 60)
        town.plane.kubectl("-n", town.namespace, "scale", "deployment/web", "--replicas=1")
        until(lambda: replicas(town) == 2, "the number is healed long before the next look on schedule", 60)
    finally:
        process.terminate()
        process.wait(timeout=30)

    assert process.returncode == 0, log.read_text()


def replicas(town: Town) -> int:
    return int(town.plane.kubectl("-n", town.namespace, "get", "deployment", "web", "-o", "jsonpath={.spec.replicas}"))

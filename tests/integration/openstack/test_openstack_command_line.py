"""The whole program on a real cloud: documents in git, and processes that are killed."""

from __future__ import annotations

import functools
import http.server
import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reconciler.starter import starter_files
from specs.repository import Author, Repository
from tests.testbed.openstack.cloud import Cloud
from tests.testbed.openstack.operator import Operator

RECONCILER = Path(sys.executable).with_name("reconciler")
CLASSIC = Path(__file__).parents[3] / "examples" / "classic"
SETTINGS = "defaults: {sync: {auto_apply: true, self_heal: true, prune: true}, breaker: {count: 1000}}\n"
SITE = """
tosca_definitions_version: tosca_simple_yaml_1_3
metadata: {site: SITE}
imports: [flame_definitions.yaml]
topology_template:
  node_templates:
    cloud:
      type: eu.ict-flame.nodes.Provider
      properties:
        plugin: openstack
        settings: {cloud: alice, external_network: public}
        budget: {concurrency: 6}
    dc-1:
      type: eu.ict-flame.nodes.Cluster
      properties:
        tier: data_centre
        capacity: {num_cpus: 64, mem_size: 128 GB, disk_size: 4 TB}
        properties: {availability_zone: bristol-hs}
    edge-1:
      type: eu.ict-flame.nodes.Cluster
      properties:
        capacity: {num_cpus: 32, mem_size: 64 GB, disk_size: 2 TB}
        properties: {availability_zone: bristol-ms}
    edge-2:
      type: eu.ict-flame.nodes.Cluster
      properties:
        capacity: {num_cpus: 32, mem_size: 64 GB, disk_size: 2 TB}
        properties: {availability_zone: bristol-ms}
"""
WORKERS = """
tosca_definitions_version: tosca_simple_profile_for_nfv_1_0_0
metadata: {service: farm, sites: all}
imports: [flame_definitions.yaml]
topology_template:
  node_templates:
    worker:
      type: eu.ict-flame.nodes.ServiceFunction
      properties: {hypervisor: kvm, image_url: "glance:tiny"}
      capabilities:
        host: {properties: {num_cpus: 1, mem_size: 64 MB, disk_size: 1 GB}}
        scalable: {properties: {min_instances: 0, max_instances: 40, default_instances: 20}}
  policies:
    - initial:
        type: eu.ict-flame.policies.InitialPolicy
        triggers:
          begin:
            condition: {constraint: initialise}
            action: {worker: {lifecycle_actions: {dc-1: eu.ict-flame.sfe.state.lifecycle.connected}}}
"""


QCOW2 = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 0, 0, 16, 2**20, 0, 1, 3 << 16, 1 << 16, 1, 0, 0)
"""The header of an image of 1 MiB with nothing in it."""


@dataclass(frozen=True, slots=True)
class Specs:
    """A spec repository, and the program on it."""

    folder: Path

    def write(self, files: dict[str, str | None], message: str = "Change") -> None:
        repository = Repository.open(str(self.folder), self.folder / ".reconciler")
        content = {path: None if text is None else text.encode() for path, text in files.items()}
        repository.write(content, message, Author("Ann", "ann@example.org"), onto=repository.resolve())

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [str(RECONCILER), "-C", str(self.folder), "--json", *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *arguments: str, code: int = 0) -> Any:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=240)
        assert process.returncode == code, f"{out}\n{err}"
        return json.loads(out) if out.strip() else None


@pytest.fixture
def specs(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Specs]:
    """Give a repository with the site, and an empty project."""
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(cloud.clouds_yaml))
    monkeypatch.setenv("RECONCILER_SECRET_SHOP_DB_PASSWORD", "opensesame")
    operator = Operator(cloud, "alice")
    operator.sweep()
    folder = tmp_path / "specs"
    files = {"reconciler.yaml": SETTINGS.encode(), "sites/lab.yaml": SITE.replace("SITE", "lab").encode()}
    Repository.create(folder).write(files, "Begin", Author("Ann", "ann@example.org"), onto="")
    yield Specs(folder)
    operator.sweep()


@pytest.fixture
def alice(cloud: Cloud) -> Operator:
    return Operator(cloud, "alice")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[str]:
    """Serve images."""
    folder = tmp_path / "store"
    folder.mkdir()
    (folder / "frontend-2.0.tar.gz").write_bytes(b"frontend" * 100)
    (folder / "storage-1.4.qcow2").write_bytes(QCOW2.ljust(2**18, b"\0"))  # Glance looks inside

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.timeout(300)
def test_the_service_of_the_demo_runs_and_goes(specs: Specs, alice: Operator, store: str) -> None:
    text = starter_files()["specs/vr-tour.yaml"].decode()
    text = text.replace("sites: [sandpit-city]", "sites: all").replace("http://images.example.org", store)
    specs.write({"specs/vr-tour.yaml": text})
    specs.run("apply", "--auto-approve")
    servers = alice.get("compute", "/servers/detail")["servers"]
    specs.run("plan", "--detailed-exitcode")
    status = specs.run("status")
    specs.write({"specs/vr-tour.yaml": None})
    specs.run("apply", "--auto-approve", "--allow-mass-change")

    assert sorted(server["name"] for server in servers) == [
        "vr-tour-frontend-edge-1-0",
        "vr-tour-frontend-edge-1-1",
        "vr-tour-storage-dc-1-0",
    ]
    assert {server["status"] for server in servers} == {"ACTIVE"}
    assert "Synced" in json.dumps(status)
    assert "Healthy" in json.dumps(status)
    assert alice.left() == []


def classic(volume: bool) -> str:
    """Give the example of normative types; without its volume, which this cloud cannot make."""
    text = (CLASSIC / "specs" / "shop.yaml").read_text()
    if volume:
        return text
    begin, end = text.index("      requirements:\n        - local_storage:"), text.index("    web-front-port:")
    return text[:begin] + text[end:]


def with_classic(specs: Specs, text: str) -> None:
    scripts = {f"specs/scripts/{path.name}": path.read_text() for path in (CLASSIC / "specs" / "scripts").iterdir()}
    specs.write({"specs/shop.yaml": text, **scripts})


@pytest.mark.timeout(300)
def test_the_classic_web_shop_deploys_as_written(specs: Specs, alice: Operator, admin: Operator) -> None:
    with_classic(specs, classic(volume=False))
    specs.run("apply", "--auto-approve")
    specs.run("plan", "--detailed-exitcode")
    servers = {row["name"]: row for row in alice.get("compute", "/servers/detail")["servers"]}
    web = servers["shop-web-server-dc-1-0"]
    private = next(iter(servers["shop-db-server-dc-1-0"]["addresses"].values()))[0]["addr"]
    script = admin.get("compute", f"/servers/{web['id']}")["server"]["OS-EXT-SRV-ATTR:user_data"]

    assert {row["status"] for row in servers.values()} == {"ACTIVE"}
    assert len(servers) == 3
    assert list(web["addresses"]) == ["front", "back"]
    assert "opensesame" not in json.dumps(web)
    assert f"postgresql://shop@{private}:5432/shop" in _unpacked(script)
    assert "opensesame" in _unpacked(script)


@pytest.mark.timeout(120)
def test_a_volume_without_cinder_is_told_before_anything_is_made(specs: Specs, alice: Operator) -> None:
    with_classic(specs, classic(volume=True))
    plan = specs.run("plan")

    assert "the cloud has no volumes (block-storage service)" in json.dumps(plan)
    assert alice.left() == []


@pytest.mark.timeout(600)
def test_an_apply_of_twenty_servers_survives_being_killed_five_times(specs: Specs, alice: Operator) -> None:
    specs.write({"specs/farm.yaml": WORKERS})
    for point in (1, 5, 9, 13, 17):
        process = specs.start("apply", "--auto-approve")
        while process.poll() is None and len(alice.ids("server")) < point:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    specs.run("apply", "--auto-approve")
    alice.wait(lambda: all(server["status"] == "ACTIVE" for server in running(alice)), "all servers run")
    specs.run("plan", "--detailed-exitcode")
    servers = running(alice)

    assert sorted(server["name"] for server in servers) == sorted(f"farm-worker-dc-1-{n}" for n in range(20))
    assert len(alice.ids("port")) == 20


def running(alice: Operator) -> list[Any]:
    return list(alice.get("compute", "/servers/detail")["servers"])


def _unpacked(script: str) -> str:

    config = json.loads(b64decode(script).decode().partition("\n")[2])
    return "\n".join(b64decode(file["content"]).decode() for file in config["write_files"])

"""Makes a spec repository of any size: sites, services and nodes in the shapes people write, with one commit.

    python -m benchmarks.generate DIR --sites 1 --services 10 --nodes 20 --shape mixed

Equal arguments give equal files and an equal commit id. Every other service of a mixed repository is a FLAME chain
(service functions, a policy that places them), the rest are normative (servers, what runs on them, a network).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

CLUSTERS = ("dc-1", "edge-1", "edge-2", "edge-3")
SWITCHES = ("switch-1", "switch-2", "switch-3")
CHAIN = 10
"""How many nodes stand in a row, each requiring the next."""
_GIT_ENVIRONMENT = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "benchmark"), ("EMAIL", "benchmark@example.org"), ("DATE", "2024-01-01T00:00:00Z"))
} | {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}


class Shape(StrEnum):
    """Which documents a repository holds."""

    FLAME = "flame"
    NORMATIVE = "normative"
    MIXED = "mixed"
    CONTAINERS = "containers"
    """One resource for every node, and a network for every service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much a repository holds; every service runs on every site."""

    sites: int = 1
    services: int = 1
    nodes: int = 20
    """Nodes of one service."""
    shape: Shape = Shape.MIXED


def generate(folder: Path, size: Size) -> str:
    """Write the repository into an empty or new folder, commit it and give the commit's id."""
    new_repository(folder)
    for path, text in documents(size):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return commit_everything(folder, "Add everything")


def new_repository(folder: Path) -> None:
    """Make a git repository without a commit in an empty or new folder."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty; name another folder")
    _git(folder, "init", "--quiet", "--initial-branch=main")


def change(folder: Path, size: Size, number: int, revision: int) -> str:
    """Give the first node of one service more memory or a newer image, in a commit."""
    (folder / service_path(number)).write_text(service(size, number, revision), encoding="utf-8")
    return commit_everything(folder, f"Change service {number}")


def documents(size: Size) -> Iterator[tuple[str, str]]:
    """Give path and text of every file."""
    yield ".gitignore", ".reconciler/\n"
    yield "reconciler.yaml", "defaults:\n  sync: {auto_apply: true, self_heal: true, prune: true}\n"
    for number in range(size.sites):
        yield f"sites/site-{number}.yaml", site(size, number)
    for number in range(size.services):
        yield service_path(number), service(size, number)


def service_path(number: int) -> str:
    """Give the path of a service spec."""
    return f"specs/group-{number // 100}/service-{number}.yaml"


def site(size: Size, number: int) -> str:
    """Write a site spec: four clusters that hold every endpoint, three switches in a ring."""
    total = size.services * size.nodes
    lines = [
        "tosca_definitions_version: tosca_simple_profile_for_nfv_1_0_0",
        "imports: [flame_definitions.yaml]",
        f"metadata: {{site: site-{number}}}",
        "topology_template:",
        "  node_templates:",
        "    sandpit:",
        "      type: eu.ict-flame.nodes.Provider",
        "      properties: {plugin: sandpit}",
    ]
    for cluster in CLUSTERS:
        tier = "data_centre" if cluster.startswith("dc") else "edge"
        capacity = f"{{num_cpus: {2 * total + 8}, mem_size: {8 * total + 64} GB, disk_size: {20 * total + 200} GB}}"
        lines += [
            f"    {cluster}:",
            "      type: eu.ict-flame.nodes.Cluster",
            f"      properties: {{tier: {tier}, location: {cluster}, capacity: {capacity}}}",
        ]
    for index, switch in enumerate(SWITCHES):
        lines += [
            f"    {switch}:",
            "      type: eu.ict-flame.nodes.Switch",
            f"      properties: {{dpid: '{index + 1:016x}', ports: 8}}",
        ]
    cables = [(SWITCHES[i], SWITCHES[(i + 1) % len(SWITCHES)]) for i in range(len(SWITCHES))]
    cables += [(cluster, SWITCHES[i % len(SWITCHES)]) for i, cluster in enumerate(CLUSTERS)]
    for source, target in cables:
        lines += [
            f"    {source}-to-{target}:",
            "      type: eu.ict-flame.nodes.Link",
            f"      properties: {{source: {source}, target: {target}, latency_ms: 2.0}}",
        ]
    return "\n".join(lines) + "\n"


def service(size: Size, number: int, revision: int = 0) -> str:
    """Write a service spec; the revision goes into the memory or the image of its first node."""
    if size.shape is Shape.CONTAINERS:
        return _containers(size, number, revision)
    flame = size.shape is Shape.FLAME or (size.shape is Shape.MIXED and number % 2 == 0)
    return _flame(size, number, revision) if flame else _normative(size, number, revision)


def _flame(size: Size, number: int, revision: int) -> str:
    lines = [
        "tosca_definitions_version: tosca_simple_profile_for_nfv_1_0_0",
        "imports: [flame_definitions.yaml]",
        f"metadata: {{template_name: service-{number}, sfc: service-{number}, sfci: service-{number}-1, sites: all}}",
        "topology_template:",
        "  node_templates:",
    ]
    placements = []
    for index in range(size.nodes):
        name, memory = f"function-{index}", 2 + (revision if index == 0 else 0)
        fqdn = f"{name}.service-{number}.example.org"
        lines += [
            f"    {name}:",
            "      type: eu.ict-flame.nodes.ServiceFunction",
            "      properties:",
            "        hypervisor: kvm",
            f"        image_url: http://images.example.org/service-{number}/{name}.tar.gz",
            f"        fqdn: [{fqdn}]",
            f"      capabilities: {{host: {{properties: {{num_cpus: 1, mem_size: {memory} GB, disk_size: 10 GB}}}}}}",
        ]
        if index % CHAIN:
            lines.append(f"      requirements: [{{peer: function-{index - 1}}}]")
        cluster = CLUSTERS[index % len(CLUSTERS)]
        state = f"{{{cluster}: eu.ict-flame.sfe.state.lifecycle.connected}}"
        placements.append(f"              {name}: {{fqdn: {fqdn}, lifecycle_actions: {state}}}")
    lines += [
        "  policies:",
        "    - initial:",
        "        type: eu.ict-flame.policies.InitialPolicy",
        f"        properties: {{parent: service-{number}}}",
        "        triggers:",
        "          start:",
        "            condition: {constraint: initialise}",
        "            action:",
        *placements,
    ]
    return "\n".join(lines) + "\n"


def _normative(size: Size, number: int, revision: int) -> str:
    lines = [
        "tosca_definitions_version: tosca_simple_yaml_1_3",
        f"metadata: {{template_name: service-{number}, sites: all}}",
        "topology_template:",
        "  inputs:",
        "    version: {type: string, default: '1.0'}",
        "  node_templates:",
    ]
    for index in range(0, size.nodes, 2):
        memory = 2 + (revision if index == 0 else 0)
        lines += [
            f"    server-{index}:",
            "      type: tosca.nodes.Compute",
            "      capabilities:",
            f"        host: {{properties: {{num_cpus: 1, mem_size: {memory} GB, disk_size: 10 GB}}}}",
            "        os: {properties: {type: linux, distribution: debian, version: '12.0'}}",
        ]
        if index + 1 < size.nodes:
            lines += [
                f"    software-{index}:",
                "      type: tosca.nodes.SoftwareComponent",
                "      properties: {component_version: {get_input: version}}",
                f"      requirements: [{{host: server-{index}}}{_peer(index)}]",
            ]
    return "\n".join(lines) + "\n"


def _containers(size: Size, number: int, revision: int) -> str:
    lines = [
        "tosca_definitions_version: tosca_simple_yaml_1_3",
        f"metadata: {{template_name: service-{number}, sites: all}}",
        "topology_template:",
        "  node_templates:",
    ]
    for index in range(size.nodes):
        image = f"registry.example.org/application-{index}:1.{revision if index == 0 else 0}"
        lines += [
            f"    application-{index}:",
            "      type: tosca.nodes.Container.Application",
            "      artifacts:",
            f"        image: {{type: tosca.artifacts.Deployment.Image.Container.Docker, file: '{image}'}}",
        ]
        if index % 2:
            lines.append(f"      requirements: [{{dependency: application-{index - 1}}}]")
    return "\n".join(lines) + "\n"


def _peer(index: int) -> str:
    return f", {{dependency: software-{index - 2}}}" if index % CHAIN else ""


def commit_everything(folder: Path, message: str) -> str:
    """Commit all files of a folder and give the commit's id."""
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", "--message", message)
    return _git(folder, "rev-parse", "HEAD").strip()


def _git(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, **_GIT_ENVIRONMENT}
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, check=True, stdout=subprocess.PIPE)
    return done.stdout.decode()


def main() -> int:
    """Write a repository as the arguments say and print its commit."""
    parser = argparse.ArgumentParser(description="Make a spec repository of any size.")
    parser.add_argument("folder", type=Path, help="a new or empty folder")
    parser.add_argument("--sites", type=int, default=1)
    parser.add_argument("--services", type=int, default=1)
    parser.add_argument("--nodes", type=int, default=20, help="nodes of one service")
    parser.add_argument("--shape", type=Shape, choices=list(Shape), default=Shape.MIXED)
    given = parser.parse_args()
    size = Size(sites=given.sites, services=given.services, nodes=given.nodes, shape=given.shape)
    try:
        print(generate(given.folder, size))
    except (FileExistsError, NotADirectoryError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

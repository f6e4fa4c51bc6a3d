"""The whole program on a real fabric: documents in git, plans and remarks in words, a loop that is not asked.

Endpoints are the sandpit's; their addresses are those of the hosts, which really send and hear.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from providers.sdn.expand import service_address
from providers.sdn.settings import PREFIX
from specs.repository import Author, Repository
from tests.testbed.sdn.fabric import RealFabric
from tests.testbed.sdn.packets import Hosts

RECONCILER = Path(sys.executable).with_name("reconciler")
ANN = Author("Ann", "ann@example.org")
WEB = service_address(PREFIX, "web.tour.example.org")
SETTINGS = """
defaults: {sync: {auto_apply: true, self_heal: true, prune: true}}
timing: {poll: 1s, jitter: 0s, drift: 10m, backoff: 1s}
"""
SITE = """
tosca_definitions_version: tosca_simple_yaml_1_3
metadata: {site: bristol}
imports: [flame_definitions.yaml]
topology_template:
  node_templates:
    hosts: {type: eu.ict-flame.nodes.Provider, properties: {plugin: sandpit, roles: [compute]}}
    fabric:
      type: eu.ict-flame.nodes.Provider
      properties: {plugin: sdn, roles: [network], settings: {controller: ryu, url: "URL"}}
    s1: {type: eu.ict-flame.nodes.Switch, properties: {dpid: "0000000000000001", properties: {ovsdb: "OVSDB"}}}
    s2: {type: eu.ict-flame.nodes.Switch, properties: {dpid: "0000000000000002", properties: {ovsdb: "OVSDB"}}}
    s3: {type: eu.ict-flame.nodes.Switch, properties: {dpid: "0000000000000003"}}
    edge-2:
      type: eu.ict-flame.nodes.Cluster
      properties:
        capacity: {num_cpus: 8, mem_size: 16 GB, disk_size: 1 TB}
        properties: {mac: "02:00:00:00:00:02"}
    ap-1:
      type: eu.ict-flame.nodes.AccessPoint
      properties: {properties: {devices: {phone: {address: "fd00::1", mac: "02:00:00:00:00:01"}}}}
    air: {type: eu.ict-flame.nodes.Link, properties: {source: ap-1, target: s1, target_port: 1}}
    rack-2: {type: eu.ict-flame.nodes.Link, properties: {source: edge-2, target: s2, target_port: 1}}
    north: {type: eu.ict-flame.nodes.Link, properties: {source: s1, source_port: 3, target: s2, target_port: 3}}
    east: {type: eu.ict-flame.nodes.Link, properties: {source: s2, source_port: 4, target: s3, target_port: 3}}
    south: {type: eu.ict-flame.nodes.Link, properties: {source: s1, source_port: 4, target: s3, target_port: 4}}
"""
SPEC = """
tosca_definitions_version: tosca_simple_yaml_1_3
metadata: {template_name: tour, sites: all}
imports: [flame_definitions.yaml]
topology_template:
  node_templates:
    web:
      type: eu.ict-flame.nodes.ServiceFunction
      properties:
        hypervisor: kvm
        image_url: http://images.example.org/web.tar.gz
        fqdn: [web.tour.example.org]
        ports: [80]
      capabilities:
        host: {properties: {num_cpus: 1, mem_size: 1 GB, disk_size: 4 GB}}
      requirements:
        - dependency: lan
    lan:
      type: tosca.nodes.network.Network
      properties: {ip_version: 6, cidr: "fd00::/64", network_name: lan, start_ip: "fd00::2", end_ip: "fd00::2"}
  policies:
    - init:
        type: eu.ict-flame.policies.InitialPolicy
        properties: {parent: tour}
        triggers:
          start:
            condition: {constraint: initialise}
            action:
              web: {fqdn: web.tour.example.org, lifecycle_actions: {edge-2: eu.ict-flame.sfe.state.lifecycle.connected}}
    - quick: {type: eu.ict-flame.policies.Qos, targets: [web], properties: {traffic_class: GOLD}}
"""


@dataclass
class Town:
    """A spec repository for the ring, and the program on it."""

    folder: Path

    def command(self, *arguments: str) -> list[str]:
        """Give a command line."""
        return [str(RECONCILER), "-C", str(self.folder), *arguments]

    def run(self, *arguments: str, expected: int = 0) -> str:
        """Run a command to its end and give what it prints."""
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=100, check=False)

        assert done.returncode == expected, done.stderr + done.stdout
        return done.stdout

    def document(self, *arguments: str, expected: int = 0) -> Any:
        """Run a command to its end and give its JSON."""
        return json.loads(self.run("--json", *arguments, expected=expected))

    def edit(self, before: str, after: str, path: str = "sites/bristol.yaml") -> None:
        """Commit a file with one text put in the place of another."""
        text = (self.folder / path).read_text()
        assert before in text
        repository = Repository.open(str(self.folder), self.folder / ".reconciler")
        repository.write({path: text.replace(before, after).encode()}, "Change", ANN, onto=repository.resolve())


@pytest.fixture
def town(clean_ring: RealFabric, tmp_path: Path) -> Town:
    folder = tmp_path / "specs"
    site = SITE.replace("URL", clean_ring.url).replace("OVSDB", clean_ring.ovsdb)
    files = {"reconciler.yaml": SETTINGS, "sites/bristol.yaml": site, "specs/tour.yaml": SPEC}
    Repository.create(folder).write({name: text.encode() for name, text in files.items()}, "Begin", ANN, onto="")
    return Town(folder)


@pytest.fixture
def hosts(clean_ring: RealFabric) -> Iterator[Hosts]:
    with closing(Hosts(clean_ring)) as hosts:
        yield hosts


def test_documents_become_ways_that_packets_take(town: Town, hosts: Hosts) -> None:
    town.run("validate")
    first = town.run("plan")
    town.run("apply", "--auto-approve")
    again = town.document("plan", "--detailed-exitcode")
    status = town.document("status")
    forth = hosts.hear(("ap-1", WEB, b"hello"))
    back = hosts.hear(("edge-2", "fd00::1", b"welcome"))

    assert 'links = ["air", "north", "rack-2"]' in first.replace(" ", "").replace("=", " = ").replace(",", ", ")
    assert "ipv6" not in first
    assert again["summary"]["noop"] == first.count("# wanted and never made") == 17
    assert (status["well"], status["sites"][0]["findings"]) == (True, [])
    assert forth.keys() == {"edge-2"}
    assert back["ap-1"][0].source == WEB


def test_bits_are_shown_to_who_asks_for_them(town: Town) -> None:
    town.run("apply", "--auto-approve")
    town.edit("traffic_class: GOLD", "traffic_class: SILVER", "specs/tour.yaml")
    plain = town.run("plan")
    detailed = town.run("plan", "-v")

    assert "~ bristol/tour/web@ap-1:sdn.name" in plain
    assert "bits" not in plain
    assert "      = bits = {s1:1: " in detailed


def test_cables_that_are_not_as_drawn_are_said_in_plan_and_status(town: Town) -> None:
    town.edit("target: s2, target_port: 3}", "target: s2, target_port: 4}")
    town.edit("source: s2, source_port: 4", "source: s2, source_port: 3")
    town.edit("    south:", "    nowhere: {type: eu.ict-flame.nodes.Link, properties: {source: s1, source_port: 7,"
              " target: s3, target_port: 7}}\n    far-south:")  # fmt: skip
    ends = "source: {}, source_port: {}, target: s3, target_port: {}"
    town.edit(ends.format("s1", 4, 4), ends.format("s2", 9, 9))
    says = [
        "link north is miswired: s1:3 leads to s2:3, the spec says s2:4",
        "link nowhere is down at s1:7 and s3:7",
        "s1:4 is wired to s3:4, which the spec does not mention; add a link, or pull the cable",
    ]
    plan, status = town.run("plan"), town.run("status", expected=2)
    found = [finding["message"] for finding in town.document("status", expected=2)["sites"][0]["findings"]]

    assert [message for message in says if f"warning: {message}" not in plan] == []
    assert [message for message in says if f"warning: {message}" not in status] == []
    assert [message for message in says if message not in found] == []


def test_faults_of_the_fabric_have_a_file_and_a_line(town: Town) -> None:
    town.edit("source_port: 4, target: s3, target_port: 3", "source_port: 3, target: s3, target_port: 3")
    said = town.run("validate", expected=3)
    line = next(n for n, text in enumerate((town.folder / "sites/bristol.yaml").read_text().splitlines(), 1)
                if "north:" in text)  # fmt: skip

    assert f"sites/bristol.yaml:{line}:" in said
    assert "port 3 of s2 is used by east and by north" in said


def test_the_loop_goes_round_a_cut_link_without_being_asked(town: Town, clean_ring: RealFabric, hosts: Hosts) -> None:
    log = town.folder.parent / "loop.log"
    with log.open("wb") as output:
        process = subprocess.Popen(town.command("run"), stdout=output, stderr=subprocess.STDOUT)
    try:
        arrives = lambda: "edge-2" in hosts.hear(("ap-1", WEB, b"there"), quiet=0.1)  # noqa: E731 -- it is handed on
        clean_ring.wait_until(arrives, 60)
        clean_ring.cut("north")
        clean_ring.wait_until(arrives, 60)
    finally:
        clean_ring.cut("north", up=True)
        process.terminate()
        process.wait(timeout=30)
    clean_ring.wait_until_healthy()

    assert process.returncode == 0, log.read_text()

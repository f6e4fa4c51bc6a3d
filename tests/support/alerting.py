"""A service with policies that alerts act on, its alerts, and rules, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from reconciler.project import Reading, read_tree
from specs.model import Service
from specs.tosca.rules import Condition, Event, Rule
from tests.support.files import Files

STATE = "eu.ict-flame.sfe.state.lifecycle."

SITE = """\
tosca_definitions_version: tosca_simple_yaml_1_3
metadata: {site: bristol}
imports: [flame_definitions.yaml]
topology_template:
  node_templates:
    city:
      type: eu.ict-flame.nodes.Provider
      properties: {plugin: sandpit}
    clmc:
      type: eu.ict-flame.nodes.Provider
      properties: {plugin: clmc}
    dc-1:
      type: eu.ict-flame.nodes.Cluster
      properties:
        tier: data_centre
        location: university
        provider: city
        capacity: {num_cpus: 64, mem_size: 256 GB, disk_size: 4 TB}
    edge-1:
      type: eu.ict-flame.nodes.Cluster
      properties:
        tier: edge
        location: square
        provider: city
        capacity: {num_cpus: 64, mem_size: 256 GB, disk_size: 4 TB}
    core:
      type: eu.ict-flame.nodes.Switch
      properties: {ports: 8}
    dc-1-core:
      type: eu.ict-flame.nodes.Link
      properties: {source: dc-1, target: core, target_port: 1}
    edge-1-core:
      type: eu.ict-flame.nodes.Link
      properties: {source: edge-1, target: core, target_port: 2}
"""

SERVICE = f"""\
tosca_definitions_version: tosca_simple_profile_for_nfv_1_0_0
imports: [flame_definitions.yaml]
metadata: {{sfc: tour, sfci: tour-1, sites: [bristol]}}
topology_template:
  node_templates:
    storage:
      type: eu.ict-flame.nodes.ServiceFunction
      properties: {{image_url: http://x/s, fqdn: [storage.example.org], ports: [80]}}
    frontend:
      type: eu.ict-flame.nodes.ServiceFunction
      properties: {{image_url: http://x/f, fqdn: [tour.example.org], ports: [80]}}
      capabilities:
        scalable:
          properties: {{min_instances: 1, max_instances: 6, default_instances: 2}}
  policies:
    - initial:
        type: eu.ict-flame.policies.InitialPolicy
        triggers:
          begin:
            condition: {{constraint: initialise}}
            action:
              storage:
                lifecycle_actions:
                  dc-1: {STATE}connected
                  edge-1: {STATE}placed  # the cabinet
              frontend:
                lifecycle_actions: {{dc-1: {STATE}connected}}
    - crowd:
        type: eu.ict-flame.policies.StateChange
        triggers:
          more:
            condition: {{constraint: "clmc::many_requests"}}
            action: {{storage: {{lifecycle_actions: {{edge-1: {STATE}connected}}}}}}
          less:
            condition: {{constraint: "clmc::few_requests"}}
            action: {{storage: {{lifecycle_actions: {{edge-1: {STATE}placed}}}}}}
    - queue:
        type: eu.ict-flame.policies.Scaling
        targets: [frontend]
        properties: {{max_instances: 5, cooldown: 30 s}}
        triggers:
          out:
            condition: {{constraint: "clmc::long_queue"}}
            action: {{frontend: {{scale_out: 2}}}}
          in:
            condition: {{constraint: "clmc::short_queue"}}
            action: {{frontend: {{scale_in_to: 1}}}}
"""

ALERTS = """\
tosca_definitions_version: tosca_simple_profile_for_nfv_1_0_0
imports: [flame_clmc_alerts_definitions.yaml]
metadata: {sfc: tour, sfci: tour-1}
topology_template:
  policies:
    - crowd:
        type: eu.ict-flame.policies.StateChange
        triggers:
          many_requests:
            event_type: threshold
            metric: storage.requests
            condition:
              threshold: 100
              granularity: 60
              aggregation_method: mean
              resource_type: {flame_location: edge-1}
              comparison_operator: gt
            action: {implementation: [flame_sfemc, "http://127.0.0.1:9/alerts"]}
          few_requests:
            event_type: threshold
            metric: storage.requests
            condition:
              threshold: 20
              granularity: 60
              aggregation_method: mean
              resource_type: {flame_location: edge-1}
              comparison_operator: lt
            action: {implementation: [flame_sfemc]}
    - queue:
        type: eu.ict-flame.policies.StateChange
        triggers:
          long_queue:
            event_type: relative
            metric: frontend.queue
            condition: {threshold: 10, granularity: 10, aggregation_method: max, comparison_operator: gte}
            action: {implementation: [flame_sfemc]}
          short_queue:
            event_type: threshold
            metric: frontend.queue
            condition: {threshold: 1, granularity: 10, aggregation_method: max, comparison_operator: lt}
            action: {implementation: [flame_sfemc]}
    - silence:
        type: eu.ict-flame.policies.Alert
        triggers:
          nobody:
            event_type: deadman
            metric: frontend.*
            condition: {threshold: 0, granularity: 120}
            action: {implementation: ["http://127.0.0.1:9/alerts"]}
"""

SETTINGS = """\
id: 0123456789ab
defaults: {sync: {auto_apply: true, self_heal: true, prune: true}}
"""

FILES = {
    "reconciler.yaml": SETTINGS,
    "sites/bristol.yaml": SITE,
    "specs/tour.yaml": SERVICE,
    "policies/tour-alerts.yaml": ALERTS,
}


def write_files(folder: Path, changes: Mapping[str, str] | None = None) -> None:
    """Write the documents into a folder."""
    for path, text in {**FILES, **(changes or {})}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


class NoCache:
    """A cache that keeps nothing."""

    def get_many(self, keys: list[str]) -> Mapping[str, bytes]:
        """Find nothing."""
        return {}

    def put(self, values: Mapping[str, bytes]) -> None:
        """Forget them."""


def reading(changes: Mapping[str, str] | None = None) -> Reading:
    """Read the documents, some of them exchanged."""
    return read_tree(Files({**FILES, **(changes or {})}), NoCache())


def service(text: str = SERVICE) -> Service:
    """Compile the service alone."""
    found = read_tree(Files({"site.yaml": SITE, "tour.yaml": text}), NoCache())
    found.check()
    return found.catalogue.services_on("bristol")[0]


def condition(**changes: object) -> Condition:
    """Build a condition: the mean of a minute above 100."""
    whole = Condition(
        event=Event.THRESHOLD,
        measurement="storage",
        field="requests",
        aggregation="mean",
        operator="gt",
        threshold=100,
        granularity=60,
    )
    return replace(whole, **changes)


def rule(*conditions: Condition, **changes: object) -> Rule:
    """Build a rule."""
    whole = Rule(
        sfc="tour", sfci="tour-1", policy="crowd", trigger="many_requests", conditions=conditions or (condition(),)
    )
    return replace(whole, **changes)

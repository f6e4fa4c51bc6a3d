"""Documents of a city in which alerts move services: a site with a sandpit and CLMC, services that scale, alerts."""

from __future__ import annotations

from collections.abc import Mapping

SETTINGS = """\
defaults: {sync: {auto_apply: true, self_heal: true, prune: true}, breaker: {count: 1000}}
alerts: {commits_per_hour: 3600, flaps: 1000}
timing: {drift: 10m}
"""
"""Nothing holds back what alerts ask for."""


def site(clmc: str = "{}", sandpit: str = "{}") -> str:
    """Write the site `city`, with the settings of its two providers in YAML's flow style."""
    return f"""\
tosca_definitions_version: tosca_simple_yaml_1_3
imports: [flame_definitions.yaml]
metadata: {{site: city}}
topology_template:
  node_templates:
    sandpit: {{type: eu.ict-flame.nodes.Provider, properties: {{plugin: sandpit, settings: {sandpit}}}}}
    clmc: {{type: eu.ict-flame.nodes.Provider, properties: {{plugin: clmc, settings: {clmc}}}}}
    dc-1:
      type: eu.ict-flame.nodes.Cluster
      properties:
        tier: data_centre
        location: town-hall
        provider: sandpit
        capacity: {{num_cpus: 64, mem_size: 64 GB, disk_size: 1 TB}}
"""


def service(name: str, instances: int, begin: str, scaling: str, steps: Mapping[str, str]) -> str:
    """Write a service of one function.

    `begin` is the state it begins in, `scaling` what its policy says of itself, and `steps` the triggers of that policy
    with what each does, in YAML's flow style.
    """
    triggers = "".join(
        f'          {step}: {{condition: {{constraint: "clmc::{step}"}}, action: {{frontend: {action}}}}}\n'
        for step, action in steps.items()
    )
    return f"""\
tosca_definitions_version: tosca_simple_profile_for_nfv_1_0_0
imports: [flame_definitions.yaml]
metadata: {{sfc: tour, sfci: {name}, sites: [city]}}
topology_template:
  node_templates:
    frontend:
      type: eu.ict-flame.nodes.ServiceFunction
      properties: {{image_url: http://images.example.org/f, fqdn: [{name}.example.org], ports: [80]}}
      capabilities:
        scalable: {{properties: {{min_instances: {instances}, max_instances: 20, default_instances: {instances}}}}}
  policies:
    - initial:
        type: eu.ict-flame.policies.InitialPolicy
        triggers:
          begin:
            condition: {{constraint: initialise}}
            action: {{frontend: {{lifecycle_actions: {{dc-1: eu.ict-flame.sfe.state.lifecycle.{begin}}}}}}}
    - load:
        type: eu.ict-flame.policies.Scaling
        targets: [frontend]
        properties: {scaling}
        triggers:
{triggers}"""


def alerts(name: str, triggers: Mapping[str, str]) -> str:
    """Write the alerts of a service: what each trigger watches, in YAML's flow style."""
    written = "".join(
        f"          {trigger}: {{{watched}, action: {{implementation: [flame_sfemc]}}}}\n"
        for trigger, watched in triggers.items()
    )
    return f"""\
tosca_definitions_version: tosca_simple_profile_for_nfv_1_0_0
imports: [flame_clmc_alerts_definitions.yaml]
metadata: {{sfc: tour, sfci: {name}}}
topology_template:
  policies:
    - load:
        type: eu.ict-flame.policies.StateChange
        triggers:
{written}"""


def above(field: str, granularity: int) -> str:
    """Say that the newest value of a field of `frontend` exceeds 100, looked at every so many seconds."""
    how = f"threshold: 100, granularity: {granularity}, aggregation_method: last, comparison_operator: gt"
    return f"event_type: threshold, metric: frontend.{field}, condition: {{{how}}}"

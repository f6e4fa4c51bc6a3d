"""Writes one application of any size in the words of every program that is compared.

Half of its nodes are servers, half is software hosted on them, in chains of ten that depend on one another. In words
that know no hosts, every node is one resource that changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

_CHAIN = 10
_PER_CLUSTER = 400
"""Nodes on one cluster; the addresses of an emulated network end at 252 servers."""


def tosca(nodes: int) -> str:
    """Give the application as a document of TOSCA 1.3."""
    lines = [
        "tosca_definitions_version: tosca_simple_yaml_1_3",
        "metadata: {template_name: fleet}",
        "topology_template:",
        "  inputs:",
        "    version: {type: string, default: '1.0'}",
        "  node_templates:",
    ]
    for index in range(0, nodes, 2):
        lines += [
            f"    server-{index}:",
            "      type: tosca.nodes.Compute",
            f"      metadata: {{cluster: dc-{index // _PER_CLUSTER}}}",
            "      attributes: {private_address: 10.0.0.1, public_address: 10.0.0.1}",
            "      capabilities:",
            "        host: {properties: {num_cpus: 1, mem_size: 2 GB, disk_size: 10 GB}}",
            f"    software-{index}:",
            "      type: tosca.nodes.SoftwareComponent",
            "      properties: {component_version: {get_input: version}}",
            f"      requirements: [{{host: server-{index}}}{_on_the_one_before(index)}]",
        ]
    return "\n".join(lines) + "\n"


def _on_the_one_before(index: int) -> str:
    return f", {{dependency: software-{index - 2}}}" if index % _CHAIN else ""


def site(nodes: int) -> str:
    """Give a site of the sandpit that holds the application."""
    lines = [
        "tosca_definitions_version: tosca_simple_yaml_1_3",
        "metadata: {site: city}",
        "imports: [flame_definitions.yaml]",
        "topology_template:",
        "  node_templates:",
        "    sandpit: {type: eu.ict-flame.nodes.Provider, properties: {plugin: sandpit}}",
    ]
    for number in range((nodes - 1) // _PER_CLUSTER + 1):
        capacity = "{num_cpus: 400, mem_size: 800 GB, disk_size: 4000 GB}"
        lines += [
            f"    dc-{number}:",
            "      type: eu.ict-flame.nodes.Cluster",
            f"      properties: {{tier: data_centre, location: dc-{number}, capacity: {capacity}}}",
        ]
    return "\n".join(lines) + "\n"


def terraform(nodes: int) -> str:
    """Give as many resources that Terraform has built in."""
    return "".join(f'resource "terraform_data" "node_{index}" {{\n{_body(index)}}}\n' for index in range(nodes))


def _body(index: int) -> str:
    after = f"  depends_on = [terraform_data.node_{index - 1}]\n" if index % _CHAIN else ""
    return f'  input = "1.0"\n{after}'


def salt(nodes: int) -> str:
    """Give as many states of Salt that change nothing."""
    return "".join(_state(index) for index in range(nodes))


def _state(index: int) -> str:
    after = f":\n    - require: [{{test: node-{index - 1}}}]" if index % _CHAIN else ""
    return f"node-{index}:\n  test.succeed_without_changes{after}\n"


def ensemble(nodes: int) -> str:
    """Give the application as an ensemble of Unfurl."""
    return "\n".join(_ensemble(tosca(nodes))) + "\n"


def _ensemble(document: str) -> Iterator[str]:
    yield from ("apiVersion: unfurl/v1alpha1", "kind: Ensemble", "spec:", "  service_template:")
    yield from (f"    {line}" for line in document.splitlines())


def tosca_parser_script(path: str) -> str:
    """Give a program that loads a document with tosca-parser and does nothing else."""
    return f"from toscaparser.tosca_template import ToscaTemplate\nToscaTemplate({json.dumps(path)})\n"

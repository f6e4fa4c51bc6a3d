"""What tosca-parser refuses of legal TOSCA is taken out before it is asked; each gap has a document that shows it."""

import json
import subprocess
import sys
from functools import cache
from typing import Any

import pytest

from specs.judge.dialect import UNREADABLE, prepare
from specs.judge.judge import judge_many
from specs.yaml.document import load

GAPS = {
    "sections": """
        topology_template:
          node_templates: {a: {type: tosca.nodes.Root}}
          workflows: {deploy: {steps: {one: {target: a, activities: [{set_state: started}]}}}}
    """,
    "artifacts": """
        artifact_types: {my.Image: {derived_from: tosca.artifacts.Root}}
        node_types:
          my.Node:
            derived_from: tosca.nodes.Root
            artifacts: {image: {type: my.Image, file: a.img}}
            interfaces: {Other: {start: {implementation: image}}}
        topology_template:
          node_templates: {a: {type: my.Node, interfaces: {Other: {start: b.sh}}}}
    """,
    "interfaces": """
        interface_types:
          my.Interface: {derived_from: tosca.interfaces.Root, operations: {tune: {}}, notifications: {changed: {}}}
        node_types:
          my.Node: {derived_from: tosca.nodes.Root, interfaces: {Tuning: {type: my.Interface}}}
        topology_template:
          node_templates:
            a:
              type: my.Node
              interfaces:
                Standard: {inputs: {port: 80}, operations: {create: a.sh}}
                Tuning: {notifications: {changed: b.sh}}
    """,
    "substitution": """
        topology_template:
          inputs: {size: {type: integer}}
          node_templates: {a: {type: tosca.nodes.Root}}
          outputs: {state: {value: {get_attribute: [a, state]}}, more: {value: 5}}
          substitution_mappings: {node_type: tosca.nodes.Compute}
    """,
    "copy": """
        topology_template:
          node_templates: {a: {type: tosca.nodes.Root}, b: {copy: a, properties: {}}, c: {copy: b}}
    """,
    "short-definitions": """
        node_types:
          my.Node:
            derived_from: tosca.nodes.Root
            properties: {names: {type: list, entry_schema: string}}
            capabilities: {serves: tosca.capabilities.Endpoint}
            requirements: [{talks: tosca.capabilities.Endpoint}]
        topology_template:
          node_templates: {a: {type: my.Node, properties: {names: [x]}, requirements: [{talks: a}]}}
    """,
    "occurrences": """
        node_types:
          my.Component:
            derived_from: tosca.nodes.SoftwareComponent
            requirements: [{host: {capability: tosca.capabilities.Container, occurrences: [0, 1]}}]
        topology_template:
          node_templates: {a: {type: my.Component}}
    """,
    "open-requirements": """
        capability_types: {my.Capability: {derived_from: tosca.capabilities.Root}}
        relationship_types: {my.typed.Relationship: {derived_from: tosca.relationships.Root}}
        node_types:
          my.Node:
            derived_from: tosca.nodes.Root
            capabilities: {serves: {type: my.Capability}}
            requirements: [{talks: {capability: my.Capability, relationship: my.typed.Relationship}}]
        topology_template:
          node_templates:
            a: {type: my.Node, requirements: [{talks: b}]}
            b: {type: my.Node, requirements: [{talks: a}]}
    """,
    "requirement-details": """
        topology_template:
          node_templates:
            a:
              type: tosca.nodes.SoftwareComponent
              requirements:
                - host:
                    node: tosca.nodes.Compute
                    node_filter: {capabilities: [{host: {properties: [{num_cpus: {greater_or_equal: 2}}]}}]}
            server:
              type: tosca.nodes.Compute
              requirements:
                - local_storage:
                    node: disk
                    relationship:
                      type: tosca.relationships.AttachesTo
                      interfaces: {Configure: {pre_configure_source: {description: x, implementation: a.sh}}}
            disk: {type: tosca.nodes.BlockStorage, properties: {size: 1 GB}}
    """,
    "capability-details": """
        topology_template:
          node_templates: {a: {type: tosca.nodes.Compute, capabilities: {host: {occurrences: [1, 1]}, os: null}}}
    """,
    "capability-refinement": """
        node_types:
          my.Node:
            derived_from: tosca.nodes.Compute
            capabilities: {host: {type: tosca.capabilities.Container, properties: {gpus: {type: integer}}}}
        topology_template:
          node_templates: {a: {type: my.Node, capabilities: {host: {properties: {gpus: 2, num_cpus: 1}}}}}
    """,
    "property-refinement": """
        node_types:
          my.Base: {derived_from: tosca.nodes.Root, properties: {level: {type: integer, required: false}}}
          my.Node: {derived_from: my.Base, properties: {level: {constraints: [{less_than: 5}]}}}
        topology_template:
          node_templates: {a: {type: my.Node, properties: {level: 4}}, b: {type: my.Node}}
    """,
    "defaults": """
        data_types:
          my.Data: {properties: {count: {type: integer, default: 0}, name: {type: string}}}
        node_types: {my.Node: {derived_from: tosca.nodes.Root, properties: {data: {type: my.Data}}}}
        topology_template:
          node_templates: {a: {type: my.Node, properties: {data: {name: x}}}}
    """,
    "primitive-data-types": """
        data_types:
          my.Port: {derived_from: integer, constraints: [{in_range: [1, 9]}]}
          my.Low: {derived_from: my.Port}
        node_types:
          my.Node: {derived_from: tosca.nodes.Root, properties: {port: {type: my.Port}, low: {type: my.Low}}}
        topology_template:
          node_templates: {a: {type: my.Node, properties: {port: 5, low: 1}}}
    """,
    "bitrate": """
        node_types: {my.Node: {derived_from: tosca.nodes.Root, properties: {rate: {type: scalar-unit.bitrate}}}}
        topology_template:
          inputs: {rate: {type: scalar-unit.bitrate, default: 5 Mbps}}
          node_templates: {a: {type: my.Node, properties: {rate: 10 Mbps}}}
    """,
    "whole-floats": """
        node_types: {my.Node: {derived_from: tosca.nodes.Root, properties: {share: {type: float}}}}
        topology_template:
          inputs: {share: {type: float, default: 1}}
          node_templates: {a: {type: my.Node, properties: {share: 1}}}
    """,
    "inputs": """
        data_types: {my.Data: {properties: {name: {type: string}}}}
        topology_template:
          inputs:
            data: {type: my.Data, default: {name: x}}
            size: {type: integer, value: 5, metadata: {a: b}}
          node_templates: {a: {type: tosca.nodes.Root}}
    """,
    "constraints": """
        data_types: {my.Data: {properties: {count: {type: integer, constraints: [{less_than: 9}]}}}}
        node_types:
          my.Node:
            derived_from: tosca.nodes.Root
            properties:
              size: {type: scalar-unit.size, constraints: [{greater_than: 1 MB}, {in_range: [1 MB, UNBOUNDED]}]}
              text: {type: string, constraints: [{schema: "{}"}]}
              data: {type: my.Data}
        topology_template:
          inputs: {count: {type: integer, default: 1}}
          node_templates: {a: {type: my.Node, properties: {size: 2 MB, text: x, data: {count: {get_input: count}}}}}
    """,
    "patterns": """
        node_types:
          my.Node:
            derived_from: tosca.nodes.Root
            properties: {name: {type: string, constraints: [{pattern: "(a|a)*b"}]}}
        topology_template:
          node_templates: {a: {type: my.Node, properties: {name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac}}}
    """,
    "functions": """
        node_types:
          my.Node:
            derived_from: tosca.nodes.Root
            properties: {one: {type: integer}, two: {type: string}, three: {type: string}, four: {type: map}}
            attributes: {addresses: {type: list}}
        topology_template:
          node_templates:
            a:
              type: my.Node
              properties:
                one: {get_secret: number}
                two: {get_attribute: [SELF, dependency, addresses, 0]}
                three: {token: [{get_property: [HOST, name]}, "::", 0]}
                four: {token: plain text}
              requirements: [{dependency: b}]
            b: {type: my.Node, properties: {one: 1, two: x, three: {get_artifact: [SELF, file]}, four: {}}}
    """,
    "type-metadata": """
        policy_types:
          my.Policy: {derived_from: tosca.policies.Root, metadata: {a: b}, version: 1.0, targets: [tosca.nodes.Compute]}
        group_types: {my.Group: {derived_from: tosca.groups.Root, metadata: {a: b}, capabilities: {}}}
        topology_template:
          node_templates: {a: {type: tosca.nodes.Compute}}
          groups: {g: {type: my.Group, members: [a]}}
          policies: [{p: {type: my.Policy, targets: [g]}}]
    """,
    "roots": """
        capability_types: {my.Root: {description: from nothing}, my.Leaf: {derived_from: my.Root}}
        policy_types: {my.policies.Root: {description: from nothing}, my.Policy: {derived_from: my.policies.Root}}
        node_types: {my.Node: {capabilities: {serves: {type: my.Leaf}}}}
        topology_template:
          node_templates: {a: {type: my.Node, capabilities: {serves: {properties: {}}}}}
          policies: [{p: {type: my.Policy}}]
    """,
    "triggers": """
        topology_template:
          node_templates: {a: {type: tosca.nodes.Compute}}
          policies:
            - p:
                type: tosca.policies.Scaling
                triggers:
                  list: {event: x, condition: [{load: [{greater_than: 5}]}], action: []}
                  none: {event: x, action: [{delegate: z}]}
                  long: {event: x, condition: {constraint: [{not: []}], period: 60 s, method: average}, action: []}
                  clause: {event: x, condition: {load: [{greater_than: 5}]}, action: []}
    """,
    "groups": """
        topology_template:
          node_templates: {a: {type: tosca.nodes.Compute}}
          groups: {g: {type: tosca.groups.Root, members: []}, h: {type: tosca.groups.Root, members: [a, a]}}
    """,
    "outputs": """
        topology_template:
          node_templates: {a: {type: tosca.nodes.Compute}}
          outputs: {o: {type: string, value: {get_attribute: [a, private_address]}, metadata: {a: b}}}
    """,
}

STOCK = """
import json, logging, signal, sys
logging.disable(logging.CRITICAL)
from toscaparser.tosca_template import ToscaTemplate
def give_up(*_):
    raise TimeoutError
signal.signal(signal.SIGALRM, give_up)
answers = {}
for name, template in json.load(sys.stdin).items():
    signal.alarm(3)
    try:
        ToscaTemplate(yaml_dict_tpl=template)
        answers[name] = ''
    except Exception as error:
        answers[name] = type(error).__name__ + ': ' + str(error)
    signal.alarm(0)
print(json.dumps(answers))
"""


def template(text: str) -> dict[str, Any]:
    lines = text.strip("\n").splitlines()
    indent = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
    document, diagnostics = load("gap.yaml", "\n".join(line[indent:] for line in lines).encode())
    assert not diagnostics
    assert document is not None
    assert isinstance(document.data, dict)
    return {"tosca_definitions_version": "tosca_simple_yaml_1_3", **document.data}


@cache
def stock_answers() -> dict[str, str]:
    """What tosca-parser says of every document as it is; empty where it has nothing against it."""
    asked = json.dumps({name: template(text) for name, text in GAPS.items()})
    done = subprocess.run([sys.executable, "-c", STOCK], input=asked, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    answers: dict[str, str] = json.loads(done.stdout)
    return answers


def test_every_gap_has_a_document_that_shows_it() -> None:
    assert set(GAPS) == set(UNREADABLE)


@pytest.mark.parametrize("name", GAPS)
def test_tosca_parser_alone_refuses_it(name: str) -> None:
    assert stock_answers()[name] != ""


@pytest.mark.parametrize("name", GAPS)
def test_the_judge_has_nothing_against_it(name: str) -> None:
    assert judge_many([template(GAPS[name])]) == ((),)


@pytest.mark.parametrize("name", GAPS)
def test_preparing_leaves_the_template_as_it_was(name: str) -> None:
    given, same = template(GAPS[name]), template(GAPS[name])

    prepare(given, {})

    assert given == same

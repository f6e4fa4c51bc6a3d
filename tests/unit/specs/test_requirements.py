from __future__ import annotations

import pytest

from specs.model import Requirement
from tests.support.spec_files import (
    codes,
    document,
    faults,
    messages,
    node,
    read_service,
    service,
    service_document,
)

SERVERS = """
one: {type: tosca.nodes.Compute, capabilities: {host: {properties: {num_cpus: 1, mem_size: 1 GB}}}}
two: {type: Compute, capabilities: {host: {properties: {num_cpus: 4, mem_size: 8 GB}}, os: {properties: {type: linux}}}}
"""


def host_of(requirements: str) -> Requirement:
    """Compile a piece of software and give what hosts it."""
    nodes = f"{SERVERS}soft: {{type: tosca.nodes.SoftwareComponent, requirements: {requirements}}}"
    (only,) = node(nodes, "soft").requirements
    return only


@pytest.mark.parametrize(
    "requirements",
    [
        "[{host: two}]",
        "[{host: {node: two}}]",
        "[{host: {node: two, capability: host}}]",
        "[{host: {node: two, capability: tosca.capabilities.Compute}}]",
        "[{host: {node: two, relationship: tosca.relationships.HostedOn}}]",
        "[{host: {node: two, relationship: {type: tosca.relationships.HostedOn}}}]",
        "[{host: {node: tosca.nodes.Compute, node_filter: {capabilities: [{host: {properties: [{num_cpus: 4}]}}]}}}]",
        "[{host: {node_filter: {capabilities: [{host: {properties: [{num_cpus: {in_range: [2, 8]}}]}}]}}}]",
        "[{host: {node_filter: {capabilities: [{host: {properties: [{mem_size: {greater_than: 1024 MB}}]}}]}}}]",
        "[{host: {node_filter: {capabilities: {os: {properties: {type: linux}}}}}}]",
        "[{host: {node_filter: {capabilities: [{OperatingSystem: {properties: [{type: {equal: linux}}]}}]}}}]",
        "[{host: {node_filter: {capabilities: [{host: {properties: [{num_cpus: [{greater_than: 1}]}]}}]}}}]",
    ],
)
def test_a_requirement_finds_its_node_by_name_type_or_filter(requirements: str) -> None:
    found = host_of(requirements)

    assert (found.name, found.node, found.capability) == ("host", "two", "host")
    assert found.relationship == "tosca.relationships.HostedOn"


def test_a_requirement_left_out_goes_to_the_only_candidate() -> None:
    found = node("box: {type: Compute}\nsoft: {type: SoftwareComponent}", "soft").requirements

    assert [one.node for one in found] == ["box"]


@pytest.mark.parametrize(
    ("requirements", "code"),
    [
        ("[]", "ambiguous-requirement"),
        ("[{host: {node: tosca.nodes.Compute}}]", "ambiguous-requirement"),
        (
            "[{host: {node_filter: {capabilities: [{host: {properties: [{num_cpus: 99}]}}]}}}]",
            "unfulfilled-requirement",
        ),
        ("[{host: {node_filter: {properties: [{colour: red}]}}}]", "unfulfilled-requirement"),
        ("[{host: {node: tosca.nodes.Container.Runtime}}]", "unfulfilled-requirement"),
        ("[{host: tow}]", "unknown-node"),
        ("[{host: soft}]", "wrong-target"),
        ("[{hots: two}]", "unknown-requirement"),
        ("[{host: {node: two, capability: os}}]", "wrong-target"),
        ("[{host: {node: two, capability: none}}]", "wrong-target"),
        ("[{host: {node: two, relationship: tosca.relationships.AttachesTo}}]", "wrong-target"),
        ("[{host: {node: two, relationship: none}}]", "unknown-type"),
        ("[{host: {node: two, colour: red}}]", "unknown-key"),
        ("[{host: [two]}]", "wrong-shape"),
        ("[host]", "wrong-shape"),
        ("{host: two}", "wrong-shape"),
        ("[{host: one}, {host: two}]", "occurrences"),
        ("[{host: two, dependency: one}]", "wrong-shape"),
        ("[{host: {node: two, occurrences: [5, 1]}}]", "wrong-shape"),
    ],
)
def test_what_cannot_be_fulfilled_is_found(requirements: str, code: str) -> None:
    nodes = f"{SERVERS}soft: {{type: tosca.nodes.SoftwareComponent, requirements: {requirements}}}"

    assert f"7 {code}" in faults(service_document(nodes))


def test_candidates_are_named() -> None:
    nodes = f"{SERVERS}soft: {{type: tosca.nodes.SoftwareComponent}}"

    assert "'host' could mean any of one, two; name one" in messages(service_document(nodes))


def test_nothing_can_be_found_to_fulfil_a_requirement() -> None:
    found = messages(service_document("soft: {type: tosca.nodes.SoftwareComponent}"))

    assert "nothing fulfils the requirement 'host' (tosca.nodes.Compute) of 'soft'; name a node template" in found


def test_a_capability_may_be_only_for_some_types() -> None:
    nodes = """
    box: {type: Compute}
    web: {type: WebServer, requirements: [{host: box}]}
    soft: {type: Database, requirements: [{host: web}]}
    """

    assert faults(service_document(nodes)) == ["7 wrong-target"]


def test_what_a_relationship_needs_must_be_given_where_it_is_spelled_out() -> None:
    spelled = "box: {type: Compute, requirements: [{local_storage: {node: disk, relationship: {type: AttachesTo}}}]}"
    disk = "\ndisk: {type: BlockStorage, properties: {size: 1 GB}}"

    assert faults(service_document(spelled + disk)) == ["5 missing-property"]
    assert faults(service_document("box: {type: Compute, requirements: [{local_storage: disk}]}" + disk)) == []


def test_relationship_properties_are_worked_out_between_source_and_target() -> None:
    nodes = """
    box: {type: Compute, requirements: [{local_storage: {node: disk, relationship: mounted}}]}
    disk: {type: BlockStorage, properties: {size: 1 GB}}
    """
    rest = """
    relationship_templates:
      mounted:
        type: AttachesTo
        properties: {location: /data, device: {concat: [/dev/, {get_attribute: [TARGET, tosca_name]}]}}
    """

    (found,) = node(nodes, "box", rest).requirements

    assert found.properties == {"location": "/data", "device": "/dev/disk"}


def test_a_copy_takes_what_it_does_not_say_itself() -> None:
    nodes = """
    box: {type: Compute, capabilities: {host: {properties: {num_cpus: 2}}, os: {properties: {type: linux}}}}
    again: {copy: box, capabilities: {os: {properties: {type: windows}}}}
    third: {copy: again, metadata: {note: x}}
    """

    found = service(service_document(nodes)).nodes

    assert found["again"].capabilities["host"] == {"num_cpus": 2}
    assert found["third"].capabilities["os"] == {"type": "windows"}
    assert found["third"].types[0] == "tosca.nodes.Compute"


@pytest.mark.parametrize(
    ("nodes", "code"),
    [
        ("a: {copy: b}\nb: {copy: a}", "copy-cycle"),
        ("a: {copy: a}", "copy-cycle"),
        ("a: {copy: c}\nb: {type: Compute}", "unknown-node"),
        ("a: {}", "missing-key"),
        ("a: 5", "wrong-shape"),
        ("a: {type: [x]}", "wrong-shape"),
        ("a b: {type: Compute}", "bad-name"),
        ("-a: {type: Compute}", "bad-name"),
        ("a.b: {type: Compute}", "bad-name"),
        ("ä: {type: Compute}", "bad-name"),
        ("a: {type: Compute, colour: red}", "unknown-key"),
        ("a: {type: Compute, capabilities: {hots: {}}}", "unknown-capability"),
        ("a: {type: Compute, capabilities: {host: {colour: red}}}", "unknown-key"),
        ("a: {type: Compute, attributes: {weather: fine}}", "unknown-attribute"),
        ("a: {type: Compute, metadata: {a: {b: c}}}", "wrong-shape"),
        ("a: {type: Compute, directives: [fly]}", "unknown-directive"),
    ],
)
def test_what_is_wrong_with_a_node_template_is_found(nodes: str, code: str) -> None:
    assert f"5 {code}" in faults(service_document(nodes))


def test_a_requirement_that_depends_on_its_own_fulfilment_is_a_circle() -> None:
    text = document("""
        topology_template:
          node_templates:
            a:
              type: my.A
              properties: {p: {get_property: [SELF, host, num_cpus]}}
              requirements: [{host: {node_filter: {properties: [{q: 1}]}}}]
            b: {type: my.B, properties: {q: {get_property: [a, p]}}}
        node_types:
          my.A:
            derived_from: tosca.nodes.Root
            properties: {p: {type: integer}}
            requirements: [{host: {capability: tosca.capabilities.Compute}}]
          my.B: {derived_from: tosca.nodes.Compute, properties: {q: {type: integer}}}
        """)

    assert "[function-cycle]" in messages(text)


def test_open_requirements_of_many_nodes_end_in_time() -> None:
    nodes = "\n".join(
        f"s{n}: {{type: tosca.nodes.SoftwareComponent, requirements: [{{host: {{node_filter: "
        f"{{capabilities: [{{host: {{properties: [{{num_cpus: {n}}}]}}}}]}}}}}}]}}\n"
        f"c{n}: {{type: tosca.nodes.Compute, capabilities: {{host: {{properties: {{num_cpus: {n}}}}}}}}}"
        for n in range(1, 2500)
    )

    assert "[too-much]" in messages(service_document(nodes))


def test_many_remarks_make_no_document_invalid() -> None:
    bond = (
        "{node: server, relationship: {type: tosca.relationships.HostedOn, interfaces: {Configure: {add_target: x}}}}"
    )
    software = "\n".join(
        f"s{number}: {{type: tosca.nodes.SoftwareComponent, requirements: [host: {bond}]}}" for number in range(300)
    )
    found = read_service(service_document(f"server: {{type: tosca.nodes.Compute}}\n{software}"))

    assert {one.severity for one in found.diagnostics} == {"warning", "hint"}
    assert codes(found).count("more-faults") == 1
    assert len(found.diagnostics) == 201

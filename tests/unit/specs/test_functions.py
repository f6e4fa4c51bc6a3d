from __future__ import annotations

import pytest

from specs.values import Call, Reference, Secret
from tests.support.spec_files import document, faults, messages, service

TEXT = """
topology_template:
  inputs:
    port: {type: integer, default: 80}
    owner: {type: map, default: {name: Ada, pets: [cat, dog]}}
    absent: {type: string, required: false}
  node_templates:
    asked: {type: my.Asked, properties: {p: VALUE}, requirements: [{host: server}, {uses: other}]}
    server:
      type: tosca.nodes.Compute
      capabilities: {host: {properties: {num_cpus: 4}}}
    other:
      type: my.Other
      properties: {name: Bob, list: [{a: 1}, {a: 2}]}
      attributes: {given: {concat: [x, {get_property: [SELF, name]}]}}
      capabilities: {door: {properties: {port: {get_input: port}}}}
      artifacts: {file: {file: a/b.txt, type: tosca.artifacts.File}}
node_types:
  my.Asked:
    derived_from: tosca.nodes.SoftwareComponent
    properties: {p: {type: KIND}}
    requirements: [{uses: {capability: tosca.capabilities.Endpoint, relationship: tosca.relationships.ConnectsTo}}]
  my.Other:
    derived_from: tosca.nodes.Root
    properties:
      name: {type: string}
      list: {type: list, required: false}
      nothing: {type: string, required: false}
    attributes: {given: {type: string}, weather: {type: map}}
    capabilities: {door: {type: tosca.capabilities.Endpoint}}
"""


def asking(value: str, kind: str = "string") -> str:
    """Write a service whose node `asked`, in line 8, has the value as its property."""
    return document(TEXT.replace("VALUE", value).replace("KIND", kind))


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("{get_input: port}", "integer", 80),
        ("{get_input: [owner, pets, 1]}", "string", "dog"),
        ("{get_property: [other, name]}", "string", "Bob"),
        ("{get_property: [other, list, 1, a]}", "integer", 2),
        ("{get_property: [other, list, '0', a]}", "integer", 1),
        ("{get_property: [other, door, port]}", "integer", 80),
        ("{get_property: [SELF, uses, port]}", "integer", 80),
        ("{get_property: [SELF, uses, name]}", "string", "Bob"),
        ("{get_property: [HOST, host, num_cpus]}", "integer", 4),
        ("{get_property: [SELF, host, num_cpus]}", "integer", 4),
        ("{get_attribute: [other, name]}", "string", "Bob"),
        ("{get_attribute: [other, given]}", "string", "xBob"),
        ("{get_attribute: [other, tosca_name]}", "string", "other"),
        ("{get_attribute: [server, public_address]}", "string", Reference("lab/shop/server", "public_address")),
        ("{get_attribute: [HOST, private_address]}", "string", Reference("lab/shop/server", "private_address")),
        ("{get_attribute: [other, weather, wind, 0]}", "float", Reference("lab/shop/other", "weather", ("wind", 0))),
        ("{get_attribute: [SELF, uses, ip_address]}", "string", Reference("lab/shop/other", "ip_address")),
        ("{get_attribute: [SELF, uses, weather]}", "map", Reference("lab/shop/other", "weather")),
        ("{concat: [a, {get_input: port}, true]}", "string", "a80true"),
        ("{join: [[a, b, c], '-']}", "string", "a-b-c"),
        ("{token: ['a:b:c', ':', 2]}", "string", "c"),
        ("{get_secret: db/password}", "string", Secret("db/password")),
        ("{concat: [x, {get_secret: key}]}", "string", Call("concat", ["x", Secret("key")])),
        (
            "{token: [{get_attribute: [server, public_address]}, '.', 0]}",
            "string",
            Call("token", [Reference("lab/shop/server", "public_address"), ".", 0]),
        ),
        ("{get_artifact: [other, file]}", "string", "a/b.txt"),
        ("{get_nodes_of_type: tosca.nodes.Compute}", "list", ["server"]),
        ("[{get_input: port}, {inner: {get_property: [other, name]}}]", "list", [80, {"inner": "Bob"}]),
        ("{token: abc}", "map", {"token": "abc"}),
    ],
)
def test_functions_are_worked_out_as_far_as_git_allows(value: str, kind: str, expected: object) -> None:
    assert service(asking(value, kind)).nodes["asked"].properties["p"] == expected


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("{get_input: prt}", "unknown-input"),
        ("{get_input: [owner, colour]}", "wrong-function"),
        ("{get_input: {a: b}}", "wrong-function"),
        ("{get_input: []}", "wrong-function"),
        ("{get_property: other}", "wrong-function"),
        ("{get_property: [other]}", "wrong-function"),
        ("{get_property: [5, name]}", "wrong-function"),
        ("{get_property: [othr, name]}", "unknown-node"),
        ("{get_property: [other, nam]}", "unknown-property"),
        ("{get_property: [HOST, nam]}", "unknown-property"),
        ("{get_property: [SOURCE, name]}", "wrong-function"),
        ("{get_property: [TARGET, name]}", "wrong-function"),
        ("{get_property: [other, list, 7]}", "wrong-function"),
        ("{get_property: [other, list, -1]}", "wrong-function"),
        ("{get_property: [other, name, deeper]}", "wrong-function"),
        ("{get_attribute: [other, wether]}", "unknown-attribute"),
        ("{get_attribute: [nobody, state]}", "unknown-node"),
        ("{get_operation_output: [SELF, Standard, create, out]}", "unsupported-function"),
        ("{get_nodes_of_type: tosca.nodes.Nothing}", "unknown-type"),
        ("{get_artifact: [other, none]}", "unknown-artifact"),
        ("{get_secret: 'a b'}", "wrong-function"),
        ("{get_secret: [a]}", "wrong-function"),
        ("{concat: [[a]]}", "wrong-function"),
        ("{concat: [{get_input: absent}]}", "wrong-function"),
        ("{join: [a, b]}", "wrong-function"),
        ("{token: [a, '', 0]}", "wrong-function"),
        ("{token: [a, '.', 5]}", "wrong-function"),
    ],
)
def test_a_function_that_cannot_be_worked_out_is_one_fault_at_its_place(value: str, code: str) -> None:
    assert faults(asking(value)) == [f"8 {code}"]


def test_an_input_without_value_leaves_an_optional_property_out() -> None:
    text = asking("x").replace("name: Bob", "name: Bob, nothing: {get_input: absent}")

    assert "nothing" not in service(text).nodes["other"].properties


def test_an_input_without_value_does_not_fulfil_a_required_property() -> None:
    assert faults(asking("{get_input: absent}")) == ["8 missing-property"]


def test_values_that_need_each_other_are_shown_as_a_circle() -> None:
    text = asking("{get_property: [other, name]}").replace("name: Bob", "name: {get_property: [asked, p]}")

    found = messages(text)

    assert "this value needs itself: 'asked'.p -> 'other'.name -> 'asked'.p" in found
    assert found.count("error") == 1


def test_a_long_chain_of_references_is_cut_off() -> None:
    nodes = "\n".join(
        f"    n{number}: {{type: my.Other, properties: {{name: {{get_property: [n{number + 1}, name]}}}}}}"
        for number in range(100)
    )
    text = asking("x").replace(
        "    other:\n", f"{nodes}\n    n100: {{type: my.Other, properties: {{name: z}}}}\n    other:\n"
    )

    assert "[too-deep]" in messages(text)


@pytest.mark.parametrize("function", ["concat: [{0}, {0}]", "join: [[{0}, {0}], '']"])
def test_a_text_that_doubles_with_each_node_ends_in_one_fault(function: str) -> None:
    def value(number: int) -> str:
        return "{" + function.format(f"{{get_property: [n{number}, name]}}") + "}"

    nodes = "\n".join(
        f"    n{number}: {{type: my.Other, properties: {{name: {value(number - 1)}}}}}" for number in range(1, 60)
    )
    text = asking("x").replace(
        "    other:\n", f"    n0: {{type: my.Other, properties: {{name: {'z' * 64}}}}}\n{nodes}\n    other:\n"
    )

    assert "[too-much]" in messages(text)


def test_a_structure_that_doubles_with_each_node_ends_in_one_fault() -> None:
    nodes = "\n".join(
        f"    n{number}: {{type: my.Other, properties: {{name: z, list: "
        f"[{{get_property: [n{number - 1}, list]}}, {{get_property: [n{number - 1}, list]}}]}}}}"
        for number in range(1, 60)
    )
    text = asking("x").replace(
        "    other:\n", f"    n0: {{type: my.Other, properties: {{name: z, list: [a]}}}}\n{nodes}\n    other:\n"
    )

    assert "[too-much]" in messages(text)


def test_a_structure_that_deepens_with_each_node_ends_in_one_fault() -> None:
    nodes = "\n".join(
        f"    n{number}: {{type: my.Other, properties: {{name: z, list: [{{get_property: [n{number - 1}, list]}}]}}}}"
        for number in range(1, 300)
    )
    text = asking("x").replace(
        "    other:\n", f"    n0: {{type: my.Other, properties: {{name: z, list: [a]}}}}\n{nodes}\n    other:\n"
    )

    assert "[too-much]" in messages(text)


def test_outputs_are_worked_out_too() -> None:
    text = asking("x").replace(
        "node_types:", "  outputs: {there: {value: {get_attribute: [server, networks]}}}\nnode_types:"
    )

    assert service(text).outputs == {"there": Reference("lab/shop/server", "networks")}


@pytest.mark.parametrize("where", ["outputs", "inputs of an operation", "action of a trigger"])
def test_a_large_value_that_is_repeated_without_end_ends_in_one_fault(where: str) -> None:
    large = f"[{', '.join(['a'] * 5000)}]"
    again = f"[{', '.join(['{get_property: [other, list]}'] * 500)}]"
    text = asking("x").replace("list: [{a: 1}, {a: 2}]", f"list: {large}")
    match where:
        case "outputs":
            text = text.replace("node_types:", f"  outputs: {{there: {{value: {again}}}}}\nnode_types:")
        case "inputs of an operation":
            run = f"interfaces: {{Standard: {{create: {{implementation: 'http://x', inputs: {{all: {again}}}}}}}}}"
            text = text.replace("properties: {p: x},", f"properties: {{p: x}}, {run},")
        case _:
            policy = f"{{type: tosca.policies.Scaling, triggers: {{t: {{action: {again}}}}}}}"
            text = text.replace("node_types:", f"  policies: [{{p: {policy}}}]\nnode_types:")

    assert "[too-much]" in messages(text)

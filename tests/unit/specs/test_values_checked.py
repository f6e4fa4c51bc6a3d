from __future__ import annotations

import pytest

from specs.values import Secret
from tests.support.spec_files import HEAD, document, faults, messages, service

TYPES = """
data_types:
  my.Percent:
    derived_from: integer
    constraints: [{in_range: [0, 100]}]
  my.Even:
    derived_from: my.Percent
    constraints: [{valid_values: [0, 2, 4, 6, 8]}]
  my.Names:
    derived_from: list
    entry_schema: {type: string}
  my.Point:
    properties:
      x: {type: integer}
      y: {type: integer, default: 7}
      label: {type: string, required: false}
  my.Place:
    derived_from: my.Point
    properties:
      inner: {type: my.Place, required: false}
"""


def written(schema: str, value: str) -> str:
    """Write a service whose node has one property `p`, in line 4."""
    nodes = f"topology_template:\n  node_templates:\n    n: {{type: my.Node, properties: {{p: {value}}}}}\n"
    definition = f"node_types: {{my.Node: {{properties: {{p: {schema}}}}}}}\n"
    return HEAD + nodes + definition + document(TYPES).removeprefix(HEAD)


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ("{type: string}", "text", "text"),
        ("{type: string}", "'5'", "5"),
        ("{type: integer}", "5", 5),
        ("{type: float}", "5", 5.0),
        ("{type: float}", "1.5", 1.5),
        ("{type: boolean}", "true", True),
        ("{type: 'null'}", "null", None),
        ("{type: timestamp}", "'2026-05-01T12:00:00Z'", "2026-05-01T12:00:00Z"),
        ("{type: timestamp}", "'2026-05-01'", "2026-05-01"),
        ("{type: version}", "'1.2.3.beta-4'", "1.2.3.beta-4"),
        ("{type: version}", "2.0", "2.0"),
        ("{type: version}", "3", "3.0"),
        ("{type: range}", "[1, UNBOUNDED]", [1, "UNBOUNDED"]),
        ("{type: list}", "[1, a, {b: c}]", [1, "a", {"b": "c"}]),
        ("{type: list, entry_schema: string}", "[a, b]", ["a", "b"]),
        ("{type: list, entry_schema: {type: scalar-unit.size}}", "[1gb]", ["1 GB"]),
        ("{type: map, entry_schema: {type: float}}", "{a: 1}", {"a": 1.0}),
        ("{type: map}", "{}", {}),
        ("{type: scalar-unit.size}", "2GB", "2 GB"),
        ("{type: scalar-unit.time}", "30 S", "30 s"),
        ("{type: scalar-unit.frequency}", "2.4 ghz", "2.4 GHz"),
        ("{type: scalar-unit.bitrate}", "10 Mbps", "10 Mbps"),
        ("{type: my.Percent}", "100", 100),
        ("{type: my.Names}", "[a]", ["a"]),
        ("{type: my.Point}", "{x: 1}", {"x": 1, "y": 7}),
        ("{type: my.Place}", "{x: 1, inner: {x: 2, y: 3}}", {"x": 1, "y": 7, "inner": {"x": 2, "y": 3}}),
        ("{type: tosca.datatypes.Credential}", "{token: abc}", {"token": "abc", "token_type": "password"}),
        ("{type: tosca.datatypes.json}", "'{}'", "{}"),
        ("{type: PortDef}", "80", 80),
        ("{type: string}", "{get_secret: key}", Secret("key")),
    ],
)
def test_a_value_gets_the_one_form_of_its_type(schema: str, value: str, expected: object) -> None:
    found = service(written(schema, value)).nodes["n"].properties

    assert found.get("p") == expected
    assert type(found.get("p")) is type(expected)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ("{type: string}", "5"),
        ("{type: string}", "[a]"),
        ("{type: string}", "null"),
        ("{type: integer}", "'5'"),
        ("{type: integer}", "5.0"),
        ("{type: integer}", "true"),
        ("{type: float}", "'1.5'"),
        ("{type: float}", "false"),
        ("{type: boolean}", "'true'"),
        ("{type: boolean}", "1"),
        ("{type: timestamp}", "tomorrow"),
        ("{type: version}", "one"),
        ("{type: version}", "true"),
        ("{type: range}", "[4, 1]"),
        ("{type: range}", "[1]"),
        ("{type: list}", "{a: b}"),
        ("{type: map}", "[a]"),
        ("{type: list, entry_schema: {type: integer}}", "[1, b]"),
        ("{type: map, entry_schema: {type: integer}}", "{a: b}"),
        ("{type: scalar-unit.size}", "2"),
        ("{type: scalar-unit.size}", "2 apples"),
        ("{type: scalar-unit.bitrate}", "10 mbps"),
        ("{type: my.Names}", "[1]"),
        ("{type: my.Point}", "5"),
        ("{type: my.Point}", "{x: one}"),
        ("{type: my.Point}", "{x: null}"),
        ("{type: my.Place}", "{x: 1, inner: {x: one}}"),
        ("{type: integer}", "{get_secret: key}"),
        ("{type: integer}", "{concat: [a, b]}"),
    ],
)
def test_a_value_of_another_type_is_refused(schema: str, value: str) -> None:
    assert faults(written(schema, value)) == ["4 wrong-type"]


@pytest.mark.parametrize(
    ("schema", "value", "code"),
    [
        ("{type: my.Point}", "{y: 1}", "missing-property"),
        ("{type: my.Point}", "{x: 1, z: 1}", "unknown-property"),
        ("{type: my.Percent}", "101", "constraint"),
        ("{type: my.Even}", "3", "constraint"),
        ("{type: my.Even}", "110", "constraint"),
        ("{type: my.Percent, constraints: [{less_than: 50}]}", "50", "constraint"),
        ("{type: list, entry_schema: {type: my.Percent}}", "[1, 200]", "constraint"),
        ("{type: my.Point, constraints: [{max_length: 1}]}", "{x: 1}", "constraint"),
        ("{type: map, key_schema: {type: string, constraints: [{max_length: 2}]}}", "{abc: 1}", "constraint"),
    ],
)
def test_structured_values_are_checked_inside(schema: str, value: str, code: str) -> None:
    assert code in {fault.removeprefix("4 ") for fault in faults(written(schema, value))}


@pytest.mark.parametrize(
    ("kind", "clause", "good", "bad"),
    [
        ("integer", "{equal: 5}", "5", "6"),
        ("integer", "{greater_than: 5}", "6", "5"),
        ("integer", "{greater_or_equal: 5}", "5", "4"),
        ("integer", "{less_than: 5}", "4", "5"),
        ("integer", "{less_or_equal: 5}", "5", "6"),
        ("integer", "{in_range: [1, 4]}", "4", "5"),
        ("integer", "{in_range: [1, UNBOUNDED]}", "400", "0"),
        ("integer", "{valid_values: [1, 2]}", "2", "3"),
        ("float", "{in_range: [0.0, 1.5]}", "1", "2"),
        ("float", "{equal: 2}", "2.0", "2.1"),
        ("string", "{length: 3}", "abc", "abcd"),
        ("string", "{min_length: 2}", "ab", "a"),
        ("string", "{max_length: 2}", "ab", "abc"),
        ("string", "{pattern: '[a-z]+'}", "abc", "'abc1'"),
        ("string", "{valid_values: [a, b]}", "a", "c"),
        ("string", "{greater_than: b}", "c", "a"),
        ("list", "{min_length: 1}", "[a]", "[]"),
        ("map", "{max_length: 1}", "{a: 1}", "{a: 1, b: 2}"),
        ("boolean", "{equal: true}", "true", "false"),
        ("version", "{greater_or_equal: 1.9}", "'1.10'", "'1.8'"),
        ("range", "{in_range: [1, 10]}", "[2, 3]", "[2, 30]"),
        ("scalar-unit.size", "{greater_or_equal: 1 GB}", "1000 MB", "999 MB"),
        ("scalar-unit.size", "{in_range: [1 MB, 1 GB]}", "500 MB", "2 GB"),
        ("scalar-unit.time", "{less_than: 1 m}", "59 s", "60 s"),
        ("scalar-unit.frequency", "{valid_values: [1 GHz, 2 GHz]}", "1000 MHz", "3 GHz"),
        ("scalar-unit.bitrate", "{equal: 8 Mbps}", "1 MBps", "9 Mbps"),
    ],
)
def test_constraints_of_every_kind_are_checked(kind: str, clause: str, good: str, bad: str) -> None:
    schema = f"{{type: {kind}, constraints: [{clause}]}}"

    assert faults(written(schema, good)) == []
    assert faults(written(schema, bad)) == ["4 constraint"]


@pytest.mark.parametrize("clause", ["{greater_than: b}", "{in_range: [a, b]}", "{max_length: 5}"])
def test_a_constraint_that_does_not_fit_the_type_is_a_fault_and_no_crash(clause: str) -> None:
    assert "constraint" in messages(written(f"{{type: integer, constraints: [{clause}]}}", "5"))


def test_a_fault_inside_a_value_is_found_at_its_own_place() -> None:
    text = written("{type: my.Place}", "{x: 1, inner: {x: 2, y: four}}")

    column = text.splitlines()[3].index("four") + 1

    assert f"specs/shop.yaml:4:{column}: error: 'y' must be a whole number, not the text 'four'" in messages(text)


def test_missing_and_unknown_properties_are_found_together() -> None:
    text = document("""
        topology_template:
          node_templates:
            n: {type: tosca.nodes.BlockStorage, properties: {sise: 1 GB}}
            m: {type: tosca.nodes.ObjectStorage}
        """)

    assert faults(text) == ["4 missing-property", "4 unknown-property", "5 missing-property"]
    assert "did you mean 'size'?" in messages(text)

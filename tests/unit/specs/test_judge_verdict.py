"""What tosca-parser says is said in the project's words, at the place it most likely means."""

import pytest

from specs.errors import Severity
from specs.judge.verdict import Pointer, silence, verdicts

TEMPLATE = {
    "tosca_definitions_version": "tosca_simple_yaml_1_3",
    "node_types": {"my.Node": {"properties": {"size": {"type": "integer"}}}},
    "topology_template": {
        "inputs": {"port": {"type": "integer"}},
        "node_templates": {
            "web": {
                "type": "my.Node",
                "properties": {"size": 3, "colour": "red"},
                "requirements": [{"host": "nowhere"}],
            },
            "db": {"type": "my.Other", "capabilities": {"host": {"properties": {"num_cpus": 0}}}},
        },
        "policies": [{"grow": {"type": "x", "targets": ["web", "gone"], "triggers": {"more": {"colour": 1}}}}],
    },
}
NODES = ("topology_template", "node_templates")
POLICY = ("topology_template", "policies", 0, "grow")


@pytest.mark.parametrize(
    ("text", "message", "pointer"),
    [
        ('"properties" of template "web" contains unknown field "colour". Refer to the definition to verify it.',
         "'properties' of template 'web' cannot have 'colour'", (*NODES, "web", "properties", "colour")),
        ('"properties" of template "web" is missing required field "[\'weight\', \'age\']".',
         "'properties' of template 'web' needs '['weight', 'age']'", (*NODES, "web", "properties")),
        ('Type "my.Other" is not a valid type.', "there is no type 'my.Other'", (*NODES, "db", "type")),
        ('Node template "nowhere" was not found in "web".',
         "'web' names the node template 'nowhere', which is not there", (*NODES, "web", "requirements", 0, "host")),
        ('The value "0" of property "num_cpus" must be greater than or equal to "1".',
         "the value '0' of property 'num_cpus' must be greater than or equal to '1'",
         (*NODES, "db", "capabilities", "host", "properties", "num_cpus")),
        ('"Target member "gone" is not found in node_templates"', "there is no node template 'gone'",
         (*POLICY, "targets", 1)),
        ('"red" is not an integer.', "'red' must be a whole number", (*NODES, "web", "properties", "colour")),
        ('Triggers "more" contains unknown field "colour". Refer to the definition to verify valid values.',
         "Triggers 'more' cannot have 'colour'", (*POLICY, "triggers", "more", "colour")),
        ('Unknown input "colour".', "there is no input 'colour'", (*NODES, "web", "properties", "colour")),
        ("Something\n  else.", "something else", ()),
        ('"nothing of this" is here.', "'nothing of this' is here", ()),
    ],
)  # fmt: skip
def test_complaints_become_verdicts(text: str, message: str, pointer: Pointer) -> None:
    kind = "InvalidGroupTargetException" if text.startswith('"Target') else "ValidationError"

    (verdict,) = verdicts([(kind, text)], TEMPLATE)

    assert verdict.message == f"tosca-parser: {message}"
    assert verdict.pointer == pointer
    assert verdict.severity is Severity.ERROR
    assert verdict.code == "second-judge"


def test_long_words_are_cut() -> None:
    (verdict,) = verdicts([("ValueError", f'"{"x" * 10_000}" is not an integer.')], {})

    assert len(verdict.message) < 400


def test_silence_is_a_warning() -> None:
    verdict = silence("it ended with KeyError")

    assert verdict.severity is Severity.WARNING
    assert verdict.code == "second-judge-silent"
    assert verdict.message.startswith("tosca-parser gave no answer: it ended with KeyError;")

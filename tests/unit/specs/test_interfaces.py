from __future__ import annotations

import pytest

from specs.model import Artifact, Operation
from specs.values import Secret
from tests.support.spec_files import document, faults, messages, node, service, service_document

SCRIPT = {"specs/run.sh": "echo run\n", "types/make.py": "print()\n"}
TYPES = document("""
    interface_types:
      my.Tools:
        inputs: {level: {type: integer, default: 1}}
        operations: {check: {}, mend: {inputs: {part: {type: string}}}}
    node_types:
      my.Base:
        derived_from: tosca.nodes.Root
        artifacts: {maker: {file: make.py, type: tosca.artifacts.Implementation.Python}}
        interfaces:
          Standard: {inputs: {who: {type: string, default: nobody}}, create: make.py}
          Tools: {type: my.Tools}
      my.Node:
        derived_from: my.Base
        interfaces: {Standard: {start: maker}}
    """)


def operations(interfaces: str) -> dict[str, Operation]:
    """Compile a node with these interfaces."""
    text = service_document(f"n: {{type: my.Node, interfaces: {interfaces}}}", imports="../types/my.yaml")
    return dict(service(text, **SCRIPT, **{"types/my.yaml": TYPES}).nodes["n"].operations)


def test_operations_of_types_come_with_the_text_of_their_scripts() -> None:
    found = operations("{}")

    assert found["Standard.create"] == Operation(
        name="Standard.create", implementation="types/make.py", content="print()\n", inputs={"who": "nobody"}
    )
    assert found["Standard.start"].content == "print()\n"
    assert set(found) == {"Standard.create", "Standard.start"}


@pytest.mark.parametrize(
    "written",
    [
        "{Standard: {create: run.sh}}",
        "{Standard: {create: {implementation: run.sh}}}",
        "{Standard: {create: {implementation: {primary: run.sh, dependencies: [run.sh], timeout: 5}}}}",
        "{Standard: {operations: {create: run.sh}}}",
        "{Standard: {type: tosca.interfaces.node.lifecycle.Standard, operations: {create: {implementation: run.sh}}}}",
        "{tosca.interfaces.node.lifecycle.Standard: {create: run.sh}}",
    ],
)
def test_a_template_replaces_an_implementation_in_every_form(written: str) -> None:
    found = operations(written)["Standard.create"]

    assert (found.implementation, found.content) == ("specs/run.sh", "echo run\n")


def test_inputs_of_types_interfaces_and_operations_are_joined_and_worked_out() -> None:
    found = operations(
        "{Tools: {inputs: {level: 2}, mend: {implementation: run.sh, inputs: {part: {get_secret: p}, more: [1]}}}}"
    )

    assert found["Tools.mend"].inputs == {"level": 2, "part": Secret("p"), "more": [1]}


def test_an_operation_without_implementation_is_left_out() -> None:
    assert "Tools.check" not in operations("{Tools: {check: {inputs: {level: 3}}}}")


@pytest.mark.parametrize(
    ("interfaces", "code"),
    [
        ("{Standard: {crate: run.sh}}", "unknown-operation"),
        ("{Standrad: {create: run.sh}}", "unknown-interface"),
        ("{Standard: {create: none.sh}}", "missing-file"),
        ("{Standard: {create: ../../../etc/passwd}}", "missing-file"),
        ("{Standard: {create: /etc/passwd}}", "missing-file"),
        ("{Standard: {create: {implementation: {primary: run.sh, dependencies: [none.sh]}}}}", "missing-file"),
        ("{Standard: {create: [run.sh]}}", "wrong-shape"),
        ("{Standard: {create: {script: run.sh}}}", "unknown-key"),
        ("{Standard: run.sh}", "wrong-shape"),
        ("{Tools: {mend: run.sh}}", "missing-input"),
        ("{Tools: {inputs: {level: high}, check: run.sh}}", "wrong-type"),
        ("{Standard: {notifications: {n: {}}}}", "not-run"),
    ],
)
def test_what_is_wrong_with_an_interface_is_found(interfaces: str, code: str) -> None:
    text = service_document(f"n: {{type: my.Node, interfaces: {interfaces}}}", imports="../types/my.yaml")

    assert faults(text, **SCRIPT, **{"types/my.yaml": TYPES}) == [f"5 {code}"]


def test_artifacts_come_with_their_text_where_it_is_in_the_commit() -> None:
    nodes = """
    n:
      type: tosca.nodes.Root
      artifacts:
        short: run.sh
        image:
          type: tosca.artifacts.Deployment.Image.Container.Docker
          file: nginx:1.25
          repository: hub
        checked: {type: tosca.artifacts.File, file: http://example.org/x.iso, checksum: abc, deploy_path: /x}
    """

    found = node(nodes, "n", **SCRIPT).artifacts

    assert found["short"] == Artifact(
        name="short", type="tosca.artifacts.Implementation.Bash", file="specs/run.sh", content="echo run\n"
    )
    assert (found["image"].file, found["image"].properties) == ("nginx:1.25", {"repository": "hub"})
    assert found["checked"].properties == {"checksum": "abc", "deploy_path": "/x"}


def test_a_file_that_is_no_text_or_too_large_has_no_content() -> None:
    nodes = "n: {type: tosca.nodes.Root, artifacts: {a: bin.dat, b: large.txt}}"
    text = service_document(nodes)

    found = service(text, **{"specs/bin.dat": "a\0b", "specs/large.txt": "x" * 1_000_001}).nodes["n"].artifacts

    assert [(one.file, one.content) for one in found.values()] == [("specs/bin.dat", ""), ("specs/large.txt", "")]


@pytest.mark.parametrize(
    ("artifact", "code"),
    [
        ("{type: tosca.artifacts.None, file: run.sh}", "unknown-type"),
        ("{type: tosca.artifacts.File}", "missing-key"),
        ("{file: 5}", "wrong-shape"),
        ("{file: run.sh, colour: red}", "unknown-key"),
        ("{type: tosca.artifacts.File, file: run.sh, properties: {colour: red}}", "unknown-property"),
    ],
)
def test_what_is_wrong_with_an_artifact_is_found(artifact: str, code: str) -> None:
    text = service_document(f"n: {{type: tosca.nodes.Root, artifacts: {{a: {artifact}}}}}")

    assert faults(text, **SCRIPT) == [f"5 {code}"]


def test_groups_and_policies_name_nodes_of_the_service() -> None:
    rest = """
    groups:
      pair: {type: tosca.groups.Root, members: [a, b]}
    policies:
      - first: {type: tosca.policies.Scaling, targets: [a, pair]}
      - second:
          type: tosca.policies.Update
          triggers:
            weekly:
              event: time
              schedule: {start_time: monday}
              condition: [{load: [{greater_than: 5}]}]
              action: [{delegate: later}]
            now:
              event_type: {type: alarm}
              condition: {constraint: x, period: 10 s}
              action: {run: {a: {get_secret: s}}}
    """

    found = service(service_document("a: {type: Compute}\nb: {type: Compute}", rest))

    assert found.groups["pair"].members == ("a", "b")
    assert found.policies["first"].targets == ("a", "pair")
    weekly, now = found.policies["second"].triggers.values()
    assert (weekly.event, weekly.action) == ("time", [{"delegate": "later"}])
    assert weekly.condition == {"schedule": {"start_time": "monday"}, "clauses": [{"load": [{"greater_than": 5}]}]}
    assert (now.event, now.condition) == ("alarm", {"constraint": "x", "period": "10 s"})
    assert now.action == {"run": {"a": Secret("s")}}


@pytest.mark.parametrize(
    ("rest", "code"),
    [
        ("groups: {g: {type: tosca.groups.Root, members: [c]}}", "unknown-node"),
        ("groups: {g: {type: tosca.groups.None}}", "unknown-type"),
        ("groups: {g: {members: [a]}}", "missing-key"),
        ("groups: {g: {type: tosca.groups.Root, properties: {x: 1}}}", "unknown-property"),
        ("policies: [p: {type: tosca.policies.Scaling, targets: [c]}]", "unknown-node"),
        ("policies: [p: {type: tosca.policies.None}]", "unknown-type"),
        ("policies: {p: {type: tosca.policies.Scaling}}", "wrong-shape"),
        ("policies: [p: {type: tosca.policies.Scaling, triggers: {t: {when: now}}}]", "unknown-key"),
        ("policies: [p: {type: tosca.policies.Scaling, triggers: {t: {condition: {when: now}}}}]", "unknown-key"),
        ("policies: [p: {type: tosca.policies.Scaling}, p: {type: tosca.policies.Update}]", "duplicate-policy"),
        ("workflows: {w: {steps: {}}}", "not-run"),
        ("workflows: {w: {steps: []}}", "wrong-shape"),
        ("outputs: {o: {value: {get_input: x}}}", "unknown-input"),
        ("outputs: {o: {colour: red}}", "unknown-key"),
        ("colours: {}", "unknown-key"),
    ],
)
def test_what_is_wrong_around_the_nodes_is_found(rest: str, code: str) -> None:
    found = faults(service_document("a: {type: Compute}", rest))

    assert f"6 {code}" in found


def test_a_policy_type_may_be_only_for_some_nodes() -> None:
    text = service_document("a: {type: Compute}", "policies: [p: {type: my.P, targets: [a]}]", "../types/p.yaml")
    types = document("policy_types: {my.P: {derived_from: tosca.policies.Root, targets: [tosca.nodes.DBMS]}}")

    assert "'a' is a tosca.nodes.Compute [wrong-target]" in messages(text, **{"types/p.yaml": types})


def test_a_large_script_that_is_named_without_end_ends_in_one_fault() -> None:
    nodes = "\n".join(
        f"n{number}: {{type: tosca.nodes.Root, interfaces: {{Standard: {{create: large.sh}}}}}}"
        for number in range(200)
    )

    assert "[too-much]" in messages(service_document(nodes), **{"specs/large.sh": "x" * 900_000})

from __future__ import annotations

import pytest

from tests.support.spec_files import HEAD, catalogue_of, codes, document, faults, messages, node, read_service, service

TYPES = document("node_types: {my.Node: {derived_from: tosca.nodes.Root}}")
USE = "topology_template: {node_templates: {n: {type: my.Node}}}\n"


@pytest.mark.parametrize(
    "written",
    [
        "- ../types/my.yaml",
        "- mine: ../types/my.yaml",
        "- mine: {file: ../types/my.yaml}",
        "- {file: ../types/my.yaml}",
        "- file: ../types/my.yaml",
        "- {file: ../types/my.yaml, namespace_uri: http://example.org}",
        "- ./../types/../types/my.yaml",
    ],
)
def test_every_form_of_import_is_resolved_from_the_importing_file(written: str) -> None:
    found = service(f"{HEAD}imports:\n  {written}\n{USE}", **{"types/my.yaml": TYPES})

    assert found.nodes["n"].types == ("my.Node", "tosca.nodes.Root")


@pytest.mark.parametrize(
    "written", ["- {file: ../types/my.yaml, namespace_prefix: p}", "- x: {file: ../types/my.yaml, namespace_prefix: p}"]
)
def test_a_prefix_stands_before_the_names_of_types(written: str) -> None:
    text = f"{HEAD}imports:\n  {written}\ntopology_template: {{node_templates: {{n: {{type: 'p:my.Node'}}}}}}\n"

    found = service(text, **{"types/my.yaml": TYPES})

    assert found.nodes["n"].types == ("p:my.Node", "tosca.nodes.Root")
    assert faults(text.replace("p:my", "my"), **{"types/my.yaml": TYPES}) == ["4 unknown-type"]


def test_prefixes_of_imports_inside_imports_add_up() -> None:
    middle = document("""
        imports: [{file: my.yaml, namespace_prefix: q}]
        node_types: {mid.Node: {derived_from: "q:my.Node"}}
        """)
    text = f"{HEAD}imports: [{{file: ../types/mid.yaml, namespace_prefix: p}}]\n" + (
        "topology_template: {node_templates: {n: {type: 'p:mid.Node'}}}\n"
    )

    found = service(text, **{"types/my.yaml": TYPES, "types/mid.yaml": middle})

    assert found.nodes["n"].types == ("p:mid.Node", "p:q:my.Node", "tosca.nodes.Root")


@pytest.mark.parametrize(
    "name",
    [
        "flame_definitions.yaml",
        "flame_definitions-0.1.4.yaml",
        "flame_definitions_1.2.yml",
        "flame_definitions-v2.yaml",
    ],
)
def test_shipped_types_are_found_by_name_with_any_version(name: str) -> None:
    text = (
        f"{HEAD}imports: [{name}]\ntopology_template: {{node_templates: {{n: {{type: eu.ict-flame.nodes.Switch}}}}}}\n"
    )

    assert "unknown-type" not in codes(read_service(text))


def test_a_file_in_the_place_of_a_shipped_one_is_not_read() -> None:
    found = messages(f"{HEAD}imports: [flame_definitions.yaml]\n", **{"specs/flame_definitions.yaml": TYPES})

    assert "[shipped-import]" in found


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("http://example.org/types.yaml", "import-network"),
        ("file:///etc/passwd", "import-network"),
        ("/etc/passwd", "import-absolute"),
        ("~/types.yaml", "import-absolute"),
        ("'C:/types.yaml'", "import-absolute"),
        ("'..\\types.yaml'", "import-absolute"),
        ("../../types.yaml", "import-escape"),
        ("../..", "import-escape"),
        ("'a/../../../x.yaml'", "import-escape"),
        ("nothing.yaml", "import-missing"),
        ("'../sites'", "import-missing"),
        ("''", "import-missing"),
        ("5", "wrong-shape"),
        ("[a]", "wrong-shape"),
        ("{a: b, c: d}", "wrong-shape"),
        ("{file: 5}", "wrong-shape"),
        ("{x: {prefix: y}}", "unknown-key"),
        ("{file: ../types/my.yaml, repository: nowhere}", "unknown-repository"),
        ("{file: ../types/my.yaml, repository: outside}", "import-network"),
    ],
)
def test_what_must_not_be_imported_is_refused_at_its_place(name: str, code: str) -> None:
    text = (
        f"{HEAD}repositories: {{outside: {{url: http://example.org}}}}\nimports:\n  - {name}\ntopology_template: {{}}\n"
    )

    found = faults(text, **{"types/my.yaml": TYPES})

    assert f"4 {code}" in found


def test_an_import_circle_is_shown_as_a_chain() -> None:
    others = {"specs/a.yaml": document("imports: [b.yaml]"), "specs/b.yaml": document("imports: [a.yaml]")}

    found = messages(f"{HEAD}imports: [a.yaml]\ntopology_template: {{}}\n", **others)

    circle = "specs/a.yaml -> specs/b.yaml -> specs/a.yaml"
    assert f"specs/b.yaml:2:11: error: these files import each other in a circle: {circle}" in found


def test_a_file_that_imports_itself_is_a_circle() -> None:
    assert faults(f"{HEAD}imports: [shop.yaml]\ntopology_template: {{}}\n") == ["2 import-cycle"]


def test_the_same_file_on_two_ways_is_no_conflict() -> None:
    others = {
        "types/my.yaml": TYPES,
        "types/a.yaml": document("imports: [my.yaml]"),
        "types/b.yaml": document("imports: [my.yaml]"),
    }

    assert faults(f"{HEAD}imports: [../types/a.yaml, ../types/b.yaml]\n{USE}", **others) == []


def test_different_definitions_of_one_type_are_a_conflict_with_both_places() -> None:
    other = document("node_types: {my.Node: {derived_from: tosca.nodes.Compute}}")
    files = {"types/my.yaml": TYPES, "types/other.yaml": other}

    found = messages(f"{HEAD}imports: [../types/my.yaml, ../types/other.yaml]\n{USE}", **files)

    assert "types/other.yaml:2:14: error: the node type 'my.Node' is defined differently in types/my.yaml:2" in found
    assert "[conflicting-type]" in found


def test_equal_definitions_of_one_type_are_no_conflict() -> None:
    text = f"{HEAD}imports: [../types/my.yaml]\nnode_types: {{my.Node: {{derived_from: tosca.nodes.Root}}}}\n{USE}"

    assert faults(text, **{"types/my.yaml": TYPES}) == []


def test_faults_of_the_yaml_of_an_import_are_found() -> None:
    found = messages(f"{HEAD}imports: [../types/my.yml]\n{USE}", **{"types/my.yml": TYPES + "node_types: {}\n"})

    assert "types/my.yml:3:1: error" in found
    assert "[duplicate-key]" in found


def test_a_chain_of_imports_without_end_is_cut_off() -> None:
    others = {f"specs/t{number}.yaml": document(f"imports: [t{number + 1}.yaml]") for number in range(60)}

    assert "too-many-imports" in codes(read_service(f"{HEAD}imports: [t0.yaml]\ntopology_template: {{}}\n", **others))


def test_prefixes_cannot_multiply_imports_without_end() -> None:
    def text(number: int) -> str:
        both = ", ".join(f"{{file: t{number + 1}.yaml, namespace_prefix: {prefix}}}" for prefix in "pq")
        return document(f"imports: [{both}]")

    others = {f"specs/t{number}.yaml": text(number) for number in range(20)} | {"specs/t20.yaml": TYPES}

    assert "too-many-imports" in codes(read_service(f"{HEAD}imports: [t0.yaml]\ntopology_template: {{}}\n", **others))


def test_a_library_nobody_imports_is_checked_by_itself() -> None:
    found = catalogue_of({"types/my.yaml": TYPES.replace("tosca.nodes.Root", "tosca.nodes.Rot")})

    assert codes(found) == ["unknown-type"]


def test_a_library_speaks_through_those_that_import_it() -> None:
    leaning = document("node_types: {leaning.Node: {derived_from: my.Node}}")
    text = f"{HEAD}imports: [../types/my.yaml, ../types/leaning.yaml]\n{USE}"

    assert codes(read_service(text, **{"types/my.yaml": TYPES, "types/leaning.yaml": leaning})) == []


def test_normative_types_go_by_their_short_names_too() -> None:
    assert node("n: {type: tosca:Compute}", "n").types[0] == "tosca.nodes.Compute"
    assert node("n: {type: Compute}", "n").types[0] == "tosca.nodes.Compute"

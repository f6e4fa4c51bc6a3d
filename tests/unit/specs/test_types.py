from __future__ import annotations

import pytest

from specs.tosca import library
from specs.tosca.cursor import Cursor, Faults
from specs.tosca.imports import Documents, follow
from specs.tosca.typesystem import TypeSpace
from specs.tosca.verification import verify
from tests.support.files import Files
from tests.support.spec_files import HEAD, document, faults, messages, service, service_document

USE = "topology_template: {node_templates: {n: {type: my.Node}}}"


def types(text: str, use: str = USE) -> str:
    """Write a service spec with types of its own; the first type stands in line 3."""
    return document(f"{use}\n") + document(text).removeprefix(HEAD)


@pytest.mark.parametrize("path", sorted(library.contents()))
def test_shipped_types_are_sound(path: str) -> None:
    documents = Documents(Files({}))
    found = Faults()
    below = None
    for name in (library.NORMATIVE, library.NFV):
        space = TypeSpace(below, [(top(documents, name, found), "")])
        below = space
    root, _ = documents.load(path)
    assert root is not None
    members = [(Cursor.top(one.document, found), one.prefix) for one in follow(documents, root, found).members]

    verify(TypeSpace(TypeSpace(below, members), [(top(documents, path, found), "")]))

    assert found.sorted() == ()


def top(documents: Documents, path: str, found: Faults) -> Cursor:
    document, diagnostics = documents.load(path)
    assert document is not None
    assert diagnostics == ()
    return Cursor.top(document, found)


@pytest.mark.parametrize(
    ("kind", "root"),
    [
        ("node", "tosca.nodes.Root"),
        ("relationship", "tosca.relationships.Root"),
        ("capability", "tosca.capabilities.Root"),
        ("interface", "tosca.interfaces.Root"),
        ("data", "tosca.datatypes.Root"),
        ("artifact", "tosca.artifacts.Root"),
        ("policy", "tosca.policies.Root"),
        ("group", "tosca.groups.Root"),
    ],
)
def test_types_of_every_kind_may_not_derive_in_a_circle(kind: str, root: str) -> None:
    sound = f"d: {{derived_from: {root}}}"
    circle = types(
        f"{kind}_types: {{a: {{derived_from: c}}, b: {{derived_from: a}}, c: {{derived_from: b}}, {sound}}}",
        "topology_template: {}",
    )

    found = messages(circle)

    assert "circle: a -> c -> b -> a" in found
    assert found.count("type-cycle") == 1
    assert found.count("error") == 1


def test_a_type_that_derives_from_itself_is_a_circle() -> None:
    assert faults(types("node_types: {my.Node: {derived_from: my.Node}}")) == ["3 type-cycle"]


def test_a_chain_of_types_without_end_is_cut_off() -> None:
    chain = ", ".join(f"t{number}: {{derived_from: t{number + 1}}}" for number in range(100))

    assert "too-deep" in messages(types(f"node_types: {{{chain}, t100: {{}}}}", "topology_template: {}"))


@pytest.mark.parametrize(
    ("definition", "code"),
    [
        ("{derived_from: tosca.nodes.Rot}", "unknown-type"),
        ("{derived_from: tosca.policies.Root}", "unknown-type"),
        ("{derived_from: 5}", "wrong-shape"),
        ("[]", "wrong-shape"),
        ("text", "wrong-shape"),
        ("{colour: red}", "unknown-key"),
        ("{properties: []}", "wrong-shape"),
        ("{properties: {p: string}}", "wrong-shape"),
        ("{properties: {p: {}}}", "missing-key"),
        ("{properties: {p: {type: text}}}", "unknown-type"),
        ("{properties: {p: {type: string, kind: x}}}", "unknown-key"),
        ("{properties: {p: {type: string, required: often}}}", "wrong-shape"),
        ("{properties: {p: {type: string, constraints: {}}}}", "wrong-shape"),
        ("{properties: {p: {type: string, constraints: [{like: x}]}}}", "wrong-constraint"),
        ("{properties: {p: {type: string, constraints: [{pattern: '('}]}}}", "wrong-constraint"),
        ("{properties: {p: {type: string, constraints: [{in_range: 5}]}}}", "wrong-constraint"),
        ("{properties: {p: {type: string, constraints: [{in_range: [1, 2, 3]}]}}}", "wrong-constraint"),
        ("{properties: {p: {type: string, constraints: [{max_length: long}]}}}", "wrong-constraint"),
        ("{properties: {p: {type: string, constraints: [{valid_values: x}]}}}", "wrong-constraint"),
        ("{properties: {p: {type: list, entry_schema: {}}}}", "missing-key"),
        ("{properties: {p: {type: list, entry_schema: text}}}", "unknown-type"),
        ("{properties: {p: {type: integer, default: many}}}", "wrong-type"),
        ("{properties: {p: {type: integer, default: 7, constraints: [{less_than: 5}]}}}", "constraint"),
        ("{capabilities: {c: {}}}", "missing-key"),
        ("{capabilities: {c: tosca.capabilities.None}}", "unknown-type"),
        ("{capabilities: {c: {type: tosca.capabilities.Node, valid_source_types: [x]}}}", "unknown-type"),
        ("{capabilities: {c: {type: tosca.capabilities.Node, occurrences: [2, 1]}}}", "wrong-shape"),
        ("{requirements: {r: tosca.capabilities.Node}}", "wrong-shape"),
        ("{requirements: [{r: {node: tosca.nodes.Root}}]}", "missing-key"),
        ("{requirements: [{r: {capability: tosca.capabilities.None}}]}", "unknown-type"),
        ("{requirements: [{r: {capability: feature, node: none}}]}", "unknown-type"),
        ("{requirements: [{r: {capability: feature, relationship: none}}]}", "unknown-type"),
        ("{requirements: [{r: {capability: feature, occurrences: [0]}}]}", "wrong-shape"),
        ("{requirements: [{a: p, b: q}]}", "wrong-shape"),
        ("{interfaces: {I: {type: none}}}", "unknown-type"),
        ("{derived_from: tosca.nodes.Root, interfaces: {Standard: {explode: {}}}}", "unknown-operation"),
        ("{interfaces: {I: {run: {speed: 5}}}}", "unknown-key"),
    ],
)
def test_what_is_wrong_with_a_node_type_is_found_at_its_place(definition: str, code: str) -> None:
    found = faults(types(f"node_types:\n  my.Other: {definition}", "topology_template: {}"))

    assert found == [f"4 {code}"]


@pytest.mark.parametrize(
    ("section", "code"),
    [
        ("data_types: {d: {derived_from: integer, properties: {p: {type: string}}}}", "wrong-type"),
        ("data_types: {string: {}}", "conflicting-type"),
        ("policy_types: {p: {targets: [none]}}", "unknown-type"),
        ("group_types: {g: {members: [none]}}", "unknown-type"),
        ("relationship_types: {r: {valid_target_types: [tosca.nodes.Root]}}", "unknown-type"),
        ("capability_types: {c: {valid_source_types: [tosca.capabilities.Node]}}", "unknown-type"),
        ("node_types: {tosca.nodes.Compute: {}}", "conflicting-type"),
        ("node_types: []", "wrong-shape"),
    ],
)
def test_what_is_wrong_with_other_types_is_found_at_its_place(section: str, code: str) -> None:
    assert faults(types(section, "topology_template: {}")) == [f"3 {code}"]


def test_a_name_nearly_right_is_suggested() -> None:
    found = messages(types("node_types: {my.Node: {derived_from: tosca.nodes.Conpute}}"))

    assert "there is no node type 'tosca.nodes.Conpute'; did you mean 'tosca.nodes.Compute'?" in found


def test_a_derived_property_keeps_what_it_does_not_say_again() -> None:
    text = types(
        """
        node_types:
          my.Base:
            properties:
              p: {type: integer, default: 1, constraints: [{greater_than: 0}]}
          my.Node:
            derived_from: my.Base
            properties:
              p: {default: 5}
        """
    )
    wrong = text.replace("{type: my.Node}", "{type: my.Node, properties: {p: 0}}")

    assert service(text).nodes["n"].properties == {"p": 5}
    assert faults(wrong) == ["2 constraint"]


def test_a_node_type_refines_the_properties_of_its_capability() -> None:
    text = types(
        """
        node_types:
          my.Node:
            derived_from: tosca.nodes.Compute
            capabilities:
              host: {type: tosca.capabilities.Compute, properties: {num_cpus: {type: integer, default: 4}}}
        """
    )

    assert service(text).nodes["n"].capabilities["host"] == {"num_cpus": 4}


def test_nothing_more_is_said_about_nodes_of_a_broken_type() -> None:
    text = types("node_types: {my.Node: {derived_from: none}}").replace(
        "{type: my.Node}", "{type: my.Node, properties: {a: 1}, requirements: [{b: c}], capabilities: {d: {}}}"
    )

    assert faults(text) == ["3 unknown-type"]


def test_types_that_pile_up_properties_end_in_one_fault() -> None:
    properties = ", ".join(f"p{number}: {{type: string, required: false}}" for number in range(3000))
    derived = ", ".join(f"t{number}: {{derived_from: base, properties: {{}}}}" for number in range(3000))

    found = messages(
        types(f"node_types: {{base: {{properties: {{{properties}}}}}, {derived}}}", "topology_template: {}")
    )

    assert "[too-much]" in found


def test_a_profile_for_nfv_brings_its_types() -> None:
    text = (
        "tosca_definitions_version: {}\ntopology_template: {{node_templates: {{n: {{type: tosca.nodes.nfv.VDU}}}}}}\n"
    )
    nfv = text.format("tosca_simple_profile_for_nfv_1_0_0")

    assert service(nfv).nodes["n"].types[:2] == ("tosca.nodes.nfv.VDU", "tosca.nodes.Compute")
    assert faults(text.format("tosca_simple_yaml_1_3")) == ["2 unknown-type"]


PRODUCTS = """
    shop:
      type: tosca.nodes.WebApplication.WordPress
      properties: {context_root: shop}
      requirements:
        - host: apache
        - database_endpoint: {node: shelves, relationship: my.Connection}
    news:
      type: tosca.nodes.WebApplication
      requirements: [host: nodejs]
    apache: {type: tosca.nodes.WebServer.Apache, requirements: [host: web]}
    nodejs:
      type: tosca.nodes.WebServer.Nodejs
      properties: {github_url: 'http://example.org/news'}
      requirements: [host: web]
    shelves:
      type: tosca.nodes.Database.MySQL
      properties: {name: shelves, user: shop, password: {get_secret: shelves}, port: {get_property: [mysql, port]}}
      artifacts: {rows: {file: rows.sql, type: tosca.artifacts.File}}
      requirements: [host: mysql]
      interfaces:
        Standard: {create: {implementation: fill.sh, inputs: {rows: {get_artifact: [SELF, rows]}}}}
    mysql:
      type: tosca.nodes.DBMS.MySQL
      properties: {root_password: {get_secret: mysql}}
      requirements: [host: {node_filter: {capabilities: [{host: {properties: [num_cpus: {in_range: [2, 8]}]}}]}}]
    web: {type: tosca.nodes.Compute}
    big: {type: tosca.nodes.Compute, capabilities: {host: {properties: {num_cpus: 4, mem_size: 4 GB}}}}
"""


@pytest.mark.parametrize("version", ["1_0", "1_2", "1_3"])
def test_the_products_of_the_examples_of_the_standard_can_be_imported(version: str) -> None:
    connection = "relationship_types: {my.Connection: {derived_from: tosca.relationships.ConnectsTo}}\n"
    text = service_document(PRODUCTS, imports="tosca_non_normative_definitions.yaml") + connection
    text = text.replace("tosca_simple_yaml_1_3", f"tosca_simple_yaml_{version}")
    found = service(text, **{"specs/rows.sql": "", "specs/fill.sh": ""})

    assert f"tosca_simple_yaml_{version}" in text
    assert found.nodes["mysql"].properties["port"] == 3306
    assert [one.node for one in found.nodes["mysql"].requirements] == ["big"]


def test_a_repository_may_define_the_products_its_own_way() -> None:
    own = types(
        "node_types: {tosca.nodes.WebServer.Apache: {derived_from: tosca.nodes.Root, properties: {p: {type: string}}}}"
    )
    use = "n: {type: tosca.nodes.WebServer.Apache, properties: {p: x}}"

    assert service(own.replace("n: {type: my.Node}", use)).nodes["n"].properties == {"p": "x"}


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("tosca.nodes.DBMS.MySQL", "tosca_non_normative_definitions.yaml"),
        ("eu.ict-flame.nodes.ServiceFunction", "flame_definitions.yaml"),
    ],
)
def test_a_type_that_lacks_its_import_is_told_with_the_file(name: str, file: str) -> None:
    found = messages(document(f"topology_template: {{node_templates: {{n: {{type: {name}}}}}}}\n"))

    assert f"there is no node type {name!r}; import {file}, which defines it" in found

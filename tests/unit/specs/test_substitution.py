from __future__ import annotations

import pytest

from specs.model import Requirement
from specs.values import Reference
from tests.support.spec_files import SITE, catalogue_of, codes, document, messages, service, service_document

TYPES = document("""
    node_types:
      my.Store:
        derived_from: tosca.nodes.Root
        properties: {size: {type: integer, default: 1}, colour: {type: string, required: false}}
        attributes: {address: {type: string}, zone: {type: string}}
        capabilities: {entry: {type: tosca.capabilities.Endpoint}, other: {type: tosca.capabilities.Endpoint}}
        requirements: [{disk: {capability: tosca.capabilities.Attachment, occurrences: [0, 1]}}]
    """)
INNER = document("""
    imports: [../types/my.yaml]
    topology_template:
      inputs: {size: {type: integer}, paint: {type: string, default: blue}}
      node_templates:
        box:
          type: tosca.nodes.Compute
          capabilities: {host: {properties: {num_cpus: {get_input: size}}}}
        soft: {type: tosca.nodes.WebServer, requirements: [{host: box}]}
      outputs: {address: {value: {get_attribute: [box, private_address]}}}
      groups: {all: {type: tosca.groups.Root, members: [box, soft]}}
      policies: [grow: {type: tosca.policies.Scaling, targets: [box]}]
      substitution_mappings:
        node_type: my.Store
        properties: {colour: [paint]}
        attributes: {zone: [box, public_address]}
        capabilities: {entry: [soft, data_endpoint]}
        requirements: {disk: [box, local_storage]}
    """)
OUTER = """
store: {type: my.Store, properties: {size: 3, colour: red}, requirements: [{disk: volume}, {dependency: volume}]}
volume: {type: tosca.nodes.BlockStorage, properties: {size: 1 GB}}
user:
  type: my.User
  properties:
    where: {get_attribute: [store, address]}
    zone: {get_attribute: [store, zone]}
    size: {get_property: [store, size]}
  requirements: [{uses: store}]
"""
USER = """
  my.User:
    derived_from: tosca.nodes.Root
    properties: {where: {type: string}, zone: {type: string}, size: {type: integer}}
    requirements: [{uses: {capability: tosca.capabilities.Endpoint, relationship: tosca.relationships.ConnectsTo}}]
"""
FILES = {"types/my.yaml": TYPES.rstrip("\n") + USER, "specs/inner.yaml": INNER}


def outer(nodes: str = OUTER, rest: str = "") -> str:
    """Write the service that uses an abstract store."""
    return service_document(nodes, rest, "../types/my.yaml")


def test_what_stands_in_for_a_node_joins_the_service_under_its_name() -> None:
    found = service(outer(), **FILES)

    assert sorted(found.nodes) == ["store_box", "store_soft", "user", "volume"]
    assert found.nodes["store_box"].capabilities["host"] == {"num_cpus": 3}
    assert found.groups["store_all"].members == ("store_box", "store_soft")
    assert found.policies["store_grow"].targets == ("store_box",)


def test_requirements_lead_through_the_mappings_both_ways() -> None:
    nodes = service(outer(), **FILES).nodes

    assert nodes["user"].requirements == (
        Requirement(
            name="uses",
            node="store_soft",
            capability="data_endpoint",
            relationship="tosca.relationships.ConnectsTo",
            types=("tosca.relationships.ConnectsTo", "tosca.relationships.Root"),
        ),
    )
    assert [(one.name, one.node) for one in nodes["store_box"].requirements] == [
        ("local_storage", "volume"),
        ("dependency", "volume"),
    ]
    assert [(one.name, one.node) for one in nodes["store_soft"].requirements] == [
        ("host", "store_box"),
        ("dependency", "volume"),
    ]


def test_properties_and_attributes_lead_through_the_mappings() -> None:
    user = service(outer(), **FILES).nodes["user"]

    assert user.properties == {
        "where": Reference("lab/shop/store_box", "private_address"),
        "zone": Reference("lab/shop/store_box", "public_address"),
        "size": 3,
    }


def test_policies_of_the_outer_service_mean_the_inner_nodes() -> None:
    found = service(outer(rest="policies: [p: {type: tosca.policies.Scaling, targets: [store]}]"), **FILES)

    assert found.policies["p"].targets == ("store_box", "store_soft")


def test_a_template_that_only_stands_in_is_no_service_of_its_own() -> None:
    found = catalogue_of({"sites/lab.yaml": SITE, "specs/shop.yaml": outer(), **FILES})

    assert [one.name for one in found.services_on("lab")] == ["shop"]


def test_a_template_that_stands_in_may_say_where_it_runs_itself() -> None:
    inner = INNER.replace("imports:", "metadata: {sites: lab}\nimports:").replace(
        "{type: integer}", "{type: integer, default: 2}"
    )

    found = catalogue_of({"sites/lab.yaml": SITE, **FILES, "specs/inner.yaml": inner})

    assert [one.name for one in found.services_on("lab")] == ["inner"]
    assert codes(found) == []


def test_stand_ins_may_stand_inside_of_stand_ins() -> None:
    middle = document("""
        imports: [../types/my.yaml]
        node_types: {my.Middle: {derived_from: tosca.nodes.Root}}
        topology_template:
          node_templates: {deep: {type: my.Store}}
          substitution_mappings: {node_type: my.Middle}
        """)
    text = service_document("m: {type: my.Middle}", imports="middle.yaml")

    found = service(text, **FILES, **{"specs/middle.yaml": middle})

    assert sorted(found.nodes) == ["m_deep_box", "m_deep_soft"]


def test_templates_that_stand_in_for_each_other_are_a_circle() -> None:
    first = document("""
        node_types: {my.A: {derived_from: tosca.nodes.Root}, my.B: {derived_from: tosca.nodes.Root}}
        topology_template:
          node_templates: {b: {type: my.B}}
          substitution_mappings: {node_type: my.A}
        """)
    second = first.replace("b: {type: my.B}", "a: {type: my.A}").replace("node_type: my.A", "node_type: my.B")

    found = messages(
        service_document("n: {type: my.A}", imports="a.yaml"), **{"specs/a.yaml": first, "specs/b.yaml": second}
    )

    assert "specs/a.yaml -> specs/b.yaml -> specs/a.yaml [substitution-cycle]" in found


def test_stand_ins_that_multiply_end_in_one_fault() -> None:
    def level(number: int) -> str:
        nodes = ", ".join(f"n{one}: {{type: my.T{number + 1}}}" for one in range(12))
        types = ", ".join(f"my.T{one}: {{derived_from: tosca.nodes.Root}}" for one in range(10))
        return document(f"""
            node_types: {{{types}}}
            topology_template:
              node_templates: {{{nodes}}}
              substitution_mappings: {{node_type: my.T{number}}}
            """)

    others = {f"specs/t{number}.yaml": level(number) for number in range(8)}

    assert "[too-much]" in messages(service_document("n: {type: my.T0}", imports="t0.yaml"), **others)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("node_type: my.Store", "node_type: my.Sore"), "unknown-type"),
        (("node_type: my.Store", "description: x"), "missing-key"),
        (("entry: [soft, data_endpoint]", "entree: [soft, data_endpoint]"), "unknown-capability"),
        (("[soft, data_endpoint]", "[sof, data_endpoint]"), "unknown-node"),
        (("[soft, data_endpoint]", "[soft, data]"), "unknown-capability"),
        (("[soft, data_endpoint]", "soft"), "wrong-shape"),
        (("disk: [box", "dsk: [box"), "unknown-requirement"),
        (("[box, local_storage]", "[box, storage]"), "unknown-requirement"),
        (("colour: [paint]", "color: [paint]"), "unknown-property"),
        (("outputs:", "outcomes:"), "unknown-key"),
    ],
)
def test_what_is_wrong_with_a_mapping_is_found_where_it_is_written(change: tuple[str, str], code: str) -> None:
    found = catalogue_of({"sites/lab.yaml": SITE, **FILES, "specs/inner.yaml": INNER.replace(*change)})

    assert code in codes(found)
    assert {one.file for one in found.diagnostics} == {"specs/inner.yaml"}


@pytest.mark.parametrize(
    ("nodes", "others", "code"),
    [
        ("n: {type: Compute, directives: [substitute]}", {}, "unsubstituted"),
        ("n: {type: Compute, directives: [select]}", {}, "not-run"),
        ("store: {type: my.Store}", {"specs/again.yaml": INNER}, "ambiguous-substitution"),
        (OUTER.replace("[{uses: store}]", "[{uses: {node: store, capability: other}}]"), {}, "unmapped"),
        (OUTER.replace("[store, zone]", "[store, state]"), {}, "unknown-attribute"),
        ("store: {type: my.Store, properties: {size: many}}", {}, "wrong-type"),
        ("store: {type: my.Store, properties: {sise: 1}}", {}, "unknown-property"),
    ],
)
def test_what_is_wrong_with_an_abstract_node_is_found_in_the_outer_service(
    nodes: str, others: dict[str, str], code: str
) -> None:
    found = catalogue_of({"sites/lab.yaml": SITE, "specs/shop.yaml": outer(nodes), **FILES, **others})

    assert (found.diagnostics[0].file, found.diagnostics[0].code) == ("specs/shop.yaml", code)

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping

import pytest

from specs.catalogue import Catalogue, Shelf, read_catalogue
from specs.errors import Severity, SpecError
from specs.judge.verdict import Verdict
from specs.tosca import entries
from specs.values import Reference
from tests.support.files import Files
from tests.support.spec_files import ROOT, SITE, MemoryCache, catalogue_of, codes, document, folder

SERVICE = document("""
    topology_template:
      inputs:
        cpus: {type: integer, default: 1}
        name: {type: string, required: false}
      node_templates:
        box:
          type: tosca.nodes.Compute
          capabilities: {host: {properties: {num_cpus: {get_input: cpus}}}}
        app:
          type: my.App
          properties: {peer: {get_attribute: [box, private_address]}, name: {get_input: name}}
    node_types:
      my.App:
        derived_from: tosca.nodes.Root
        properties: {peer: {type: string}, name: {type: string, required: false}}
    """)
OTHER_SITE = SITE.replace("{site: lab}", "{site: two, labels: {stage: trial, country: uk}}")
SITES = {"sites/lab.yaml": SITE, "sites/two.yaml": OTHER_SITE}


def shop(metadata: str = "", **others: str) -> Catalogue:
    """Read a repository of two sites and a service with this metadata."""
    text = SERVICE.replace("topology_template:", f"metadata: {{{metadata}}}\ntopology_template:", 1)
    return catalogue_of({**SITES, "specs/shop.yaml": text, **others})


def runs_on(found: Catalogue) -> list[str]:
    """Give the sites that have a service."""
    return [name for name in found.sites if found.services_on(name)]


# --- recognition ---


def test_documents_are_recognised_by_what_they_hold() -> None:
    files = {
        "anything/at/all.yml": SITE,
        "shop.yaml": SERVICE,
        "k8s/deployment.yaml": "apiVersion: apps/v1\nkind: Deployment\n",
        "reconciler.yaml": "branch: main\n",
        "broken/helm.yaml": "{{ not yaml at all",
        "notes.txt": "tosca_definitions_version: none",
        "list.yaml": "- tosca_definitions_version\n",
        "mention.yaml": "text: tosca_definitions_version is a key\n",
    }

    found = catalogue_of(files)

    assert found.diagnostics == ()
    assert [one.name for one in found.services_on("lab")] == ["shop"]


def test_a_document_that_forgets_its_version_is_told() -> None:
    found = catalogue_of({"sites/lab.yaml": SITE, "a.yaml": "topology_template: {}\n"})

    assert codes(found) == ["missing-version"]


@pytest.mark.parametrize("version", ["tosca_2_0", "tosca_simple_yaml_1_1", "tosca_simple_yaml_1_0_0", "5", "[a]", ""])
def test_a_version_that_is_not_known_is_refused(version: str) -> None:
    found = catalogue_of({"a.yaml": f"tosca_definitions_version: {version}\nnode_types: {{}}\n"})

    assert codes(found) == ["unsupported-version"]


@pytest.mark.parametrize(
    "version",
    ["tosca_simple_yaml_1_0", "tosca_simple_yaml_1_2", "tosca_simple_yaml_1_3", "tosca_simple_profile_for_nfv_1_0_0"],
)
def test_every_supported_version_is_read(version: str) -> None:
    text = SERVICE.replace("tosca_simple_yaml_1_3", version)

    assert codes(catalogue_of({"sites/lab.yaml": SITE, "a.yaml": text})) == []


def test_a_document_that_is_broken_is_reported_and_nothing_is_guessed_from_its_absence() -> None:
    found = catalogue_of({"sites/lab.yaml": SITE + "  broken: [\n", "specs/shop.yaml": SERVICE})

    assert {one.file for one in found.diagnostics} == {"sites/lab.yaml"}
    with pytest.raises(SpecError, match="yaml-syntax"):
        found.raise_if_invalid()


@pytest.mark.parametrize("content", [SERVICE.encode("utf-16"), b"\x1f\x8b\x08", b"name: caf\xe9", b"a\0b"])
def test_what_is_no_text_is_never_passed_over(content: bytes) -> None:
    catalogue = read_catalogue(Files({**SITES, "specs/shop.yaml": content}))

    assert [(d.file, d.severity) for d in catalogue.diagnostics] == [("specs/shop.yaml", Severity.ERROR)]


def test_an_unknown_key_at_the_top_is_told() -> None:
    assert codes(catalogue_of({"sites/lab.yaml": SITE, "a.yaml": SERVICE + "meta: {}\n"})) == ["unknown-key"]


def test_globs_narrow_what_is_read_as_a_document_and_not_what_is_imported() -> None:
    files = {
        "sites/lab.yaml": SITE,
        "specs/deep/shop.yaml": SERVICE.replace(
            "topology_template:", "imports: [../../old/t.yaml]\ntopology_template:", 1
        ),
        "old/t.yaml": document("node_types: {my.T: {derived_from: tosca.nodes.Root}}"),
        "old/bad.yaml": document("node_types: []"),
    }

    found = read_catalogue(Files(files), include=("sites/*", "specs/*.yaml"))

    assert found.diagnostics == ()
    assert len(found.services_on("lab")) == 1


def test_an_empty_repository_is_an_empty_catalogue() -> None:
    found = catalogue_of({})

    assert (found.sites, found.alerts, found.diagnostics) == ({}, (), ())
    assert found.services_on("nowhere") == ()


# --- the second judge ---

CONCATENATION = """
    topology_template: {node_templates: {n: {type: my.Node, properties: {p: {concat: []}}}}}
    node_types: {my.Node: {derived_from: tosca.nodes.Root, properties: {p: {type: string}}}}
    """


def test_what_the_second_judge_refuses_is_invalid_at_its_place() -> None:
    found = catalogue_of({"sites/lab.yaml": SITE, "specs/shop.yaml": document(CONCATENATION)})

    assert [(one.file, one.line, one.code) for one in found.diagnostics] == [("specs/shop.yaml", 2, "second-judge")]


def test_what_is_invalid_anyway_does_not_come_before_the_second_judge() -> None:
    text = document(CONCATENATION) + "colours: {}\n"

    assert codes(catalogue_of({"sites/lab.yaml": SITE, "specs/shop.yaml": text})) == ["unknown-key"]


def test_an_answer_the_second_judge_did_not_give_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = MemoryCache()
    files = Files({"sites/lab.yaml": SITE})
    silent = Verdict(message="no answer", severity=Severity.WARNING)
    with monkeypatch.context() as patched:
        patched.setattr("specs.judge.judge.judge_many", lambda templates: [(silent,) for _ in templates])
        first = read_catalogue(files, cache)

    assert [one.message for one in first.diagnostics] == ["no answer"]
    assert read_catalogue(files, cache).diagnostics == ()


# --- names and sites ---


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        ("sites: all", "shop"),
        ("sites: all, template_name: vitrine", "vitrine"),
        ("sites: all, template_name: vitrine, service: market", "market"),
        ("sites: all, template_name: vitrine, service: market, sfci: tour-1", "tour-1"),
        ("sites: all, service: 5", "5"),
    ],
)
def test_a_service_is_called_by_its_metadata_or_its_file(metadata: str, name: str) -> None:
    assert [one.name for one in shop(metadata).services_on("lab")] == [name]


@pytest.mark.parametrize(
    ("metadata", "sites"),
    [
        ("sites: all", ["lab", "two"]),
        ("sites: [all]", ["lab", "two"]),
        ("sites: [two]", ["two"]),
        ("sites: two", ["two"]),
        ("sites: 'lab, two'", ["lab", "two"]),
        ("site_labels: {stage: trial}", ["two"]),
        ("site_labels: {stage: trial, country: fr}", []),
        ("sites: [lab], site_labels: {stage: trial}", ["lab", "two"]),
    ],
)
def test_a_service_runs_on_the_sites_it_names(metadata: str, sites: list[str]) -> None:
    found = shop(metadata)

    found.raise_if_invalid()
    assert runs_on(found) == sites


@pytest.mark.parametrize(
    ("metadata", "fault"),
    [
        ("", "no-site"),
        ("sites: [lap]", "unknown-site"),
        ("sites: 5", "wrong-shape"),
        ("sites: [5]", "wrong-shape"),
        ("sites: all, site_labels: [a]", "wrong-shape"),
        ("site_labels: {stage: none}", "no-site"),
        ("sites: all, service: a/b", "bad-name"),
        ("sites: all, service: -", "bad-name"),
    ],
)
def test_what_is_wrong_with_the_sites_or_the_name_is_told(metadata: str, fault: str) -> None:
    found = [one for one in shop(metadata).diagnostics if one.code == fault]

    assert [(one.file, one.line) for one in found] == [("specs/shop.yaml", 2)]


def test_a_service_without_sites_runs_on_the_only_one() -> None:
    assert runs_on(catalogue_of({"sites/lab.yaml": SITE, "specs/shop.yaml": SERVICE})) == ["lab"]


def test_a_service_needs_a_site() -> None:
    assert codes(catalogue_of({"specs/shop.yaml": SERVICE})) == ["no-site"]


def test_two_services_of_one_name_are_refused() -> None:
    found = catalogue_of({"sites/lab.yaml": SITE, "a/shop.yaml": SERVICE, "b/shop.yaml": SERVICE})

    assert [(one.file, one.code) for one in found.diagnostics] == [("b/shop.yaml", "duplicate-service")]


def test_references_carry_the_site_they_are_read_for() -> None:
    found = shop("sites: all")

    peers = [found.services_on(site)[0].nodes["app"].properties["peer"] for site in ("lab", "two")]
    assert peers == [Reference("lab/shop/box", "private_address"), Reference("two/shop/box", "private_address")]


def test_a_service_without_references_is_one_object_on_all_sites() -> None:
    text = document("metadata: {sites: all}\ntopology_template: {node_templates: {box: {type: Compute}}}")
    found = catalogue_of({**SITES, "specs/shop.yaml": text})

    assert found.services_on("lab")[0] is found.services_on("two")[0]


# --- inputs ---


def cpus(found: Catalogue) -> list[object]:
    """Give what the input `cpus` came to on each site."""
    found.raise_if_invalid()
    return [found.services_on(site)[0].nodes["box"].capabilities["host"]["num_cpus"] for site in found.sites]


def test_inputs_differ_from_site_to_site() -> None:
    assert cpus(shop("sites: all", **{"inputs/two.yaml": "shop: {cpus: 3}\n"})) == [1, 3]


def test_inputs_for_all_go_to_those_that_declare_them_and_give_way_to_a_services_own() -> None:
    lab = "all: {cpus: 2, colour: red}\n"
    two = "all: {cpus: 2}\nshop: {cpus: 5}\n"

    assert cpus(shop("sites: all", **{"inputs/lab.yaml": lab, "inputs/two.yml": two})) == [2, 5]


def test_inputs_may_name_secrets() -> None:
    found = shop("sites: [lab]", **{"inputs/lab.yaml": "shop: {name: {get_secret: n}}\n"})

    assert str(found.services_on("lab")[0].nodes["app"].properties["name"]) == "Secret(name='n', digest='')"


@pytest.mark.parametrize(
    ("inputs", "fault"),
    [
        ("shop: {cpus: many}\n", "inputs/two.yaml:1:14: error"),
        ("shop: {cpu: 5}\n", "inputs/two.yaml:1:8: error"),
        ("shop: [cpus]\n", "inputs/two.yaml:1:7: error"),
        ("[shop]\n", "inputs/two.yaml:1:1: error"),
        ("shop: {cpus: 1, cpus: 2}\n", "inputs/two.yaml:1:17: error"),
        ("{{ helm }}: [\n", "inputs/two.yaml:1:"),
        ("\nshap: {cpus: 1}\n", "inputs/two.yaml:2:1: warning"),
    ],
)
def test_what_is_wrong_with_inputs_is_told_where_they_are_written(inputs: str, fault: str) -> None:
    found = shop("sites: all", **{"inputs/two.yaml": inputs})

    assert fault in "\n".join(map(str, found.diagnostics))


def test_equal_inputs_that_are_wrong_are_told_for_every_site() -> None:
    inputs = {"inputs/lab.yaml": "shop: {cpus: many}\n", "inputs/two.yaml": "shop: {cpus: many}\n"}

    assert [one.file for one in shop("sites: all", **inputs).diagnostics] == ["inputs/lab.yaml", "inputs/two.yaml"]


def test_inputs_of_a_site_that_is_none_are_mentioned() -> None:
    found = shop("sites: all", **{"inputs/three.yaml": "shop: {cpus: 2}\n"})

    assert [(one.file, one.severity) for one in found.diagnostics] == [("inputs/three.yaml", "warning")]


def test_a_required_input_that_nobody_gives_is_missed_on_that_site() -> None:
    text = SERVICE.replace("{type: integer, default: 1}", "{type: integer}").replace(
        "topology_template:", "metadata: {sites: all}\ntopology_template:", 1
    )

    found = catalogue_of({**SITES, "specs/shop.yaml": text, "inputs/lab.yaml": "shop: {cpus: 2}\n"})

    assert [one.message for one in found.diagnostics] == [
        "the input 'cpus' has no value on two (inputs/two.yaml); give it one there or a default here"
    ]


# --- cache ---

FLAME = dict(folder(ROOT / "examples" / "flame"))
RICH = dict(folder(ROOT / "tests" / "support" / "rich"))


def reread(before: Mapping[str, str], after: Mapping[str, str]) -> Catalogue:
    """Read one state of a repository and then another: with the same cache, and over what was decoded last."""
    cache, shelf = MemoryCache(), Shelf()
    read_catalogue(Files(before), cache, shelf=shelf)
    found = read_catalogue(Files(after), cache)

    assert read_catalogue(Files(after), shelf=shelf) == found
    return found


@pytest.mark.parametrize("files", [FLAME, RICH, dict(folder(ROOT / "examples" / "classic"))])
def test_what_is_kept_is_what_was_read(files: Mapping[str, str]) -> None:
    assert reread(files, files) == catalogue_of(files)


def test_the_cache_is_asked_once() -> None:
    cache = MemoryCache()

    read_catalogue(Files(FLAME), cache)

    assert cache.questions == 1
    assert len(cache) == len([name for name in FLAME if name.endswith(".yaml")])


def test_nothing_is_compiled_when_nothing_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = MemoryCache()
    files = Files(FLAME)
    read_catalogue(files, cache)
    monkeypatch.setattr(Files, "read", lambda self, path: pytest.fail(f"{path} was read"))

    assert read_catalogue(files, cache).services_on("bristol")


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("types/base.yaml", ("default: 50", "default: 51")),
        ("types/soup.txt", ("water", "milk")),
        ("specs/scripts/start.sh", ("start", "begin")),
        ("specs/box.yaml", ("default: blue", "default: green")),
        ("specs/box.yaml", ("node_type: org.example.Abstract", "node_type: org.example.Sink")),
        ("specs/main.yaml", ("num_cpus: 2", "num_cpus: 3")),
        ("sites/lab.yaml", ("stage: test", "stage: live")),
        ("sites/lab.yaml", ("site: lab", "site: laboratory")),
        ("sites/lab.yaml", ("rack: one", "rack: two")),
    ],
)
def test_whatever_a_result_depends_on_is_noticed(path: str, change: tuple[str, str]) -> None:
    after = {**RICH, path: RICH[path].replace(*change)}

    assert after != RICH
    assert reread(RICH, after) == catalogue_of(after)


@pytest.mark.parametrize(
    "added",
    [
        {"inputs/lab.yaml": "main: {level: 30}\n"},
        {"inputs/lab.yaml": "main: {nothing: 30}\n"},
        {"specs/again.yaml": RICH["specs/box.yaml"]},
        {"sites/second.yaml": RICH["sites/lab.yaml"].replace("site: lab", "site: second")},
        {"types/other.yaml": "tosca_definitions_version: tosca_simple_yaml_1_3\nnode_types: []\n"},
    ],
)
def test_files_that_come_and_go_are_noticed(added: dict[str, str]) -> None:
    assert reread(RICH, {**RICH, **added}) == catalogue_of({**RICH, **added})
    assert reread({**RICH, **added}, RICH) == catalogue_of(RICH)


@pytest.mark.parametrize("gone", sorted(RICH))
def test_every_file_that_goes_is_missed(gone: str) -> None:
    without = {path: text for path, text in RICH.items() if path != gone}

    assert reread(RICH, without) == catalogue_of(without)
    assert reread(without, RICH) == catalogue_of(RICH)


def test_a_fault_of_a_shared_type_goes_with_the_service_that_meets_it() -> None:
    types = document("""
        node_types:
          my.Node: {derived_from: tosca.nodes.Root, interfaces: {Standard: {create: none.sh}}}
        """)
    using = document("""
        imports: [../types/my.yaml]
        topology_template: {node_templates: {n: {type: my.Node}}}
        """)
    files = {"sites/lab.yaml": SITE, "types/my.yaml": types, "specs/a.yaml": using}
    files["specs/b.yaml"] = using.replace("my.Node", "Compute")

    found = reread(files, {**files, "specs/a.yaml": files["specs/b.yaml"]})

    assert codes(catalogue_of(files)) == ["missing-file"]
    assert codes(found) == []


def test_faults_are_kept_as_well() -> None:
    broken = {**RICH, "specs/main.yaml": RICH["specs/main.yaml"].replace("num_cpus: 2", "num_cpus: two")}

    assert codes(reread(broken, broken)) == codes(catalogue_of(broken))


def test_a_catalogue_from_the_cache_loads_no_reader_of_documents() -> None:
    program = """
import sys
from pathlib import Path
from tests.support.files import Files
from tests.support.spec_files import MemoryCache, folder
from specs.catalogue import read_catalogue
cache, files = MemoryCache(), Files(folder(Path("examples/flame")))
read_catalogue(files, cache)
from specs.tosca import entries
version = entries.program()
for name in [name for name in sys.modules if name.split(".")[0] in ("yaml", "specs", "tests", "importlib.metadata")]:
    del sys.modules[name]
from specs.tosca import entries
entries.program = lambda: version  # whoever edits the sources meanwhile does not disturb
from specs.catalogue import read_catalogue
from tests.support.files import Files
from tests.support.spec_files import folder
files = Files(folder(Path("examples/flame")))
assert read_catalogue(files, cache).services_on("bristol")
heavy = ("yaml", "ruamel", "toscaparser")
print(*sorted(name for name in sys.modules if name.split(".")[0] in heavy or name == "specs.tosca.compiler"))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )

    assert (done.stdout.strip(), done.stderr) == ("", "")


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("specs.tosca.entries._installed", lambda distribution: [f"{distribution}-99.dist-info"]),
        ("specs.tosca.library.contents", lambda: {"flame_definitions.yaml": "another digest"}),
    ],
)
def test_another_parser_or_another_type_is_another_program(
    what: str, value: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = entries.program.__wrapped__()
    monkeypatch.setattr(what, value)

    assert entries.program.__wrapped__() != before


def test_a_program_that_changes_compiles_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = MemoryCache()
    read_catalogue(Files(FLAME), cache)
    before = set(cache)
    monkeypatch.setattr("specs.tosca.entries.program", lambda: "another version")

    read_catalogue(Files(FLAME), cache)

    assert len(set(cache) - before) == len(before)

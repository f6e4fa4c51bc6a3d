"""Whatever stands in the documents: the catalogue answers, and answers the same with and without a cache."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.placement import capacity_findings, place
from specs.catalogue import Catalogue, Shelf, read_catalogue
from specs.codec import decode_service, encode_service
from specs.model import (
    Artifact,
    Group,
    LifecycleState,
    Node,
    Operation,
    Policy,
    Position,
    Requirement,
    Service,
    SiteSelector,
    Trigger,
)
from specs.values import Call, Reference, Secret
from tests.support.files import Files
from tests.support.spec_files import ROOT, MemoryCache, folder
from tests.support.structs import structs

RICH = folder(ROOT / "tests" / "support" / "rich")
DOCUMENTS = {
    path: json.loads(json.dumps(yaml.safe_load(text), default=str))
    for path, text in RICH.items()
    if path.endswith(".yaml")
}
WORDS = (
    *("type", "properties", "node", "copy", "directives", "metadata", "interfaces", "artifacts", "derived_from"),
    *("topology_template", "substitution_mappings", "groups", "workflows", "inputs", "outputs", "node_filter"),
    *("occurrences", "relationship_templates", "imports", "policies", "triggers", "condition", "constraints"),
)
JUNK = st.one_of(
    st.sampled_from([None, True, 0, -1, 3.5, "", "x", "SELF", "source", "2 GB", "tosca.nodes.Compute", [], {}, [[]]]),
    st.sampled_from(
        [
            {"get_input": "level"},
            {"get_input": []},
            {"get_property": ["SELF", "level"]},
            {"get_property": ["sink", "feed", "port"]},
            {"get_property": ["HOST", "host", "num_cpus"]},
            {"get_attribute": ["box", "address"]},
            {"get_attribute": 5},
            {"concat": [1, {"get_secret": "s"}]},
            {"concat": None},
            {"token": ["a:b", ":", 1]},
            {"type": "org.example.Abstract"},
            {"node": "source"},
            {"in_range": [1]},
            {"mapping": ["server", "host"]},
            [{"host": "host-1"}],
        ]
    ),
)


def pointers(value: object, pointer: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Walk plain data."""
    if pointer:
        yield pointer
    if isinstance(value, dict):
        for key, item in value.items():
            yield from pointers(item, (*pointer, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from pointers(item, (*pointer, index))


@st.composite
def damaged(draw: st.DrawFn) -> Mapping[str, str]:
    """Give the rich repository with a few values replaced, removed or put under another key."""
    files = copy.deepcopy(DOCUMENTS)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(sorted(files)))
        places = list(pointers(files[path]))
        if not places:
            continue
        *above, last = draw(st.sampled_from(places))
        place = files[path]
        for step in above:
            place = place[step]
        match draw(st.sampled_from(["replace", "replace", "remove", "rename"])):
            case "rename" if isinstance(place, dict):
                place[draw(st.sampled_from(WORDS))] = place.pop(last)
            case "remove":
                del place[last]
            case _:
                place[last] = copy.deepcopy(draw(JUNK))
    return {**RICH, **{path: json.dumps(document) for path, document in files.items()}}


def assert_usable(found: Catalogue) -> None:
    for one in found.diagnostics:
        assert one.line >= 1
        assert one.file in {*RICH}
    if all(one.severity != "error" for one in found.diagnostics):
        for site in found.sites.values():
            capacity_findings(site, [place(site, service) for service in found.services_on(site.name)])


@given(damaged())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_damaged_repositories_get_the_same_answer_with_and_without_a_cache(files: Mapping[str, str]) -> None:
    cache, shelf = MemoryCache(), Shelf()
    good = read_catalogue(Files(RICH), cache, shelf=shelf)

    cold = read_catalogue(Files(files))
    half_cold = read_catalogue(Files(files), cache, shelf=shelf)
    warm = read_catalogue(Files(files), cache)
    again = read_catalogue(Files(files), shelf=shelf)
    back = read_catalogue(Files(RICH), shelf=shelf)

    assert cold == half_cold == warm == again
    assert good == back
    assert_usable(cold)


# --- models through JSON and back ---

NAMES = st.text("abc-_1", min_size=1, max_size=4)
TEXTS = st.text(max_size=8)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**60), 2**60),
        st.floats(allow_nan=False, allow_infinity=False),
        TEXTS,
        st.builds(Reference, st.sampled_from(["-/s/n", "lab/s/n"]), NAMES, st.tuples(NAMES, st.integers(0, 5))),
        st.builds(Secret, NAMES),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(TEXTS, st.sampled_from(["$reference", "$secret", "$call", "$"])), inner, max_size=3),
        st.builds(Call, st.sampled_from(["concat", "token"]), st.lists(inner, max_size=2)),
    ),
    max_leaves=6,
)
PROPERTIES = st.dictionaries(TEXTS, VALUES, max_size=3)
TYPES = st.lists(NAMES, min_size=1, max_size=2).map(tuple)
METADATA = st.dictionaries(NAMES, TEXTS, max_size=2)
POSITIONS = st.builds(Position, NAMES, st.integers(0, 99), st.integers(0, 99))


def by_name(made: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """Give mappings of parts by their names."""
    return st.lists(made, max_size=2).map(lambda found: {getattr(one, "name"): one for one in found})  # noqa: B009


REQUIREMENTS = structs(
    Requirement, name=NAMES, node=NAMES, capability=NAMES, relationship=NAMES, types=TYPES, properties=PROPERTIES
)
NODES = structs(
    Node,
    name=NAMES,
    types=TYPES,
    properties=PROPERTIES,
    capabilities=st.dictionaries(NAMES, PROPERTIES, max_size=2),
    requirements=st.lists(REQUIREMENTS, max_size=2).map(tuple),
    artifacts=by_name(structs(Artifact, name=NAMES, type=NAMES, file=NAMES, content=TEXTS, properties=PROPERTIES)),
    operations=by_name(structs(Operation, name=NAMES, implementation=NAMES, content=TEXTS, inputs=PROPERTIES)),
    metadata=METADATA,
    position=POSITIONS,
)
TRIGGERS = structs(Trigger, name=NAMES, event=NAMES, condition=PROPERTIES, action=VALUES, position=POSITIONS)
POLICIES = structs(
    Policy,
    name=NAMES,
    types=TYPES,
    targets=st.lists(NAMES, max_size=2).map(tuple),
    properties=PROPERTIES,
    triggers=by_name(TRIGGERS),
    position=POSITIONS,
)
GROUPS = structs(Group, name=NAMES, types=TYPES, members=st.lists(NAMES, max_size=2).map(tuple), properties=PROPERTIES)
SERVICES = structs(
    Service,
    name=NAMES,
    metadata=METADATA,
    sites=st.builds(
        SiteSelector, names=st.lists(NAMES, max_size=2).map(tuple), labels=METADATA, everywhere=st.booleans()
    ),
    nodes=by_name(NODES),
    states=st.dictionaries(NAMES, st.dictionaries(NAMES, st.sampled_from(LifecycleState), max_size=2), max_size=2),
    groups=by_name(GROUPS),
    policies=by_name(POLICIES),
    outputs=PROPERTIES,
    position=POSITIONS,
)


def there_and_back(service: Service, site: str) -> Service:
    return decode_service(json.loads(json.dumps(encode_service(service), ensure_ascii=False)), site)


@given(SERVICES)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_service_comes_back_from_json_as_it_was(service: Service) -> None:
    once = there_and_back(service, "lab")

    assert there_and_back(once, "other") == once
    assert there_and_back(service, "-") == service


@given(SERVICES)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_site_is_put_into_references_and_nothing_else(service: Service) -> None:
    found = there_and_back(service, "lab")

    before, after = json.dumps(encode_service(service)), json.dumps(encode_service(found))
    assert after == before.replace('{"$reference": ["-/s/n"', '{"$reference": ["lab/s/n"')

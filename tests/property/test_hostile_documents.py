"""Malformed and malicious documents: each gets diagnostics with a place, and costs next to nothing."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from specs.catalogue import read_catalogue
from specs.errors import Diagnostic
from specs.yaml.document import load
from tests.property.hostile.case import GOOD
from tests.property.hostile.runner import CASES, FileTree

ROOT = Path(__file__).parents[2]
MOST_SECONDS = 1.0
MOST_MEGABYTES = 200
PROCESSES = 2
EXAMPLES = ("classic", "flame")


@cache
def outcomes() -> Mapping[str, Mapping[str, Any]]:
    """Run every case, in a few processes side by side; what took long on a busy machine gets a second chance."""
    names = list(CASES)
    with ThreadPoolExecutor(PROCESSES) as pool:
        answers = list(pool.map(run, (names[start::PROCESSES] for start in range(PROCESSES))))
    found = {name: outcome for answer in answers for name, outcome in answer.items()}
    return {**found, **run([name for name, outcome in found.items() if outcome.get("seconds", 0) >= MOST_SECONDS])}


def run(names: list[str]) -> Mapping[str, Mapping[str, Any]]:
    command = [sys.executable, "-m", "tests.property.hostile.runner", *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return {outcome["name"]: outcome for outcome in map(json.loads, done.stdout.splitlines())}


def test_there_are_many_cases() -> None:
    assert len(CASES) >= 150


def test_the_repository_around_them_is_good() -> None:
    assert read_catalogue(FileTree(GOOD)).diagnostics == ()


@pytest.mark.timeout(600)  # the first one runs them all
@pytest.mark.parametrize("name", CASES)
def test_a_hostile_case_gets_diagnostics_and_costs_little(name: str) -> None:
    outcome = outcomes()[name]
    files = {**GOOD, **CASES[name].files()}

    assert outcome.get("raised", "") == ""
    assert outcome["broken_rules"] == []
    assert outcome["seconds"] < MOST_SECONDS
    assert outcome["megabytes"] < MOST_MEGABYTES
    diagnostics = [Diagnostic(*item) for item in outcome["diagnostics"]]
    assert CASES[name].code in {item.code for item in diagnostics if item.severity == "error"}
    for item in diagnostics:
        assert_that_it_helps(item, files)


def assert_that_it_helps(item: Diagnostic, files: Mapping[str, bytes]) -> None:
    assert item.file in files
    assert 1 <= item.line <= max(files[item.file].count(b"\n"), files[item.file].count(b"\r")) + 2
    assert item.column >= 1
    assert item.message.isprintable()
    assert len(item.message) < 600
    assert not item.message.endswith(".")
    assert "Traceback" not in item.message


# --- random attacks --------------------------------------------------------------------------------


def example_files(name: str) -> Mapping[str, bytes]:
    folder = ROOT / "examples" / name
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_that_it_loads(content: bytes) -> None:
    document, diagnostics = load("f.yaml", content)

    assert (document is not None) or any(item.severity == "error" for item in diagnostics)
    assert (document, diagnostics) == load("f.yaml", content)
    for item in diagnostics:
        assert_that_it_helps(item, {"f.yaml": content})
    if document is not None:
        for pointer in pointers(document.data):
            line, column = document.locate(pointer)
            assert line >= 1
            assert column >= 1


def pointers(value: object, pointer: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Walk plain data; anything else in it is a failure."""
    yield pointer
    match value:
        case dict():
            for key, item in value.items():
                assert type(key) is str
                yield from pointers(item, (*pointer, key))
        case list():
            for index, item in enumerate(value):
                yield from pointers(item, (*pointer, index))
        case _:
            assert value is None or type(value) in (bool, int, float, str)


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    assert_that_it_loads(content)


@given(st.text(alphabet="ab:,-?[]{}#&*!|>'\"%@` \n\t\\01~.<", max_size=60))
@settings(deadline=None, max_examples=300)
def test_any_text_is_read_or_refused(text: str) -> None:
    assert_that_it_loads(text.encode())


PLACES = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 12), st.text(alphabet="ab:,-[]{}&*!|>'\"\n\t <", max_size=4)), max_size=4
)


@given(st.sampled_from(EXAMPLES), st.data(), PLACES)
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_damaged_documents_are_read_or_refused(
    example: str, data: st.DataObject, damage: list[tuple[float, int, str]]
) -> None:
    files = example_files(example)
    text = files[data.draw(st.sampled_from(sorted(path for path in files if path.endswith(".yaml"))))].decode()
    for place, length, new in damage:
        start = int(place * len(text))
        text = text[:start] + new + text[start + length :]

    assert_that_it_loads(text.encode())


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from([0, -1, 2**63, 1.5, "", "a", "a.b", "5 GB", "string", "tosca.nodes.Root", "x" * 300, "["]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["", "a", "type", "properties", "get_input", "concat", "token", "get_property", "node"]),
            inner,
            max_size=2,
        )
    ),
    max_leaves=4,
)


@given(st.sampled_from(EXAMPLES), st.data(), JUNK)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_documents_with_junk_in_them_get_diagnostics_at_most(example: str, data: st.DataObject, junk: object) -> None:
    files = dict(example_files(example))
    path = data.draw(st.sampled_from(sorted(path for path in files if path.endswith(".yaml"))))
    content = yaml.safe_load(files[path])
    *above, last = data.draw(st.sampled_from([pointer for pointer in pointers(content) if pointer]))
    place = content
    for step in above:
        place = place[step]
    place[last] = junk
    files[path] = yaml.safe_dump(content, sort_keys=False).encode()

    for item in read_catalogue(FileTree(files)).diagnostics:
        assert_that_it_helps(item, files)

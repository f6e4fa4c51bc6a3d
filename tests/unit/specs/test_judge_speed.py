"""The quickened tosca-parser says what tosca-parser says, word for word, only sooner."""

import copy
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from specs.judge.judge import Judge
from specs.tosca import library
from specs.yaml.document import load

ROOT = Path(__file__).parents[3]
AS_IT_COMES = """
import specs.judge.parser as parser
import specs.judge.worker as worker
parser.quicken = lambda: lambda: None
worker.main()
"""
JUNK: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, "", "a", "5 GB", "x" * 9, [], {}, ["a"], {"a": 1}, {"get_input": "a"}, "tosca.nodes.Root",
)  # fmt: skip


@pytest.fixture(scope="module")
def quick() -> Iterator[Judge]:
    with Judge() as judge:
        yield judge


@pytest.fixture(scope="module")
def slow() -> Iterator[Judge]:
    with Judge(command=(sys.executable, "-c", AS_IT_COMES)) as judge:
        yield judge


def data(path: str, content: bytes) -> dict[str, Any]:
    document, _ = load(path, content)
    assert document is not None
    assert isinstance(document.data, dict)
    return copy.deepcopy(document.data)


def example(path: str) -> dict[str, Any]:
    """An example with the types it imports put into it."""
    template = data(path, (ROOT / "examples" / path).read_bytes())
    for shipped in (library.ALERTS, f"{library.PREFIX}flame_definitions.yaml"):
        for section, types in data(shipped, library.read(shipped)).items():
            if section.endswith("_types"):
                template.setdefault(section, {}).update(types)
    template.pop("imports", None)
    return template


def places(value: object, pointer: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if pointer:
        yield pointer
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*pointer, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*pointer, index))


def damaged(template: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    template = copy.deepcopy(template)
    for _ in range(chance.choice((1, 2, 5))):
        *above, last = chance.choice(list(places(template)))
        place: Any = template
        for step in above:
            place = place[step]
        if chance.random() < 0.6:
            place[last] = copy.deepcopy(chance.choice(JUNK))
        elif isinstance(place, dict):
            place[chance.choice(("a", "type", "properties", "targets"))] = place.pop(last)
        else:
            del place[last]
    return template


@pytest.mark.parametrize(
    "path",
    [
        "flame/specs/vr-tour.yaml",
        "flame/sites/bristol.yaml",
        "flame/policies/vr-tour-alerts.yaml",
        "classic/specs/shop.yaml",
    ],
)
def test_it_says_the_same_of_damaged_templates(quick: Judge, slow: Judge, path: str) -> None:
    chance = random.Random(path)
    whole = example(path)
    templates = [whole, *(damaged(whole, chance) for _ in range(60)), whole]

    answers = quick.judge_many(templates)

    assert answers == slow.judge_many(templates)
    assert answers[0] == answers[-1] == ()
    assert sum(map(bool, answers)) > 4


def test_it_says_the_same_of_many_nodes(quick: Judge, slow: Judge) -> None:
    nodes: dict[str, Any] = {}
    for number in range(200):
        nodes[f"server-{number}"] = {
            "type": "tosca.nodes.Compute",
            "capabilities": {"host": {"properties": {"num_cpus": number % 7, "mem_size": "1 GB"}}},
            "requirements": [{"dependency": f"server-{(number + 1) % 210}"}],
        }
        nodes[f"program-{number}"] = {
            "type": "tosca.nodes.DBMS",
            "properties": {"port": number, "colour" if number % 50 == 0 else "root_password": "x"},
            "requirements": [{"host": f"server-{number}"}, {"dependency": f"program-{number // 2}"}],
        }
    template = {
        "tosca_definitions_version": "tosca_simple_yaml_1_3",
        "topology_template": {
            "node_templates": nodes,
            "groups": {"g": {"type": "tosca.groups.Root", "members": [*nodes, "nobody"]}},
            "policies": [{"p": {"type": "tosca.policies.Scaling", "targets": ["nothing", *nodes]}}],
        },
    }

    (answer,) = quick.judge_many([template])

    assert (answer,) == slow.judge_many([template])
    assert len(answer) > 5

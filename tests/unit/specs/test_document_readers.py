"""Both readers, and ruamel.yaml which writes the documents back, read the same data."""

import random
from collections.abc import Iterator
from contextlib import suppress
from io import StringIO
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from yaml._yaml import CParser

from specs.yaml.composer import Composer, Faults
from specs.yaml.document import load
from specs.yaml.events import fast_events, pure_events
from specs.yaml.scalars import OutOfRange, resolve

SERVICE = """\
tosca_definitions_version: tosca_simple_yaml_1_3
metadata: {template_name: shop, sites: all}
dsl_definitions:
  host: &host {num_cpus: 2, mem_size: 2 GB}
topology_template:
  inputs:
    port: {type: integer, default: 8080, constraints: [{in_range: [1, 65535]}]}
  node_templates:
    storage:
      type: eu.ict-flame.nodes.ServiceFunction
      properties: {image_url: http://repo.example.org/s.tar.gz, fqdn: [storage.shop.example.org]}
      capabilities:
        host:
          properties:
            <<: *host
            mem_size: 4 GB
      interfaces:
        Standard:
          create: |
            #!/bin/sh
              exec server --port "$1"
      requirements:
        - host: {node: server, relationship: tosca.relationships.HostedOn}
        - network
  policies:
    - scale:
        type: eu.ict-flame.policies.StateChange
        triggers:
          more:
            condition: {constraint: clmc::high_requests}
            action: {storage: {fqdn: storage.shop.example.org, lifecycle_actions: {edge-1: a.b.connected}}}
"""
LAYOUTS = [
    SERVICE,
    SERVICE.replace("\n", "\r\n"),
    "a:\n- b\n-\n  - c\n  -   d: e\n      f: g\n- \n",
    "? a\n: b\n? - c\n: d\n",
    "a: >\n  x\n  y\n\n  z\n\n   more\n  end\n\nb: |2-\n   keep\nc: >+\n  k\n\n\nd: |+\n\n",
    "a: 'it''s\n  folded'\nb: \"x\\\n  y\\tz\\u00e9\"\n",
    "{a: [b, {c: d, e}, f: g], 'h':i, \"j\":k, }\n",
    "a: &x [1, &y 2]\nb: [*x, *y]\n",
    "--- # c\na: b # d\n# e\n... # f\n",
    "--- |\n text\n",
    "--- 'x'\n",
    "plain text\n on lines\n",
    "a: b:c\nd: e#f\ng: -h\ni: [-j, ?k]\nl: m - n\n",
    "a:\n  b:\n\n\n    c: d\n\n  # x\n  e: f\n",
]
_PARTS = list("abc:,-?[]{}#&*!|>'\"%@` \n\n\\01~.e+x")


def by_pure_reader(text: str) -> tuple[Any, list[Any]]:
    """Compose with the pure reader; data is None where the document did not come to its end."""
    composer = Composer(text, pure_events(text), faults := Faults())
    composer.run()
    return composer.root if composer.complete else None, faults.all()


def by_ruamel(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def mutations(count: int) -> Iterator[str]:
    """Give pieces of documents with a few characters changed, the same ones each time."""
    chance = random.Random(7)
    for _ in range(count):
        whole = chance.choice(LAYOUTS)
        start = chance.randrange(len(whole))
        text = list(whole[max(0, start - 40) : start + 40])
        for _ in range(chance.randint(0, 3)):
            place = chance.randrange(len(text))
            text[place : place + chance.randint(0, 1)] = chance.choice(_PARTS)
        yield "".join(text)


def test_libyaml_is_used_here() -> None:
    assert isinstance(getattr(fast_events("a: b"), "__self__", None), CParser)


@pytest.mark.parametrize("text", LAYOUTS)
def test_all_readers_agree_on_layouts(text: str) -> None:
    document, diagnostics = load("f.yaml", text.encode())
    data, faults = by_pure_reader(text)

    assert document is not None
    assert [(item.line, item.column, item.code) for item in diagnostics] == [
        (item.line, item.column, item.code) for item in faults
    ]
    assert data == document.data
    if not diagnostics:
        assert by_ruamel(text) == document.data


def test_readers_agree_on_mutated_documents_that_both_accept() -> None:
    compared = 0
    for text in mutations(1500):
        document, diagnostics = load("f.yaml", text.encode())
        data, faults = by_pure_reader(text)
        if document is None or (data is None and faults):
            continue  # the pure reader refuses some odd uses of '#' and the like
        compared += 1

        assert repr(data) == repr(document.data), text
        assert [fault.code for fault in faults] == [
            item.code for item in diagnostics if item.code != "duplicate-key"
        ], text
    assert compared > 500


_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Zl", "Zp")), max_size=12)


def is_written_as_text(text: str) -> bool:
    """Tell whether PyYAML's writer, which follows YAML 1.1, leaves no doubt: `0E0` is a number only in 1.2."""
    try:
        return isinstance(resolve(text), str) or not isinstance(yaml.safe_load(text), str)
    except (OutOfRange, yaml.YAMLError):
        return False


def is_in_range(text: str) -> bool:
    """Tell whether a text, read as a number of YAML 1.2, is one of those we take."""
    try:
        resolve(text)
    except OutOfRange:
        return False
    return True


_KEY = _TEXT.filter(is_written_as_text)
_DATA = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT.filter(is_in_range),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEY, inner, max_size=4),
    max_leaves=12,
)


@given(data=_DATA, flow=st.sampled_from([True, False, None]), style=st.sampled_from([None, "'", '"']))
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_what_pyyaml_writes_is_read_by_all(data: Any, flow: bool | None, style: str | None) -> None:
    text = yaml.safe_dump(
        {"data": data}, default_flow_style=flow, default_style=style, allow_unicode=True, sort_keys=False
    )
    document, diagnostics = load("f.yaml", text.encode())

    assert document is not None
    assert all(item.severity == "hint" for item in diagnostics), (text, diagnostics)
    assert by_pure_reader(text)[0] == document.data
    if not diagnostics:
        with suppress(ValueError):  # it takes `-_` and `._` for numbers, and falls over them
            assert by_ruamel(text) == document.data


@given(data=_DATA)
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
def test_what_ruamel_writes_is_read_back(data: Any) -> None:
    stream = StringIO()
    YAML().dump({"data": data}, stream)
    document, diagnostics = load("f.yaml", stream.getvalue().encode())

    assert document is not None
    assert all(item.severity == "hint" for item in diagnostics)
    assert document.data == {"data": data}

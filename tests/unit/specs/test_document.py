"""Documents are read strictly: every fault has a place, and what was read is plain data."""

import gc
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from specs.errors import Severity
from specs.values import Value
from specs.yaml.composer import MAX_DEPTH, MAX_FAULTS, MAX_HINTS, MAX_NODES
from specs.yaml.document import MAX_BYTES, Document, load


def read(text: str) -> Document:
    document, diagnostics = load("f.yaml", text.encode())
    assert document is not None, diagnostics
    return document


def faults(text: str | bytes) -> list[tuple[int, int, str]]:
    _, diagnostics = load("f.yaml", text.encode() if isinstance(text, str) else text)
    return [(item.line, item.column, item.code) for item in diagnostics]


def test_plain_data_comes_out() -> None:
    document = read("a: [1, 2.5, x, 'y', \"z\", true, null, ~, ]\nb:\n  c: |\n    text\n  d: >-\n    more\n    text\n")

    assert document.data == {
        "a": [1, 2.5, "x", "y", "z", True, None, None],
        "b": {"c": "text\n", "d": "more text"},
    }
    assert document.path == "f.yaml"


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("[http://a.b:80/c, d::e]", ["http://a.b:80/c", "d::e"]),
        ("{constraint: clmc::high, url: http://x}", {"constraint": "clmc::high", "url": "http://x"}),
        ("version: 1.2.3", {"version": "1.2.3"}),
        ("", None),
        ("# nothing\n", None),
        ("---\na: 1\n...\n# the end\n", {"a": 1}),
        ("%YAML 1.2\n---\na: 1", {"a": 1}),
        ("\ufeffa: 1", {"a": 1}),
        ("a: !!str 5\nb: !!float 5\nc: !!int '0x10'\nd: !!seq [!!bool 'true', !!null '']\ne: !!map {}",
         {"a": "5", "b": 5.0, "c": 16, "d": [True, None], "e": {}}),
        ("a: &x {p: [1]}\nb: *x\nc: &y t\nd: *y\n*y : e",
         {"a": {"p": [1]}, "b": {"p": [1]}, "c": "t", "d": "t", "t": "e"}),
        ("'no': 1\n\"1\": 2\n'<<': 3", {"no": 1, "1": 2, "<<": 3}),
        ("a: \u2665 \U0001f600", {"a": "\u2665 \U0001f600"}),
    ],
)  # fmt: skip
def test_these_are_fine(text: str, data: Value) -> None:
    document, diagnostics = load("f.yaml", text.encode())

    assert diagnostics == ()
    assert document is not None
    assert document.data == data


def test_merge_keys_add_what_is_not_there() -> None:
    text = "a: &a {p: 1, q: 2}\nb: &b {q: 3, r: 4}\nc:\n  r: 5\n  <<: [*a, *b]\nd: {<<: *a, q: 9}\ne: {<<: {z: 1}}"

    data = read(text).data

    assert isinstance(data, dict)
    assert data["c"] == {"r": 5, "p": 1, "q": 2}
    assert data["d"] == {"p": 1, "q": 9}
    assert data["e"] == {"z": 1}
    assert data["a"] == {"p": 1, "q": 2}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: {c: 1, c: 2}\na: 2", [(2, 11, "duplicate-key"), (3, 1, "duplicate-key")]),
        ("<<: {a: 1}\n<<: {b: 2}", [(2, 1, "duplicate-key")]),
        ("a: b: c", [(1, 5, "yaml-syntax")]),
        ("a: [1, 2\nb: 3\n", [(2, 2, "yaml-syntax")]),
        ('a: "open\nb: 1\n', [(1, 4, "yaml-syntax")]),
        ("a:\n\tb: 1", [(2, 1, "yaml-syntax")]),
        ("a: 1\n- b", [(2, 1, "yaml-syntax")]),
        ("a: @b", [(1, 4, "yaml-syntax")]),
        ('a: "\\ud800"', [(1, 7, "yaml-syntax")]),
        ("a\n---\nb", [(2, 1, "several-documents")]),
        ("---\n---\n", [(2, 1, "several-documents")]),
        ("a: 1\n...\n%TAG !x! y\n---\nb", [(3, 1, "several-documents")]),
        ("%YAML 1.1\n---\na: b", [(1, 1, "yaml-directive")]),
        ("# x\n\n%TAG !x! tag:x\n---\na: b", [(3, 1, "yaml-directive")]),
        ("a: !!python/object/apply:os.system [x]\nb: !x y\nc: !<tag:a> {}\nd: ! e",
         [(1, 4, "yaml-tag"), (2, 4, "yaml-tag"), (3, 4, "yaml-tag"), (4, 4, "yaml-tag")]),
        ("a: !!int x\nb: !!map []\nc: !!binary aGk=\nd: !!set {e}",
         [(1, 4, "yaml-tag"), (2, 4, "yaml-tag"), (3, 4, "yaml-tag"), (4, 4, "yaml-tag")]),
        ("1: a\ntrue: b\n~: c\n1.5: d\n[e]: f\n{g: h}: i\n? \n: j",
         [(1, 1, "key-not-text"), (2, 1, "key-not-text"), (3, 1, "key-not-text"), (4, 1, "key-not-text"),
          (5, 1, "key-not-text"), (6, 1, "key-not-text"), (7, 2, "key-not-text")]),
        ("a: .inf\nb: .NaN\nc: 1e999\nd: 18446744073709551616\ne: -9223372036854775809\nf: !!float .inf",
         [(n, 4, "number-range") for n in range(1, 7)]),
        ("a: *b", [(1, 4, "unknown-alias")]),
        ("a: &a [*a]", [(1, 8, "recursive-alias")]),
        ("a: &a\n  b: {<<: *a}\nc: {<<: *d}", [(2, 11, "recursive-alias"), (3, 9, "unknown-alias")]),
        ("<<: 1", [(1, 5, "bad-merge")]),
        ("<<: [{a: 1}, 2]", [(1, 5, "bad-merge")]),
        ("a: &x:y z", [(1, 4, "anchor-name")]),
        ("a: \x1b[31m\nb: \u2028", [(1, 4, "control-character"), (2, 4, "control-character")]),
        ('a: "\\e[31m"\nb: "\\0"', [(1, 4, "control-character"), (2, 4, "control-character")]),
        (b"a: 1\nb: \xff", [(2, 4, "encoding")]),
        ("a: ü\nb: 1".encode("latin-1"), [(1, 4, "encoding")]),
        ("a: 1".encode("utf-16"), [(1, 1, "encoding")]),
        ("a: 1".encode("utf-32"), [(1, 1, "encoding")]),
        ("a: 1".encode("utf-16-be"), [(1, 1, "control-character")]),
        (b"\x7fELF\x02\x01\x00", [(1, 7, "control-character")]),
        (b"#" * (MAX_BYTES + 1), [(1, 1, "too-large")]),
    ],
)  # fmt: skip
def test_faults_are_told_with_their_place(text: str | bytes, expected: list[tuple[int, int, str]]) -> None:
    assert faults(text) == expected


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_places_do_not_depend_on_line_ends_or_mark(line_end: str) -> None:
    text = "\ufeff" + line_end.join(("# x", "a: 1", "\u00fc: {", "  b: *c}", "a: 2"))

    assert faults(text) == [(4, 6, "unknown-alias"), (5, 1, "duplicate-key")]


def test_a_duplicate_names_both_lines_and_the_first_one_counts() -> None:
    document, diagnostics = load("f.yaml", b"a: 1\nb: 2\na: {c: 3}\na: 4\n")

    assert document is not None
    assert document.data == {"a": 1, "b": 2}
    assert [str(item) for item in diagnostics] == [
        "f.yaml:3:1: error: the key 'a' stands in this mapping twice, first in line 1; remove one [duplicate-key]",
        "f.yaml:4:1: error: the key 'a' stands in this mapping twice, first in line 1; remove one [duplicate-key]",
    ]


def test_all_faults_come_at_once() -> None:
    codes = [code for _, _, code in faults("a: !x 1\n1: 2\na: *q\nb: .nan\nc: no\nd: e: f\n")]

    assert codes == ["yaml-tag", "key-not-text", "duplicate-key", "unknown-alias", "number-range",
                     "type-surprise", "yaml-syntax"]  # fmt: skip


def test_a_document_that_ends_early_is_not_given() -> None:
    document, _ = load("f.yaml", b"a: 1\nb: [")

    assert document is None


def test_type_surprises_are_hints() -> None:
    document, diagnostics = load("f.yaml", b"a: no\nb: 0777\nc: 12:30:45\nd: 1_000\non: 1.10\ny: 2\n")

    assert document is not None
    assert document.data == {"a": "no", "b": 777, "c": "12:30:45", "d": "1_000", "on": 1.1, "y": 2}
    assert {item.severity for item in diagnostics} == {Severity.HINT}
    assert [(item.line, item.column) for item in diagnostics] == [(1, 4), (2, 4), (3, 4), (4, 4), (5, 1), (5, 5)]


def test_no_message_carries_control_characters() -> None:
    _, diagnostics = load("f.yaml", b'"\\e[2J": 1\n"\\e[2J": 2\n"a\\nb": 1\n"a\\nb": 2\n')

    assert len(diagnostics) == 4
    assert all(item.message.isprintable() for item in diagnostics)


# --- bounds ----------------------------------------------------------------------------------------


def test_depth_is_bounded() -> None:
    inside, beyond = "[" * MAX_DEPTH + "]" * MAX_DEPTH, "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)

    assert faults(inside) == []
    assert faults(beyond) == [(1, MAX_DEPTH + 1, "too-deep")]


def test_depth_is_bounded_with_aliases_followed() -> None:
    half = MAX_DEPTH // 2
    text = f"a: &a {'[' * half}{']' * half}\nb: {'[' * half}*a{']' * half}"

    assert faults(text) == [(2, 4 + half, "too-deep")]


def test_nodes_are_bounded() -> None:
    assert faults("[" + "a," * (MAX_NODES - 1) + "]") == []
    assert faults("[" + "a," * MAX_NODES + "]") == [(1, 2 * MAX_NODES, "too-large")]


def test_an_alias_bomb_is_found_before_it_bursts() -> None:
    lines = ["a: &a [x,x,x,x,x,x,x,x,x]"]
    lines += [f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]" for old, new in zip("abcdefgh", "bcdefghi", strict=True)]

    assert [code for _, _, code in faults("\n".join(lines))] == ["alias-bomb"]


def test_long_text_cannot_be_multiplied_by_aliases() -> None:
    text = f"a: &a {'x' * 1_000_000}\nb: [{'*a,' * 100}]"

    assert [code for _, _, code in faults(text)] == ["alias-bomb"]


def test_a_merge_bomb_is_found() -> None:
    keys = ",".join(f"k{number}: 1" for number in range(1000))
    text = f"a: &a {{{keys}}}\n" + "".join(f"b{number}: {{<<: *a}}\n" for number in range(1000))

    assert [code for _, _, code in faults(text)] == ["alias-bomb"]


@pytest.mark.parametrize(
    ("line", "severity", "shown"), [("- !x a\n", "error", MAX_FAULTS), ("- no\n", "hint", MAX_HINTS)]
)
def test_endless_faults_are_cut(line: str, severity: str, shown: int) -> None:
    _, diagnostics = load("f.yaml", (line * 10 * MAX_FAULTS).encode())

    assert len(diagnostics) == shown + 1
    assert diagnostics[-1].code == "more-faults"
    assert diagnostics[-1].severity == severity


def test_the_garbage_collector_is_as_before() -> None:
    load("f.yaml", b"a: [")
    assert gc.isenabled()

    gc.disable()
    try:
        load("f.yaml", b"a: 1")
        assert not gc.isenabled()
    finally:
        gc.enable()


# --- places ----------------------------------------------------------------------------------------

PLACES = """\
top:
  list: [one, {two: 2}]
  text: |
    more
base: &base {from: here}
alias: *base
merged:
  <<: *base
  own: 1
"""


@pytest.mark.parametrize(
    ("pointer", "value", "key"),
    [
        ((), (1, 1), (1, 1)),
        (("top",), (2, 3), (1, 1)),
        (("top", "list"), (2, 9), (2, 3)),
        (("top", "list", 0), (2, 10), (2, 10)),
        (("top", "list", 1, "two"), (2, 21), (2, 16)),
        (("top", "text"), (3, 9), (3, 3)),
        (("alias",), (6, 8), (6, 1)),
        (("alias", "from"), (5, 20), (5, 14)),
        (("merged", "from"), (5, 20), (5, 14)),
        (("merged", "own"), (9, 8), (9, 3)),
    ],
)
def test_values_and_keys_are_located(
    pointer: Sequence[str | int], value: tuple[int, int], key: tuple[int, int]
) -> None:
    document = read(PLACES)

    assert document.locate(pointer) == value
    assert document.locate(pointer, key=True) == key


def pointers(value: Value) -> Iterator[tuple[str | int, ...]]:
    """Give the way to everything in a document."""
    yield ()
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, below in items:
        yield from ((step, *rest) for rest in pointers(below))


@pytest.mark.parametrize("text", [PLACES, "a: &x {b: {c: {}}}\nd: *x\ne: {<<: *x, f: {}}\ng: {h: 1, h: {i: {}}}\n"])
def test_remembered_places_are_those_found_by_reading_once_more(text: str) -> None:
    document, _ = load("f.yaml", text.encode())
    assert document is not None
    without = replace(document, outlook={})

    assert document.outlook
    for pointer in pointers(document.data):
        assert document.locate(pointer) == without.locate(pointer)
        assert document.locate(pointer, key=True) == without.locate(pointer, key=True)


def test_the_place_of_a_node_template_is_found_without_reading_once_more() -> None:
    document = read("topology_template:\n  node_templates:\n    a: {}\n    b: {type: c}\n")
    unreadable = replace(document, content=b"")

    assert unreadable.locate(("topology_template", "node_templates", "b"), key=True) == (4, 5)


@pytest.mark.parametrize(
    ("pointer", "place"),
    [
        (("top", "nothing", "below"), (1, 1)),
        (("top", "list", 7), (2, 3)),
        (("top", "text", "x"), (3, 3)),
        (("top", 0), (1, 1)),
        (("nothing",), (1, 1)),
    ],
)
def test_what_does_not_exist_is_located_at_its_nearest_ancestor(
    pointer: Sequence[str | int], place: tuple[int, int]
) -> None:
    assert read(PLACES).locate(pointer) == place


def test_faulty_keys_do_not_move_other_places() -> None:
    document = read("[x, {a: 1}]: b\nc: {d: 1, d: {e: 2}}\nf: {g: 3}\n")

    assert document.locate(("c", "d")) == (2, 8)
    assert document.locate(("f", "g")) == (3, 8)


def test_the_start_of_a_document_is_where_its_first_value_stands() -> None:
    assert read("# comment\n---\na: 1\n").locate(()) == (3, 1)


def test_an_empty_document_has_a_place() -> None:
    assert read("# comment\n").locate(("a",)) == (1, 1)


def test_it_works_without_libyaml() -> None:
    program = (
        "import sys; sys.modules['yaml._yaml'] = None\n"
        "from specs.yaml.document import load\n"
        "print(load('f.yaml', b'a: [http://x, no]\\na: 1')[1][1])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.startswith("f.yaml:2:1: error: the key 'a' stands in this mapping twice")

"""Hostile cases that are too large, or no text, to be written down."""

from collections.abc import Callable, Iterator, Mapping

from tests.property.hostile.case import GOOD, READ_WHATEVER_IT_HOLDS, SERVICE, Case

SIZE = 3_900_000
"""Just under what a document may have, in bytes."""


def _filled(part: str, before: str = "", after: str = "") -> str:
    return before + part * ((SIZE - len(before) - len(after)) // len(part)) + after


def _numbered(form: str, separator: str = "\n") -> str:
    return separator.join(form % number for number in range(SIZE // (len(form) + 5)))


def _merge_bomb() -> str:
    keys = ", ".join(f"k{number}: {number}" for number in range(2000))
    return f"base: &base {{{keys}}}\n" + "".join(f"m{number}: {{<<: *base}}\n" for number in range(5000))


def _nested_merges() -> str:
    lines = ["a0: &a0 {k: v}"]
    lines += [f"a{n + 1}: &a{n + 1} {{<<: [*a{n}, *a{n}], k{n}: {{<<: *a{n}}}}}" for n in range(40)]
    return "\n".join(lines)


def _alias_tower() -> str:
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n + 1}: &a{n + 1} [*a{n}]" for n in range(100)]
    return "\n".join(lines)


_CONTENTS: tuple[tuple[str, str, Callable[[], str | bytes]], ...] = (
    ("not-utf-8", "encoding", lambda: b"a: caf\xe9\n"),
    ("overlong-utf-8", "encoding", lambda: b"a: \xc0\xaf\n"),
    ("utf-8-surrogate", "encoding", lambda: b"a: \xed\xa0\x80\n"),
    ("utf-8-cut-off", "encoding", lambda: "a: é".encode()[:-1]),
    ("utf-16", "encoding", lambda: "a: b\n".encode("utf-16")),
    ("utf-32", "encoding", lambda: "a: b\n".encode("utf-32")),
    ("utf-16-without-mark", "control-character", lambda: "a: b\n".encode("utf-16-le")),
    ("null-bytes", "control-character", lambda: b"\x00" * SIZE),
    ("an-executable", "encoding", lambda: b"\x7fELF\x02\x01\x01" + bytes(range(256))),
    ("a-zip", "control-character", lambda: b"PK\x03\x04\x14\x00\x00\x00\x08\x00"),
    ("escape-sequence", "control-character", lambda: "a: \x1b[2J\x1b]0;owned\x07\n"),
    ("byte-order-mark-inside", "control-character", lambda: "a: b\n\ufeffc: d\n"),
    ("line-separator", "control-character", lambda: "a: b\u2028c: d\n"),
    ("next-line", "control-character", lambda: "a: b\x85c: d\n"),
    ("non-character", "control-character", lambda: "a: \uffff\n"),
    ("bells", "control-character", lambda: "\x07" * SIZE),
    ("too-large", "too-large", lambda: "#" * (5 << 20)),
    ("deep-lists", "too-deep", lambda: "[" * SIZE),
    ("deep-mappings", "too-deep", lambda: _filled("{a: ")),
    ("deep-blocks", "too-deep", lambda: _filled("- ")),
    ("deep-keys", "too-deep", lambda: _filled("? ")),
    ("deep-indentation", "too-deep", lambda: "".join(f"{' ' * n}a:\n" for n in range(2500))),
    ("deep-mixed", "too-deep", lambda: _filled("[{b: ")),
    ("deep-by-aliases", "too-deep", _alias_tower),
    ("many-nodes", "too-large", lambda: _filled("a,", "[", "]")),
    ("many-numbers", "too-large", lambda: "[" + _numbered("%d", ",") + "]"),
    ("many-lists", "too-large", lambda: _filled("[],", "[", "]")),
    ("many-mappings", "too-large", lambda: _filled("{},", "[", "]")),
    ("many-pairs", "too-large", lambda: _filled("{a: 1},", "[", "]")),
    ("many-keys", "too-large", lambda: _numbered("k%d:")),
    ("many-documents", "several-documents", lambda: _filled("---\n")),
    ("many-directives", "yaml-directive", lambda: _filled("%TAG !a! tag:x\n", "", "---\na: b\n")),
    (
        "many-directives-behind",
        "several-documents",
        lambda: _numbered("%%TAG !a%d! tag:x").join(("a: b\n...\n", "\n---\nc\n")),
    ),
    ("many-tags", "yaml-tag", lambda: _filled("- !x a\n")),
    ("many-anchors", "too-large", lambda: _numbered("- &a%d x")),
    ("many-same-keys", "duplicate-key", lambda: _filled("a: 1\n")),
    ("many-same-keys-in-one-line", "duplicate-key", lambda: _filled("a,", "{", "}")),
    ("as-many-nodes-as-may-be", "wrong-shape", lambda: _filled("a,", "[", "]")[:499_990] + "]"),
    ("many-bad-escapes", "control-character", lambda: _filled('"\\e",', "[", "]")),
    ("many-open-brackets-and-braces", "too-deep", lambda: _filled("[{")),
    ("many-closing-brackets", "yaml-syntax", lambda: _filled("]")),
    ("many-quotes", "wrong-shape", lambda: _filled("'")),
    ("many-colons", "yaml-syntax", lambda: _filled(":")),
    ("many-commas", "yaml-syntax", lambda: _filled(",", "[")),
    ("many-ampersands", "yaml-syntax", lambda: _filled("&")),
    ("many-newlines", "yaml-syntax", lambda: _filled("\n", "", "@")),
    ("many-surprises", "too-large", lambda: _filled("- no\n")),
    ("long-number", "number-range", lambda: _filled("9", "a: ")),
    ("long-fraction", "number-range", lambda: _filled("9", "a: 0.")),
    ("long-exponent", "number-range", lambda: _filled("9", "a: 1e")),
    ("long-hexadecimal", "number-range", lambda: _filled("f", "a: 0x")),
    ("long-key", "yaml-syntax", lambda: _filled("k", "", ": v\n")),
    ("long-tag", "yaml-tag", lambda: _filled("%41", "a: !<tag:x", "> b\n")),
    ("long-anchor", "unknown-alias", lambda: _filled("a", "a: &", " b\nc: *d\n")),
    ("long-line-of-escapes", "yaml-syntax", lambda: _filled("\\x41", 'a: "')),
    ("long-literal", "yaml-syntax", lambda: _filled(" x\n", "a: |\n", "b\n")),
    ("long-folded", "yaml-syntax", lambda: _filled(" x\n\n", "a: >\n", "b\n")),
    ("long-plain-lines", "yaml-syntax", lambda: _filled(" a\n", "a:\n", "b\n")),
    ("quadratic-text", "alias-bomb", lambda: f"a: &a {'x' * 1_000_000}\nb: [{'*a,' * 500_000}]\n"),
    ("merge-bomb", "alias-bomb", _merge_bomb),
    ("nested-merges", "alias-bomb", _nested_merges),
)


def _import_chain() -> Mapping[str, bytes]:
    text = SERVICE + "imports: [%s.yaml]\ntopology_template: {node_templates: {a: {type: my.Last}}}\n"
    library = "tosca_definitions_version: tosca_simple_yaml_1_3\nimports: [%s.yaml]\n"
    chain = {f"types/t{n}.yaml": (library % f"t{n + 1}").encode() for n in range(300)}
    last = "tosca_definitions_version: tosca_simple_yaml_1_3\nnode_types: {my.Last: {derived_from: tosca.nodes.Root}}\n"
    return {"specs/hostile.yaml": (text % "../types/t0").encode(), **chain, "types/t300.yaml": last.encode()}


def _import_fan() -> Mapping[str, bytes]:
    """Each file imports two of the next stage under prefixes: 2^20 ways through 21 stages."""
    library = "tosca_definitions_version: tosca_simple_yaml_1_3\nimports:\n"
    for name in "xy":
        library += f"  - {{file: %s, namespace_prefix: {name}}}\n"
    files = {f"types/t{n}.yaml": (library % (f"t{n + 1}.yaml", f"t{n + 1}.yaml")).encode() for n in range(20)}
    start = SERVICE + "imports: [../types/t0.yaml]\ntopology_template: {node_templates: {a: {type: nothing}}}\n"
    return {"specs/hostile.yaml": start.encode(), **files, "types/t20.yaml": SERVICE.encode()}


def _type_chain() -> Mapping[str, bytes]:
    chain = "".join(f"  t{n}: {{derived_from: t{n + 1}}}\n" for n in range(5000))
    text = f"{SERVICE}node_types:\n{chain}topology_template: {{node_templates: {{a: {{type: t0}}}}}}\n"
    return {"specs/hostile.yaml": text.encode()}


def _property_chain() -> Mapping[str, bytes]:
    lines = "".join(
        f"    n{n}: {{type: tosca.nodes.Database, properties: {{name: {{get_property: [n{n + 1}, name]}}}}}}\n"
        for n in range(2000)
    )
    text = f"{SERVICE}topology_template:\n  node_templates:\n{lines}    n2000: {{type: tosca.nodes.Database}}\n"
    return {"specs/hostile.yaml": text.encode()}


def _concat_doubling() -> Mapping[str, bytes]:
    """Every property is the one before twice: 2^60 characters."""
    lines = "    n0: {type: tosca.nodes.network.Network, properties: {network_name: ha}}\n"
    for n in range(60):
        twice = f"{{concat: [{{get_property: [n{n}, network_name]}}, {{get_property: [n{n}, network_name]}}]}}"
        lines += f"    n{n + 1}: {{type: tosca.nodes.network.Network, properties: {{network_name: {twice}}}}}\n"
    return {"specs/hostile.yaml": f"{SERVICE}topology_template:\n  node_templates:\n{lines}".encode()}


def _default_doubling() -> Mapping[str, bytes]:
    """Every data type holds the one before twice, by default: 2^40 values."""
    root = "derived_from: tosca.datatypes.Root"
    lines = f"  my.D0: {{{root}, properties: {{a: {{type: string, default: x}}}}}}\n"
    for n in range(40):
        one = f"{{type: my.D{n}, default: {{}}}}"
        lines += f"  my.D{n + 1}: {{{root}, properties: {{a: {one}, b: {one}}}}}\n"
    text = f"{SERVICE}data_types:\n{lines}topology_template: {{node_templates: {{a: {{type: tosca.nodes.Compute}}}}}}\n"
    return {"specs/hostile.yaml": text.encode()}


def _many_links() -> Mapping[str, bytes]:
    """The ends of links are looked for among very many switches; the last one leads into nothing."""
    lines = "".join(f"    s{n}: {{type: eu.ict-flame.nodes.Switch}}\n" for n in range(700))
    link = "    l%d: {type: eu.ict-flame.nodes.Link, properties: {source: s%d, target: s%d}}\n"
    lines += "".join(link % (n, n % 700, (n + 1) % 700 if n else 700) for n in range(1400))
    return {"sites/lab.yaml": GOOD["sites/lab.yaml"] + lines.encode()}


def _many_faults() -> Mapping[str, bytes]:
    lines = "".join(f"    n{n}: {{type: tosca.nodes.Nothing{n}, properties: {{x: 1}}}}\n" for n in range(5000))
    return {"specs/hostile.yaml": f"{SERVICE}topology_template:\n  node_templates:\n{lines}".encode()}


def _many_names() -> Mapping[str, bytes]:
    """Unknown names beside thousands of known ones: looking for the nearest must not take long."""
    inputs = "".join(f"    input-number-{n}: {{type: string, default: x}}\n" for n in range(3000))
    lines = "".join(
        f"    n{n}: {{type: tosca.nodes.Database, properties: {{name: {{get_input: inptu-numebr-{n}}}}}}}\n"
        for n in range(300)
    )
    text = f"{SERVICE}topology_template:\n  inputs:\n{inputs}  node_templates:\n{lines}"
    return {"specs/hostile.yaml": text.encode()}


def _requirement_ring() -> Mapping[str, bytes]:
    lines = "".join(
        f"    n{n}: {{type: tosca.nodes.Root, requirements: [{{dependency: n{(n + 1) % 1000}}}]}}\n"
        for n in range(1000)
    )
    return {"specs/hostile.yaml": f"{SERVICE}topology_template:\n  node_templates:\n{lines}".encode()}


def _copy_chain() -> Mapping[str, bytes]:
    lines = "".join(f"    n{n}: {{copy: n{n + 1}}}\n" for n in range(1000))
    text = f"{SERVICE}topology_template:\n  node_templates:\n{lines}    n1000: {{type: tosca.nodes.Nothing}}\n"
    return {"specs/hostile.yaml": text.encode()}


_REPOSITORIES: tuple[tuple[str, str, Callable[[], Mapping[str, bytes]]], ...] = (
    ("import-chain", "too-many-imports", _import_chain),
    ("import-fan", "too-many-imports", _import_fan),
    ("type-chain", "too-deep", _type_chain),
    ("copy-chain", "too-deep", _copy_chain),
    ("requirement-ring", "requirement-cycle", _requirement_ring),
    ("many-links", "unknown-node", _many_links),
    ("many-faults", "unknown-type", _many_faults),
    ("many-names", "unknown-input", _many_names),
    ("property-chain", "too-deep", _property_chain),
    ("concat-doubling", "too-much", _concat_doubling),
    ("default-doubling", "too-much", _default_doubling),
)


def generated() -> Iterator[Case]:
    """Give every case."""
    for name, code, content in _CONTENTS:
        yield Case(name, code, _one_file(content))
    for name, code, files in _REPOSITORIES:
        yield Case(name, code, files)


def _one_file(content: Callable[[], str | bytes]) -> Callable[[], Mapping[str, bytes]]:
    def files() -> Mapping[str, bytes]:
        made = content()
        return {READ_WHATEVER_IT_HOLDS: made.encode() if isinstance(made, str) else made}

    return files

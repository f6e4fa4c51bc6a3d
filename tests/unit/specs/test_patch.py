from __future__ import annotations

import difflib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specs.model import LifecycleState
from specs.patch import (
    BrokenFileError,
    Change,
    CountSet,
    Mode,
    OvertakenError,
    PatchError,
    Reason,
    SpecPatch,
    StateSet,
    patched,
    trailer,
)
from specs.splice import SpliceError, replaced
from specs.yaml.document import load

P, B, C, U = (
    LifecycleState.PLACED,
    LifecycleState.BOOTED,
    LifecycleState.CONNECTED,
    LifecycleState.UNPLACED,
)
PREFIX = "eu.ict-flame.sfe.state.lifecycle."
CONNECT = StateSet("storage", "edge-1", P, C)

PLAIN = f"""\
# A tour.   Comments with odd   blanks stay.
tosca_definitions_version: tosca_simple_profile_for_nfv_1_0_0
metadata: {{sfc: vr-tour,   sfci: 'vr-tour-1'}}   # flow, badly spaced

topology_template:
    node_templates:
        frontend:
            type: eu.ict-flame.nodes.ServiceFunction
            properties: {{image_url: "http://x/y"}}
            capabilities:
                scalable:
                    properties: {{min_instances: 1,max_instances: 4 ,default_instances: 2}}  # two
        storage:
            type: eu.ict-flame.nodes.ServiceFunction
            capabilities: {{scalable: {{properties: {{max_instances: 0x4}}}}}}
    policies:
    - initial:
        type: eu.ict-flame.policies.InitialPolicy
        triggers:
            begin:
                condition: {{constraint: initialise}}
                action:
                    storage:
                        lifecycle_actions:
                            dc-1: {PREFIX}connected
                            edge-1:   {PREFIX}placed   # the cabinet
                            edge-2: "{PREFIX}placed"
                            edge-3: '{PREFIX}placed'
                            edge-4: !!str {PREFIX}placed
                            edge-5: >-
                                {PREFIX}placed

                            edge-6: |-
                              {PREFIX}placed
                            # the last of them
                            edge-7:
                                {PREFIX}placed
    - crowd: {{type: eu.ict-flame.policies.StateChange, triggers: {{}}}}
"""


def lines_changed(old: bytes, new: bytes) -> list[str]:
    made = difflib.ndiff(old.decode().splitlines(keepends=True), new.decode().splitlines(keepends=True))
    return [line.rstrip("\r\n") for line in made if line[0] in "+-"]


@pytest.mark.parametrize("number", range(1, 8))
def test_only_the_value_is_exchanged_however_it_is_written(number: int) -> None:
    old = PLAIN.encode()
    new = patched("tour.yaml", old, [StateSet("storage", f"edge-{number}", P, C)])
    gone, come = lines_changed(old, new)

    assert come[2:] == gone[2:].replace("placed", "connected")


VALUE, CONNECTED = f"{PREFIX}placed", f"{PREFIX}connected"


@pytest.mark.parametrize(
    ("written", "becomes"),
    [
        (f'"edge-1" : {VALUE}', f'"edge-1" : {CONNECTED}'),
        (f"? edge-1\n{' ' * 28}: {VALUE}", f"? edge-1\n{' ' * 28}: {CONNECTED}"),
        (f"edge-1:\t{VALUE}\t# tabs", f"edge-1:\t{CONNECTED}\t# tabs"),
        (f'edge-1: "\\x65{VALUE[1:]}"  # escaped', f'edge-1: "{CONNECTED}"  # escaped'),
        (f'edge-1: "{PREFIX}pla\\\n{" " * 40}ced"', f'edge-1: "{CONNECTED}"'),
        (f"edge-1: !!str   &a '{VALUE}'", f"edge-1: !!str   &a '{CONNECTED}'"),
        (f"edge-1: |2-\n{' ' * 30}{VALUE}\n", f"edge-1: |2-\n{' ' * 30}{CONNECTED}\n"),
        (f"🏙: {VALUE}\n{' ' * 28}'edge-1': {VALUE}", f"🏙: {VALUE}\n{' ' * 28}'edge-1': {CONNECTED}"),
    ],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_value_is_exchanged_in_ugly_but_legal_lines(written: str, becomes: str, ending: str) -> None:
    whole = f"# before\n--- # begin\n{PLAIN}... # end\n# after\n"
    old, expected = (
        whole.replace(f"edge-1:   {VALUE}   # the cabinet", line).replace("\n", ending) for line in (written, becomes)
    )

    assert patched("t", old.encode(), [CONNECT]).decode() == expected


@pytest.mark.parametrize(
    ("written", "becomes"),
    [
        (f"{{edge-1: {VALUE}}}", f"{{edge-1: {CONNECTED}}}"),
        (f'{{ "edge-1":{VALUE},}}  # end', f'{{ "edge-1":{CONNECTED},}}  # end'),
        (
            f"{{\n   '🏙': {VALUE}, edge-1: {VALUE}  , # one\n  dc-1: x }}",
            f"{{\n   '🏙': {VALUE}, edge-1: {CONNECTED}  , # one\n  dc-1: x }}",
        ),
    ],
)
def test_a_value_is_exchanged_in_ugly_but_legal_flow_mappings(written: str, becomes: str) -> None:
    head = PLAIN[: PLAIN.index(" lifecycle_actions:")]
    old, expected = (f"{head} lifecycle_actions: {flow}\n" for flow in (written, becomes))

    assert patched("t", old.encode(), [CONNECT]).decode() == expected


@pytest.mark.parametrize("written", ["{}", "  {}", "&two {}", "{} "])
@pytest.mark.parametrize("number", ["2", "0x2", "+2", "2.0"])
def test_a_number_is_exchanged_however_it_is_written(written: str, number: str) -> None:
    old, expected = (
        PLAIN.replace("default_instances: 2", f"default_instances: {written.format(one)}") for one in (number, "3")
    )

    assert patched("t", old.encode(), [CountSet("frontend", 2, 3)]).decode() == expected


def test_a_change_and_its_reverse_give_the_same_bytes() -> None:
    there = patched("tour.yaml", PLAIN.encode(), [CONNECT, CountSet("frontend", 2, 3)])
    back = patched("tour.yaml", there, [StateSet("storage", "edge-1", C, P), CountSet("frontend", 3, 2)])

    assert back == PLAIN.encode()


def test_a_number_in_a_flow_mapping_is_exchanged() -> None:
    assert lines_changed(PLAIN.encode(), patched("t", PLAIN.encode(), [CountSet("frontend", 2, 12)])) == [
        "-                     properties: {min_instances: 1,max_instances: 4 ,default_instances: 2}  # two",
        "+                     properties: {min_instances: 1,max_instances: 4 ,default_instances: 12}  # two",
    ]


def test_a_number_that_is_not_written_is_put_in() -> None:
    assert lines_changed(PLAIN.encode(), patched("t", PLAIN.encode(), [CountSet("storage", 1, 2)])) == [
        "-             capabilities: {scalable: {properties: {max_instances: 0x4}}}",
        "+             capabilities: {scalable: {properties: {max_instances: 0x4, default_instances: 2}}}",
    ]


def test_what_stands_around_a_number_is_put_in_with_it() -> None:
    old = PLAIN.replace("            capabilities: {scalable: {properties: {max_instances: 0x4}}}\n", "")
    new = patched("t", old.encode(), [CountSet("storage", 1, 2)])

    assert lines_changed(old.encode(), new) == [
        "+             capabilities: {scalable: {properties: {default_instances: 2}}}"
    ]


def test_a_policy_of_a_type_derived_from_the_initial_one_is_found() -> None:
    old = PLAIN.replace("type: eu.ict-flame.policies.InitialPolicy", "type: my.Beginning").encode()

    assert len(lines_changed(old, patched("t", old, [CONNECT]))) == 2


def test_a_cluster_that_is_not_written_is_put_in_last() -> None:
    new = patched("t", PLAIN.encode(), [StateSet("storage", "van-1", U, P)])

    assert lines_changed(PLAIN.encode(), new) == [f"+                             van-1: {PREFIX}placed"]


@pytest.mark.parametrize("ending", ["\r\n", "\r"])
def test_line_ends_and_byte_order_mark_stay(ending: str) -> None:
    old = b"\xef\xbb\xbf" + PLAIN.replace("\n", ending).encode()
    new = patched("t", old, [CONNECT, StateSet("storage", "van-1", U, B)])

    assert new.startswith(b"\xef\xbb\xbf# A tour.")
    assert new.decode().count(ending) == old.decode().count(ending) + 1
    assert ("\n" in new.decode()) == ("\n" in ending)


def test_text_beyond_ascii_and_a_directive_do_not_move_the_place() -> None:
    old = ("%YAML 1.2\n---\n" + PLAIN.replace("A tour", "Ünïcode 🏙 täxt")).encode()
    new = patched("t", old, [CONNECT])

    assert new == old.replace(f"edge-1:   {PREFIX}placed".encode(), f"edge-1:   {PREFIX}connected".encode())


def test_a_file_without_an_end_of_line_stays_without() -> None:
    old = PLAIN.split("    - crowd")[0].rstrip().encode()
    new = patched("t", old, [StateSet("storage", "edge-7", P, C), StateSet("storage", "van-1", U, P)])

    assert new.endswith(f"van-1: {PREFIX}placed".encode())


def test_an_alias_is_replaced_and_its_anchor_stays() -> None:
    old = PLAIN.replace(f"edge-1:   {PREFIX}placed", f"edge-0: &idle {PREFIX}placed\n{' ' * 28}edge-1: *idle").encode()
    new = patched("t", old, [CONNECT])

    assert new == old.replace(b"edge-1: *idle", f"edge-1: {PREFIX}connected".encode())


def test_an_anchored_value_that_nobody_shares_keeps_its_anchor() -> None:
    old = PLAIN.replace(f"edge-1:   {PREFIX}placed", f"edge-1: &lonely  {PREFIX}placed").encode()

    assert f"edge-1: &lonely  {PREFIX}connected".encode() in patched("t", old, [CONNECT])


def test_a_value_that_others_share_is_not_changed() -> None:
    old = PLAIN.replace(f"edge-1:   {PREFIX}placed", f"edge-1: &idle {PREFIX}placed\n{' ' * 28}edge-0: *idle").encode()

    with pytest.raises(PatchError, match=r"edge-1 cannot be changed: it is shared with other values by an anchor"):
        patched("t", old, [CONNECT])


def test_a_value_from_a_merge_key_is_written_over_in_its_own_mapping() -> None:
    old = PLAIN.replace(
        f"                            edge-1:   {PREFIX}placed   # the cabinet\n",
        f"                            <<: {{edge-1: {PREFIX}placed}}\n",
    ).encode()
    new = patched("t", old, [CONNECT])

    assert lines_changed(old, new) == [f"+                            edge-1: {PREFIX}connected".replace("+", "+ ")]


def test_a_mapping_that_is_an_alias_is_not_changed() -> None:
    old = PLAIN.replace("metadata:", f"dsl_definitions:\n  all: &all\n    edge-1: {PREFIX}placed\nmetadata:").replace(
        "                        lifecycle_actions:\n", "                        lifecycle_actions: *all\n"
    )
    start = old.index("lifecycle_actions: *all\n") + len("lifecycle_actions: *all\n")
    old = old[:start] + old[old.index("    - crowd") :]

    with pytest.raises(PatchError, match="comes in by an anchor"):
        patched("t", old.encode(), [CONNECT])


def test_a_number_that_an_input_gives_is_not_changed() -> None:
    old = PLAIN.replace("default_instances: 2", "default_instances: {get_input: count}").encode()

    with pytest.raises(OvertakenError, match=r"default_instances is \{'get_input': 'count'\} now"):
        patched("t", old, [CountSet("frontend", 2, 3)])


def test_what_somebody_changed_meanwhile_is_left_alone() -> None:
    old = PLAIN.replace(f"edge-1:   {PREFIX}placed", f"edge-1:   {PREFIX}booted").encode()

    with pytest.raises(OvertakenError, match=r"booted' now and not .*placed'; it is left alone"):
        patched("t", old, [CONNECT])


def test_what_is_as_wanted_already_stays_to_the_byte() -> None:
    assert patched("t", PLAIN.encode(), [StateSet("storage", "dc-1", P, C)]) == PLAIN.encode()


def test_a_function_of_another_file_is_an_error() -> None:
    with pytest.raises(PatchError, match="no InitialPolicy that speaks of cache"):
        patched("t", PLAIN.encode(), [StateSet("cache", "edge-1", P, C)])


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("a: [", "yaml-syntax"),
        (PLAIN + "---\na: 1\n", "second document"),
        (PLAIN.replace("edge-3:", "edge-1:"), "'edge-1'"),
        (PLAIN.replace("# the cabinet", "# the\u0085cabinet"), "may not stand in a document"),
    ],
)
def test_a_file_that_is_broken_is_left_to_whoever_broke_it(content: str, why: str) -> None:
    with pytest.raises(BrokenFileError, match=why):
        patched("t", content.encode(), [CONNECT])


KEYS = st.from_regex(r"[a-f][a-f_1-]{0,4}", fullmatch=True)
LEAVES = st.one_of(st.integers(-9, 99), st.sampled_from(["x", "two words", "it's", "true", "1", "a: b", "# no", ""]))
TREES = st.recursive(
    LEAVES, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)), max_leaves=8
)


@given(
    tree=st.dictionaries(KEYS, TREES, min_size=1, max_size=3),
    draw=st.data(),
    flow=st.booleans(),
    width=st.integers(1, 5),
)
def test_any_value_anywhere_can_be_exchanged(
    tree: dict[str, object], draw: st.DataObject, flow: bool, width: int
) -> None:
    text = _written(tree, flow, width)
    places = [pointer for pointer, value in _walk(tree) if not isinstance(value, dict | list)]
    if not places:
        return
    pointer, new = draw.draw(st.sampled_from(places)), draw.draw(LEAVES)
    made = replaced("t.yaml", text.encode(), pointer, new)
    document, faults = load("t.yaml", made)

    assert document is not None
    assert not [fault for fault in faults if fault.severity == "error"]
    assert _at(document.data, pointer) == new
    assert made.decode().count("#!") == text.count("#!")


def _walk(data: object, pointer: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], object]]:
    found: list[tuple[tuple[str | int, ...], object]] = [(pointer, data)] if pointer else []
    if isinstance(data, dict):
        for key, value in data.items():
            found += _walk(value, (*pointer, key))
    elif isinstance(data, list):
        for number, value in enumerate(data):
            found += _walk(value, (*pointer, number))
    return found


def _at(data: object, pointer: tuple[str | int, ...]) -> object:
    for step in pointer:
        data = data[step]  # type: ignore[index]  # the pointer comes from the data
    return data


def _written(data: object, flow: bool, width: int, indent: int = 0) -> str:
    """Write YAML by hand, with comments and odd indentation."""
    blanks = " " * indent
    if isinstance(data, dict) and data and not flow:
        rows = []
        for key, value in data.items():
            block = isinstance(value, dict | list) and value
            below = "\n" + _written(value, flow, width, indent + width) if block else f"  {_flow(value)}  #! why\n"
            rows.append(f"{blanks}{key}:{below}")
        return "".join(rows)
    if isinstance(data, list) and data and not flow:
        return "".join(f"{blanks}- {_flow(value)} #! item\n" for value in data)
    return f"{blanks}{_flow(data)}\n"


def _flow(data: object) -> str:
    if isinstance(data, dict):
        return "{" + ", ".join(f"{key}: {_flow(value)}" for key, value in data.items()) + "}"
    if isinstance(data, list):
        return "[" + ",".join(_flow(value) for value in data) + "]"
    if isinstance(data, str):
        return "'" + data.replace("'", "''") + "'"
    return str(data)


def test_a_key_of_an_empty_block_mapping_cannot_be_guessed() -> None:
    with pytest.raises(SpliceError):
        replaced("t.yaml", b"a:\n  b:\n", ("a", "b", "c"), 1)


def patch(*changes: Change) -> SpecPatch:
    reason = Reason(
        id="0123abcd",
        site="bristol",
        policy="crowd",
        trigger="many_requests",
        at=datetime(2026, 3, 4, 12, tzinfo=UTC),
        value="120",
        rule="mean(storage.requests) > 100 over 60 s",
        window="2026-03-04T11:59:00Z/2026-03-04T12:00:00Z",
        query="SELECT 1\nTrailer-Injection: yes",
    )
    return SpecPatch(service="vr-tour-1", file="specs/vr-tour.yaml", changes=changes, mode=Mode.COMMIT, reason=reason)


def test_the_message_says_what_and_why_with_trailers() -> None:
    assert patch(CONNECT).message() == (
        "vr-tour-1: storage on edge-1 from placed to connected\n"
        "\n"
        "The alert many_requests of the policy crowd fired at 2026-03-04 12:00:00 UTC.\n"
        "\n"
        "- storage on edge-1 from placed to connected\n"
        "\n"
        "Alert: 0123abcd\n"
        "Policy: vr-tour-1/crowd\n"
        "Trigger: many_requests\n"
        "Site: bristol\n"
        "Value: 120\n"
        "Rule: mean(storage.requests) > 100 over 60 s\n"
        "Window: 2026-03-04T11:59:00Z/2026-03-04T12:00:00Z\n"
        "Query: SELECT 1 Trailer-Injection: yes\n"
    )


def test_trailers_are_read_from_the_last_paragraph_only() -> None:
    message = patch(CONNECT).message()

    assert trailer(message, "Alert") == "0123abcd"
    assert trailer("Subject\n\nAlert: forged\n\nA last paragraph", "Alert") == ""


def test_a_long_subject_is_cut_to_a_count() -> None:
    many = [StateSet("storage", f"edge-{number}", P, C) for number in range(9)]

    assert patch(*many).subject == "vr-tour-1: 9 changes by crowd"

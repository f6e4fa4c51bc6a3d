"""Owner marks survive every way in which OpenStack can carry them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.base import Mark, PermanentError
from providers.openstack import marks
from specs.model import Address, address, subject

NAMES = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,8}", fullmatch=True)
ADDRESSES = st.builds(
    lambda site, service, node, cluster, index, kind, name: address(
        subject(site, service, node, cluster, index), "openstack", kind, name
    ),
    NAMES,
    st.one_of(st.just("-"), NAMES),
    NAMES,
    st.one_of(st.just(""), NAMES),
    st.integers(-1, 30),
    NAMES,
    st.one_of(st.just(""), st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,8}", fullmatch=True)),
)
MARKS = st.builds(Mark, st.from_regex(r"[0-9a-f]{12}", fullmatch=True), ADDRESSES, st.just("d" * 32))
LONG = Mark("0123456789ab", Address(f"bristol/{'a' * 200}/db@dc-1.0:openstack.server"), "d" * 32)


@given(MARKS)
def test_marks_come_back_from_everywhere(mark: Mark) -> None:
    assert marks.read_sentence(marks.sentence(mark)) == mark
    assert marks.read_name(marks.name(mark)) == mark
    assert marks.read_mapping(marks.mapping(mark, "tosca."), "tosca.") == mark
    assert marks.read_pieces([*reversed(marks.pieces(mark)), "somebody's"]) == mark


@given(MARKS)
def test_marks_fit_what_carries_them(mark: Mark) -> None:
    assert re.fullmatch(r"[A-Za-z0-9 _-]{1,255}", marks.name(mark, "0123456789abcdef"))
    assert all(len(tag) <= 60 and "," not in tag and "/" not in tag for tag in (marks.object_tag(mark),))
    assert all(len(piece) <= 60 and "," not in piece for piece in marks.pieces(mark))


@given(MARKS)
def test_marks_of_another_project_are_not_ours(mark: Mark) -> None:
    assert marks.read_sentence(marks.sentence(mark, "alice"), "alice") == mark
    assert marks.read_sentence(marks.sentence(mark, "alice"), "bob") is None
    assert marks.read_name(marks.name(mark, "alice"), "alice") == mark
    assert marks.read_name(marks.name(mark, "alice")) is None


@pytest.mark.parametrize("text", [None, "", "tosca-reconciler", "tosca-reconciler a b no-address", "a b c d", 7])
def test_what_people_write_is_no_mark(text: object) -> None:
    assert marks.read_sentence(text) is None
    assert marks.read_name(text) is None


@pytest.mark.parametrize("write", [marks.sentence, marks.name])
def test_an_address_that_is_too_long_is_refused(write: object) -> None:
    with pytest.raises(PermanentError, match="shorten the names"):
        write(LONG)  # type: ignore[operator]  # both take a mark

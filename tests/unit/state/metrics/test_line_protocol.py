from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.metrics.lines import read_lines, write_lines
from state.metrics.vocabulary import MetricsError, Point

NAMES = st.text(
    st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\\\u2028\u2029\x85"), min_size=1, max_size=8
).filter(lambda name: name.strip() == name and not name.startswith("#") and '"' not in name)
VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=20),
)
POINTS = st.builds(
    Point,
    measurement=NAMES,
    tags=st.dictionaries(NAMES, NAMES, max_size=3),
    fields=st.dictionaries(NAMES, VALUES, min_size=1, max_size=3),
    time=st.integers(0, 2**62),
)


@given(st.lists(POINTS, max_size=4))
def test_what_is_written_is_read_again(points: list[Point]) -> None:
    assert list(read_lines(write_lines(points), now=0)) == points


def test_a_line_is_as_influxdb_wants_it() -> None:
    point = Point(
        measurement="my storage",
        tags={"b": "x=1", "a": "y"},
        fields={"n": 3, "f": 0.5, "s": 'say "hi"', "t": True},
        time=7,
    )

    assert write_lines([point]) == r'my\ storage,a=y,b=x\=1 f=0.5,n=3i,s="say \"hi\"",t=true 7'


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("m f=1 5", {"f": 1.0}),
        ("m f=1i,g=-2i 5", {"f": 1, "g": -2}),
        ("m f=t,g=FALSE 5", {"f": True, "g": False}),
        ('m f="a, b = c" 5', {"f": "a, b = c"}),
        ("m   f=1e3   5", {"f": 1000.0}),
    ],
)
def test_fields_are_read_by_their_type(line: str, fields: dict[str, object]) -> None:
    (point,) = read_lines(line, now=0)

    assert point.fields == fields
    assert point.time == 5


def test_comments_and_empty_lines_are_nothing_and_a_time_may_be_left_out() -> None:
    points = list(read_lines("# hello\n\nm f=1\r\nm f=2 3\n", now=9, precision="s"))

    assert [point.time for point in points] == [9, 3 * 10**9]


@pytest.mark.parametrize(
    "line",
    [
        "m",
        "m ",
        ",a=b f=1",
        "m,a f=1",
        "m f=",
        "m f=NaN",
        "m f=inf",
        "m f=1e999",
        "m f=9223372036854775808i",
        'm f="open',
        "m f=abc",
        "m f=1 noon",
        "m f=1 1 1",
        "m f=1 99999999999999999999",
        "m f=\u0661",
    ],
)
def test_what_is_no_line_is_named(line: str) -> None:
    with pytest.raises(MetricsError, match="line 2 is no line protocol"):
        list(read_lines(f"m f=1\n{line}", now=0))


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**63])
def test_numbers_that_are_none_are_not_written(value: float) -> None:
    with pytest.raises(MetricsError, match="cannot be stored"):
        write_lines([Point(measurement="m", tags={}, fields={"f": value}, time=0)])


def test_a_line_that_goes_on_and_on_is_refused() -> None:
    with pytest.raises(MetricsError, match="longer than"):
        list(read_lines("m f=1," + ",".join(f"f{n}=1" for n in range(20_000)), now=0))

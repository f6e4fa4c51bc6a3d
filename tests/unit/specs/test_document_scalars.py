"""Plain text means what the core schema of YAML 1.2 says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from specs.yaml.document import load
from specs.yaml.scalars import OutOfRange, Scalar, resolve, surprise


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("~", None), ("null", None), ("Null", None), ("NULL", None), ("nULL", "nULL"),
        ("true", True), ("True", True), ("TRUE", True), ("false", False), ("False", False), ("FALSE", False),
        ("yes", "yes"), ("No", "No"), ("on", "on"), ("y", "y"), ("tRue", "tRue"),
        ("0", 0), ("-0", 0), ("12", 12), ("+12", 12), ("-12", -12), ("007", 7), ("0777", 777), ("00", 0),
        ("0o17", 15), ("0o8", "0o8"), ("0x1F", 31), ("0xG", "0xG"), ("0b1", "0b1"), ("-0x1", "-0x1"), ("0X1", "0X1"),
        ("1_000", "1_000"), ("18446744073709551615", 2**64 - 1), ("-9223372036854775808", -(2**63)),
        ("0xffffffffffffffff", 2**64 - 1), ("00000000000000000000000000000000000000000000001", 1),
        ("1.5", 1.5), ("-1.5", -1.5), ("1.", 1.0), (".5", 0.5), ("+.5", 0.5), ("1e3", 1000.0), ("1.5E-3", 0.0015),
        (".", "."), ("-", "-"), ("+", "+"), ("1.2.3", "1.2.3"), ("1e", "1e"), ("e3", "e3"), ("1 000", "1 000"),
        (".infinity", ".infinity"), ("inf", "inf"), ("nan", "nan"), ("1:30", "1:30"), ("2001-12-14", "2001-12-14"),
        ("\u0661", "\u0661"), ("2 GB", "2 GB"), ("10.0.0.1", "10.0.0.1"),
    ],
)  # fmt: skip
def test_plain_text_is_read_by_the_core_schema(text: str, value: Scalar) -> None:
    read = resolve(text)

    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    "text",
    [".inf", "-.Inf", "+.INF", ".nan", ".NaN", "1e309", "18446744073709551616", "-9223372036854775809",
     "0x10000000000000000", "9" * 10_000, "0." + "1" * 10_000],
)  # fmt: skip
def test_numbers_that_do_not_fit_are_refused(text: str) -> None:
    with pytest.raises(OutOfRange):
        resolve(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no", "false"), ("YES", "true"), ("off", "false"), ("n", "false"),
        ("0777", "511"), ("-0777", "-511"), ("0899", "text"), ("0o17", "text"),
        ("12:30:45", "base 60"), ("1:30", "base 60"), ("1_000", "a number"), ("0b11", "a number"),
        ("+0x1F", "a number"),
        ("2001-12-14", "a date"), ("2001-12-14t21:59:43.10-05:00", "a date"), ("2001-1-1 0:00:00", "a date"),
        ("1e3", "text"), ("1.10", "a version"),
    ],
)  # fmt: skip
def test_surprises_say_how_others_read_it(text: str, words: str) -> None:
    assert words in surprise(text, resolve(text))


@pytest.mark.parametrize(
    "text",
    [
        "true",
        "null",
        "",
        "12",
        "-5",
        "0",
        "1.5",
        "1.0",
        "0x1F",
        "text",
        "10.0.0.1",
        "08:00",
        "-",
        "1.2.3",
        "2 GB",
        "nope",
    ],
)
def test_the_ordinary_is_no_surprise(text: str) -> None:
    assert surprise(text, resolve(text)) == ""


_LIKE_SCALARS = st.text(alphabet="0123456789+-.:eExXobtTrueFfalsNnyoYO~", max_size=12)
"""Without `_`, of which ruamel.yaml has ideas of its own: it takes `-_` and `.0_` for numbers."""


@given(_LIKE_SCALARS)
@settings(deadline=None)
def test_no_surprise_means_that_ruamel_reads_the_same(text: str) -> None:
    document, diagnostics = load("f.yaml", f"a: {text}\n".encode())
    if diagnostics or document is None:
        return

    assert repr(document.data) == repr(YAML(typ="safe", pure=True).load(f"a: {text}\n"))


@given(st.text(max_size=30))
@settings(deadline=None)
def test_resolving_gives_a_value_or_says_that_it_does_not_fit(text: str) -> None:
    try:
        value = resolve(text)
    except OutOfRange:
        return

    assert isinstance(surprise(text, value), str)

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specs.tosca.pattern import Pattern, PatternError


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "abc",
        "a|b|",
        "a*b+c?",
        "(ab)*",
        "(?:a|bc){2}",
        "a{0,2}b{1,}",
        "[a-c]+[^a-c]",
        r"\d{2}\.\w+",
        "^ab$",
        "^a|b$",
        "(^a|c$)",
        "a+?b",
        ".+",
        r"[]a]\]",
        r"[\w-]+",
        "(a*)*",
        "(a|)*b",
        "()",
    ],
)
@pytest.mark.parametrize(
    "text", ["", "a", "b", "ab", "abc", "aab", "abab", "bcbc", "aaabcc", "12.x", "ad", "]]", "a-b"]
)
def test_the_verdict_is_that_of_the_standard_library(pattern: str, text: str) -> None:
    assert Pattern(pattern).matches(text) == bool(re.fullmatch(pattern, text))


_ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\w"])
_PATTERNS = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map("".join),
        st.tuples(inner, inner).map("|".join).map("({})".format),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{0,2}"])).map(lambda part: f"({part[0]}){part[1]}"),
    ),
    max_leaves=5,
)


@given(_PATTERNS, st.text("ab-", max_size=6))
def test_any_pattern_agrees_with_the_standard_library(pattern: str, text: str) -> None:
    assert Pattern(pattern).matches(text) == bool(re.fullmatch(pattern, text))


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(.*)*x", "(a?){30}a{30}"])
def test_a_pattern_made_to_run_for_years_is_answered_at_once(pattern: str) -> None:
    assert Pattern(pattern).matches("a" * 3000 + "!") is False


@pytest.mark.parametrize(
    "pattern",
    ["(", ")", "a(", "[a", "*a", "a**", "a{2,1}", "a{", "\\", r"\1", r"\b", "(?=a)", "(?P<n>a)", "a$b", "a^b"],
)
def test_what_is_broken_or_not_supported_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        Pattern(pattern)


@pytest.mark.parametrize(
    "pattern", ["a{9999}", "((a{99}){99}){99}", "((()){1999}){1999}", "(" * 300 + ")" * 300, "a" * 9999]
)
def test_a_pattern_that_would_be_too_large_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        Pattern(pattern).matches("a")


def test_a_text_too_long_for_its_pattern_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        Pattern("a{500}").matches("a" * 100_000)

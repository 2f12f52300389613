"""What features.toml says of its patterns: that none can match without one of the texts given."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kg.features import features, hinted
from kg.late import late

PATTERNS = [
    pytest.param(number, pattern, id=f"{rule.knob}-{number}")
    for number, rule in enumerate(features())
    for pattern in (rule.text, rule.name)
    if pattern is not None
]
ASCII = st.characters(min_codepoint=32, max_codepoint=126)


@pytest.mark.parametrize(("number", "pattern"), PATTERNS)
def test_what_a_rule_matches_has_one_of_its_texts(number, pattern):
    whole = re.compile(pattern.pattern, pattern.flags)

    @settings(max_examples=25, deadline=None, database=None)
    @given(st.from_regex(whole, alphabet=ASCII))
    def holds(text: str) -> None:
        assert number in hinted(text)

    holds()


def test_texts_with_letters_that_only_a_pattern_takes_for_others_are_all_tried():
    assert re.search("kwta", "\u212awta", re.I)
    assert hinted("\u212awta") == tuple(range(len(features())))
    assert hinted("x = 1") == ()


def test_a_late_pattern_is_the_pattern():
    assert late(r"(a)b", re.I).sub(r"\1", "xABy") == "xAy"
    assert [m.group(1) for m in late(r"(\d)\d").finditer("12 34")] == ["1", "3"]
    assert late("b").search("abc").span() == (1, 2)

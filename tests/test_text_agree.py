"""Whether a message and its diff agree."""

from __future__ import annotations

import pytest
from wordings import LEXICON, claims

from kg.model import Change, ChangeType, OptimizerScope
from kg.text import Agreement, agree


def change(knob: str, way: str, old: str | None = None, new: str | None = None) -> Change:
    component = LEXICON.component(knob)
    return Change(knob, component, ChangeType(way), OptimizerScope.NONE, old, new)


@pytest.mark.parametrize(
    ("text", "changes", "expected"),
    [
        ("depth 8 to 9", [change("model.depth", "increase", "8", "9")], Agreement.AGREE),
        ("depth 9", [change("model.depth", "increase", "8", "9")], Agreement.AGREE),
        (
            "batch 524K to 262K",
            [change("batch.total", "decrease", "2**19", "2**18")],
            Agreement.AGREE,
        ),
        (
            "short window 1/8 context",
            [change("attention.short_window", "decrease", "w//2", "long_window//8")],
            Agreement.AGREE,
        ),
        (
            "S-window 1024->512",
            [change("attention.short_window", "decrease", "w//2", "long_window//4")],
            Agreement.AGREE,
        ),
        ("depth 9", [change("model.depth", "increase", "8", "10")], Agreement.CONTRADICT),
        ("lower the depth", [change("model.depth", "increase", "8", "10")], Agreement.CONTRADICT),
        ("softcap 20", [change("model.depth", "increase", "8", "10")], Agreement.CONTRADICT),
        (
            "depth 9",
            [change("model.depth", "increase", "8", "9"), change("model.width", "decrease")],
            Agreement.EXTRA_IN_DIFF,
        ),
        (
            "depth 9 + softcap 20",
            [change("model.depth", "increase", "8", "9"), change("model.width", "decrease")],
            Agreement.MISSING_IN_DIFF,
        ),
        ("depth 9", [], Agreement.MISSING_IN_DIFF),
        ("update README", [change("other.refactor", "no_effect")], Agreement.AGREE),
        ("baseline", [change("model.depth", "increase", "8", "9")], Agreement.NO_CLAIM),
    ],
)
def test_text_and_diff_agree_or_not(text: str, changes: list[Change], expected: Agreement) -> None:
    assert agree(claims(text), changes) is expected

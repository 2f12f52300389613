"""Read what an outcome says about direction: "(too shallow)", "(worse than 0.04)"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from kg.model import ChangeType
from kg.text_clauses import Segment
from kg.text_details import take_detail
from kg.text_direction import verb_class
from kg.text_drafts import Draft, Reading
from kg.text_quantity import compared_value, previous_value, value_after_than
from kg.text_tokens import Token
from kg.text_words import (
    CHEAPER,
    COMPARATIVES,
    COST_DOWN,
    COST_KNOBS,
    COST_UP,
    COSTLIER,
    COSTS,
    EXCESS,
)

WHOSE = re.compile(r"\b(?:gradient|optimizer|training|total) (?=step|update|token)")
"""What stands between "fewer" and "steps" without changing what is meant."""
BEYOND = {
    "much": ChangeType.INCREASE, "high": ChangeType.INCREASE, "aggressive": ChangeType.INCREASE,
    "strong": ChangeType.INCREASE, "low": ChangeType.DECREASE, "weak": ChangeType.DECREASE,
    "conservative": ChangeType.DECREASE, "little": ChangeType.DECREASE,
}  # fmt: skip
"""Excesses of a value itself: "(too much)", "(too low, 0.5 optimal)"."""
LEADING = frozenset({"bit", "far", "is", "slightly", "still", "way"})
"""Before "too" these leave it the value's: "(still too low)", not "(quality loss too much)"."""


def outcomes(reading: Reading, draft: Draft) -> None:
    """Read what the parentheses and context after a mention say about its direction."""
    tokens = reading.tokens
    for number in range(draft.segment, len(reading.segments)):
        segment = reading.segments[number]
        here = number == draft.segment
        later = [d for d in reading.drafts if d.claim and d.segment == number and d is not draft]
        if not here and segment.depth == 0 and later:
            return
        start = draft.mention.end if here else segment.start
        draft.old = draft.old or previous_value(tokens, start, segment.end)
        inner = [d for d in reading.drafts if d.segment == number and d is not draft]
        reason = min(reading.openers[number], told_cost(tokens, start, segment)) if here else start
        draft.hint = draft.hint or hint(tokens[max(start, reason) : segment.end], draft, inner)
        if here:
            after = draft.quantity.end if draft.quantity else segment.end
            draft.compared = value_after_than(tokens, after, segment.end)
            continue
        draft.compared = draft.compared or compared_value(tokens, start, segment.end)
        if draft.quantity is None or draft.quantity.new is None:
            take_detail(reading, draft, number)


def told_cost(tokens: Sequence[Token], start: int, segment: Segment) -> int:
    """Return where a cost is told right in the clause: "depth 14 fewer tokens"; else its end."""
    for position in range(start, segment.end - 1):
        if tokens[position].lemma in COMPARATIVES and tokens[position + 1].lemma in COSTS:
            return position
    return segment.end


def hint(part: Sequence[Token], draft: Draft, inner: Sequence[Draft]) -> ChangeType | None:
    """Read a direction from an outcome: "(too shallow)", "(slower)", "(longer cooldown)"."""
    for other in inner:
        same = other.knob.name == draft.knob.name and other.near_word
        if same and other.verb in {ChangeType.INCREASE, ChangeType.DECREASE}:
            return other.verb
    lemmas = [token.lemma for token in part]
    if lemmas[:1] in (["up"], ["down"]):
        return verb_class(lemmas[0])
    costly = cost(" ".join(lemmas)) if draft.knob.name in COST_KNOBS else None
    if costly is not None:
        return costly  # "too few steps" before "too few"
    for place, (word, following) in enumerate(pairwise(lemmas)):
        leading = place == 0 or lemmas[place - 1] in LEADING
        beyond = BEYOND.get(following) if word in {"too", "te"} and leading else None
        if beyond is not None and draft.knob.value_kind in {"number", "term"}:
            return beyond
        if word in {"too", "te"} and draft.knob.name in EXCESS.get(following, COST_KNOBS):
            if following in COSTLIER:
                return ChangeType.INCREASE
            if following in CHEAPER:
                return ChangeType.DECREASE
        if "capac" in following and draft.knob.name in COST_KNOBS:
            return verb_class(word)
    return None


def cost(outcome: str) -> ChangeType | None:
    """Read a direction from what an edit cost: fewer steps mean that something grew."""
    outcome = WHOSE.sub("", outcome)
    if any(words in outcome for words in COST_UP):
        return ChangeType.INCREASE
    if any(words in outcome for words in COST_DOWN):
        return ChangeType.DECREASE
    return None

"""Which of the names in a segment a value belongs to."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kg.text_clauses import Segment
from kg.text_direction import verb_class
from kg.text_drafts import Draft
from kg.text_match import Span
from kg.text_mentions import Mention
from kg.text_quantity import UNITS, Quantity, quantities
from kg.text_tokens import Token
from kg.text_words import CONTEXT, NEUTRAL, RUNS_OUT

CARD = re.compile(r"(?:10|16|20|30|40|50)[5-9]0")
"""Numbers that name a graphics card: "the batch size for a 4090" is not 4090."""


def curves(segment: Segment, spans: Sequence[Span]) -> list[Span]:
    """Return the names of curves in a segment: the 1 of "1-sqrt" is no value."""
    return [
        span
        for span in spans
        if segment.start <= span.start < segment.end
        and any(entry.concept.name == "shape" for entry in span.entries)
    ]


def sizes_of(
    tokens: Sequence[Token], segment: Segment, named: Sequence[Mention], rest: Sequence[Span]
) -> list[Quantity]:
    """Return the quantities of a segment.

    "Half" inside a name is no factor, the number in "1-sqrt cooldown" no value, and "twice as
    fast" doubles a rate, nothing else.
    """
    paces = {
        position
        for span in rest
        if any(entry.concept.name == "rate" for entry in span.entries)
        for position in range(span.start, span.end)
    }
    drawn = {
        position
        for span in rest
        if any(entry.concept.name == "shape" for entry in span.entries)
        for position in range(span.start, span.end)
    }
    inside = {
        position: mention.method != "lexicon" and mention.knob.value_kind == "choice"
        for mention in named
        for position in mention.named or range(mention.start, mention.end)
    }
    return [
        size
        for size in quantities(tokens, segment.start, segment.end)
        if not (
            inside.get(size.start)
            or size.start in drawn
            or (size.factor is not None and (size.start in inside or size.start in paces))
        )
    ]


def bearing(tokens: Sequence[Token], drafts: Sequence[Draft], size: Quantity) -> Sequence[Draft]:
    """Return the mentions a value can belong to: "the last 70%" is the length of a phase."""
    if not size.start or tokens[size.start - 1].lemma != "last":
        return drafts
    return [draft for draft in drafts if draft.knob.name in RUNS_OUT]


def starts_with_value(drafts: Sequence[Draft], sizes: Sequence[Quantity]) -> bool:
    """Tell whether the first thing of a segment is a value and the last a name."""
    if not drafts or not sizes:
        return False
    first = sizes[0].end <= drafts[0].mention.start
    return first and drafts[-1].mention.start >= sizes[-1].end


def holder(
    tokens: Sequence[Token], drafts: Sequence[Draft], size: Quantity, values_first: bool
) -> Draft | None:
    """Return the mention a quantity belongs to by its place: around it or right before it."""
    around = next((d for d in drafts if overlap(d.mention, size)), None)
    if around is not None:
        return around
    before = [d for d in drafts if d.mention.end <= size.start]
    if values_first or not before or size.factor is not None:
        return None
    if led_by_value(tokens, drafts, before[-1]) and tokens[size.start - 1].lemma == "at":
        return None  # "0.1 weight decay at 1024"
    return before[-1] if fits(tokens, before[-1], size) else None


def led_by_value(tokens: Sequence[Token], drafts: Sequence[Draft], draft: Draft) -> bool:
    """Tell whether the first name of a segment stands right behind a number: "0.1 WD"."""
    start = draft.mention.start
    return draft is drafts[0] and start > 0 and tokens[start - 1].kind == "number"


def neighbour(tokens: Sequence[Token], drafts: Sequence[Draft], size: Quantity) -> Draft | None:
    """Return the mention without a value that a left-over quantity may belong to."""
    after = next((d for d in drafts if d.mention.start >= size.end), None)
    if after is not None and leads(tokens[size.end : after.mention.start]):
        return after if after.quantity is None or size.paired else None
    before = [d for d in drafts if d.mention.end <= size.start]
    if not before or before[-1].quantity is not None:
        return None
    gap = tokens[before[-1].mention.end : size.start]
    card = size.new is not None and CARD.fullmatch(size.new.literal or "")
    return None if card and any(token.lemma == "for" for token in gap) else before[-1]


def leads(gap: Sequence[Token]) -> bool:
    """Tell whether a value may belong to the name after it: "5% warmup", "2 more layers"."""
    words = [token.lemma for token in gap if token.lemma != "as"]  # "twice as many heads"
    return len(gap) <= 3 and not any(word in CONTEXT for word in words)


def overlap(mention: Mention, size: Quantity) -> bool:
    """Tell whether a name stands inside a quantity ("12 layers instead of 8") or holds it."""
    return mention.start < size.end and size.start < mention.end


def fits(tokens: Sequence[Token], draft: Draft, size: Quantity) -> bool:
    """Tell whether a quantity follows its mention closely enough to be its value."""
    if draft.quantity is not None:
        return size.paired and not draft.quantity.paired
    gap = tokens[draft.mention.end : size.start]
    after = tokens[size.end].lemma if size.end < len(tokens) else ""
    if len(gap) == 1 and gap[0].lemma in {"for", "over"} and after in UNITS:
        return True  # "warmup for 100 steps"
    known = {"=", "to", "at", "of", "is", "from", "by", "->", "set", "be", "naar", "van", ":", "a"}
    if len(gap) == 1 and gap[0].kind == "word" and gap[0].lemma not in CONTEXT:
        return True
    return all(
        token.lemma in known or verb_class(token.lemma) or token.lemma in NEUTRAL for token in gap
    )

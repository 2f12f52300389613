"""Bind the values and verbs of a message to the knobs it mentions."""

from __future__ import annotations

from collections.abc import Sequence

from kg.model import ChangeType
from kg.text_carry import borrow_quantity, carry_pairs, carry_verb, split_up
from kg.text_clauses import Segment
from kg.text_context import context_from, is_place
from kg.text_direction import sense
from kg.text_drafts import Draft, Reading
from kg.text_match import Index, Span
from kg.text_mentions import PATTERN_KNOB, mentions
from kg.text_places import bearing, curves, holder, neighbour, sizes_of, starts_with_value
from kg.text_quantity import Quantity, as_window
from kg.text_share import own_heads, share_heads
from kg.text_tokens import Token
from kg.text_words import (
    COMPARATIVES,
    COSTS,
    FACTORS,
    GROWTH,
    LOWER,
    NEGATIONS,
    OTHER,
    PUSH,
)


def read(
    tokens: Sequence[Token], spans: Sequence[Span], parts: Sequence[Segment], index: Index
) -> Reading:
    """Find every mention of a message and bind what is said about it."""
    reading = Reading(tokens, list(parts))
    found = [(segment, *mentions(tokens, segment, spans, index)) for segment in parts]
    share_heads(tokens, found, index)
    own_heads(tokens, found, spans, index)
    for number, (segment, named, rest) in enumerate(found):
        sizes = sizes_of(tokens, segment, named, [*rest, *curves(segment, spans)])
        covered = {p for mention in named for p in range(mention.start, mention.end)}
        covered |= {p for size in sizes for p in range(size.start, size.end)}
        covered |= {p for span in rest for p in range(span.start, span.end)}
        reading.openers.append(context_from(tokens, segment, spans, covered))
        drafts = [Draft(mention, number) for mention in named]
        bind_values(tokens, drafts)
        bind_quantities(reading, number, drafts, sizes)
        named_at = {p for mention in named for p in range(mention.start, mention.end)}
        for position, draft in enumerate(drafts):
            bind_verb(reading, draft, drafts[position - 1] if position else None, named_at)
            split_up(tokens, draft, rest)
            if not position:
                carry_verb(reading, draft, segment)
            paired = draft.quantity is not None and draft.quantity.paired
            vague = draft.mention.weak and not paired
            draft.place = vague and is_place(tokens, segment.start, draft.mention.start)
        reading.drafts.extend(drafts)
    for number, (_, named, _) in enumerate(found):
        if any(mention.shared for mention in named):
            borrow_quantity(reading, number)
    carry_pairs(reading)
    return reading


def bind_values(tokens: Sequence[Token], drafts: list[Draft]) -> None:
    """Join the mentions of one choice: "relu^2 -> SwiGLU", "SDPA instead of flex_attention"."""
    kept: list[Draft] = []
    for draft in drafts:
        earlier = next((old for old in kept if old.knob.name == draft.knob.name), None)
        if draft.mention.value is not None:
            draft.new_value = draft.mention
        if earlier is None:
            kept.append(draft)
            continue
        between = tokens[(earlier.new_value or earlier.mention).end : draft.mention.start]
        words = {token.lemma for token in between}
        if draft.new_value is None:
            if "insteadof" in words:  # "pre-norm instead of post-norm"
                earlier.old_value = draft.mention
            else:
                kept.append(draft)
        elif earlier.new_value is None:
            earlier.new_value = draft.new_value
        elif words & {"insteadof", "vs"}:
            earlier.old_value = draft.new_value
        else:
            earlier.old_value, earlier.new_value = earlier.new_value, draft.new_value
    drafts[:] = kept


def bind_quantities(
    reading: Reading, number: int, drafts: Sequence[Draft], sizes: Sequence[Quantity]
) -> None:
    """Give each quantity to the mention around it, before it, else after it.

    A segment that starts with a value and ends with a name has its values first ("12 layers
    768 dim"); else a value follows its name ("500 trees depth 3").
    """
    left = []
    values_first = starts_with_value(drafts, sizes)
    for size in sizes:
        bearers = bearing(reading.tokens, drafts, size)
        target = holder(reading.tokens, bearers, size, values_first)
        if target is None:
            left.append(size)
        elif target.quantity is None or not target.quantity.paired:
            target.quantity = size
    for size in left:
        target = neighbour(reading.tokens, bearing(reading.tokens, drafts, size), size)
        if target is None:
            reading.free.append((number, size))
        else:
            target.quantity = size
    for draft in drafts:
        mark_step(reading.tokens, draft, reading.segments[number])
        letter_pattern(reading.tokens, draft, reading.segments[number])


def mark_step(tokens: Sequence[Token], draft: Draft, segment: Segment) -> None:
    """Note that a plain number follows "by": it is a factor or a step, not the new value."""
    new = draft.quantity.new if draft.quantity else None
    if draft.quantity is None or new is None or draft.quantity.paired or new.unit:
        return
    before = tokens[segment.start : draft.quantity.start]
    if before and before[-1].lemma == "by" and draft.mention.start < draft.quantity.start:
        factor = any(token.lemma in {"scale", "multiply", "multiplied"} for token in before)
        draft.by = "scale" if factor else "step"


def letter_pattern(tokens: Sequence[Token], draft: Draft, segment: Segment) -> None:
    """Read the single letter of ``WINDOW_PATTERN=L`` and ``pattern S``."""
    if draft.knob.name != PATTERN_KNOB or draft.quantity is not None:
        return
    for position in range(draft.mention.end, min(draft.mention.end + 3, segment.end)):
        token = as_window(tokens[position])
        if token.kind == "window":
            draft.quantity = Quantity(position, position + 1, token)
            return


def bind_verb(reading: Reading, draft: Draft, previous: Draft | None, named_at: set[int]) -> None:
    """Find the word that governs a mention: before it, inside it, or after it.

    ``named_at`` are the positions of names, whose words are no verbs: "reduce-overhead".
    """
    tokens, segment = reading.tokens, reading.segments[draft.segment]
    start = previous.mention.end if previous else segment.start
    for position in range(draft.mention.start - 1, start - 1, -1):
        told = position not in named_at and not of_cost(tokens, position)
        kind = sense(tokens[position].lemma, draft.knob) if told else None
        if kind is not None:
            draft.verb = kind
            draft.near_word = draft.mention.start - position <= 2
            draft.negated = tokens[position].lemma in NEGATIONS
            return
        if tokens[position].lemma in FACTORS:
            draft.near_word = True
    for position in range(draft.mention.start, draft.mention.end):
        lemma = paced(tokens, position)
        if lemma in COMPARATIVES | OTHER | LOWER or lemma in GROWTH:
            draft.verb, draft.near_word = sense(lemma, draft.knob), True
            return
        if lemma in FACTORS and draft.mention.method == "lexicon":  # "train twice as fast"
            larger = FACTORS[lemma] > 1
            draft.verb = ChangeType.INCREASE if larger else ChangeType.DECREASE
            draft.near_word = True
            return
    if previous is not None and previous.quantity is None:
        draft.verb, draft.negated = previous.verb, previous.negated
    if draft.verb is None:
        verb_after(reading, draft, named_at)
    before = tokens[start : draft.mention.start]
    if draft.verb is None and any(token.lemma in PUSH for token in before):
        draft.verb, draft.near_word = ChangeType.INCREASE, True


def of_cost(tokens: Sequence[Token], position: int) -> bool:
    """Tell whether a comparative speaks of what an edit costs: "fewer tokens"."""
    following = tokens[position + 1].lemma if position + 1 < len(tokens) else ""
    return tokens[position].lemma in COMPARATIVES and following in COSTS


def paced(tokens: Sequence[Token], position: int) -> str:
    """Return a word of a name, "slower" for the "more" of "more slowly"."""
    following = tokens[position + 1].lemma if position + 1 < len(tokens) else ""
    pace = {"slowly": "slower", "quickly": "faster"}.get(following, "")
    return pace if tokens[position].lemma == "more" and pace else tokens[position].lemma


def verb_after(reading: Reading, draft: Draft, named_at: set[int]) -> None:
    """Find the word after a mention that governs it: "depth up", "cooldown starts earlier"."""
    stop = min(reading.openers[draft.segment], draft.mention.end + 5)
    for position in range(draft.mention.end, stop):
        token = reading.tokens[position]
        kind = sense(token.lemma, draft.knob) if position not in named_at else None
        if of_cost(reading.tokens, position):
            return
        if kind in {ChangeType.ADD, ChangeType.REMOVE} and token.text.endswith("s"):
            return  # "what a block adds": it acts, nothing is done to it
        if kind is not None:
            draft.verb = kind
            draft.near_word = draft.near_word or position == draft.mention.end
            return

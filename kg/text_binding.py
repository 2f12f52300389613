"""Bind the values and verbs of a message to the knobs it mentions."""

from __future__ import annotations

from collections.abc import Sequence

from kg.model import ChangeType
from kg.text_carry import borrow_quantity, carry_pairs, carry_verb, split_up
from kg.text_clauses import Segment
from kg.text_context import context_from, is_place
from kg.text_direction import sense, verb_class
from kg.text_drafts import Draft, Reading
from kg.text_match import Index, Span
from kg.text_mentions import PATTERN_KNOB, Mention, mentions
from kg.text_quantity import UNITS, Quantity, as_window, quantities
from kg.text_share import own_heads, share_heads
from kg.text_tokens import Token
from kg.text_words import (
    COMPARATIVES,
    CONTEXT,
    COSTS,
    FACTORS,
    GROWTH,
    NEGATIONS,
    NEUTRAL,
    OTHER,
    PUSH,
    RUNS_OUT,
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
        sizes = sizes_of(tokens, segment, named, rest)
        covered = {p for mention in named for p in range(mention.start, mention.end)}
        covered |= {p for size in sizes for p in range(size.start, size.end)}
        covered |= {p for span in rest for p in range(span.start, span.end)}
        reading.openers.append(context_from(tokens, segment, spans, covered))
        drafts = [Draft(mention, number) for mention in named]
        bind_values(tokens, segment, drafts)
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
            or (size.factor is not None and (size.start in inside or size.start in paces))
        )
    ]


def bind_values(tokens: Sequence[Token], segment: Segment, drafts: list[Draft]) -> None:
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
    return before[-1] if fits(tokens, before[-1], size) else None


def neighbour(tokens: Sequence[Token], drafts: Sequence[Draft], size: Quantity) -> Draft | None:
    """Return the mention without a value that a left-over quantity may belong to."""
    after = next((d for d in drafts if d.mention.start >= size.end), None)
    if after is not None and leads(tokens[size.end : after.mention.start]):
        return after if after.quantity is None or size.paired else None
    before = [d for d in drafts if d.mention.end <= size.start]
    return before[-1] if before and before[-1].quantity is None else None


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
        if lemma in COMPARATIVES | OTHER or lemma in GROWTH:
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

"""Carry a verb or a value over to a name beside the one it was said of, or spread it out."""

from __future__ import annotations

from collections.abc import Sequence

from kg.model import ChangeType
from kg.text_clauses import Segment
from kg.text_drafts import Draft, Reading
from kg.text_match import Span
from kg.text_tokens import Token
from kg.text_words import SPREAD

PAIRING = frozenset({"and", "&", "plus", "en", "/"})
"""What joins a name to the one before it, so that both have one verb."""


def carry_verb(reading: Reading, draft: Draft, segment: Segment) -> None:
    """Let one verb govern two names: "increase depth and width", "halve device and total batch"."""
    new = draft.quantity.new if draft.quantity is not None else None
    multiple = new is not None and new.unit == "x"  # "lower A and B by 2x"
    own = draft.verb is not None or (draft.quantity is not None and not multiple)
    if own or draft.mention.start != segment.start:
        return
    if segment.joined_by not in PAIRING:
        draft.verb = listed_verb(reading, draft, segment)
        return
    before = [d for d in reading.drafts if d.segment == draft.segment - 1]
    if not before or reading.segments[draft.segment - 1].depth != segment.depth:
        return
    draft.verb, draft.near_word = before[-1].verb, before[-1].near_word
    led = before[-1].quantity if draft.quantity is None else None
    if led is not None and led.factor is not None and led.start < before[-1].mention.start:
        draft.quantity = led


def listed_verb(reading: Reading, draft: Draft, segment: Segment) -> ChangeType | None:
    """Return the verb of a list: "add A, B, C" adds all of them."""
    whole = draft.mention.end == segment.end and segment.depth == 0
    if segment.joined_by != "," or not whole or not reading.drafts:
        return None
    first = reading.drafts[-1]
    between = reading.segments[first.segment + 1 : draft.segment + 1]
    run = all(part.joined_by == "," and part.depth == 0 for part in between)
    listing = first.verb in {ChangeType.ADD, ChangeType.REMOVE} and first.quantity is None
    return first.verb if run and listing else None


def carry_pairs(reading: Reading) -> None:
    """Give a step that stands alone to the name before it: "warmdown wins, going 0.2 -> 0.4"."""
    for number, size in reading.free:
        before = [draft for draft in reading.drafts if draft.segment == number - 1]
        alone = all(draft.segment != number for draft in reading.drafts)
        if not (size.paired and alone and before and before[-1].quantity is None):
            continue
        level = reading.segments[number - 1].depth == reading.segments[number].depth
        if level and before[-1].knob.value_kind == "number" and not before[-1].mention.weak:
            before[-1].quantity = size


def lend_values(reading: Reading) -> None:
    """Give a claim the value a condition tells of the same knob: "GQA with 2 KV heads"."""
    for draft in reading.drafts:
        if draft.claim and draft.quantity is None:
            akin = (d for d in reading.drafts if not d.claim and d.knob.name == draft.knob.name)
            draft.quantity = next((d.quantity for d in akin if d.quantity), None)


def borrow_quantity(reading: Reading, number: int) -> None:
    """Give a mention without a value the value of the neighbour whose head it shares."""
    mine = [d for d in reading.drafts if d.segment == number and d.mention.shared]
    for draft in mine:
        for other in reading.drafts:
            if abs(other.segment - number) == 1 and not other.mention.shared:
                draft.quantity = draft.quantity or other.quantity
                draft.verb = draft.verb or other.verb
                other.quantity = other.quantity or draft.quantity  # "halve device and total batch"
                other.verb = other.verb or draft.verb


def split_up(tokens: Sequence[Token], draft: Draft, rest: Sequence[Span]) -> None:
    """Read "per-layer", "depth-dependent" beside a number or a choice: it is split over layers."""
    kind, start = draft.knob.value_kind, draft.mention.start
    if kind not in {"number", "choice"} and draft.knob.reference is None:
        return
    after = {token.lemma for token in tokens[draft.mention.end : draft.mention.end + 3]}
    spread = any(token.lemma in SPREAD for token in tokens[max(start - 2, 0) : start])
    if spread and kind != "choice" and after & {"for", "across", "per", "between", "vs"}:
        draft.verb, draft.near_word = ChangeType.RESTRUCTURE, True
    for span in rest:
        layered = any(entry.concept.name == "per_layer" for entry in span.entries)
        gap = min(abs(draft.mention.start - span.end), abs(span.start - draft.mention.end))
        if layered and gap <= 3:
            draft.verb, draft.near_word = ChangeType.RESTRUCTURE, True

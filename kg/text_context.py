"""Where a segment stops stating a change and starts on its condition, its reason, its place."""

from __future__ import annotations

from collections.abc import Sequence

from kg.model import ChangeType
from kg.text_clauses import Segment
from kg.text_direction import verb_class
from kg.text_match import Span
from kg.text_tokens import Token
from kg.text_words import CONTEXT, FACTORS, INSTRUMENT, METRICS, NEUTRAL, REPLACE, words

EDITS = words("change commit experiment patch pr record run submission update version")
ADVERBS = words("now no_longer only also always first then simply just instead")
SEEK = words("check explore find investigate probe see test understand")
"""Verbs that say what an edit is to find out."""
PLACES = words("from in on for of at across per between each every")
NOUN_WORDS = words("the last first early late middle odd even all")


def context_from(
    tokens: Sequence[Token], segment: Segment, spans: Sequence[Span], covered: set[int]
) -> int:
    """Return the position from which a segment states context; its end if nowhere.

    ``covered`` holds positions that belong to a name or a quantity: their words link, they
    open nothing ("WD 0.01 on lm_head", "from 0.5 to 0.7").
    """
    tools: set[str] = set()
    for position in range(segment.start, segment.end):
        lemma = tokens[position].lemma
        tools |= {lemma} & (REPLACE | INSTRUMENT)
        if position in covered:
            continue
        if lemma in {"with", "for", "by", "met", "voor"} and tools:
            continue
        if lemma == "as" and position > segment.start and tokens[position - 1].lemma in FACTORS:
            continue  # "half as many heads"
        if passive(tokens, position, segment) or self_named(tokens, position):
            continue
        if lemma in METRICS or (lemma in CONTEXT and not links(tokens, position, segment, spans)):
            return position
        if lemma in {"to", "at", "insteadof", "om"} and not links(tokens, position, segment, spans):
            return position
    return segment.end


def links(tokens: Sequence[Token], position: int, segment: Segment, spans: Sequence[Span]) -> bool:
    """Tell whether a preposition leads to a value ("at 0.1", "to SwiGLU"), not to a reason."""
    lemma = tokens[position].lemma
    after = position + 1
    if after >= segment.end:
        return True
    if lemma == "at" and setting(tokens, position, segment, spans):
        return False
    if lemma in {"at", "to", "from", "by", "insteadof", "of", "is", "are"}:
        if tokens[after].kind in {"number", "window"}:
            return True
        if tokens[after].value is not None:
            counted = lemma == "from" and any(span.start == after + 1 for span in spans)
            return not counted or leads_over(tokens, after, segment, spans)  # "from one norm"
        removed = position > segment.start and (
            verb_class(tokens[position - 1].lemma) is ChangeType.REMOVE
        )
        if lemma == "from" and removed:
            return False  # "mask removed from weight decay"
        if lemma == "from" and leads_over(tokens, after, segment, spans):
            return True
        purpose = verb_class(tokens[after].lemma) is not None or tokens[after].lemma in SEEK
        plain = not purpose  # "to eliminate X", "to test X"
        return lemma in {"to", "from", "insteadof"} and any(
            span.start == after or (span.start == after + 1 and plain) for span in spans
        )
    return False


def setting(
    tokens: Sequence[Token], position: int, segment: Segment, spans: Sequence[Span]
) -> bool:
    """Tell whether "at" gives the setting of a change named before: "halve WD at 65k batch"."""
    after = position + 1
    valued = after + 1 < segment.end and tokens[after].kind == "number"
    named = any(segment.start <= span.start < position for span in spans)
    return valued and named and any(span.start == after + 1 for span in spans)


def passive(tokens: Sequence[Token], position: int, segment: Segment) -> bool:
    """Tell whether "is" leads to what is done: "is now compiled with ...", "there is an ..."."""
    if tokens[position].lemma not in {"is", "are", "was", "were", "be", "been"}:
        return False
    if position > segment.start and tokens[position - 1].lemma == "there":
        return True
    after = position + 1
    while after < segment.end and tokens[after].lemma in ADVERBS:
        after += 1
    if after >= segment.end:
        return False
    return verb_class(tokens[after].lemma) is not None or tokens[after].text.endswith("ed")


def self_named(tokens: Sequence[Token], position: int) -> bool:
    """Tell whether a word speaks of the edit itself: "this PR adds", "the idea is to use"."""
    lemma = tokens[position].lemma
    ahead = [token.lemma for token in tokens[position + 1 : position + 3]]
    if lemma == "this":
        return bool(ahead) and ahead[0] in EDITS
    if lemma == "to":
        purpose = bool(ahead) and (ahead[0] in NEUTRAL or verb_class(ahead[0]) is not None)
        return purpose and position > 0 and tokens[position - 1].lemma in {"is", "had", "have"}
    if lemma == "is":
        return bool(ahead) and (ahead[0] == "to" or ahead[0] in NEUTRAL)
    return ahead[:1] == ["this"] and ahead[1:] != [] and ahead[1] in EDITS


def leads_over(
    tokens: Sequence[Token], after: int, segment: Segment, spans: Sequence[Span]
) -> bool:
    """Tell whether "from" goes on with "to" and a name: "from uniform to truncated normal"."""
    stop = min(after + 4, segment.end - 1)
    onward = [p for p in range(after, stop) if tokens[p].lemma in {"to", "->"}]
    return any(span.start in {p + 1, p + 2} for p in onward for span in spans)


def is_place(tokens: Sequence[Token], start: int, noun: int) -> bool:
    """Tell whether a noun says where: "in the last 2 layers", "from layer 7".

    ``start`` is where its segment starts, ``noun`` where the noun stands.
    """
    after = tokens[noun + 1] if noun + 1 < len(tokens) else None
    if tokens[noun].text.lower() in {"layer", "block"} and after is not None:
        following = tokens[noun + 2].lemma if noun + 2 < len(tokens) else ""
        if after.kind == "number" and following not in {"->", "to"}:
            return True  # "layer 7", but "layer 8 -> 10" counts them
    if noun > start and tokens[noun - 1].lemma == "to":
        return True  # "add dropout to blocks", but "down to 6 blocks" counts them
    before = noun - 1
    while before > start and (
        tokens[before].kind == "number" or tokens[before].lemma in NOUN_WORDS
    ):
        before -= 1
    return before >= start and tokens[before].lemma in PLACES

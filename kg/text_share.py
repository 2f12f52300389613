"""Names whose head stands elsewhere: "embedding and lm_head LR", "muon: lr 0.03", "its LR"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from kg.text_clauses import EQUAL, Segment
from kg.text_match import Index, Span, terms_of
from kg.text_mentions import Mention, composed
from kg.text_tokens import Token
from kg.text_words import CONTEXT

OWN = frozenset({"its", "their", "zijn", "hun"})


GENERAL = frozenset({"all", "adam"})
"""Terms a name leaves open: "LR multiplier" is everyone's until a topic stands before it."""


Part = tuple[Segment, list[Mention], list[Span]]
"""A segment with the mentions found in it and the names left over."""


def own_heads(
    tokens: Sequence[Token], parts: Sequence[Part], spans: Sequence[Span], index: Index
) -> None:
    """Read "Muon is too fast: bring its LR to 0.03" as Muon's, in place."""
    for _, found, _ in parts:
        for position, mention in enumerate(found):
            before = tokens[mention.start - 1].lemma if mention.start else ""
            if before not in OWN or len(mention.terms) != 1:
                continue
            for span in reversed([span for span in spans if span.end < mention.start]):
                narrow = borrow([span], mention, index)
                if narrow is not None:
                    found[position] = replace(
                        mention, knobs=narrow.knobs, terms=narrow.terms, rule=narrow.rule
                    )
                    break


def beside(tokens: Sequence[Token], segment: Segment, rest: Sequence[Span]) -> int:
    """Count the words of a segment that no name holds."""
    named = {position for span in rest for position in range(span.start, span.end)}
    places = range(segment.start, segment.end)
    return sum(tokens[p].kind == "word" for p in places if p not in named)


def share_heads(tokens: Sequence[Token], parts: Sequence[Part], index: Index) -> None:
    """Give "embedding" of "embedding and lm_head LR" the head its neighbour has, in place."""
    topics(parts, index)
    listed_heads(parts, index)
    for here, (segment, found, rest) in enumerate(parts):
        if found or not rest:
            continue
        if here + 1 < len(parts) and parts[here + 1][0].joined_by == ":":
            scope(rest, parts[here + 1 :], index)
            continue
        if here + 1 < len(parts) and parts[here + 1][0].joined_by == "(" and len(rest) == 1:
            scope(rest, parts[here + 1 : here + 2], index)  # "Muon steps larger (LR 0.04->0.05)"
        for there in (here + 1, here - 1):
            if not 0 <= there < len(parts):
                continue
            other, neighbours, _ = parts[there]
            joint = parts[max(here, there)][0].joined_by
            if not neighbours:
                continue
            partner = neighbours[0] if there > here else neighbours[-1]
            if joint == "(" and there < here:
                heads = [m for m in neighbours if closes(tokens, other, m)]
                fitting = (m for m in reversed(heads) if borrow(rest, m, index))
                partner = next(fitting, partner)
            headed = joint in {":", "("} and there < here and len(partner.terms) == 1
            if joint == "(":
                headed = headed and closes(tokens, other, partner) and segment.depth == 1
            elif other.depth != segment.depth:
                continue
            loose = joint == "," and beside(tokens, segment, rest) > 1
            if not headed and (loose or joint not in EQUAL | {","}):
                continue  # "untie the head at 2/3 of training, update LR"
            mention = borrow(rest, partner, index)
            if mention is not None and mention.knob.name != partner.knob.name:
                found.append(mention)
                if headed:  # "LRs: matrix 0.04->0.05, embed 0.6->0.7"
                    neighbours.remove(partner)
                break


def closes(tokens: Sequence[Token], segment: Segment, mention: Mention) -> bool:
    """Tell whether a head ends its clause: "3x LR increase (", "LRs for the small batch ("."""
    if segment.end - mention.end <= 1:
        return True
    return len(mention.terms) == 1 and tokens[mention.end].lemma in CONTEXT


def topics(parts: Sequence[Part], index: Index) -> None:
    """Join a name before a colon with the first one after it, in place.

    "Residual lambdas: LR 0.01 -> 0.05" is their rate, "value embeds init: std 0.5x" one thing.
    """
    for (segment, topic, _), (after, found, _) in pairwise(parts):
        whole = len(topic) == 1 and topic[0].start == segment.start
        whole = whole and segment.end - topic[0].end <= 1  # "x0 params: ..."
        heads = [term for term in found[0].terms if term not in GENERAL] if found else []
        if after.joined_by != ":" or not whole or len(heads) != 1:
            continue
        known, head = topic[0], heads[0]
        knobs = known.knobs if head in known.terms else ()
        terms = known.terms
        if not knobs and len(terms) == 1:
            terms = (head, *terms)
            patterns = index.patterns.get(frozenset(terms), ())
            knobs = tuple(pattern.knob for pattern in patterns if not pattern.weak)
        if knobs:
            found[0] = replace(found[0], knobs=knobs, terms=terms, rule=" ".join(terms))
            topic.clear()


def listed_heads(parts: Sequence[Part], index: Index) -> None:
    """Read "weight decay (wte=0.001 ve=0.003 lm_head=0.01)" as one for each group, in place."""
    for (segment, before, _), (inner, found, rest) in pairwise(parts):
        if inner.joined_by != "(" or not before or before[-1].end != segment.end:
            continue
        head = before[-1].terms[:1]
        lone = [m for m in found if m.method == "lexicon" and len(m.terms) == 1 and head]
        named = [(m.start, m.end, frozenset(m.terms)) for m in lone]
        named += [(span.start, span.end, terms) for span in rest for terms in terms_of(span)]
        each = {}
        for start, end, terms in named:
            patterns = index.patterns.get(terms | set(head), ())
            strong = tuple(pattern.knob for pattern in patterns if not pattern.weak)
            if strong and not terms & set(head):
                each[start] = Mention(
                    strong, start, end, "lexicon", " ".join(patterns[0].terms), patterns[0].terms,
                    shared=True,
                )  # fmt: skip
        if len(each) > 1:
            kept = [mention for mention in found if mention not in lone]
            found[:] = sorted([*kept, *each.values()], key=lambda mention: mention.start)
            before.pop()


def scope(
    rest: Sequence[Span],
    parts: Sequence[Part],
    index: Index,
) -> None:
    """Narrow what follows a colon to what stands before it: "muon: lr 0.04->0.03, wd 0.1"."""
    for _, found, _ in parts:
        for position, mention in enumerate(found):
            narrow = borrow(rest, mention, index) if len(mention.terms) == 1 else None
            if narrow is not None:
                found[position] = replace(
                    mention, knobs=narrow.knobs, terms=narrow.terms, rule=narrow.rule
                )


def borrow(rest: Sequence[Span], partner: Mention, index: Index) -> Mention | None:
    """Compose a left-over name with the head of a neighbouring mention."""
    if not partner.terms:
        return None
    for span in rest:
        for terms in terms_of(span):
            patterns = index.patterns.get(terms | {partner.terms[0]}, ())
            strong = [pattern for pattern in patterns if not pattern.weak]
            if strong and not terms & set(partner.terms):
                return composed([span], strong, shared=True)
    return None

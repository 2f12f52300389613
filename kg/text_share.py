"""Names whose head stands elsewhere: "embedding and lm_head LR", "muon: lr 0.03", "its LR"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kg.text_clauses import EQUAL, Segment
from kg.text_match import Index, Span
from kg.text_mentions import Mention, composed, terms_of
from kg.text_tokens import Token

OWN = frozenset({"its", "their", "zijn", "hun"})


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


def share_heads(parts: Sequence[Part], index: Index) -> None:
    """Give "embedding" of "embedding and lm_head LR" the head its neighbour has, in place."""
    for here, (segment, found, rest) in enumerate(parts):
        if found or not rest:
            continue
        if here + 1 < len(parts) and parts[here + 1][0].joined_by == ":":
            scope(rest, parts[here + 1 :], index)
            continue
        for there in (here + 1, here - 1):
            if not 0 <= there < len(parts):
                continue
            other, neighbours, _ = parts[there]
            joint = parts[max(here, there)][0].joined_by
            if not neighbours:
                continue
            headed = joint in {":", "("} and there < here and len(neighbours[-1].terms) == 1
            if joint == "(":
                headed = headed and neighbours[-1].end == other.end and segment.depth == 1
            elif other.depth != segment.depth:
                continue
            if not headed and joint not in EQUAL | {","}:
                continue
            partner = neighbours[0] if there > here else neighbours[-1]
            mention = borrow(rest, partner, index)
            if mention is not None:
                found.append(mention)
                if headed:  # "LRs: matrix 0.04->0.05, embed 0.6->0.7"
                    neighbours.remove(partner)
                break


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

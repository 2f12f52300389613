"""From names to mentions of knobs: terms compose ("LR of the embeddings"), values point up.

The compositional lexicon: a pattern is a set of terms, its head first; the longest set found
among neighbouring names wins, so "muon momentum warmup" is not read as "warmup".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product

from kg.lexicon import Concept
from kg.model import ChangeType
from kg.text_clauses import Segment
from kg.text_direction import verb_class
from kg.text_match import Index, Pattern, Span, terms_of
from kg.text_tokens import Token
from kg.text_words import (
    COMPARATIVES,
    CONTEXT,
    COSTS,
    FACTORS,
    GROWTH,
    INSTRUMENT,
    LOWER,
    MODEL,
    NEUTRAL,
)

REACH = 4
"""Most names one pattern may span; the longest pattern has three terms."""
GAP = 5
"""Most tokens between two names of one pattern: "WD of 0.01 added to the lm_head"."""
STOPS = frozenset(
    {"with", "because", "so", "while", "keep", "vs", "insteadof", "via", "until", "than"}
)
LINKING = frozenset(
    {"on", "to", "for", "of", "in", "toward", "against", "inside", "op", "voor", "van", "aan"}
)
COUNTED = frozenset({"layer", "head"})
PATTERN_KNOB = "attention.window_pattern"


@dataclass(frozen=True, slots=True)
class Mention:
    """One knob named over tokens ``start`` to ``end``; ``knobs`` are its readings, best first."""

    knobs: tuple[Concept, ...]
    start: int
    end: int
    method: str  # alias | lexicon | human
    rule: str
    terms: tuple[str, ...] = ()
    value: Concept | None = None  # the text named a value of the knob ("SwiGLU")
    weak: bool = False
    named: frozenset[int] = frozenset()  # the tokens of its names, without the gaps between
    shared: bool = False  # the head stands in a neighbouring segment ("embedding and head LR")

    @property
    def knob(self) -> Concept:
        """The best reading."""
        return self.knobs[0]


def mentions(
    tokens: Sequence[Token], segment: Segment, spans: Sequence[Span], index: Index
) -> tuple[list[Mention], list[Span]]:
    """Return the mentions in one segment, in order, and the names left over."""
    items = [
        span
        for span in spans
        if segment.start <= span.start and span.end <= segment.end and not adjective(tokens, span)
    ]
    found: list[Mention] = []
    used: set[int] = set()
    for chosen, patterns in ranked_patterns(tokens, items, index):
        starts = {span.start for span in chosen}
        if used.isdisjoint(starts):
            used |= starts
            found.append(composed(chosen, patterns))
    items = [item for item in items if item.start not in used]
    rest = []
    for item in items:
        mention = alone(item, index)
        if mention is None:
            rest.append(item)
        else:
            found.append(mention)
    found.extend(window_strings(tokens, segment, found, index))
    found = [mention for mention in found if not describes(tokens, segment, mention)]
    return without_echoes(without_parts(sorted(found, key=lambda mention: mention.start))), rest


def adjective(tokens: Sequence[Token], span: Span) -> bool:
    """Tell "learned value embeddings" from "the value embeddings learn faster"."""
    word = tokens[span.start].text.lower()
    return span.end - span.start == 1 and word in {"learned", "learnable", "learnt", "trainable"}


def describes(tokens: Sequence[Token], segment: Segment, mention: Mention) -> bool:
    """Tell whether "narrower" is said of something that is not the model: a gate, a table."""
    if mention.terms != ("width",) or mention.method != "lexicon":
        return False
    if tokens[mention.end - 1].lemma not in COMPARATIVES | GROWTH:
        return False
    sides = [
        position
        for position in (mention.start - 1, mention.end)
        if segment.start <= position < segment.end
    ]
    return any(
        tokens[position].kind == "word" and not idle(tokens[position].lemma) for position in sides
    )


def idle(word: str) -> bool:
    """Tell whether a word beside "wider" leaves the model as what is meant."""
    return word in MODEL or word in CONTEXT or word in NEUTRAL or verb_class(word) is not None


def without_parts(found: Sequence[Mention]) -> list[Mention]:
    """Drop a one-term mention whose term a larger one holds: "init the head with larger std"."""
    larger = {term for mention in found if len(mention.terms) > 1 for term in mention.terms}
    return [
        mention
        for mention in found
        if not (mention.method == "lexicon" and mention.terms == ("init",) and "init" in larger)
    ]


def without_echoes(found: Sequence[Mention]) -> list[Mention]:
    """Drop a vague mention right beside a full name of its component.

    "WD warmup schedule" is one schedule, "anneal the LR all the way to zero" one final rate.
    """
    vague = {("schedule", "lr")}
    full = [
        m
        for m in found
        if not (m.method == "lexicon" and (len(m.terms) == 1 or m.terms in vague)) and not m.weak
    ]
    return [
        mention
        for mention in found
        if mention in full
        or not any(
            (other.knob.broader == mention.knob.broader or mention.terms == ("schedule",))
            and (other.end == mention.start or mention.end == other.start)
            and mention.start != mention.end
            for other in full
        )
    ]


def ranked_patterns(
    tokens: Sequence[Token], items: Sequence[Span], index: Index
) -> list[tuple[tuple[Span, ...], tuple[Pattern, ...]]]:
    """Return the neighbouring names that make a pattern: longest, strong, tightest first."""
    found = []
    for first in range(len(items)):
        for last in range(first + 1, min(first + REACH, len(items))):
            if not near(tokens, items[last - 1], items[last]):
                break
            if not (terms_of(items[first]) and terms_of(items[last])):
                continue
            for chosen in subsets(items, first, last):
                patterns = match(chosen, index)
                if patterns:
                    width = items[last].end - items[first].start
                    weak = patterns[0].weak
                    found.append(((-len(patterns[0].terms), weak, width, first), chosen, patterns))
    found.sort(key=lambda entry: entry[0])
    return [(chosen, patterns) for _, chosen, patterns in found]


def subsets(items: Sequence[Span], first: int, last: int) -> list[tuple[Span, ...]]:
    """Return the choices of names that keep both ends, at least two of them, terms only."""
    inner = [item for item in items[first + 1 : last] if terms_of(item)]
    return [
        (items[first], *middle, items[last])
        for size in range(len(inner), -1, -1)
        for middle in combinations(inner, size)
    ]


def near(tokens: Sequence[Token], left: Span, right: Span) -> bool:
    """Tell whether nothing between two names cuts them apart.

    A value between them closes the first name (BATCH=256 TOTAL=2^19) unless a preposition
    follows it ("WD 0.01 on lm_head"), it is a multiple ("MLP 4x->3x expansion"), it counts what
    comes next ("loop the last 2 blocks"), or a curve stands before it ("constant 0.1 WD").
    """
    gap = tokens[left.end : right.start]
    while_training = any(terms & {"phase", "gradual", "span"} for terms in terms_of(right))
    if len(gap) > GAP or stopped(tokens, left, gap) or (moves(gap) and not while_training):
        return False
    after = tokens[right.end].lemma if right.end < len(tokens) else ""
    if after in COSTS and any(token.lemma in COMPARATIVES for token in gap):
        return False  # "batch size to 2^18 for 2x more optimizer steps"
    valued = any(token.kind in {"number", "window"} for token in gap)
    joined = any(token.lemma in LINKING or token.unit == "x" for token in gap)
    counted = (
        any(terms & COUNTED for terms in terms_of(right))
        and bool(valued)
        and gap[-1].kind == "number"
    )
    curve = len(gap) == 1 and any("shape" in terms for terms in terms_of(left))
    return joined or not valued or counted or while_training or curve


def moves(gap: Sequence[Token]) -> bool:
    """Tell whether a word between two names does something to the second one alone.

    "More optimizer steps by halving the batch", but "give the embeddings a gentler LR" and
    "heads half as wide".
    """
    cutting = {ChangeType.INCREASE, ChangeType.DECREASE, ChangeType.REMOVE, ChangeType.REPLACE}
    shared = gap[-1:] and gap[-1].lemma not in {"as", "of"}  # "half as wide", "half of the dims"
    kept = COMPARATIVES if shared else COMPARATIVES | FACTORS.keys()
    kept = kept | LOWER if any(token.lemma == "with" for token in gap) else kept
    words = {token.lemma for token in gap if token.kind == "word"} - kept
    return any(word in FACTORS or verb_class(word) in cutting for word in words)


def stopped(tokens: Sequence[Token], left: Span, gap: Sequence[Token]) -> bool:
    """Tell whether a gap starts or ends with a word that cuts; not "regularize wte with WD"."""
    ends = {token.lemma for token in (*gap[:1], *gap[-1:])} & STOPS
    led = {token.lemma for token in tokens[max(left.start - REACH, 0) : left.end]}
    better = any(
        token.lemma in COMPARATIVES | LOWER for token in gap
    )  # "with a bigger learning rate"
    return bool(ends - {"with"}) or ("with" in ends and not (better or led & INSTRUMENT))


def match(chosen: Sequence[Span], index: Index) -> tuple[Pattern, ...]:
    """Return the patterns that are exactly the terms of these names."""
    for parts in product(*(terms_of(span) for span in chosen)):
        terms: frozenset[str] = frozenset().union(*parts)
        if len(terms) == sum(len(part) for part in parts) and terms in index.patterns:
            return index.patterns[terms]
    return ()


def composed(chosen: Sequence[Span], patterns: Sequence[Pattern], shared: bool = False) -> Mention:
    """Build the mention of a pattern."""
    return Mention(
        knobs=tuple(pattern.knob for pattern in patterns),
        start=min(span.start for span in chosen),
        end=max(span.end for span in chosen),
        method="lexicon",
        rule=" ".join(patterns[0].terms),
        terms=patterns[0].terms,
        weak=all(pattern.weak for pattern in patterns),
        named=frozenset(p for span in chosen for p in range(span.start, span.end)),
        shared=shared,
    )


def alone(span: Span, index: Index) -> Mention | None:
    """Return what one name means by itself: a knob, a value of a knob, a one-term pattern."""
    for entry in span.entries:
        concept = entry.concept
        if concept.kind == "knob":
            method = "human" if entry.user else "alias"
            terms = max(concept.patterns, key=len, default=())
            found = Mention((concept,), span.start, span.end, method, entry.label, terms)
            return replace(found, weak=entry.weak)
        if concept.kind == "value":
            knob = index.knobs[concept.broader]
            return Mention((knob,), span.start, span.end, "alias", entry.label, value=concept)
    for terms_set in terms_of(span):
        patterns = index.patterns.get(terms_set, ())
        if patterns:
            return composed([span], sorted(patterns, key=lambda pattern: pattern.weak))
    return None


def window_strings(
    tokens: Sequence[Token], segment: Segment, found: Sequence[Mention], index: Index
) -> list[Mention]:
    """Read "SSSL" as the window pattern where the text does not say so."""
    if any(mention.knob.name == PATTERN_KNOB for mention in found):
        return []
    knob = index.knobs.get(PATTERN_KNOB)
    positions = [p for p in range(segment.start, segment.end) if tokens[p].kind == "window"]
    if not positions or knob is None:
        return []
    return [Mention((knob,), positions[0], positions[0], "lexicon", "window string")]

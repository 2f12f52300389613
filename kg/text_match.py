"""Find the lexicon's names in a message: longest first, on lemmas.

The names are one table of lemma tuples. This module looks them up directly; kg.text_spacy
gives the same spans through a spaCy SpanRuler (a test compares the two on every label and
every real message). Paths with a start-up bar use this one: importing spaCy takes 1 to 8 s.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from kg.lexicon import Concept, Lexicon
from kg.text_lemmas import lemma_of
from kg.text_tokens import Token, key_of
from kg.text_words import COMPARATIVES

Key = tuple[str, ...]
LONGEST = 8
"""Most words of a name; the lexicon's longest has seven (a test holds it to this)."""
SHORT = 3
"""Fewest letters of an unknown knob's own name: ``tol`` is one, ``a`` is a word."""
JOINED = 7
"""Shortest joined form: ``weightdecay`` for "weight decay", but never ``smlr``."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One concept a name can mean, and how much the name alone is worth."""

    concept: Concept
    label: str
    weak: bool = False  # a hidden label: it needs a value or a direction beside it
    user: bool = False  # from the user's aliases.toml


@dataclass(frozen=True, slots=True)
class Span:
    """A name found in a message: tokens ``start`` to ``end`` (exclusive)."""

    start: int
    end: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Pattern:
    """Terms that together name a knob; the first is the head."""

    knob: Concept
    terms: tuple[str, ...]
    weak: bool


@dataclass(frozen=True)
class Index:
    """The lexicon turned round: from lemmas to concepts, from terms to patterns."""

    names: dict[Key, tuple[Entry, ...]]
    patterns: dict[frozenset[str], tuple[Pattern, ...]]
    knobs: dict[str, Concept]


@lru_cache(maxsize=8)
def index_of(lexicon: Lexicon) -> Index:
    """Build the index of a lexicon once per version."""
    names: dict[Key, list[Entry]] = defaultdict(list)
    patterns: dict[frozenset[str], list[Pattern]] = defaultdict(list)
    for concept in lexicon.concepts.values():
        for entry, label in named(concept):
            key = key_of(label)
            if key and all(entry.concept.iri != old.concept.iri for old in names[key]):
                names[key].append(entry)
        for terms in concept.patterns:
            patterns[frozenset(terms)].append(Pattern(concept, terms, weak=False))
        for terms in concept.weak_patterns:
            patterns[frozenset(terms)].append(Pattern(concept, terms, weak=True))
    add_joined(names)
    return Index(
        names={key: tuple(entries) for key, entries in names.items() if entries},
        patterns={
            terms: tuple(sorted(found, key=lambda pattern: pattern.weak))
            for terms, found in patterns.items()
        },
        knobs={knob.name: knob for knob in lexicon.knobs},
    )


def named(concept: Concept) -> Iterable[tuple[Entry, str]]:
    """Yield every label of a concept that text is searched for; components have none."""
    if concept.kind == "component":
        return
    for label in (concept.label, *concept.alt):
        yield Entry(concept, label), label
    for label in concept.hidden:
        yield Entry(concept, label, weak=True), label
    for label in concept.user:
        yield Entry(concept, label, user=True), label


def add_joined(names: dict[Key, list[Entry]]) -> None:
    """Let "weight decay" be found as ``weightdecay``, "layer norm" as ``LayerNorm``."""
    for key in sorted(names):
        joined = "".join(key)
        form = (lemma_of(joined),)
        if len(key) > 1 and joined.isalpha() and len(joined) >= JOINED and form not in names:
            names[form] = list(names[key])


def find(tokens: Sequence[Token], index: Index) -> tuple[Span, ...]:
    """Return the names in a message, longest first, none overlapping, in order."""
    return tuple(Span(start, end, entries) for start, end, entries in look_up(tokens, index.names))


def look_up(
    tokens: Sequence[Token], names: Mapping[Key, tuple[Entry, ...]]
) -> list[tuple[int, int, tuple[Entry, ...]]]:
    """Look every run of lemmas up in a table of names."""
    lemmas = [token.lemma for token in tokens]
    found = [
        (start, end)
        for start in range(len(lemmas))
        for end in range(start + 1, min(start + LONGEST, len(lemmas)) + 1)
        if tuple(lemmas[start:end]) in names
    ]
    return [(start, end, names[tuple(lemmas[start:end])]) for start, end in longest_first(found)]


def with_knobs(
    spans: Sequence[Span], tokens: Sequence[Token], knobs: Iterable[str], lexicon: Lexicon
) -> tuple[Span, ...]:
    """Add the names of knobs no lexicon knows: ``n_estimators`` names other.GBR.n_estimators.

    The diff of any script offers such knobs; the last part of the path is what people write.
    """
    own: dict[Key, tuple[Entry, ...]] = {}
    for knob in knobs:
        key = key_of(knob.rpartition(".")[2])
        if lexicon.knob(knob) is None and len("".join(key)) >= SHORT:
            own[key] = (Entry(Concept("knob", knob, broader=lexicon.component(knob)), knob),)
    if not own:
        return tuple(spans)
    every = {(span.start, span.end): span for span in spans}
    every |= {(start, end): Span(start, end, new) for start, end, new in look_up(tokens, own)}
    return tuple(every[place] for place in longest_first(every))


def terms_of(span: Span) -> tuple[frozenset[str], ...]:
    """Return what a name can be in a pattern: a term, or the terms of the knob it names.

    "Muon momentum" is itself a knob, and momentum + muon in "start Muon momentum at 0.8".
    """
    found: list[frozenset[str]] = []
    for entry in span.entries:
        if entry.concept.kind == "term":
            found.append(frozenset({entry.concept.name}))
        elif entry.concept.kind == "knob":
            found.extend(frozenset(terms) for terms in entry.concept.patterns)
    return tuple(found)


def with_heads(spans: Sequence[Span], tokens: Sequence[Token], index: Index) -> tuple[Span, ...]:
    """Take a comparative out of a name that is a part of another: "bigger head LR".

    "Bigger heads" names their size; where a name follows that goes with "head" alone, the
    comparative is said of both together.
    """
    found = list(spans)
    for place, (span, after) in enumerate(pairwise(spans)):
        rest = tuple(token.lemma for token in tokens[span.start + 1 : span.end])
        if span.end != after.start or tokens[span.start].lemma not in COMPARATIVES:
            continue
        part = Span(span.start + 1, span.end, index.names.get(rest, ()))
        whole = (one | other for one in terms_of(part) for other in terms_of(after))
        if any(terms in index.patterns for terms in whole):
            found[place] = part
    return tuple(found)


def longest_first(found: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Keep the longest ranges (the leftmost of equals) that do not overlap, in order."""
    taken: set[int] = set()
    kept = []
    for start, end in sorted(found, key=lambda span: (span[0] - span[1], span[0])):
        if taken.isdisjoint(range(start, end)):
            taken.update(range(start, end))
            kept.append((start, end))
    return sorted(kept)

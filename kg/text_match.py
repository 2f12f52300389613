"""Find the lexicon's names in a message: longest first, on lemmas.

The names are one table of lemma tuples. This module looks them up directly; kg.text_spacy
gives the same spans through a spaCy SpanRuler (a test compares the two on every label and
every real message). Paths with a start-up bar use this one: importing spaCy takes 1 to 8 s.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from kg.lexicon import Concept, Lexicon
from kg.text_tokens import Token, key_of

Key = tuple[str, ...]
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
    longest: int
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
        longest=max(len(key) for key in names),
        patterns={terms: tuple(found) for terms, found in patterns.items()},
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
        if len(key) > 1 and joined.isalpha() and len(joined) >= JOINED and (joined,) not in names:
            names[joined,] = list(names[key])


def find(tokens: Sequence[Token], index: Index) -> tuple[Span, ...]:
    """Return the names in a message, longest first, none overlapping, in order."""
    lemmas = [token.lemma for token in tokens]
    found = [
        (start, end)
        for start in range(len(lemmas))
        for end in range(start + 1, min(start + index.longest, len(lemmas)) + 1)
        if tuple(lemmas[start:end]) in index.names
    ]
    return tuple(
        Span(start, end, index.names[tuple(lemmas[start:end])])
        for start, end in longest_first(found)
    )


def longest_first(found: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Keep the longest ranges (the leftmost of equals) that do not overlap, in order."""
    taken: set[int] = set()
    kept = []
    for start, end in sorted(found, key=lambda span: (span[0] - span[1], span[0])):
        if taken.isdisjoint(range(start, end)):
            taken.update(range(start, end))
            kept.append((start, end))
    return sorted(kept)

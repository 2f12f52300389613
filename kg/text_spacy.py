"""The same names through spaCy: blank English, our tokens and lemmas, a SpanRuler.

spaCy is imported on first use, never at import: it takes 1 s, 3 to 8 s with torch installed,
because spaCy imports torch where it finds it. No model package is needed or downloaded.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from kg.lexicon import Lexicon
from kg.text_match import Index, Span, index_of
from kg.text_tokens import Token, tokenize

KEY = "names"
"""Where the pipeline leaves the names: ``doc.spans["names"]``."""


def block_torch() -> None:
    """Keep spaCy from importing torch: 1 s instead of 3 to 8 s to start.

    Only for a process of its own that resolves text and does nothing else: afterwards no
    library of this process can import torch. Without effect if torch is imported already.
    """
    sys.modules.setdefault("torch", None)  # type: ignore[arg-type]


class Tokenizer:
    """spaCy's view of kg.text_tokens: one spaCy token per token, lemmas set."""

    def __init__(self, vocab: Any) -> None:
        self.vocab = vocab

    def __call__(self, text: str) -> Any:
        """Tokenize one text into a spaCy Doc."""
        return self.doc(tokenize(text))

    def doc(self, tokens: Sequence[Token]) -> Any:
        """Wrap tokens in a Doc whose lemmas are ours."""
        from spacy.tokens import Doc

        doc = Doc(self.vocab, words=[token.text or " " for token in tokens])
        for ours, theirs in zip(tokens, doc, strict=True):
            theirs.lemma_ = ours.lemma
        return doc


@lru_cache(maxsize=4)
def pipeline(lexicon: Lexicon) -> Any:
    """Return a spaCy Language that marks the lexicon's names in ``doc.spans["names"]``."""
    import spacy

    nlp = spacy.blank("en")
    nlp.tokenizer = Tokenizer(nlp.vocab)
    ruler: Any = nlp.add_pipe(
        "span_ruler",
        config={
            "spans_key": KEY,
            "phrase_matcher_attr": "LEMMA",
            "spans_filter": {"@misc": "spacy.first_longest_spans_filter.v1"},
        },
    )
    ruler.add_patterns(
        [
            {"label": entries[0].concept.kind, "pattern": " ".join(key), "id": " ".join(key)}
            for key, entries in sorted(index_of(lexicon).names.items())
        ]
    )
    return nlp


def find(tokens: Sequence[Token], lexicon: Lexicon) -> tuple[Span, ...]:
    """Return the names in one tokenized message, as kg.text_match.find does."""
    nlp = pipeline(lexicon)
    return next(iter(spans([nlp.tokenizer.doc(tokens)], nlp, index_of(lexicon))))


def spans(docs: Iterable[Any], nlp: Any, index: Index) -> Iterator[tuple[Span, ...]]:
    """Run the ruler over Docs and translate what it marked."""
    for doc in nlp.pipe(docs):
        marked = sorted(doc.spans[KEY], key=lambda span: span.start)
        yield tuple(
            Span(span.start, span.end, index.names[tuple(token.lemma_ for token in span)])
            for span in marked
        )

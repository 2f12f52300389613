"""The ontology and the lexicon's labels inside the graph, so that a query can use both."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from importlib import resources

from pyoxigraph import Literal, NamedNode, Quad, RdfFormat, Store, parse

from kg.terms import COMPONENTS, KNOBS, PREFIXES, RDFS, VOCAB

ONTOLOGY = NamedNode(VOCAB.rstrip("#"))
VERSION = NamedNode(PREFIXES["owl"] + "versionInfo")
LABELS = frozenset(
    NamedNode(PREFIXES["skos"] + name)
    for name in ("prefLabel", "altLabel", "hiddenLabel", "definition", "broader")
)


@cache
def vocabulary() -> frozenset[Quad]:
    """Return the terms of ontology.ttl and the labels of knobs and components."""
    folder = resources.files("kg")
    texts = [(folder / name).read_bytes() for name in ("ontology.ttl", "lexicon.ttl")]
    terms = set(parse(texts[0], RdfFormat.TURTLE))
    labels = {
        quad
        for quad in parse(texts[1], RdfFormat.TURTLE)
        if quad.predicate in LABELS and is_concept(quad)
    }
    stamp = Literal(hashlib.sha256(b"".join(texts)).hexdigest()[:16])
    return frozenset(terms | labels | {Quad(ONTOLOGY, VERSION, stamp)})


@cache
def version() -> Quad:
    """Return the quad that tells this vocabulary from another one."""
    (found,) = (quad for quad in vocabulary() if quad.predicate == VERSION)
    return found


def is_concept(quad: Quad) -> bool:
    """Tell whether a quad is about a knob or a component."""
    subject = quad.subject
    return isinstance(subject, NamedNode) and subject.value.startswith((KNOBS, COMPONENTS))


def renewal(store: Store) -> tuple[set[Quad], set[Quad]]:
    """Return what to add and remove so that a store has this version's vocabulary."""
    if version() in store:
        return set(), set()
    wanted = vocabulary()
    present = set(held(store))
    return set(wanted - present), present - wanted


def held(store: Store) -> Iterator[Quad]:
    """Yield the vocabulary a store has."""
    for predicate in LABELS:
        yield from filter(is_concept, store.quads_for_pattern(None, predicate, None))
    for quad in list(store.quads_for_pattern(None, RDFS.label, None)):
        subject = quad.subject
        if isinstance(subject, NamedNode) and subject.value.startswith(VOCAB):
            yield from store.quads_for_pattern(subject, None, None)
    yield from store.quads_for_pattern(ONTOLOGY, None, None)

"""Why a free query found nothing: names that stand for nothing, texts where a thing is meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from pyoxigraph import Literal, NamedNode, Store

from kg import vocab
from kg.components import COMPONENTS, GROUPS
from kg.load import subjects
from kg.sparql_tokens import tokens
from kg.terms import COMPONENTS as COMPONENT_SPACE
from kg.terms import KNOBS, LAB, PREFIXES, RDF, SKOS, VOCAB
from kg.vocab import name_of, segment

CHECKED: Final = {"lab": VOCAB, "knob": KNOBS, "component": COMPONENT_SPACE}
WHAT: Final = {
    "lab": "a term of the ontology",
    "knob": "a knob of this memory or of the lexicon",
    "component": "a component or a group of them",
}
MOST: Final = 5  # notes
ESCAPED: Final = re.compile(r"\\(.)")
NOTHING: Final = frozenset({"0", "0.0", "0.0E0", "false"})


def is_nothing(term: object) -> bool:
    """Tell whether a cell of a row says nothing: it is unbound, or counts zero."""
    return term is None or (isinstance(term, Literal) and term.value in NOTHING)


def unknown_terms(store: Store, text: str) -> list[str]:
    """Return one sentence for each word of a query that can match nothing.

    That is a name of ours that stands for nothing, and a text as what only ever is a thing. Asked
    only of an answer that is empty: it reads the query again, in linear time.
    """
    found = []
    for prefix, name in dict.fromkeys(names(text)):
        if name and not stands(store, prefix, name):
            near = nearest(store, prefix, name)
            hint = f"; did you mean {prefix}:{near}?" if near else "; see `nightlab kg schema`"
            found.append(f"{prefix}:{name} is not {WHAT[prefix]}{hint}")
    found += [texted(store, *pair) for pair in dict.fromkeys(texts(store, text))]
    return found[:MOST]


def texts(store: Store, query: str) -> Iterator[tuple[str, str]]:
    """Yield where a query has a text as the object of a term whose objects are all things."""
    for term, value in pairwise(tokens(query)):
        name = term.text.removeprefix("lab:")
        if value.kind == "string" and term.kind == "name" and name in LAB.__annotations__:
            first = next(store.quads_for_pattern(None, NamedNode(VOCAB + name), None), None)
            if first is not None and isinstance(first.object, NamedNode):
                yield name, value.text.strip("\"'")


def texted(store: Store, name: str, text: str) -> str:
    """Return the sentence about a text where a thing is meant, with the thing if it is found."""
    term = NamedNode(VOCAB + name)
    written = {f"{prefix}:{text}": PREFIXES[prefix] + segment(text) for prefix in (*CHECKED, "id")}
    written[f"<{vocab.campaign(text).value}>"] = vocab.campaign(text).value
    held = (way for way, iri in written.items() if any_object(store, term, NamedNode(iri)))
    way = next(held, None)
    return f"lab:{name} leads to a thing, not to a text" + (
        f"; write {way}" if way else "; see `nightlab kg schema`"
    )


def any_object(store: Store, term: NamedNode, node: NamedNode) -> bool:
    """Tell whether anything is related to a node in this way."""
    return any(store.quads_for_pattern(None, term, node))


def names(text: str) -> Iterator[tuple[str, str]]:
    """Yield the names in our namespaces a query holds, prefixed or in full, without escapes."""
    for token in tokens(text):
        if token.kind == "name":
            prefix, _, name = token.text.partition(":")
            if prefix in CHECKED:
                yield prefix, ESCAPED.sub(r"\1", name)
        elif token.kind == "iri":
            iri = token.text[1:-1]
            for prefix, space in CHECKED.items():
                if iri.startswith(space):
                    yield prefix, iri.removeprefix(space)


def stands(store: Store, prefix: str, name: str) -> bool:
    """Tell whether a name of ours stands for anything."""
    if prefix == "lab" and name in LAB.__annotations__:
        return True
    if prefix == "component" and name in (*COMPONENTS, *GROUPS):
        return True
    node = NamedNode(PREFIXES[prefix] + name)
    return any(store.quads_for_pattern(node, None, None))


def nearest(store: Store, prefix: str, name: str) -> str | None:
    """Return the known name spelt most alike, None if none is."""
    from difflib import get_close_matches

    if prefix == "lab":
        known = set(LAB.__annotations__)
    elif prefix == "component":
        known = {*COMPONENTS, *GROUPS}
    else:
        labelled = (quad.subject for quad in store.quads_for_pattern(None, SKOS.prefLabel, None))
        nodes = [*subjects(store, RDF.type_, LAB.Knob), *labelled]
        known = {name_of(node) for node in nodes if node.value.startswith(KNOBS)}
    return next(iter(get_close_matches(name, sorted(known), n=1)), None)

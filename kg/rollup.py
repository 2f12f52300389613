"""Evidence over all campaigns: the sum of what each campaign found.

A sum over 100,000 experiments takes seconds (facts/rdf.md), so it is kept per key. It is
taken from the campaigns' sums, which are few, and never updated in place, so that it does not
depend on the order in which experiments were added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

from pyoxigraph import Literal, NamedNode, Quad, Store

from kg.board import EvidenceKey
from kg.build import about
from kg.evidence import ENDS, far, key_pairs, total
from kg.load import subjects
from kg.packed import evidence_node
from kg.terms import LAB
from kg.vocab import EVERYTHING, name_of, python

COUNTS = (
    LAB.trials,
    LAB.nImproved,
    LAB.nWorsened,
    LAB.nEqual,
    LAB.nCrashed,
    LAB.nDelta,
    LAB.sumDelta,
)

WRITTEN = frozenset({*COUNTS, LAB.partOf, *(term for ends in ENDS for term in ends[:2])})

Lookup = Callable[[NamedNode, NamedNode], Any]


class Sums(NamedTuple):
    """What one campaign's evidence node says."""

    counts: tuple[float | None, ...]  # in the order of COUNTS
    ends: tuple[tuple[float, NamedNode] | None, ...]  # delta and whose, in the order of ENDS


def lookup_in(store: Store, pending: dict[NamedNode, dict[NamedNode, Any]]) -> Lookup:
    """Return a reader of single values that knows what is about to be written."""

    def lookup(node: NamedNode, predicate: NamedNode) -> Any:
        if node in pending:
            return pending[node].get(predicate)
        for quad in store.quads_for_pattern(node, predicate, None):
            return quad.object
        return None

    return lookup


def read_sums(lookup: Lookup, node: NamedNode) -> Sums:
    """Return one campaign's sums."""

    counts = tuple(python(value) if (value := lookup(node, p)) else None for p in COUNTS)
    ends = tuple(
        (python(value), lookup(node, by)) if (value := lookup(node, delta)) else None
        for delta, by, _ in ENDS
    )
    return Sums(counts, ends)


def rollup_quads(key: EvidenceKey, parts: Iterable[Sums]) -> Iterator[Quad]:
    """Yield the evidence of one key over all campaigns, nothing if there is none."""
    found = list(parts)
    if not found:
        return
    node = evidence_node(EVERYTHING, key)
    yield from about(node, key_pairs(key))
    yield Quad(node, LAB.evidenceIn, EVERYTHING)
    yield Quad(node, LAB.campaigns, Literal(len(found)))
    for index, predicate in enumerate(COUNTS):
        numbers = [sums.counts[index] for sums in found]
        present = [number for number in numbers if number is not None]
        if present and predicate == LAB.sumDelta:
            yield Quad(node, predicate, Literal(total(present)))
        elif present:
            yield Quad(node, predicate, Literal(int(sum(present))))
    for index, (delta, by, sign) in enumerate(ENDS):
        deltas = [end for sums in found if (end := sums.ends[index])]
        if deltas:
            value, whose = min(deltas, key=partial(place, sign))
            yield Quad(node, delta, Literal(value))
            yield Quad(node, by, whose)


def place(sign: int, end: tuple[float, NamedNode]) -> tuple[float, str]:
    """Return where a campaign's extreme stands on the way to the wanted end."""
    return far(end[0], sign), name_of(end[1])


def refresh(
    store: Store, keys: Iterable[EvidenceKey], added: set[Quad], removed: set[Quad]
) -> tuple[list[Quad], list[Quad]]:
    """Return what to add and remove so that the sums over all campaigns hold again.

    ``added`` and ``removed`` are the campaign's own quads, not yet written.
    """
    pending = pending_nodes(store, added, removed)
    lookup = lookup_in(store, pending)
    more: list[Quad] = []
    less: list[Quad] = []
    for key in sorted(set(keys)):
        node = evidence_node(EVERYTHING, key)
        nodes = {part for part in subjects(store, LAB.partOf, node) if part not in pending}
        nodes |= {n for n, found in pending.items() if found.get(LAB.partOf) == node}
        parts = [read_sums(lookup, part) for part in sorted(nodes, key=lambda n: n.value)]
        now = set(rollup_quads(key, parts))
        before = set(store.quads_for_pattern(node, None, None))
        more += now - before
        less += before - now
    return more, less


def pending_nodes(
    store: Store, added: set[Quad], removed: set[Quad]
) -> dict[NamedNode, dict[NamedNode, Any]]:
    """Return the evidence nodes that are about to change, as they will be.

    Every one of their single values is rewritten with them, except those that stay equal.
    """
    fresh: dict[Any, list[Quad]] = {}
    for quad in added:
        fresh.setdefault(quad.subject, []).append(quad)
    pending: dict[NamedNode, dict[NamedNode, Any]] = {}
    for node in {quad.subject for quad in (*added, *removed) if quad.predicate in WRITTEN}:
        quads = set(store.quads_for_pattern(node, None, None)) - removed
        found = {quad.predicate: quad.object for quad in (*quads, *fresh.get(node, ()))}
        pending[node] = found  # type: ignore[index]  # empty where a node goes away
    return pending

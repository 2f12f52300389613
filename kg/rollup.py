"""Evidence over all campaigns: the sum of what each campaign found.

A sum over 100,000 experiments takes seconds, so it is kept per key. It is taken from the
campaigns' sums, which are few, and never updated in place, so that it does not depend on the
order in which experiments were added. Each campaign's sum stands packed on the node of the
whole too: to read 100 campaigns back from their own nodes took 1,500 lookups an edit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from pyoxigraph import Literal, Quad, Store

from kg.board import EvidenceKey
from kg.evidence import key_pairs, sum_pairs
from kg.packed import evidence_node
from kg.quads import about
from kg.terms import LAB
from kg.totals import Sum, merged
from kg.vocab import EVERYTHING


def rollup_quads(key: EvidenceKey, parts: list[Sum]) -> Iterator[Quad]:
    """Yield the evidence of one key over all campaigns, nothing if there is none."""
    if not parts:
        return
    node = evidence_node(EVERYTHING, key)
    yield from about(node, key_pairs(key))
    yield Quad(node, LAB.evidenceIn, EVERYTHING)
    yield Quad(node, LAB.campaigns, Literal(len(parts)))
    yield from about(node, sum_pairs(merged(parts)))


def refresh(
    store: Store, keys: Iterable[EvidenceKey], added: set[Quad], removed: set[Quad]
) -> tuple[list[Quad], list[Quad]]:
    """Return what to add and remove so that the sums over all campaigns hold again.

    ``added`` and ``removed`` are the campaign's own quads, not yet written.
    """
    fresh = [quad for quad in added if quad.predicate == LAB.part]
    more: list[Quad] = []
    less: list[Quad] = []
    for key in sorted(set(keys)):
        node = evidence_node(EVERYTHING, key)
        known = set(store.quads_for_pattern(node, None, None))
        parts = {quad for quad in known if quad.predicate == LAB.part}
        known -= parts
        parts = (parts - removed).union(quad for quad in fresh if quad.subject == node)
        now = set(rollup_quads(key, unpack_parts(parts)))
        more += now - known
        less += known - now
    return more, less


def unpack_parts(parts: Iterable[Quad]) -> list[Sum]:
    """Return what each campaign adds to an evidence."""
    literals: list[Any] = [quad.object for quad in parts]
    packed = ",".join(literal.value for literal in literals)
    return [
        Sum._make((*numbers, tuple(tuple(end) if end else None for end in ends)))
        for _, *numbers, ends in json.loads(f"[{packed}]")
    ]

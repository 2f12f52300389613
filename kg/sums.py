"""Sums over edits: read from the graph where they are kept, else added up from boards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kg.board import Board
from kg.entries import Edits, EvidenceKey, edit_of
from kg.evidence import ENDS, NUMBERS
from kg.graph import Graph
from kg.load import subjects
from kg.packed import evidence_key
from kg.query import Asked
from kg.terms import LAB
from kg.totals import Sum, merged, sum_of
from kg.vocab import EVERYTHING


def sums(asked: Asked) -> dict[Edits, Sum]:
    """Return the sums over every edit in the scope of a question."""
    if asked.campaign is not None:
        (board,) = asked.boards()
        if "sums" not in board.memo:
            board.memo["sums"] = by_edit(told_sums([board]))
        return dict(board.memo["sums"])
    if asked.as_of is not None:
        return by_edit(told_sums(asked.boards()))
    if "sums" not in asked.graph.memo:
        asked.graph.memo["sums"] = by_edit(kept_sums(asked.graph))
    return dict(asked.graph.memo["sums"])


def by_edit(found: Iterable[tuple[EvidenceKey, Sum]]) -> dict[Edits, Sum]:
    """Add up what belongs to one edit, alone or combined, whichever optimizer it touched."""
    parts: dict[Edits, list[Sum]] = {}
    for key, part in found:
        parts.setdefault(edit_of(key), []).append(part)
    return {edit: merged(list_) for edit, list_ in parts.items()}


def told_sums(boards: Iterable[Board]) -> Iterator[tuple[EvidenceKey, Sum]]:
    """Yield the sums of each evidence key over boards."""
    parts: dict[EvidenceKey, list[Sum]] = {}
    for board in boards:
        for key, trials in board.evidence.items():
            parts.setdefault(key, []).append(sum_of(trials))
    for key, found in parts.items():
        yield key, merged(found)


def kept_sums(graph: Graph) -> Iterator[tuple[EvidenceKey, Sum]]:
    """Yield the sums the graph keeps over all campaigns.

    By lookups, not by the questions' query: an OPTIONAL of it is joined with the evidence of every
    campaign (0.8 s at 100 campaigns, 0.03 s this way).
    """
    for node in subjects(graph.store, LAB.evidenceIn, EVERYTHING):
        numbers = (graph.value(node, predicate) or 0 for predicate in NUMBERS)
        ends = ((graph.value(node, delta), graph.value(node, by)) for delta, by in ENDS)
        found = tuple(None if delta is None else (delta, by) for delta, by in ends)
        yield evidence_key(node), Sum._make((*numbers, found))

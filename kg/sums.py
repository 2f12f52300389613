"""Sums over edits: read from the graph where they are kept, else added up from boards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import NamedTuple

from kg import vocab
from kg.board import Board
from kg.entries import Edits, EvidenceKey, edit_of
from kg.evidence import ENDS, NUMBERS
from kg.graph import Graph
from kg.load import subjects
from kg.model import OptimizerScope
from kg.packed import evidence_key, evidence_node
from kg.query import Asked
from kg.terms import LAB
from kg.totals import Sum, merged, sum_of
from kg.vocab import EVERYTHING


class Sums(NamedTuple):
    """The sums over edits in the scope of a question."""

    all: dict[Edits, Sum]
    alone: dict[Edits, Sum]  # of the isolated attempts, where there are any


def sums(asked: Asked) -> dict[Edits, Sum]:
    """Return the sums over every edit in the scope of a question."""
    return dict(both_sums(asked).all)


def both_sums(asked: Asked) -> Sums:
    """Return the sums over all attempts and over the isolated ones, added up once."""
    if asked.campaign is None and asked.as_of is not None:
        return by_edit(told_sums(asked.boards()))
    boards = [] if asked.campaign is None else list(asked.boards())
    memo = boards[0].memo if boards else asked.graph.memo
    if "sums" not in memo:
        memo["sums"] = by_edit(told_sums(boards) if boards else kept_sums(asked.graph))
    found: Sums = memo["sums"]
    return found


def by_edit(found: Iterable[tuple[EvidenceKey, Sum]]) -> Sums:
    """Add up what belongs to one edit, whichever optimizer it touched."""
    parts: dict[Edits, list[Sum]] = {}
    alone: dict[Edits, list[Sum]] = {}
    for key, part in found:
        parts.setdefault(edit_of(key), []).append(part)
        if key.isolated:
            alone.setdefault(edit_of(key), []).append(part)
    return Sums(*({edit: merged(list_) for edit, list_ in d.items()} for d in (parts, alone)))


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


def last_attempt(asked: Asked, edit: Edits) -> str | None:
    """Return the last experiment that made an edit, of the isolated ones if there are any."""
    graph, found = asked.graph, []
    tags = graph.campaigns() if asked.campaign is None else [asked.campaign]
    for tag, scope, isolated in product(tags, OptimizerScope, (True, False)):
        key = EvidenceKey(*edit[1::-1], *edit[2:], str(scope), isolated)
        for node in subjects(graph.store, LAB.countedIn, evidence_node(vocab.campaign(tag), key)):
            seq = graph.value(node, LAB.seq)
            if asked.as_of is None or seq <= asked.as_of:
                found.append((isolated, seq, vocab.name_of(node)))
    return max(found, default=(False, 0, None))[2]

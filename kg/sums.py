"""Sums over edits: read from the graph where they are kept, else added up from boards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from kg.board import Board
from kg.entries import Edits, EvidenceKey, edit_of
from kg.query import Asked, select
from kg.totals import Sum, merged, sum_of


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
        asked.graph.memo["sums"] = by_edit(kept_sums(asked))
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


def kept_sums(asked: Asked) -> Iterator[tuple[EvidenceKey, Sum]]:
    """Yield the sums the graph keeps for the scope of a question, by the question's query."""
    for row in select(asked):
        key = EvidenceKey(
            row["metric"],
            row["sense"],
            row["component"],
            row["knob"],
            row["direction"],
            row["to"] or "",
            row["scope_of"],
            row["isolated"],
        )
        yield key, kept_sum(row)


def kept_sum(row: dict[str, Any]) -> Sum:
    """Return one row of the graph as a sum."""
    ends = (("low", "low_by"), ("high", "high_by"), ("gain", "gain_by"), ("loss", "loss_by"))
    return Sum(
        row["n"],
        row["improved"],
        row["worsened"],
        row["equal"],
        row["crashed"],
        row["measured"] or 0,
        row["total"] or 0.0,
        tuple(None if row[d] is None else (row[d], row[by]) for d, by in ends),
    )

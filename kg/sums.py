"""Sums over edits: read from the graph where they are kept, else added up from boards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from kg.board import Board
from kg.entries import Edits, EvidenceKey, Outcome, Trial, edit_of
from kg.evidence import ENDS, extremes, far, total
from kg.query import Asked, select

End = tuple[float, str] | None


class Sum(NamedTuple):
    """What came of one edit, or of one evidence key."""

    n: int
    improved: int
    worsened: int
    equal: int
    crashed: int
    measured: int
    delta: float
    ends: tuple[End, ...]  # smallest, largest, gain, loss: delta and experiment

    @property
    def mean(self) -> float | None:
        """Return the mean delta, None if nothing was measured."""
        return float(f"{self.delta / self.measured:.9g}") if self.measured else None

    def best(self, sense: str) -> End:
        """Return the best delta and whose it is."""
        return self.ends[1 if sense == "max" else 0]


def merged(sums: Iterable[Sum]) -> Sum:
    """Add sums up."""
    found = list(sums)
    return Sum(
        n=sum(part.n for part in found),
        improved=sum(part.improved for part in found),
        worsened=sum(part.worsened for part in found),
        equal=sum(part.equal for part in found),
        crashed=sum(part.crashed for part in found),
        measured=sum(part.measured for part in found),
        delta=total(part.delta for part in found),
        ends=tuple(farthest(index, found) for index in range(len(ENDS))),
    )


def farthest(index: int, found: list[Sum]) -> End:
    """Return the most extreme of several ends; equals go to the first name."""
    sign = ENDS[index][2]
    ends = [end for part in found if (end := part.ends[index])]
    return min(ends, key=lambda end: (far(end[0], sign), end[1]), default=None)


def sum_of(trials: list[Trial]) -> Sum:
    """Add the trials of one campaign's evidence up."""
    outcomes = [trial.outcome for trial in trials]
    measured = [trial for trial in trials if trial.delta is not None]
    reached = {delta: (t.delta or 0.0, t.name) for delta, _, t in extremes(measured)}
    kinds = (Outcome.IMPROVED, Outcome.WORSENED, Outcome.EQUAL, Outcome.CRASHED)
    improved, worsened, equal, crashed = (outcomes.count(kind) for kind in kinds)
    return Sum(
        len(trials),
        improved,
        worsened,
        equal,
        crashed,
        len(measured),
        total(trial.delta or 0.0 for trial in measured),
        tuple(reached.get(delta) for delta, _, _ in ENDS),
    )


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

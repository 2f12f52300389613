"""Tried before? An experiment that sets the same knobs to the same values as an earlier one."""

from __future__ import annotations

from dataclasses import dataclass

from kg.board import Board, EvidenceKey, Row, Trial, signature_of
from kg.check_values import unnamed
from kg.since import justification


@dataclass(frozen=True, slots=True)
class Repeat:
    """One experiment that tried again what an earlier one had tried."""

    row: Row
    earlier: Row
    level: str  # identical (the same program) or value (the same knobs set to the same values)
    knobs: tuple[str, ...]
    justified_by: tuple[tuple[str, str], ...]  # (knob, experiment) of what changed since


def repeat_of(board: Board, row: Row, trials: list[tuple[EvidenceKey, Trial]]) -> Repeat | None:
    """Return what an experiment repeats, before it is counted on the board itself.

    The same value again is justified by what `kg.since` says bears on it; the same program
    again by nothing.
    """
    if not row.attempt:
        return None
    edits = [key for key, _ in trials]
    knobs = tuple(sorted({key.knob for key in edits}))
    same = board.programs.get(row.entry.fingerprint or "")
    if same is not None:
        return Repeat(row, same, "identical", knobs, ())
    signature = signature_of(trials) if trials else None
    earlier = board.tried.get(signature) if signature is not None else None
    if earlier is None or earlier.kept or any(map(unnamed, knobs)):
        return None
    return Repeat(row, earlier, "value", knobs, justification(board, edits, earlier))

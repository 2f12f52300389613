"""Tried before? An experiment that sets the same knobs to the same values as an earlier one."""

from __future__ import annotations

from dataclasses import dataclass

from kg.board import Board, EvidenceKey, Outcome, Row, Trial, signature_of
from kg.groups import group_of


@dataclass(frozen=True, slots=True)
class Repeat:
    """One experiment that tried again what an earlier one had tried."""

    row: Row
    earlier: Row
    level: str  # identical (the same program) or value (the same knobs set to the same values)
    knobs: tuple[str, ...]
    justified_by: tuple[tuple[str, str], ...]  # (knob, experiment) of what changed since


def repeat_of(board: Board, row: Row, trials: list[tuple[EvidenceKey, Trial]]) -> Repeat | None:
    """Return what an experiment repeats, before it is counted on the board itself."""
    if not row.attempt:
        return None
    knobs = tuple(sorted({key.knob for key, _ in trials}))
    since = justification(board, knobs)
    same = board.programs.get(row.entry.fingerprint or "")
    if same is not None:
        return Repeat(row, same, "identical", knobs, ())
    signature = signature_of(trials) if trials else None
    earlier = board.tried.get(signature) if signature is not None else None
    if earlier is None or earlier.outcome == Outcome.IMPROVED:
        return None
    return Repeat(row, earlier, "value", knobs, since)


def justification(board: Board, knobs: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return what was accepted since these knobs were last tried and bears on them.

    A retry is justified when a hyper-parameter of the same parameter group was switched on or
    off in between: in the reference run the embedding learning rate 0.9 failed, weight decay
    on embeddings was added, and the same value won. A mere retuning elsewhere justifies
    nothing, and neither does a change the knob has been tried under already.
    """
    tried = [board.latest[knob].order for knob in knobs if knob in board.latest]
    groups = {group_of(knob) for knob in knobs} - {None}
    if not tried or not groups:
        return ()
    found = []
    for row in reversed(board.rows):
        if row.order <= max(tried):
            break
        if not row.kept:
            continue
        for key, trial in board.pairs.get(row.name, ()):
            if key.knob not in knobs and group_of(key.knob) in groups and switched(key, trial):
                found.append((key.knob, row.name))
    return tuple(sorted(found))


def switched(key: EvidenceKey, trial: Trial) -> bool:
    """Tell whether an edit switched its knob on or off rather than tuned it."""
    if key.direction in ("add", "remove", "enable", "disable"):
        return True
    return (trial.old in (0, None)) != (trial.new in (0, None))

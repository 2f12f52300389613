"""What was accepted since an earlier attempt, and whether it bears on trying again.

In the reference run embedding LR 0.9 failed, weight decay on embeddings was switched on, and
the same value won; six other values were tried again after mere retuning and failed again. So
a retry is justified by what changes the problem a knob solves, not by any change at all:

- its own parameter group: a hyper-parameter switched on or off, or moved by 2x or more
- the optimizer, for every knob of an optimizer, a schedule or a decay
- total batch, sequence length, depth or width by 1.5x or more, for step sizes and initial values
- its own component: a part of another kind (an activation, a norm, a window pattern)
- what it was combined with when it failed: switched, or moved by 1.5x or more

and only if the knob was not tried that way again after it. All else is listed, and decides
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from kg.amount import number
from kg.board import Board, EvidenceKey, Row, Trial
from kg.check_values import same_value
from kg.groups import group_of
from kg.vocab import Value

GROUP_RATIO: Final = 2.0
SIZE_RATIO: Final = 1.5
SIZES: Final = frozenset(
    {"batch.total", "data.seq_len", "model.depth", "model.width", "model.layer_loops"}
)
STEPS: Final = frozenset({"optimizer", "schedule", "regularization"})
SIZED: Final = frozenset({"optimizer", "schedule", "init", "regularization"})
# Components whose parts work together; parameter groups have their own rule.
PARTS: Final = frozenset(
    {"attention", "mlp", "embedding", "head", "norm", "residual", "position", "schedule", "loss"}
)
ZERO_IS_OFF: Final = ("regularization.", "loss.", "optimizer.grad_clip")
SWITCHES: Final = frozenset({"add", "remove", "enable", "disable"})


class Edit(Protocol):
    """What a proposal and a trial have in common."""

    @property
    def knob(self) -> str:
        """Return the canonical name of the knob."""

    @property
    def direction(self) -> str:
        """Return increase, decrease, or the change type where the values are no numbers."""


@dataclass(slots=True)
class Moved:
    """How one setting went on the accepted line, over one or several experiments."""

    key: EvidenceKey
    before: Value | None
    after: Value | None
    row: Row  # that moved it last
    switched: bool

    @property
    def knob(self) -> str:
        """Return the knob."""
        return self.key.knob


def accepted_since(board: Board, order: tuple[int, str]) -> dict[str, Moved]:
    """Return the settings moved by the experiments accepted after one, by knob.

    A setting that came back to its old value is left out.
    """
    moved: dict[str, Moved] = {}
    late: list[Row] = []
    for row in reversed(board.rows):
        if row.order <= order:
            break
        if row.kept or row.lineage:
            late.append(row)
    for row in reversed(late):
        for key, trial in board.pairs.get(row.name, ()):
            note(moved, board, row, key, trial)
    return {
        knob: move
        for knob, move in moved.items()
        if move.after is None or not same_value(move.before, move.after)
    }


def note(moved: dict[str, Moved], board: Board, row: Row, key: EvidenceKey, trial: Trial) -> None:
    """Take in one accepted edit."""
    known = moved.get(key.knob)
    if known is None:
        before = trial.old
        if before is None and key.direction not in ("add", "enable"):
            before = value_before(board, key.knob, row)
        moved[key.knob] = Moved(key, before, trial.new, row, switched(key, before, trial.new))
        return
    known.after, known.row = trial.new, row
    known.switched = known.switched or switched(key, trial.old, trial.new)


def value_before(board: Board, knob: str, row: Row) -> Value | None:
    """Return what a knob was set to before an experiment, None if that was never told."""
    for regime in reversed(board.regimes.get(knob, ())):
        if regime.since < row.entry.seq:
            return regime.value
    before = [
        trial
        for key in board.about.get(knob, ())
        for trial in board.evidence[key]
        if trial.order < row.order and board.names[trial.name].kept and trial.new is not None
    ]
    return max(before, key=lambda trial: trial.order).new if before else None


def switched(key: EvidenceKey, before: Value | None, after: Value | None) -> bool:
    """Tell whether an edit switched something on or off rather than tuned it."""
    if key.direction in SWITCHES:
        return True
    if after is None or (before is None and not key.knob.startswith(ZERO_IS_OFF)):
        return False  # a text that gives only the new value: most likely a tuning
    return is_off(before) != is_off(after)


def is_off(value: Value | None) -> bool:
    """Tell whether a setting of a feature that can be switched off is off."""
    return value is None or number(value) == 0.0


def bearing(edits: Iterable[Edit], moved: Moved, partners: Collection[str] = ()) -> str:
    """Say why an accepted change bears on some edits, "" if it does not."""
    for edit in edits:
        if moved.knob == edit.knob:
            continue
        reason = reason_of(edit.knob, moved, partners)
        if reason:
            return reason
    return ""


def reason_of(knob: str, moved: Moved, partners: Collection[str]) -> str:
    """Say why an accepted change bears on one knob, "" if it does not."""
    other, head = moved.knob, knob.partition(".")[0]
    group = group_of(knob)
    if group is not None and group_of(other) == group:
        if moved.switched:
            return f"same parameter group ({group}), switched"
        if ratio(moved) >= GROUP_RATIO:
            return f"same parameter group ({group}), moved {ratio(moved):.3g}x"
    if other == "optimizer.kind" and head in STEPS:
        return "another optimizer"
    if other in SIZES and head in SIZED and ratio(moved) >= SIZE_RATIO:
        return f"another size of the problem, {ratio(moved):.3g}x"
    if other in partners and (moved.switched or ratio(moved) >= SIZE_RATIO):
        return "it was combined with this"
    numeric = number(moved.after) is not None and (
        number(moved.before) is not None or moved.key.direction in ("increase", "decrease")
    )
    if head in PARTS and other.partition(".")[0] == head and not numeric:
        return f"another part of the same component ({head})"
    return ""


def ratio(moved: Moved) -> float:
    """Return by which factor a number was moved, up or down; 1.0 where that has no meaning."""
    low, high = number(moved.before), number(moved.after)
    if not low or not high or low * high < 0:
        return 1.0
    return max(low / high, high / low)


def last_try(board: Board, edit: Edit, since: Row) -> Row:
    """Return the last attempt at a knob in one direction, not before a given one.

    An accepted edit of several knobs does not count: it may have brought the very change that
    justifies another try.
    """
    rows = [
        board.names[trial.name]
        for key in board.about.get(edit.knob, ())
        if key.direction == edit.direction
        for trial in board.evidence[key]
        if key.isolated or not board.names[trial.name].kept
    ]
    return max([since, *rows], key=lambda row: row.order)


def last_tried(board: Board, edits: Iterable[Edit], since: Row) -> Row:
    """Return the attempt from which on a change may justify another: of each, the last alike.

    A change under which the knob has been tried the same way already justifies nothing more.
    """
    return max((last_try(board, edit, since) for edit in edits), key=lambda row: row.order)


def justification(
    board: Board,
    edits: Collection[Edit],
    since: Row,
    moves: Callable[[tuple[int, str]], Mapping[str, Moved]] | None = None,
) -> tuple[tuple[str, str], ...]:
    """Return (knob, experiment) of what was accepted since an attempt and bears on its edits.

    ``moves`` is `accepted_since` of the board, for who asks about many attempts: few differ.
    """
    own = {edit.knob for edit in edits}
    partners = {key.knob for key, _ in board.pairs.get(since.name, ())}
    order = last_tried(board, edits, since).order
    found = moves(order) if moves else accepted_since(board, order)
    return tuple(
        sorted(
            (knob, moved.row.name)
            for knob, moved in found.items()
            if knob not in own and bearing(edits, moved, partners - own)
        )
    )

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

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from kg.board import Board, EvidenceKey, Row, Trial
from kg.check_labels import Labels
from kg.check_model import Difference, Idea
from kg.check_values import number, same_value
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
        if row.kept and row.attempt:
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


def bearing(ideas: Iterable[Idea], moved: Moved, partners: Collection[str] = ()) -> str:
    """Say why an accepted change bears on some edits, "" if it does not."""
    for idea in ideas:
        if moved.knob == idea.knob:
            continue
        reason = reason_of(idea.knob, moved, partners)
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


def differences(
    board: Board,
    ideas: tuple[Idea, ...],
    since: Row,
    labels: Labels,
    partners: Collection[str] = (),
) -> tuple[Difference, ...]:
    """Return what was accepted since an attempt, what bears on the edits first.

    A change under which the knob has been tried since, the same way, justifies nothing any
    more: `anchor` is that last attempt.
    """
    anchor = max((last_try(board, idea, since) for idea in ideas), key=lambda row: row.order)
    fresh = accepted_since(board, anchor.order)
    own = {idea.knob for idea in ideas}
    found = []
    for knob, moved in accepted_since(board, since.order).items():
        if knob in own:
            continue
        late = fresh.get(knob)
        why = bearing(ideas, late, partners) if late else ""
        stale = not why and bearing(ideas, moved, partners)
        if stale:
            why = f"tried under it already, by {anchor.name}"
        found.append(
            Difference(
                knob,
                labels(knob),
                moved.before,
                moved.after,
                moved.row.name,
                moved.row.entry.commit,
                since.name,
                bool(why) and not stale,
                why,
            )
        )
    order = {row.name: row.order for row in board.rows}
    return tuple(sorted(found, key=lambda d: (not d.bears, not d.why, order[d.experiment], d.knob)))


def last_try(board: Board, idea: Idea, since: Row) -> Row:
    """Return the last attempt at a knob in one direction, not before a given one."""
    rows = [
        board.names[trial.name]
        for key in board.about.get(idea.knob, ())
        if key.direction == idea.direction
        for trial in board.evidence[key]
    ]
    return max([since, *rows], key=lambda row: row.order)

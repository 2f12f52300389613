"""What stands differently since an earlier attempt, as `check` tells it."""

from __future__ import annotations

from collections.abc import Collection

from kg.board import Board, Row
from kg.check_labels import Labels
from kg.check_model import Difference, Idea
from kg.since import accepted_since, bearing, last_tried


def differences(
    board: Board,
    ideas: tuple[Idea, ...],
    since: Row,
    labels: Labels,
    partners: Collection[str] = (),
) -> tuple[Difference, ...]:
    """Return what was accepted since an attempt, what bears on the edits first.

    What moved before the knob was last tried the same way is told and justifies nothing.
    """
    anchor = last_tried(board, ideas, since)
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

"""A change with its values read: what can be counted, compared and credited."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kg.fold import fold, number_of
from kg.model import Change, ChangeType
from kg.vocab import Value, value_of

APART = ("interrupted", "lineage")
"""No attempt is what has a reason that starts so: it was cut off from outside, or it only puts an
earlier program back (kg.entries.Outcome has both)."""
QUIET = frozenset({ChangeType.NO_EFFECT, ChangeType.UNPARSED})


@dataclass(frozen=True, slots=True)
class Edit:
    """A change with its values folded and its direction known."""

    change: Change
    direction: str  # increase or decrease where both sides are numbers, else the change type
    old: Value | None
    new: Value | None

    @property
    def counts(self) -> bool:
        """Tell whether an outcome may be credited to this edit.

        An edit that cannot act, a refactor and the silent undo of the last failure tried
        nothing.
        """
        change = self.change
        undone = change.silent and change.change_type is ChangeType.REVERT
        return change.effective is not False and change.change_type not in QUIET and not undone


def edits(changes: Iterable[Change]) -> tuple[Edit, ...]:
    """Fold the values of changes, in an order that does not depend on how they were found."""
    return tuple(sorted(map(edit, changes), key=lambda e: (e.change.knob, e.change.path, repr(e))))


def edit(change: Change) -> Edit:
    """Fold the two values of a change and find its direction.

    >>> edit(Change("batch.total", "batch", "revert", "none", "2**19", "2**18")).direction
    'decrease'
    """
    old, new = side(change.knob, change.old), side(change.knob, change.new)
    direction = str(change.change_type)
    low, high = number_of(old), number_of(new)
    if low is not None and high is not None and low != high:
        direction = "increase" if high > low else "decrease"
    return Edit(change, direction, old, new)


def side(knob: str, text: str | None) -> Value | None:
    """Return the value of one side of a change."""
    if text is None:
        return None
    folded = fold(text)
    return value_of(knob, folded if isinstance(folded, int | float | str) else None, text)

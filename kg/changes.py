"""What an edit of a target file did: the one public entry of the semantic diff."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from kg.changes_compare import compare
from kg.changes_history import judge
from kg.changes_undone import Past
from kg.config import analysis
from kg.fingerprint import fingerprint
from kg.model import Change, ChangeType, OptimizerScope
from kg.task_kind import in_kind


def changes(
    before: str | None,
    after: str | None,
    *,
    message: str = "",
    history: Sequence[str] = (),
    told: Sequence[str] = (),
) -> list[Change]:
    """Return the changes between two versions of a target file, one a knob.

    ``history`` holds earlier versions, newest first, without ``before``: with it, what only
    restores an earlier state is told from a new idea. ``told`` holds the messages that came
    with ``before`` and with each of ``history``: what an edit undone was called. A new or
    deleted file has no changes. If one side does not parse there is exactly one change,
    `UNPARSED`. A commit (what has a message) that leaves the program as it was is one change
    without effect. Never raises.
    """
    if before is None or after is None or before == after:
        return []
    old, new = analysis(before), analysis(after)
    if old is None or new is None:
        return [UNPARSED]
    if fingerprint(before) == fingerprint(after):
        return [without_code(before, after)] if message else []
    found = judge(compare(before, after), message, Past(before, after, history, told))
    return sorted(in_kind(found, old.kind, new.kind, after in history), key=place)


def without_code(before: str, after: str) -> Change:
    """Return the record of a commit that edits comments and docstrings, or only the layout."""
    said = [re.sub(r"[\s'\"(),;\\]+", "", text) for text in (before, after)]
    knob = "other.refactor" if said[0] == said[1] else "other.docs"
    return Change(
        knob=knob,
        component="other",
        change_type=ChangeType.NO_EFFECT,
        optimizer_scope=OptimizerScope.NONE,
        old=None,
        new=None,
    )


def place(change: Change) -> tuple[int, str]:
    """Order changes as they stand in the file, the new version's lines first."""
    span = change.new_span or change.old_span
    return span[0] if span else 0, change.knob


UNPARSED = Change(
    knob="other.unparsed",
    component="other",
    change_type=ChangeType.UNPARSED,
    optimizer_scope=OptimizerScope.NONE,
    old=None,
    new=None,
    effective=None,
)


def record(change: Change) -> dict[str, Any]:
    """Return a change in the form of the gold records, with its place added."""
    return {
        "knob": change.knob,
        "component": change.component,
        "change_type": change.change_type.value,
        "optimizer_scope": change.optimizer_scope.value,
        "old": change.old,
        "new": change.new,
        "silent": change.silent,
        "effective": change.effective,
        "path": change.path,
        "old_span": change.old_span,
        "new_span": change.new_span,
        "overridden_at": change.overridden_at,
    }

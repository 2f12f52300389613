"""Tell new ideas from restored ones: reverts, and failures undone without a word."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import Final

from kg.changes_compare import compare
from kg.changes_message import is_announced, names_only_old
from kg.changes_undone import Past, code_lines, named, only_restores, says_restored, uncommented
from kg.late import late
from kg.model import Change, ChangeType, OptimizerScope

# Says so as well, if there is such a version: not of a kernel to fall back to.
BACK: Final = late(r"(?<!fall )(?<!falls )(?<!falling )\bback to\b", re.I)

REVERTS: Final = late(r"^This reverts commit", re.M)  # as git itself writes


def judge(found: list[Change], message: str, past: Past) -> list[Change]:
    """Mark the changes that only put back what an earlier version had.

    A commit whose message says so reverts; in any other commit a change that returns to the
    version this one was really made from, and that the message does not mention, is a silent
    undo of the parent's edit. So is one that returns to what any earlier version had.
    """
    found = list(named(found, message).values())
    if is_reset(found, past.after, message, past.history):
        return reset(found)
    base = real_base(past.before, past.after, past.history, restores(message))
    if base is None:
        if says_restored(message) and is_subject(message):
            return [as_revert(change, silent=False) for change in found]
        return aside(strays(found, message, past), message)
    ideas = named(compare(base, past.after), message)
    undone = past.undone(base)
    if not ideas or not undone:
        return restoring(found, message, past, undone)
    if undone.keys() <= ideas.keys():  # all edits since still stand: it was near by chance
        return aside(strays(found, message, past), message)
    judged = [
        change if change.knob in ideas else restored(change, message, past, found)
        for change in found
        if change.knob in ideas or change.knob in undone
    ]
    known = {change.knob for change in judged}
    judged += [i for knob, i in ideas.items() if knob not in known and knob not in undone]
    judged += [
        as_revert(change, silent=not restores(message))
        for knob, change in undone.items()
        if knob not in known and knob not in ideas
    ]
    judged = judged or found  # no edit is about nothing
    if only_restores(message):
        return [as_revert(c, silent=False) if past.was_edited(c) else c for c in judged]
    return strays(judged, message, past)


def is_subject(message: str) -> bool:
    """Tell whether a message is about restoring: its first line, or git's own words."""
    return says_restored(message.partition("\n")[0]) or REVERTS.search(message) is not None


def restores(message: str) -> bool:
    """Tell whether a message says so, where there is a version to go back to."""
    return says_restored(message) or BACK.search(message) is not None


def restoring(
    found: list[Change], message: str, past: Past, undone: dict[str, Change]
) -> list[Change]:
    """Judge a commit whose outcome is an earlier version: as a whole, if edits lie between.

    A value that the message announces is a value tried again; a part that is dropped, or what
    the message does not mention, is the edit undone.
    """
    edited = list(undone.values()) or found
    announced = {c.knob for c in found if is_announced(c, message, found)}
    dropped = bool(undone) and all(change.change_type in DROPS for change in found)
    if restores(message) or (dropped and announced):
        return [as_revert(change, silent=False) for change in edited]
    if not undone or not message:
        return found
    kept = announced | {c.knob for c in found if past.tried_again(c, past.restored_at(c))}
    if not kept:
        return [as_revert(change, silent=True) for change in edited]
    return [c if c.knob in kept else as_revert(c, silent=True) for c in found]


def strays(judged: list[Change], message: str, past: Past) -> list[Change]:
    """Mark what goes back to an earlier value, beside another idea and without a word.

    An edit undone need not be the parent's: what was tried after it may have been kept.
    """
    if not message or len(judged) < 2:
        return judged
    new = [c for c in judged if c.change_type not in (ChangeType.REVERT, ChangeType.NO_EFFECT)]
    back = {c.knob for c in new if past.went_back(c) and not is_announced(c, message, judged)}
    if len(back) == len(new):
        return judged  # a message is about something
    silent = not restores(message)
    return [as_revert(c, silent=silent) if c.knob in back else c for c in judged]


def is_reset(found: list[Change], after: str, message: str, history: Sequence[str]) -> bool:
    """Tell whether a commit sets the file back as a whole, and says so."""
    if not RESETS.search(message):
        return False
    known = any(distance(earlier, after) == 0 for earlier in history)
    return known or (len(found) > MANY and TO_START.search(message) is not None)


RESETS: Final = late(r"\breset(s|ting)?\b", re.I)
# What a reset goes back to where that is older than the versions at hand.
TO_START: Final = late(
    r"\breset\w*\b.*\b(baseline|original|initial|zero|clean|fresh|start|scratch|upstream|defaults?)\b",
    re.I,
)
MANY = 3  # knobs that a reset names one by one; more are one reset


def reset(found: list[Change]) -> list[Change]:
    """Return the reverts that a reset to an earlier version makes, as one change if many."""
    reverts = [as_revert(change, silent=False) for change in found]
    if len(reverts) <= MANY:
        return reverts
    first = reverts[0]
    whole = replace(first, knob="other.reset", component="other", old=None, new=None, path="")
    return [replace(whole, optimizer_scope=OptimizerScope.NONE, effective=True)]


DROPS: Final = frozenset({ChangeType.REMOVE, ChangeType.DISABLE})


def restored(change: Change, message: str, past: Past, beside: Sequence[Change]) -> Change:
    """Judge a change that returns to the version an edit was made from.

    A value that the message announces is a value tried again; a part that it announces to be
    dropped is still the parent's edit undone, unless it was put in by undoing that.
    """
    if restores(message):
        return as_revert(change, silent=False)
    if past.tried_again(change, past.restored_at(change)):
        return change
    if not is_announced(change, message, beside):
        return as_revert(change, silent=True)
    if names_only_old(change, message):
        return as_revert(change, silent=False)  # "SwiGLU did not help"
    return as_revert(change, silent=False) if change.change_type in DROPS else change


def aside(found: list[Change], message: str) -> list[Change]:
    """Mark what a commit that claims to change nothing changes all the same."""
    if not any(change.knob in ("other.refactor", "other.docs") for change in found):
        return found
    return [
        change
        if change.change_type is ChangeType.NO_EFFECT
        or not message
        or is_announced(change, message)
        else replace(change, silent=True)
        for change in found
    ]


def as_revert(change: Change, *, silent: bool) -> Change:
    """Return the change as the restoration of an earlier state."""
    return replace(change, change_type=ChangeType.REVERT, silent=silent)


def real_base(before: str, after: str, history: Sequence[str], restoring: bool) -> str | None:
    """Return the earlier version an edit was really made from, None if it was the parent.

    Agents drop a failed experiment by writing the next one over it. The version that shares
    most statements with the new one is what they started from; a commit that says it restores
    may go back to any.
    """
    tries = 0 if restoring else dropped_since(before, history)
    if tries == len(history):
        return None
    best, nearest = None, distance(before, after)
    for earlier in dict.fromkeys(history[tries:]):
        if earlier == before:
            continue
        away = distance(earlier, after)
        if away < nearest or (
            away == nearest and moves(earlier, after) < moves(best or before, after)
        ):
            best, nearest = earlier, away
    return best


def dropped_since(before: str, history: Sequence[str]) -> int:
    """Count the versions that came after the state the parent has put back.

    What a revert has dropped is no base: a commit near to it tries that idea anew.
    """
    same = [
        place
        for place, earlier in enumerate(history)
        if code_lines(earlier) == code_lines(before) and not moves(earlier, before)
    ]
    return same[-1] + 1 if same else 0


def moves(one: str, other: str) -> int:
    """Count the lines that follow another line in one of two versions: what was only moved."""
    return apart(followers(one), followers(other))


@lru_cache(maxsize=64)
def followers(source: str) -> frozenset[str]:
    """Return each line of code with the one before it; a history of 30 versions is kept."""
    lines = [line for raw in source.splitlines() if (line := uncommented(raw).strip())]
    return frozenset(map(sys.intern, map("\n".join, pairwise(lines))))


def distance(one: str, other: str) -> int:
    """Count the pieces of code that only one of two versions has."""
    return apart(code_lines(one), code_lines(other))


def apart(one: frozenset[str], other: frozenset[str]) -> int:
    """Count what only one of two sets has, without making the set of all that they share."""
    return 2 * len(one - other) + len(other) - len(one)

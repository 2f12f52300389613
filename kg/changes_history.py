"""Tell new ideas from restored ones: reverts, and failures undone without a word."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

from kg.changes_compare import compare
from kg.model import Change, ChangeType
from kg.program import parse

RESTORES: Final = re.compile(
    r"\b(revert\w*|restor\w*|undo\w*|undid|discard\w*|roll(ed|ing)?[ -]?back|rollback)\b", re.I
)
WORD: Final = re.compile(r"[a-z]+|\d+(?:\.\d+)?(?:e-?\d+)?")
# Words of knob names that announce nothing by themselves.
VAGUE: Final = frozenset(
    {"optimizer", "schedule", "init", "model", "attention", "other", "regularization", "head",
     "batch", "ratio", "lr", "size", "weight", "total", "start", "steps", "final", "frac", "std",
     "scale", "residual", "position", "precision", "evaluation", "loss", "norm", "embedding"}
)  # fmt: skip


def judge(
    found: list[Change],
    before: str,
    after: str,
    message: str,
    history: Sequence[str],
) -> list[Change]:
    """Mark the changes that only put back what an earlier version had.

    A commit whose message says so reverts; in any other commit a change that returns to the
    version this one was really made from, and that the message does not mention, is a silent
    undo of the parent's edit.
    """
    found = [with_purpose(change, message) for change in found]
    if RESTORES.search(message):
        return [as_revert(change, silent=False) for change in found]
    base = real_base(before, after, history)
    if base is None:
        return found
    ideas = {change.knob for change in compare(base, after)}
    if not ideas:
        return found
    judged = [
        as_revert(change, silent=True)
        if change.knob not in ideas and not is_announced(change, message)
        else change
        for change in found
    ]
    known = {change.knob for change in judged}
    undone = (change for change in compare(before, base) if change.knob not in known | ideas)
    return judged + [as_revert(change, silent=True) for change in undone]


# What a message says an edit without a knob is for; a first match wins.
PURPOSES: Final[tuple[tuple[re.Pattern[str], str, ChangeType], ...]] = (
    (re.compile(r"\b(bug\s?fix|fix(es|ed)?|bug|hotfix)\b", re.I), "other.bugfix",
     ChangeType.REPLACE),
    (re.compile(r"\b(refactor\w*|wrap\w*|clean\w*|renam\w*|reorgani\w*|simplif\w*|guard|import\w*"
                r"|mov(e|ed|ing)|extract\w*|tidy|format\w*|lint\w*|reindent)\b", re.I),
     "other.refactor", ChangeType.NO_EFFECT),
    (re.compile(r"\b(docs?|comments?|docstrings?|readme|typo)\b", re.I), "other.docs",
     ChangeType.NO_EFFECT),
    (re.compile(r"\b(gpus?|cuda|mps|rocm|windows|macos|port(ed|ing)?|support|fallback|environment"
                r"|setup|hardware|vram|oom|compat\w*)\b", re.I),
     "other.environment", ChangeType.NO_EFFECT),
)  # fmt: skip


def with_purpose(change: Change, message: str) -> Change:
    """Name an edit that has no knob by the purpose its message states."""
    if change.knob not in ("other.unspecified", "other.refactor"):
        return change
    for pattern, knob, kind in PURPOSES:
        if pattern.search(message):
            return replace(change, knob=knob, change_type=kind)
    return change


def as_revert(change: Change, *, silent: bool) -> Change:
    """Return the change as the restoration of an earlier state."""
    return replace(change, change_type=ChangeType.REVERT, silent=silent)


def real_base(before: str, after: str, history: Sequence[str]) -> str | None:
    """Return the earlier version an edit was really made from, None if it was the parent.

    Agents drop a failed experiment by writing the next one over it. The version that shares
    most statements with the new one is what they started from.
    """
    best, nearest = None, distance(before, after)
    for earlier in history:
        if earlier == before:
            continue
        away = distance(earlier, after)
        if away < nearest:
            best, nearest = earlier, away
    return best


def distance(one: str, other: str) -> int:
    """Count the statements that only one of two versions has."""
    left, right = statements(one), statements(other)
    return (left - right).total() + (right - left).total()


@lru_cache(maxsize=256)
def statements(source: str) -> Counter[str]:
    """Return the statements of a version with their scopes."""
    program = parse(source)
    if program is None:
        return Counter(source.splitlines())
    return Counter(f"{s.scope}:{s.text}" for s in program.statements)


def is_announced(change: Change, message: str) -> bool:
    """Tell whether a message mentions a change: its source name, or the words of its knob."""
    text = message.lower().replace("_", " ")
    name = re.split(r"[ >.(\[]+", change.path.lower().replace("_", " "))
    if change.path and change.path.lower().replace("_", " ") in text:
        return True
    words = set(WORD.findall(text))
    told = {w for part in change.knob.split(".") for w in part.split("_")} - VAGUE
    return bool(told & words) or (len(name[-1]) > 4 and name[-1] in text)

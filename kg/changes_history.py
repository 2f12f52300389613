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

RESTORES: Final = re.compile(
    r"\b(revert\w*|restor\w*|undo\w*|undid|discard\w*|roll(ed|ing)?[ -]?back|rollback"
    r"|(go|going|went|switch|back) back to|back to (the )?(base\w*|best|previous|original))\b",
    re.I,
)
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


def judge(
    found: list[Change], before: str, after: str, message: str, history: Sequence[str]
) -> list[Change]:
    """Mark the changes that only put back what an earlier version had.

    A commit whose message says so reverts; in any other commit a change that returns to the
    version this one was really made from, and that the message does not mention, is a silent
    undo of the parent's edit.
    """
    found = [with_purpose(change, message) for change in found]
    restores = bool(RESTORES.search(message))
    base = real_base(before, after, history)
    if base is None:
        return [as_revert(c, silent=False) for c in found] if restores else aside(found, message)
    ideas = {change.knob: change for change in compare(base, after)}
    undone = {change.knob: change for change in compare(before, base)}
    if not ideas or not undone:
        return [as_revert(change, silent=False) for change in found] if restores else found
    judged = [
        change
        if change.knob in ideas or (not restores and is_announced(change, message))
        else as_revert(change, silent=not restores)
        for change in found
        if change.knob in ideas or change.knob in undone or not is_nameless(change.knob)
    ]
    known = {change.knob for change in judged}
    judged += [
        with_purpose(idea, message)
        for knob, idea in ideas.items()
        if knob not in known and knob not in undone
    ]
    return judged + [
        as_revert(change, silent=not restores)
        for knob, change in undone.items()
        if knob not in known and knob not in ideas
    ]


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


def is_nameless(knob: str) -> bool:
    """Tell whether a knob only says where code changed, not what: two edits blend into one."""
    return knob.endswith((".structure", ".stream", ".scheme", ".groups", ".update", "unspecified"))


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
    for earlier in dict.fromkeys(history):
        if earlier == before:
            continue
        away = distance(earlier, after)
        if away < nearest:
            best, nearest = earlier, away
    return best


def distance(one: str, other: str) -> int:
    """Count the pieces of code that only one of two versions has."""
    return len(code_lines(one) ^ code_lines(other))


@lru_cache(maxsize=256)
def code_lines(source: str) -> frozenset[tuple[str, int]]:
    """Return the lines of a version, cut at commas and counted, without blank ones and comments.

    Parsing would be exact, but a history of thirty versions has to be compared in a millisecond.
    """
    seen: Counter[str] = Counter()
    pieces: set[tuple[str, int]] = set()
    for line in source.splitlines():
        for piece in COMMENT.sub("", line).rstrip().split(","):  # several keywords share a line
            if piece:
                seen[piece] += 1
                pieces.add((piece, seen[piece]))
    return frozenset(pieces)


COMMENT: Final = re.compile(r"#[^'\"]*$")


# Words of knob names that a message leaves out.
FILLERS: Final = frozenset(
    {"ratio", "frac", "steps", "size", "sizes", "muon", "std", "base", "total"}
)
SYNONYMS: Final = {
    "attn": "attention", "emb": "embedding", "embed": "embedding", "embeds": "embedding",
    "embeddings": "embedding", "wte": "embedding", "wd": "decay", "ve": "value", "betas": "beta1",
    "activations": "activation", "dim": "width", "layers": "depth", "normalization": "norm",
    "norms": "norm", "schedules": "schedule", "initialization": "init",
}  # fmt: skip
WORD: Final = re.compile(r"[a-z]+\d*|\d+(?:\.\d+)?(?:e-?\d+)?")


def is_announced(change: Change, message: str) -> bool:
    """Tell whether a message mentions a change: its source name, its values, or its words."""
    text = " ".join(message.lower().replace("_", " ").split())
    name = change.path.lower().replace("_", " ").partition("[")[0]
    if len(name) > 3 and re.search(rf"\b{re.escape(name)}\b", text):
        return True
    told = {SYNONYMS.get(word, word) for word in WORD.findall(text)}
    values = {str(value).lower() for value in (change.old, change.new) if value}
    if len(values) == 2 and all(
        re.search(rf"(?<![\w.]){re.escape(v)}(?![\w.])", text) for v in values
    ):
        return True
    *owners, last = change.knob.split(".")
    words = {SYNONYMS.get(word, word) for word in last.split("_")} - FILLERS
    if len(owners) > 1 or last in ("scale", "total", "device", "structure"):
        words |= {SYNONYMS.get(owners[-1].split("_")[-1], owners[-1].split("_")[-1])}
    return bool(words) and words <= told

"""The values that cross kg's border: experiments in, changes and settings inside."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """Verdict of an experiment, in the words of results.tsv."""

    KEEP = "keep"
    DISCARD = "discard"
    CRASH = "crash"


class ChangeType(StrEnum):
    """How an edit changed one knob."""

    INCREASE = "increase"
    DECREASE = "decrease"
    REPLACE = "replace"
    ADD = "add"
    REMOVE = "remove"
    ENABLE = "enable"
    DISABLE = "disable"
    RESTRUCTURE = "restructure"
    REVERT = "revert"
    NO_EFFECT = "no_effect"
    UNPARSED = "unparsed"  # one side has a syntax error: the edit is kept, its parts unknown


class OptimizerScope(StrEnum):
    """Whose hyper-parameters or update rule an edit touches, judged on that file."""

    MUON = "muon"
    ADAMW = "adamw"
    BOTH = "both"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Change:
    """One edit to one knob, between two versions of a target file.

    ``old`` and ``new`` are literal source text (``"2**19"``), None where the edit has no
    single expression. ``effective`` is False where the edit cannot act in that file (it is
    overwritten later, or never read) and None where that depends on the hardware branch.
    """

    knob: str
    component: str
    change_type: ChangeType
    optimizer_scope: OptimizerScope
    old: str | None
    new: str | None
    silent: bool = False  # not announced by the message (typically: the last failure undone)
    effective: bool | None = True
    path: str = ""  # where it sits: `GPT.setup_optimizer > group value_embeds > weight_decay`
    old_span: tuple[int, int] | None = None  # first and last line before, 1-based
    new_span: tuple[int, int] | None = None  # first and last line after, 1-based
    overridden_at: int | None = None  # line that makes the edit ineffective, if one does

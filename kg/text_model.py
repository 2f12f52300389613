"""The values of the text side: claims, unresolved words, and how a text and a diff agree."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from kg.model import ChangeType


@dataclass(frozen=True, slots=True)
class Claim:
    """One change a text claims. ``old`` and ``new`` are source text, None if not given."""

    knob: str
    component: str
    change_type: ChangeType
    old: str | None
    new: str | None
    span: tuple[int, int]  # characters of the text that name the knob
    method: str  # alias | lexicon (composed) | gloss (its definition) | semantic | human (an alias)
    rule: str  # the label or the pattern that matched
    score: float  # 1.0 a full name, 0.95 a pattern, 0.9 a vague name with a value; less: a guess
    factor: float | None = None  # the new value as a multiple of the old one ("2x", "halve")


@dataclass(frozen=True, slots=True)
class Unresolved:
    """Words that may claim a change nobody could name, with the nearest knobs and scores."""

    text: str
    span: tuple[int, int]
    candidates: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a text claims, what stayed unresolved, and the knobs it names as context."""

    claims: tuple[Claim, ...] = ()
    unresolved: tuple[Unresolved, ...] = ()
    context: tuple[str, ...] = ()
    lexicon_version: str = ""


class Agreement(StrEnum):
    """How a message and its diff agree, in the words of the labelled histories."""

    AGREE = "agree"
    EXTRA_IN_DIFF = "extra_in_diff"  # the diff holds changes the text does not announce
    MISSING_IN_DIFF = "missing_in_diff"  # the text announces changes the diff does not hold
    CONTRADICT = "contradict"  # same knob, opposite direction or other value; or nothing shared
    NO_CLAIM = "no_claim"  # the text claims nothing that could be compared

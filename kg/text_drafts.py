"""A message while it is being read: its mentions with their evidence, and how it is cut up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kg.lexicon import Concept
from kg.model import ChangeType
from kg.text_clauses import Segment
from kg.text_mentions import Mention
from kg.text_quantity import Quantity
from kg.text_tokens import Token

STRONG = frozenset(
    {
        ChangeType.ADD, ChangeType.REMOVE, ChangeType.ENABLE, ChangeType.DISABLE,
        ChangeType.REPLACE, ChangeType.REVERT, ChangeType.RESTRUCTURE,
    }
)  # fmt: skip


@dataclass(slots=True)
class Draft:
    """One mention with its evidence while a message is being read."""

    mention: Mention
    segment: int
    claim: bool = True
    verb: ChangeType | None = None
    near_word: bool = False  # a verb or comparative stands right before the name
    negated: bool = False  # "don't decay the LR to zero"
    quantity: Quantity | None = None
    old: Token | None = None
    compared: Token | None = None
    hint: ChangeType | None = None
    old_value: Mention | None = None
    new_value: Mention | None = None
    by: str | None = None  # "by" before the value: "scale" for "scale LRs by 0.7", else "step"
    place: bool = False  # "in the last 2 layers", "layer 7": where, not how many
    mlp_width: bool = False  # "hidden" after an MLP's activation means the MLP's own width

    @property
    def knob(self) -> Concept:
        """The knob, in its best reading."""
        return self.mention.knob

    @property
    def backed(self) -> bool:
        """Whether the text says more than the name: a value, or a verb that decides."""
        return self.quantity is not None or self.verb in STRONG


@dataclass(slots=True)
class Reading:
    """A message cut up: tokens, segments, and the drafts found in each."""

    tokens: Sequence[Token]
    segments: list[Segment]
    openers: list[int] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)
    free: list[tuple[int, Quantity]] = field(default_factory=list)  # bound to no mention

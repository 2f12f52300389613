"""The values of a claim: factors, steps, and literals as Python source."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from kg.lexicon import Concept, Lexicon
from kg.model import ChangeType
from kg.text_drafts import Draft, Reading
from kg.text_mentions import PATTERN_KNOB, Mention
from kg.text_quantity import Quantity
from kg.text_tokens import Token
from kg.text_words import TUNE

LEVELS = {
    "schedule.weight_decay": "regularization.weight_decay.matrix",
    "schedule.lr_shape": "schedule.warmdown_ratio",
    "position.encoding": "position.rope_base",
}
"""Knobs that take the number of a text about another: "constant WD at 0.1", "RoPE 100K"."""


def stepped(draft: Draft, quantity: Quantity) -> Quantity | None:
    """Read "scale LRs by 0.7" as a factor; "increase depth by 2" gives a step, no value."""
    new = quantity.new
    if draft.by == "scale" and new is not None and new.value:
        return Quantity(quantity.start, quantity.end, factor=new.value)
    return None


def counted(draft: Draft) -> bool:
    """Tell whether a number counts what is added: "add 2 layers", "2 more layers"."""
    moved = {ChangeType.ADD, ChangeType.REMOVE, ChangeType.INCREASE, ChangeType.DECREASE}
    if draft.knob.name != "model.depth" or draft.quantity is None or draft.verb not in moved:
        return False
    return draft.near_word and draft.quantity.end <= draft.mention.start


def decays(draft: Draft) -> bool:
    """Tell whether a verb names weight decay: "decay the embeddings by 0.01"."""
    return draft.mention.method == "lexicon" and draft.mention.terms[:1] == ("decay",)


def starts_from_zero(draft: Draft, knob: Concept, reading: Reading) -> bool:
    """Tell whether a bare name says that something absent is added: "embedding weight decay"."""
    if knob.reference != "0" or draft.verb is not None or draft.hint is not None:
        return False
    segment = reading.segments[draft.segment]
    part = reading.tokens[segment.start : segment.end]
    return all(token.lemma not in TUNE for token in part)


def zero_in_name(draft: Draft, reading: Reading) -> Quantity | None:
    """Return the zero in a name or right before it: "lm_head zero init", "zero WD"."""
    for position in range(max(draft.mention.start - 1, 0), draft.mention.end):
        token = reading.tokens[position]
        if token.kind == "word" and token.value == 0:
            return Quantity(position, position + 1, token)
    return None


def relative(draft: Draft, knob: Concept, quantity: Quantity) -> Quantity:
    """Read "2x", "by 50%", "+20%" as a factor on the old value, where the knob has no such unit."""
    new = quantity.new
    if new is None or new.value is None:
        return quantity
    if new.unit == "x" and knob.unit != "x" and new.value > 0:
        shrinks = draft.verb is ChangeType.DECREASE and new.value > 1
        return Quantity(
            quantity.start, quantity.end, factor=1 / new.value if shrinks else new.value
        )
    if new.unit == "+%" or (new.unit == "%" and new.value < 0):
        return Quantity(quantity.start, quantity.end, factor=1 + new.value)
    if new.unit == "%" and draft.verb in {ChangeType.INCREASE, ChangeType.DECREASE}:
        sign = 1 if draft.verb is ChangeType.INCREASE else -1
        if knob.reference != "0":
            return Quantity(quantity.start, quantity.end, factor=1 + sign * new.value)
    return quantity


def takes_values(draft: Draft, knob: Concept, reading: Reading) -> bool:
    """Tell whether a number beside a name is its value: not in "VE only last 3 layers"."""
    quantity = draft.quantity
    if knob.value_kind == "event" or quantity is None:
        return False
    if knob.value_kind == "switch":
        led = {token.lemma for token in reading.tokens[draft.mention.end : quantity.start]}
        told = quantity.new is not None and quantity.new.value in {0, 1}
        return told and "from" not in led  # "in parallel from one norm"
    if knob.value_kind != "choice" or quantity.new is None:
        return True
    gap = reading.tokens[draft.mention.end : quantity.start]
    if knob.name == PATTERN_KNOB or quantity.new.kind == "window":
        return quantity.new.kind == "window"
    return quantity.paired or all(token.lemma in {"=", ":", "to"} for token in gap)


def source(knob: Concept, token: Token | None) -> str | None:
    """Return a value as Python source: 10K is 10000, and 524K tokens are 524288."""
    if token is None or token.literal is None:
        return None
    if token.unit == "pair":
        return next(halves(token)).literal
    if token.unit == "k" and knob.name == "batch.total" and token.value:
        nearest = 2 ** round(math.log2(token.value))
        if abs(nearest - token.value) <= 0.01 * nearest:  # 65K is 65536, 0.8 % off
            return str(nearest)
    return token.literal


def named(value: Mention | None, knob: Concept, reading: Reading) -> str | None:
    """Return how the text writes a value it names: SwiGLU, relu^3; GQA is no number of heads."""
    if value is None or knob.value_kind not in {"choice", "term"}:
        return None
    return words_of(reading, value)[0]


def shape_of(draft: Draft, knob: Concept, reading: Reading, lexicon: Lexicon) -> str | None:
    """Return the curve a text names for a schedule: cosine, linear, constant."""
    shapes = lexicon.concepts.get(("term", "shape"))
    if shapes is None or knob.name not in LEVELS:
        return None
    known = {label.lower() for label in shapes.labels}
    part = reading.tokens[draft.mention.start : draft.mention.end]
    return next((token.text for token in part if token.text.lower() in known), None)


def words_of(reading: Reading, mention: Mention) -> tuple[str, tuple[int, int]]:
    """Return the words of a mention and where they stand in the text."""
    part = reading.tokens[mention.start : max(mention.end, mention.start + 1)]
    text = " ".join(token.literal or token.text for token in part)
    return text, (part[0].start, part[-1].end)


def halves(pair: Token) -> Iterator[Token]:
    """Yield the two numbers of a pair token."""
    for part in (pair.literal or "").strip("()").split(","):
        yield replace(pair, unit="", literal=part.strip(), value=float(part))

"""How a text says a knob changed: numbers first, then words, then what the knob is.

Numbers beat verbs ("halve batch 524K to 262K"). A value alone is compared with what it was
said to be before, then with the words around it, then with the knob's reference ("off" is 0,
an init scale of 1 is none); else the type is ``replace``, as the labelling scheme has it.
"""

from __future__ import annotations

from dataclasses import dataclass

from kg.lexicon import Concept
from kg.model import ChangeType
from kg.text_quantity import Quantity
from kg.text_tokens import Token
from kg.text_words import (
    ADD,
    ANOTHER,
    DECREASE,
    DISABLE,
    EARLIER,
    ENABLE,
    INCREASE,
    LATER,
    OTHER,
    REMOVE,
    REPLACE,
    RESTRUCTURE,
    REVERT,
    RUNS_IN,
    RUNS_OUT,
    SPEED,
    SPREAD,
    WHOLE,
)

VERBS: tuple[tuple[ChangeType, frozenset[str]], ...] = (
    (ChangeType.REVERT, REVERT),
    (ChangeType.REMOVE, REMOVE),
    (ChangeType.DISABLE, DISABLE),
    (ChangeType.ENABLE, ENABLE),
    (ChangeType.INCREASE, INCREASE),
    (ChangeType.DECREASE, DECREASE),
    (ChangeType.RESTRUCTURE, RESTRUCTURE),
    (ChangeType.REPLACE, REPLACE),
    (ChangeType.ADD, ADD),
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the text says about one mention besides its name."""

    verb: ChangeType | None = None  # the verb or the comparative that governs it
    quantity: Quantity | None = None
    old: Token | None = None  # "(was 0.45)"
    compared: Token | None = None  # "(0.7 better)": the value it is set against
    hint: ChangeType | None = None  # "(slower)", "(too shallow)", "(longer cooldown)"
    implied: ChangeType | None = None  # "GQA" means fewer KV heads
    current: float | None = None  # the value in the file the text is about, if known


def verb_class(lemma: str) -> ChangeType | None:
    """Return the change a word names; None for any other word."""
    return next((kind for kind, words in VERBS if lemma in words), None)


def sense(lemma: str, knob: Concept) -> ChangeType | None:
    """Return the change a word names for one knob.

    A faster learning rate is a higher one, an earlier cooldown a longer one, an extra norm a
    norm that is added; any other word means what it means for all.
    """
    kind = verb_class(lemma)
    if kind is not None and lemma in SPEED and knob.name.endswith("_lr"):
        return opposite(kind)
    if lemma in SPREAD and knob.name.endswith(("_lr", ".matrix")):
        return ChangeType.RESTRUCTURE  # "different LRs for Q and K"
    if lemma in EARLIER | LATER and knob.name in RUNS_IN | RUNS_OUT:
        longer = (lemma in EARLIER) == (knob.name in RUNS_OUT)
        return ChangeType.INCREASE if longer else ChangeType.DECREASE
    if lemma in ANOTHER and knob.value_kind == "term" and knob.reference is None:
        return ChangeType.ADD
    if lemma in OTHER and knob.value_kind == "choice":
        return ChangeType.REPLACE  # "another seed"
    return kind


def opposite(kind: ChangeType) -> ChangeType:
    """Return decrease for increase and the other way round; anything else as it is."""
    if kind is ChangeType.INCREASE:
        return ChangeType.DECREASE
    return ChangeType.INCREASE if kind is ChangeType.DECREASE else kind


def change_type(knob: Concept, evidence: Evidence) -> ChangeType:
    """Decide the change type of one mention."""
    if evidence.verb is ChangeType.REVERT:
        return ChangeType.REVERT
    if knob.value_kind == "event":
        return ChangeType(knob.implies or "no_effect")
    return DECIDE[knob.value_kind](knob, evidence)


def of_choice(knob: Concept, evidence: Evidence) -> ChangeType:
    """Strings, activations, layouts: replaced, unless they are removed or split."""
    if evidence.verb is ChangeType.RESTRUCTURE:
        return ChangeType.RESTRUCTURE
    if evidence.verb in {ChangeType.REMOVE, ChangeType.DISABLE}:
        return ChangeType.REMOVE
    return evidence.implied or ChangeType.REPLACE


def of_switch(knob: Concept, evidence: Evidence) -> ChangeType:
    """Features that are on or off."""
    if evidence.implied is not None:
        return evidence.implied
    off = {ChangeType.REMOVE, ChangeType.DISABLE, ChangeType.DECREASE}
    value = evidence.quantity.new if evidence.quantity else None
    if value is not None and value.value == 0:
        return ChangeType.DISABLE
    return ChangeType.DISABLE if evidence.verb in off else ChangeType.ENABLE


def of_term(knob: Concept, evidence: Evidence) -> ChangeType:
    """Modules and coefficients that are absent until added."""
    if evidence.verb is ChangeType.RESTRUCTURE and knob.reference is not None:
        return ChangeType.RESTRUCTURE  # "different softcaps per layer"
    by_value = from_values(evidence) or from_reference(knob, evidence)
    if by_value is not None:
        return by_value
    if evidence.verb in {ChangeType.REMOVE, ChangeType.DISABLE}:
        return ChangeType.REMOVE
    moved = {ChangeType.INCREASE, ChangeType.DECREASE, ChangeType.REPLACE, ChangeType.RESTRUCTURE}
    if evidence.verb in moved:
        return evidence.verb or ChangeType.ADD
    if knob.reference is not None and evidence.verb is not ChangeType.ADD:
        return evidence.hint or ChangeType.REPLACE
    return ChangeType.ADD


def of_number(knob: Concept, evidence: Evidence) -> ChangeType:
    """Numbers that are there already: they go up, down, or somewhere unknown."""
    by_value = from_values(evidence)
    if by_value is not None:
        return by_value
    if evidence.verb is ChangeType.RESTRUCTURE:
        return ChangeType.RESTRUCTURE
    if evidence.verb in {ChangeType.REMOVE, ChangeType.DISABLE} and knob.name in WHOLE:
        return ChangeType.REMOVE
    moved = {ChangeType.INCREASE, ChangeType.DECREASE}
    if evidence.implied is not None and evidence.verb not in moved:
        off = evidence.verb in {ChangeType.REMOVE, ChangeType.DISABLE}
        return opposite(evidence.implied) if off else evidence.implied  # "drop GQA": more heads
    up = {ChangeType.INCREASE, ChangeType.ADD, ChangeType.ENABLE}
    if evidence.verb in up and not (evidence.verb is ChangeType.ADD and zero(evidence)):
        return ChangeType.INCREASE
    if evidence.verb in {ChangeType.DECREASE, ChangeType.REMOVE, ChangeType.DISABLE}:
        return ChangeType.DECREASE
    if evidence.hint is not None and evidence.hint in {ChangeType.INCREASE, ChangeType.DECREASE}:
        return evidence.hint
    return from_reference(knob, evidence) or (
        ChangeType.DECREASE if zero(evidence) else ChangeType.REPLACE
    )


DECIDE = {"choice": of_choice, "switch": of_switch, "term": of_term, "number": of_number}


def zero(evidence: Evidence) -> bool:
    """Tell whether the text sets the value to zero."""
    new = evidence.quantity.new if evidence.quantity else None
    return new is not None and new.value == 0


def from_values(evidence: Evidence) -> ChangeType | None:
    """Compare the values the text gives: a pair, "(was y)", "2x", "(worse than y)"."""
    quantity = evidence.quantity
    if quantity is None:
        return None
    if quantity.factor is not None and quantity.factor != 1:
        return ChangeType.INCREASE if quantity.factor > 1 else ChangeType.DECREASE
    new = quantity.new.value if quantity.new else None
    olds = (quantity.old, evidence.old, evidence.compared)
    for old in (*(token.value if token else None for token in olds), evidence.current):
        direction = compare(old, new)
        if direction is not None:
            return direction
    return None


def compare(old: float | None, new: float | None) -> ChangeType | None:
    """Return the direction from one value to another; None if unknown or equal."""
    if old is None or new is None or old == new:
        return None
    return ChangeType.INCREASE if new > old else ChangeType.DECREASE


def from_reference(knob: Concept, evidence: Evidence) -> ChangeType | None:
    """Compare a lone value with the knob's reference."""
    new = evidence.quantity.new if evidence.quantity else None
    if new is None or new.value is None or knob.reference is None:
        return None
    if knob.reference == "max":
        return ChangeType.DECREASE
    reference = ratio(knob.reference)
    if 0 < reference < 1 < new.value or reference == 1 > 10 * new.value:
        return None  # 256 tokens against half of the context, a std of 0.02 against a factor
    if knob.value_kind == "term" and new.value:
        return None
    return compare(reference, new.value)


def ratio(text: str) -> float:
    """Read ``15`` or ``1/2``."""
    over, _, under = text.partition("/")
    return float(over) / float(under or 1)

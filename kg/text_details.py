"""What parentheses say about the change before them: its values, or further settings."""

from __future__ import annotations

from collections.abc import Sequence

from kg.model import ChangeType
from kg.text_drafts import Draft, Reading
from kg.text_quantity import skip_units
from kg.text_words import COSTS


def paired(draft: Draft) -> bool:
    """Tell whether a mention has an old and a new value."""
    return draft.quantity is not None and draft.quantity.paired


def detailed(draft: Draft) -> bool:
    """Tell whether parentheses hold a change: "(depth 8->9)", "LRs (matrix 0.02, embed 0.3)"."""
    return not draft.mention.weak and (
        paired(draft) or (draft.mention.shared and draft.quantity is not None)
    )


def spelt_out(reading: Reading, draft: Draft, earlier: Sequence[Draft]) -> bool:
    """Tell whether parentheses give the values of "double batch (DEVICE_BATCH=16 TOTAL=2^15)".

    The direction of the words before them is theirs as well.
    """
    after = reading.tokens[draft.mention.end : draft.mention.end + 1]
    assigned = draft.quantity is not None and any(token.lemma == "=" for token in after)
    assigned = assigned and draft.mention.method == "alias"
    akin = [d for d in earlier if d.knob.broader == draft.knob.broader == "batch"]
    if not (assigned and akin):
        return False
    led = akin[0].quantity
    draft.verb = draft.verb or akin[0].verb
    if draft.verb is None and led is not None and led.factor is not None:
        draft.verb = ChangeType.INCREASE if led.factor > 1 else ChangeType.DECREASE
    return True


def take_detail(reading: Reading, draft: Draft, number: int) -> None:
    """Take a value from parentheses: "(100 steps vs 300)", "(max_norm=1.0)", "(1e-4)"."""
    segment = reading.segments[number]
    if draft.verb in {ChangeType.REMOVE, ChangeType.DISABLE}:
        return  # "remove the x0 skip (1.362 vs 1.277)": scores
    for place, size in reading.free:
        if place != number or not segment.depth or size.factor is not None:
            continue
        if draft.old is not None and size.new == draft.old:
            continue  # "(was 0.1)"
        after = reading.tokens[size.end].lemma if size.end < segment.end else ""
        if size.new is not None and size.new.unit.startswith("+") and after in COSTS:
            continue  # "(+7% steps)"
        stop = skip_units(reading.tokens, size.end, segment.end)
        short = segment.end - segment.start <= 2  # "(decay 0.999)"
        whole = (size.start == segment.start or short) and stop == segment.end
        if size.paired or whole:
            draft.quantity = draft.quantity or size
            return
    for other in reading.drafts:
        if other.segment != number or not segment.depth:
            continue
        if other.knob.name == draft.knob.name:
            draft.new_value = draft.new_value or other.new_value
        if other.quantity is None:
            continue
        akin = other.knob.broader == draft.knob.broader and draft.knob.value_kind == "number"
        vague = akin and other.quantity.paired and other.mention.weak
        if other.knob.name == draft.knob.name or vague:
            draft.quantity = draft.quantity or other.quantity

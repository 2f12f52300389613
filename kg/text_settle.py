"""Decide between claims of one text that cannot both be meant."""

from __future__ import annotations

from kg.model import ChangeType
from kg.text_drafts import Reading
from kg.text_words import KEEP, words

RATES = words("cooldown learning lr rate warmdown warmup")
"""Words that make a schedule the learning rate's own."""


def settle_kept(reading: Reading) -> None:
    """Take a lone value for what it is where the text says that the knob stays.

    "D7/192, one layer more at the same width": the 192 is no change.
    """
    kept = {
        draft.knob.name
        for draft in reading.drafts
        if not draft.claim
        and draft.mention.start
        and reading.tokens[draft.mention.start - 1].lemma in KEEP - {"hold", "holding"}
        and draft.quantity is None
    }
    for draft in reading.drafts:
        pair = draft.quantity is not None and draft.quantity.paired
        if draft.knob.name in kept and not pair:
            draft.claim = False


def settle_backends(reading: Reading) -> None:
    """Read a bare kernel or precision beside a changed value as the setting it ran in."""
    claims = [draft for draft in reading.drafts if draft.claim]
    if not any(draft.quantity and draft.quantity.paired for draft in claims):
        return
    for draft in claims:
        bare = draft.verb is None and draft.quantity is None and draft.old_value is None
        if bare and draft.knob.broader == "precision_compile":
            draft.claim = False


def settle_sizes(reading: Reading) -> None:
    """Tell the model's width from the MLP's, and from what the depth makes of it.

    "SwiGLU, hidden 2.67x" is the MLP's; "depth 11 dim 640" only says what follows.
    """
    claims = [draft for draft in reading.drafts if draft.claim]
    seen: set[str] = set()
    for draft in claims:
        multiple = draft.quantity and draft.quantity.new and draft.quantity.new.unit == "x"
        mlp = "mlp" in seen or bool(multiple)
        draft.mlp_width = draft.mention.terms == ("width",) and mlp
        seen.add(draft.knob.broader)
    looped = any(draft.knob.name == "model.layer_loops" for draft in claims)
    deep = any(draft.knob.name == "model.depth" for draft in claims)
    for draft in claims:
        words = {t.lemma for t in reading.tokens[draft.mention.start : draft.mention.end]}
        paired = draft.quantity is not None and draft.quantity.paired
        if looped and draft.knob.name == "model.depth" and draft.mention.weak:
            draft.claim = False  # "loop the last 2 blocks twice"
        if deep and draft.knob.name == "model.width" and "dim" in words and not paired:
            draft.claim = draft.verb in {ChangeType.INCREASE, ChangeType.DECREASE}


def settle_schedules(reading: Reading) -> None:
    """Give a schedule to the knob it is said of: "temperature annealing", not the LR's.

    "Exponential decay schedule for the attention temperature" names no learning rate either.
    """
    curves = [d for d in reading.drafts if d.claim and d.knob.name == "schedule.lr_shape"]
    for curve in curves:
        part = reading.tokens[curve.mention.start : curve.mention.end]
        if RATES & {token.lemma for token in part}:
            continue
        for other in reading.drafts:
            if other.segment != curve.segment or other.knob.broader in {"schedule", "optimizer"}:
                continue
            gap = [t.lemma for t in reading.tokens[curve.mention.end : other.mention.start]]
            after = gap[-1:] and gap[-1] in {"for", "of", "on"} and set(gap[:-1]) <= {"schedule"}
            if after or other.mention.start < curve.mention.start <= other.mention.end:
                curve.claim, other.claim = False, True
                break

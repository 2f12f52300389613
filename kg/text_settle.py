"""Decide between claims of one text that cannot both be meant."""

from __future__ import annotations

from kg.model import ChangeType
from kg.text_drafts import Reading
from kg.text_words import KEEP


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

"""Decide between claims of one text that cannot both be meant."""

from __future__ import annotations

from collections.abc import Sequence

from kg.model import ChangeType
from kg.text_clauses import EQUAL
from kg.text_drafts import Draft, Reading
from kg.text_words import CONTEXT, KEEP, words

RATES = words("cooldown learning lr rate warmdown warmup")
"""Words that make a schedule the learning rate's own."""


FOLLOWS = {
    "attention.n_head": frozenset(
        {"attention.head_dim", "attention.n_kv_head", "attention.differential", "model.width"}
        | {"loss.auxiliary"}
    ),
    "optimizer.kind": frozenset(
        {"optimizer.cautious_mask", "optimizer.muon_momentum", "regularization.weight_decay.matrix"}
    ),
    "attention.head_dim": frozenset({"position.encoding"}),
    "data.seq_len_curriculum": frozenset({"schedule.grad_accum"}),
    "mlp.activation": frozenset({"mlp.sparsity"}),
    "mlp.expansion": frozenset({"mlp.moe"}),
    "residual.parallel_block": frozenset({"attention.short_conv"}),
    "batch.device": frozenset({"schedule.grad_accum"}),
    "batch.grad_accum": frozenset({"batch.device", "batch.total", "schedule.grad_accum"}),
    "batch.total": frozenset({"schedule.grad_accum"}),
    "data.seq_len": frozenset({"data.seq_len_curriculum", "position.rotary_cache_len"}),
}
"""Knobs a text only names as a consequence or as an object of the others."""


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
    settle_heads(reading, claims)
    for draft in claims:
        words = {t.lemma for t in reading.tokens[draft.mention.start : draft.mention.end]}
        paired = draft.quantity is not None and draft.quantity.paired
        if looped and draft.knob.name == "model.depth" and draft.mention.weak:
            draft.claim = False  # "loop the last 2 blocks twice"
        if deep and draft.knob.name == "model.width" and "dim" in words and not paired:
            draft.claim = draft.verb in {ChangeType.INCREASE, ChangeType.DECREASE}
        rotated = any(d.claim and d.knob.name == "position.encoding" for d in claims)
        plain = "dim" in words or words == {"n", "embedding"}  # not the aspect ratio
        if (deep or rotated) and draft.knob.name == "model.width" and plain:
            draft.claim = draft.claim and not reading.segments[draft.segment].depth
        if attributive(reading, draft):
            draft.claim = False


def settle_heads(reading: Reading, claims: Sequence[Draft]) -> None:
    """Drop what only follows from another claim, in place.

    With a fixed width the head size tells the number of heads; experts take the place of the
    MLP; "rotate half of the head dims" keeps their number; a ramp of the batch is one schedule.
    """
    named = {draft.knob.name for draft in claims if draft.claim}
    for draft in claims:
        follows = FOLLOWS.get(draft.knob.name, frozenset())
        paired = draft.quantity is not None and draft.quantity.paired
        bare = draft.mention.terms == ("init",) and draft.mention.method == "lexicon"
        new = draft.claim and (bare or draft.knob.name == "init.distribution")
        apart = reading.segments[draft.segment].joined_by in EQUAL
        added = any(
            d.claim
            and d.knob.value_kind == "term"
            and (d.segment == draft.segment or (d.segment < draft.segment and not apart))
            for d in claims
        )
        if new and added:
            draft.claim = False  # how a module starts is part of adding it
        if (
            draft.new_value is None
            and follows & named
            and (not paired or draft.knob.name in {"attention.n_head", "batch.grad_accum"})
        ):
            draft.claim = False


def attributive(reading: Reading, draft: Draft) -> bool:
    """Tell whether a name only describes the next one.

    "A width-3 causal convolution" is no width, "the normalized input" no norm that is added.
    """
    after = draft.mention.end
    last = reading.tokens[max(after - 1, 0)]
    if draft.knob.name == "norm.placement" and last.text.lower() in {"normalized", "normed"}:
        follows = reading.tokens[after : after + 1]
        return bool(follows) and follows[0].kind == "word" and follows[0].lemma not in CONTEXT
    if draft.mention.terms != ("width",) or after >= len(reading.tokens):
        return False
    number = reading.tokens[after]
    hyphen = number.kind == "number" and number.start == reading.tokens[after - 1].end + 1
    described = (other for other in reading.drafts if other.claim and other.quantity is None)
    return hyphen and any(  # "aspect 51 dim 512" are two values, none describes the other
        other.segment == draft.segment and 0 <= other.mention.start - after <= 2
        for other in described
    )


def settle_results(reading: Reading) -> None:
    """Take nothing for a change that follows the score in the main clause of a log line."""
    over = False
    for number, segment in enumerate(reading.segments):
        here = [draft for draft in reading.drafts if draft.segment == number]
        for draft in here:
            draft.claim = draft.claim and not over
        part = reading.tokens[segment.start : segment.end]
        scored = any(token.lemma == "bpb" or token.text == "WORSE" for token in part)
        changed = any(d.claim for d in reading.drafts if d.segment <= number)
        over = over or (scored and changed and not segment.depth)


def settle_schedules(reading: Reading) -> None:
    """Give a schedule to the knob it is said of: "temperature annealing", not the LR's.

    "Exponential decay schedule for the attention temperature" names no learning rate either.
    """
    ends = {"schedule.warmdown_ratio", "schedule.final_lr_frac"}
    decayed = any(d.claim and d.knob.name in ends for d in reading.drafts)
    for draft in reading.drafts:
        if decayed and draft.mention.rule in {"schedule", "decay LR", "LR decay", "LR annealing"}:
            draft.claim = False  # "full anneal, warmdown 0.8 -> 1.0"
    lemmas = {token.lemma for token in reading.tokens}
    several = sum(draft.claim for draft in reading.drafts) > 1
    for draft in reading.drafts:
        if several and draft.mention.rule == "schedule" and not RATES & lemmas:
            draft.claim = False  # "extend all windows, update schedule": whose?
    curves = [d for d in reading.drafts if d.claim and d.knob.name == "schedule.lr_shape"]
    for curve in curves:
        part = reading.tokens[curve.mention.start : curve.mention.end]
        if RATES & {token.lemma for token in part}:
            continue
        for other in reading.drafts:
            inside = curve.mention.start < other.mention.start < curve.mention.end
            if inside and other.claim and other.segment == curve.segment:
                curve.claim = False  # "cubic sliding window schedule"
            if other.segment != curve.segment or other.knob.broader in {"schedule", "optimizer"}:
                continue
            gap = [t.lemma for t in reading.tokens[curve.mention.end : other.mention.start]]
            after = gap[-1:] and gap[-1] in {"for", "of", "on"} and set(gap[:-1]) <= {"schedule"}
            if after or other.mention.start < curve.mention.start <= other.mention.end:
                curve.claim, other.claim = False, True
                break


def settle_general(reading: Reading) -> None:
    """Read "lower learning rates: MATRIX_LR=0.02, SCALAR_LR=0.1" as those rates, all lowered."""
    claims = [draft for draft in reading.drafts if draft.claim]
    for general in claims:
        if general.knob.name != "optimizer.all_lr" or general.quantity is not None:
            continue
        named = [d for d in claims if d.knob.name.endswith("_lr") and d.quantity is not None]
        if general.verb is None or not named:
            continue
        general.claim = False
        for draft in named:
            draft.verb = draft.verb or general.verb

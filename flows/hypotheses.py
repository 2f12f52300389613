"""One sentence on why an edit could help, from what the field knows of its knob."""

from __future__ import annotations

import re
from collections.abc import Sequence

from flows.edits import Kind, Knob
from flows.evidence import Trial
from flows.scale import place
from flows.syntax import Value

# (names, why up, why down), first match
REASONS = (
    (
        r"(total_)?batch(_size)?",
        "a larger batch makes each gradient less noisy",
        "a smaller batch gives more optimizer steps in the same time",
    ),
    (
        r"depth|n_layers?|num_layers",
        "one more layer is worth the steps it costs",
        "a shallower model takes more steps in the same time",
    ),
    (
        r"aspect_ratio|n_embd|d_model|model_dim|width|hidden\w*|mlp_expansion",
        "a wider model learns more from each token",
        "a narrower model takes more steps in the same time",
    ),
    (
        r".*lr|.*learning_rate|eta",
        "a higher rate learns more in the few steps the budget allows",
        "a lower rate settles closer to the minimum",
    ),
    (
        r"(warmdown|cooldown)\w*",
        "a longer warmdown lets the weights settle",
        "a shorter warmdown leaves more steps at the full rate",
    ),
    (
        r".*warmup\w*",
        "a gentler start avoids early damage",
        "a shorter warmup leaves more steps at full strength",
    ),
    (
        r"(final|min)_lr\w*",
        "learning until the last step uses the whole budget",
        "a rate that falls further settles closer to the minimum",
    ),
    (
        r".*(weight_decay|_wd)|wd|l2|alpha",
        "more decay keeps the weights small enough to go on learning",
        "so short a run needs less regularization",
    ),
    (
        r".*(beta[12]?|momentum|ema)",
        "a longer average smooths noisy gradients",
        "a shorter average follows the gradient faster",
    ),
    (
        r"head_dim|head_size",
        "fewer, wider heads match more precisely",
        "more, narrower heads attend to more things",
    ),
    (
        r"softcap",
        "a looser cap lets confident predictions through",
        "a tighter cap keeps logits from running away",
    ),
    (
        r"rope_base",
        "slower rotations tell distant positions apart",
        "faster rotations tell near positions apart",
    ),
    (
        r"short_window_divisor",
        "shorter windows cost less and leave more steps",
        "longer windows let every layer see more",
    ),
    (
        r".* init",
        "a larger start gives this part a say from the first step",
        "a smaller start lets this part grow when it is needed",
    ),
    (
        r".*dropout.*",
        "more dropout generalizes better",
        "so short a run needs less dropout",
    ),
)
CHOICES = {
    "activation": "another activation suits this width and budget better",
    "window_pattern": "another mix of short and full windows buys more steps or more context",
    "logit cap": "without the cap the head learns faster and each step is cheaper",
}

ALONG = {"total_batch_size": "device_batch_size", "depth": "aspect_ratio"}


def hypothesis(edits: Sequence[tuple[Knob, Value]], trials: Sequence[Trial]) -> str:
    """Return one sentence on why the edits could help, with what the campaign saw before."""
    moved = {knob.name for knob, _ in edits}
    along = {ALONG[name] for name in moved & ALONG.keys()}  # moves only to keep what depends on it
    own = [(knob, value) for knob, value in edits if knob.name not in along]
    text = " and ".join(dict.fromkeys(reason(knob, value) for knob, value in own))
    if {"depth", "aspect_ratio"} <= moved:
        text += ", at the same width"
    if len(edits) == 1:
        text += before(*edits[0], trials)
    return f"{text[0].upper()}{text[1:]}."


def reason(knob: Knob, value: Value) -> str:
    """Return why moving one knob to a value could help."""
    if knob.kind is Kind.CHOICE:
        return CHOICES.get(knob.name, f"{knob.name} {value} was never tried here")
    up = (place(knob, value) or 0) > 0
    if knob.kind is Kind.BETA:
        up = not up  # its scale is of 1 - beta
    for names, rises, falls in REASONS:
        if re.fullmatch(names, knob.name):
            return rises if up else falls
    return f"the best {knob.name} may lie {'above' if up else 'below'} {knob.text}"


def before(knob: Knob, value: Value, trials: Sequence[Trial]) -> str:
    """Return what the last experiment on a knob showed, as a clause."""
    last = next((trial for trial in reversed(trials) if knob.name in trial.moved), None)
    if last is None:
        return ""
    old, new = last.moved[knob.name]
    move = f"{'none' if old is None else old} -> {'none' if new is None else new}"
    if last.gain is None:
        return f", although {move} crashed"
    lost = f"{move} lost {-last.gain:.4g}"
    if last.gain <= 0 and new == value:
        since = trials[-1].accepted + trials[-1].kept - last.accepted
        return f"; {lost}, but {since} versions were accepted since"
    return f", as {lost}" if last.gain <= 0 else f", as {move} gained {last.gain:.4g}"

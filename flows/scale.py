"""The scale on which each kind of knob is searched: 0 is the accepted value."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flows.edits import Kind, Knob
from flows.syntax import Value

STEPS = {  # the first move on a knob: large enough to stand out of the noise of one run
    Kind.RATE: 0.8,  # octaves: x 1.7; measured at 24 s: matrix_lr x 2 is 3.4 std, x 1.2 is not seen
    Kind.SHARE: 1.5,  # tenths
    Kind.BETA: 0.8,  # octaves of 1 - beta: 0.95 -> 0.971
    Kind.POWER: 1.0,
    Kind.COUNT: 1.0,
    Kind.SIZE: 0.5,
}
REACH = {  # how far from the accepted value a search goes: x 0.25 to x 4 for rates
    Kind.RATE: 2.0,
    Kind.SHARE: 4.0,
    Kind.BETA: 1.6,
    Kind.POWER: 2.0,
    Kind.COUNT: 2.0,
    Kind.SIZE: 1.0,
}
WHOLE = (Kind.POWER, Kind.COUNT)  # scales without values between the marks


def place(knob: Knob, value: Value | None) -> float | None:
    """Return where a value lies on the knob's scale; None where it has no place there.

    The unit is an octave, a tenth of a SHARE or one of a COUNT.
    """
    here = knob.value
    if isinstance(value, str) or isinstance(here, str) or value is None:
        return None
    if knob.kind in (Kind.COUNT, Kind.SHARE):
        return (value - here) * (10 if knob.kind is Kind.SHARE else 1)
    if knob.kind is Kind.BETA:
        value, here = 1 - value, 1 - here
    elif here == 0:
        return None if value < 0 else math.log2(value / knob.from_zero) + 1 if value else 0.0
    return math.log2(value / here) if value / here > 0 else None


def value_at(knob: Knob, at: float) -> Value | None:
    """Return the value at a place of the scale, rounded as people write it.

    None if it is the accepted value or out of the knob's bounds.
    """
    here = knob.value
    assert not isinstance(here, str)
    value: float = here
    if knob.kind is Kind.COUNT:
        value = here + round(at)
    elif knob.kind is Kind.SHARE:
        value = round(min(1.0, max(0.0, here + at / 10)), 2)
    elif knob.kind is Kind.BETA:
        value = float(f"{1 - (1 - here) * 2**at:.3g}")
    elif knob.kind is Kind.POWER:
        value = int(here * 2.0 ** round(at))
    elif here == 0:
        value = float(f"{knob.from_zero * 2 ** (at - 1):.1g}") if at > 0 else 0.0
    elif knob.kind is Kind.SIZE:
        grain = min(int(here) & -int(here), max(1, int(here) // 4), 64)  # 768 moves by 64
        value = round(here * 2**at / grain) * grain
    else:
        value = float(f"{here * 2**at:.2g}")
        if isinstance(here, int) and abs(here) >= 5:
            value = round(value)
    if value == here or not knob.low <= value <= knob.high:
        return None
    return value


def step_of(knob: Knob) -> float:
    """Return the length of the first move, in units of the knob's scale."""
    return 3.0 if knob.name == "rope_base" else STEPS[knob.kind]  # 10 K to 200 K was kept once


def reach(knob: Knob) -> tuple[float, float]:
    """Return the lowest and highest place the search goes to."""
    far = REACH[knob.kind]
    if knob.name == "rope_base":
        return -3.5, 5.0
    if knob.value == 0 and knob.kind is not Kind.SHARE:
        return 0.5, 2 * far
    return -far, far


@dataclass(frozen=True, slots=True)
class Law:
    """A relation between constants that a GPT trainer relies on."""

    names: tuple[str, ...]
    holds: Callable[..., bool]


WIDTHS = ("n_embd", "d_model", "model_dim", "width", "hidden_size", "hidden_dim")
HEADS = ("n_head", "n_heads", "num_heads")
LAWS = (
    *(Law((width, heads), lambda w, h: w % h == 0) for width in WIDTHS for heads in HEADS),
    *(Law((width, "head_dim"), lambda w, d: w % d == 0) for width in WIDTHS),
    *(Law((heads, f"{heads[:-4]}kv_{heads[-4:]}"), lambda h, k: h % k == 0) for heads in HEADS[:1]),
    Law(("head_dim",), lambda d: d % 2 == 0),  # rotary positions turn halves
    Law(("warmup_ratio", "warmdown_ratio"), lambda up, down: up + down <= 1),
    Law(("total_batch_size", "device_batch_size"), lambda total, rows: total % rows == 0),
    Law(("final_lr_frac",), lambda left: left < 1),
)


def lawful(before: Mapping[str, Value], after: Mapping[str, Value]) -> bool:
    """Tell whether every relation that held before the edit holds after it."""

    def holds(law: Law, values: Mapping[str, Value]) -> bool:
        given = [values[name] for name in law.names if name in values]
        return len(given) < len(law.names) or 0 in given or law.holds(*given)

    return all(holds(law, after) for law in LAWS if holds(law, before))

"""What the built-in researcher finds in a source, and how it edits it."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trainer_source import TRAINER, named

from flows.edits import Kind, apply, knobs, literal
from flows.scale import place, reach, value_at
from flows.syntax import fold


def test_every_kind_of_knob_is_found_and_fixed_ground_is_not() -> None:
    found = named()
    assert found == {
        "depth": 4,
        "aspect_ratio": 32,
        "head_dim": 32,
        "window_pattern": "SSSL",
        "total_batch_size": 512,
        "device_batch_size": 2,
        "matrix_lr": 0.04,
        "embedding_lr": 0.6,
        "weight_decay": 0.0,
        "adam_beta1": 0.8,
        "adam_beta2": 0.95,
        "warmdown_ratio": 0.5,
        "warmup_ratio": 0.0,
        "use_bias": "False",
        "activation": "relu^2",
        "mlp_expansion": 4,
        "softcap": 15,
        "logit cap": "on",
        "rope_base": 10000,
        "short_window_divisor": 2,
        "x0_lambdas init": 0.1,
        "lm_head init": 0.001,
        "lm_head weight_decay": 0.0,
        "embedding_params weight_decay": 0.01,
    }


@pytest.mark.parametrize(
    ("name", "value", "old", "new"),
    [
        ("depth", 5, "DEPTH = 4  # layers", "DEPTH = 5  # layers"),
        ("total_batch_size", 256, "TOTAL_BATCH_SIZE = 2**9", "TOTAL_BATCH_SIZE = 2**8"),
        ("embedding_lr", 0.8, "0.04; EMBEDDING_LR = 0.6", "0.04; EMBEDDING_LR = 0.8"),
        ("adam_beta2", 0.97, "ADAM_BETAS = (0.8, 0.95)", "ADAM_BETAS = (0.8, 0.97)"),
        ("use_bias", "True", "USE_BIAS = False", "USE_BIAS = True"),
        ("window_pattern", "SL", '"SSSL"', '"SL"'),
        ("activation", "silu", "F.relu(self.c_fc(x)).square()", "F.silu(self.c_fc(x))"),
        ("softcap", 30, "softcap = 15  # cap", "softcap = 30  # cap"),
        ("rope_base", 200000, "base=10000", "base=200000"),
        ("x0_lambdas init", 0.05, "fill_(0.1)", "fill_(0.05)"),
        ("embedding_params weight_decay", 0.02, '"weight_decay": 0.01', '"weight_decay": 0.02'),
    ],
)
def test_an_edit_rewrites_its_literal_and_nothing_else(name, value, old, new) -> None:
    knob = next(knob for knob in knobs(TRAINER) if knob.name == name)
    assert apply(TRAINER, [(knob, value)]) == TRAINER.replace(old, new)


def test_removing_the_logit_cap_takes_its_line_along_and_the_expansion_has_two_places() -> None:
    found = {knob.name: knob for knob in knobs(TRAINER)}
    removed = apply(TRAINER, [(found["logit cap"], "removed")])
    assert removed == TRAINER.replace(
        "        softcap = 15  # cap\n        return softcap * torch.tanh(logits / softcap)\n",
        "        return logits\n",
    )
    assert {"softcap", "logit cap"}.isdisjoint(named(removed))
    wider = apply(TRAINER, [(found["mlp_expansion"], 3)])
    assert wider == TRAINER.replace("4 * config", "3 * config")
    assert apply(TRAINER, [(found["logit cap"], "removed"), (found["softcap"], 20)]) is None


def test_line_ends_and_bytes_outside_the_edit_stay_as_they_were() -> None:
    source = "# é\r\nX_LR = 1e-3 # ü\r\nprint(X_LR)  \r\n"
    (knob,) = knobs(source)
    assert apply(source, [(knob, 0.002)]) == "# é\r\nX_LR = 0.002 # ü\r\nprint(X_LR)  \r\n"


def test_a_file_that_reads_none_of_its_constants_is_a_configuration_of_others() -> None:
    assert set(named("N_ESTIMATORS = 300\nMAX_DEPTH = 6\n")) == {"n_estimators", "max_depth"}


@given(st.sampled_from(knobs(TRAINER)), st.floats(0, 1))
def test_values_lie_within_their_bounds_and_back_on_their_scale(knob, part: float) -> None:
    if knob.kind is Kind.CHOICE:
        return
    low, high = reach(knob)
    at = low + part * (high - low)
    value = value_at(knob, at)
    if value is None:
        return
    assert knob.low <= value <= knob.high
    assert type(value) is type(knob.value) or isinstance(value, float) or knob.value == 0
    there = place(knob, value)
    assert there is not None
    assert abs(there - at) < 0.75
    assert fold(ast.parse(literal(value, knob.text), mode="eval").body) == value


@given(st.text(max_size=200) | st.sampled_from(["X = 1" + "+1" * 9000, "X = " + "(" * 500]))
@settings(max_examples=60)
def test_no_source_makes_finding_knobs_fail(source: str) -> None:
    assert isinstance(knobs(source), tuple)


expressions = st.recursive(
    st.integers(-(10**9), 10**9).map(str) | st.floats(allow_nan=False).map(repr),
    lambda inner: st.builds(
        "({} {} {})".format, inner, st.sampled_from(["+", "-", "*", "/", "//", "**"]), inner
    ),
    max_leaves=6,
)


@given(expressions)
def test_folding_never_fails_or_hangs(text: str) -> None:
    value = fold(ast.parse(text, mode="eval").body)
    assert value is None or isinstance(value, int | float)

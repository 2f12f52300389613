"""Messages in the words people use: wordings, values, directions, several knobs."""

from __future__ import annotations

import pytest
from wordings import LEXICON, claims, said, values

from kg.model import ChangeType


@pytest.mark.parametrize(
    "text",
    [
        "increasing model depth",
        "adding more transformer layers",
        "stacking additional blocks",
        "make the network deeper",
        "n_layer 8 -> 12",
        "12 layers instead of 8",
        "D12 (was 8)",
        "meer lagen",
    ],
)
def test_wordings_of_one_change_are_one_change(text: str) -> None:
    assert said(text) == [("model.depth", "increase")]


@pytest.mark.parametrize("separator", [" to ", " -> ", "->", "→", " => ", " naar "])
def test_every_number_knob_goes_where_its_numbers_go(separator: str) -> None:
    wrong = []
    for knob in LEXICON.knobs:
        if knob.value_kind != "number":
            continue
        low, high = ("0.25", "0.5") if knob.maximum == 1 else ("5", "7")
        if knob.minimum:
            low, high = f"{knob.minimum + 8:.0f}", f"{knob.minimum + 16:.0f}"
        for old, new, way in ((low, high, "increase"), (high, low, "decrease")):
            text = f"{knob.label} {old}{separator}{new}"
            expected = [(knob.name, way, old, new)]
            found = [(c.knob, c.change_type.value, c.old, c.new) for c in claims(text)]
            wrong += [(text, found)] if found != expected else []
    assert wrong == []


def test_every_name_of_a_module_or_a_choice_is_a_claim_by_itself() -> None:
    lost = [
        label
        for knob in LEXICON.knobs
        if knob.value_kind != "number" and knob.name != "optimizer.adam_betas"
        for label in knob.labels
        if [claim.knob for claim in claims(label)] != [knob.name]
    ]
    assert lost == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("set beta2 of Adam from 0.95 to 0.98", ("optimizer.adam_beta2", "0.95", "0.98")),
        ("NorMuon beta2 0.95->0.9", ("optimizer.muon_beta2", "0.95", "0.9")),
        (
            "learning rate for the token embeddings 0.6→0.4",
            ("optimizer.embedding_lr", "0.6", "0.4"),
        ),
        ("cut total batch 524K to 262K", ("batch.total", "524288", "262144")),
        ("total batch 2^19 -> 2^18", ("batch.total", "2**19", "2**18")),
        ("RoPE base 10k→50k", ("position.rope_base", "10000", "50000")),
        ("warmdown_ratio=0.2 (was 0.45)", ("schedule.warmdown_ratio", "0.45", "0.2")),
        ("cooldown 0.7, up from 0.6", ("schedule.warmdown_ratio", "0.6", "0.7")),
        ("LR warmup 2%", ("schedule.warmup_ratio", None, "0.02")),
        ("MLP 4x -> 3x", ("mlp.expansion", "4", "3")),
        ("hidden dim 4*n_embd -> 3*n_embd", ("mlp.expansion", "4", "3")),
        ("short window (seq//4 instead of seq//2)", ("attention.short_window", "seq//2", "seq//4")),
        ("window pattern SSSL->L", ("attention.window_pattern", "SSSL", "L")),
        ("replace relu^2 with SwiGLU", ("mlp.activation", "relu^2", "SwiGLU")),
        ("GELU rather than squared ReLU", ("mlp.activation", "squared ReLU", "GELU")),
        ("matrix_lr 0.03 -> 0.04 -> 0.05", ("optimizer.matrix_lr", "0.03", "0.05")),
        ("add z-loss (1e-4)", ("loss.z_loss", None, "1e-4")),
        ("cosine warmdown", ("schedule.lr_shape", None, "cosine")),
        ("seed 7", ("other.seed", None, "7")),
    ],
)
def test_values_are_read_as_written(
    text: str, expected: tuple[str, str | None, str | None]
) -> None:
    assert values(text) == [expected]


@pytest.mark.parametrize(
    ("text", "knob", "factor"),
    [
        ("halve all LRs", "optimizer.all_lr", 0.5),
        ("VE LR 1.5x", "optimizer.value_embeds_lr", 1.5),
        ("scale matrix LR by 0.7", "optimizer.matrix_lr", 0.7),
        ("raise scalar LR by 25%", "optimizer.scalar_lr", 1.25),
        ("lower scalar LR by 20%", "optimizer.scalar_lr", 0.8),
        ("10x lower unembedding LR", "optimizer.unembedding_lr", 0.1),
        ("embedding LR /2", "optimizer.embedding_lr", 0.5),
        ("lr * 3", "optimizer.all_lr", 3.0),
    ],
)
def test_relative_values_are_factors_not_values(text: str, knob: str, factor: float) -> None:
    (claim,) = claims(text)
    assert (claim.knob, claim.new, claim.factor) == (knob, None, pytest.approx(factor))
    assert claim.change_type is (ChangeType.INCREASE if factor > 1 else ChangeType.DECREASE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("reduce depth 8 to 10", [("model.depth", "increase")]),  # numbers beat verbs
        ("depth=4", [("model.depth", "replace")]),  # nobody says from where
        ("weight_decay=0.0", [("regularization.weight_decay.matrix", "decrease")]),
        ("tiny WD 0.001 on embeddings", [("regularization.weight_decay.embedding", "increase")]),
        ("depth 8 dim 640 (too shallow)", [("model.depth", "decrease")]),
        ("short window 1/6 (slower)", [("attention.short_window", "increase")]),
        ("init scale 0.65x (0.7 better)", [("init.scale", "decrease")]),
        ("MATRIX_LR=0.05 (worse than 0.04)", [("optimizer.matrix_lr", "increase")]),
        ("warmdown 0.8 (longer cooldown)", [("schedule.warmdown_ratio", "increase")]),
        ("no warmup", [("schedule.warmup_ratio", "decrease")]),
        ("grad clip 1.0", [("optimizer.grad_clip", "add")]),
        ("grad clip 1.0 -> 0.5", [("optimizer.grad_clip", "decrease")]),
        ("remove softcap", [("head.softcap", "remove")]),
        ("softcap 30", [("head.softcap", "replace")]),
        ("untie embeddings", [("embedding.tying", "disable")]),
        ("weight tying", [("embedding.tying", "enable")]),
        ("MQA", [("attention.n_kv_head", "decrease")]),
        ("random seed 42 to 137", [("other.seed", "replace")]),
        ("depth-dependent init scale", [("init.scale", "restructure")]),
        ("longer LR decay", [("schedule.warmdown_ratio", "increase")]),
        ("LR decay starting at 40%", [("schedule.warmdown_ratio", "replace")]),
        ("zero init for lm_head", [("init.lm_head_std", "decrease")]),
        ("depth +1", [("model.depth", "increase")]),
        ("remove 2 layers", [("model.depth", "decrease")]),
        ("one layer fewer", [("model.depth", "decrease")]),
        ("revert warmdown to 0.5", [("schedule.warmdown_ratio", "revert")]),
    ],
)
def test_directions(text: str, expected: list[tuple[str, str]]) -> None:
    assert said(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("embedding LR 0.8 to 0.9 (with WD)", ["optimizer.embedding_lr"]),
        ("S-window 48->32 with 2x MLP", ["attention.short_window"]),
        ("depth 8->6 (dim=384): faster steps, more tokens", ["model.depth"]),
        ("matrix LR 0.03->0.04, test higher with warmdown=0.5", ["optimizer.matrix_lr"]),
        ("embedding LR 0.3->0.6, keep matrix_lr=0.02", ["optimizer.embedding_lr"]),
        ("total batch 2^17->2^16, no grad accum, max updates", ["batch.total"]),
        ("VE init 0.5x of transformer init", ["init.value_embeds_scale"]),
        ("softcap 15→12: test tighter logit capping", ["head.softcap"]),
        ("SDPA + warmdown 0.5→0.6", ["schedule.warmdown_ratio"]),
        ("depth 11 dim 640", ["model.depth"]),
        ("QK norm in the last 2 layers", ["attention.qk_norm"]),
        ("label smoothing 0.1 from layer 7", ["loss.label_smoothing"]),
        ("gradient checkpointing for a larger batch", ["precision.activation_checkpointing"]),
    ],
)
def test_conditions_reasons_and_outcomes_are_no_claims(text: str, expected: list[str]) -> None:
    assert [claim.knob for claim in claims(text)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "lr 0.04→0.06, wd 0.2→0.1, warmup 0→0.02",
            ["optimizer.all_lr", "regularization.weight_decay.matrix", "schedule.warmup_ratio"],
        ),
        ("depth 9 aspect_ratio 57", ["model.depth", "model.width"]),
        ("depth 10 aspect 51 dim 512 (too narrow)", ["model.depth", "model.width"]),
        ("D6/512", ["model.depth", "model.width"]),
        ("12 layers 768 dim", ["model.depth"]),  # the width follows from the depth
        ("go deeper and narrower", ["model.depth", "model.width"]),
        ("batch=256 total=2^19", ["batch.device", "batch.total"]),
        (
            "attention and MLP dropout 0.1",
            ["regularization.dropout.attention", "regularization.dropout.mlp"],
        ),
        (
            "add WD 0.01 to lm_head and embeddings",
            ["regularization.weight_decay.lm_head", "regularization.weight_decay.embedding"],
        ),
        ("muon: lr 0.04->0.03, beta2 0.95->0.9", ["optimizer.matrix_lr", "optimizer.muon_beta2"]),
        (
            "LRs: matrix 0.04->0.05, embed 0.6->0.7",
            ["optimizer.matrix_lr", "optimizer.embedding_lr"],
        ),
        ("ADAM_BETAS=(0.9, 0.95)", ["optimizer.adam_beta1"]),
        ("betas (0.8, 0.95) -> (0.85, 0.97)", ["optimizer.adam_beta1", "optimizer.adam_beta2"]),
        ("constant WD at 0.1", ["schedule.weight_decay", "regularization.weight_decay.matrix"]),
        ("SwiGLU with 8/3 expansion", ["mlp.activation", "mlp.expansion"]),
        (
            "replace flex_attention with SDPA + window pattern L",
            ["attention.backend", "attention.window_pattern"],
        ),
    ],
)
def test_one_text_may_claim_several_knobs(text: str, expected: list[str]) -> None:
    assert [claim.knob for claim in claims(text)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("baseline", []),
        ("wip", []),
        ("Merge pull request #3 from someone/weight-decay", []),
        ("sample.py: add temperature 0.8", []),
        (
            "initial setup: torch 2.6, SDPA fallback for a small card",
            [("other.environment", "no_effect")],
        ),
        ("fix(runtime): add missing peak FLOPS of two cards", [("other.environment", "no_effect")]),
        ("wrap training code in a __main__ guard", [("other.refactor", "no_effect")]),
        ("fix: clamp index", [("other.bugfix", "no_effect")]),
        ("fix OOM by reducing device batch 128->64", [("batch.device", "decrease")]),
        ("update README", [("other.docs", "no_effect")]),
        ("revert exp12", [("other.unspecified", "revert")]),
        ("reset to baseline", [("other.reset", "revert")]),
        ("exp12 (depth 8->9)", [("model.depth", "increase")]),
    ],
)
def test_texts_about_no_hyper_parameter(text: str, expected: list[tuple[str, str]]) -> None:
    assert said(text) == expected


def test_a_quoted_revert_goes_back_the_way_the_quoted_text_came() -> None:
    (claim,) = claims('Revert "exp5: depth 8->9"')
    assert (claim.change_type, claim.old, claim.new) == (ChangeType.REVERT, "9", "8")


@pytest.mark.parametrize(
    ("text", "knob"),
    [
        ("experiment: depth=6 voor meer modelcapaciteit", "model.depth"),
        ("warmdown verlaag naar 0.3", "schedule.warmdown_ratio"),
        ("geen warmup", "schedule.warmup_ratio"),
        ("matrix leersnelheid 0.04 naar 0.03", "optimizer.matrix_lr"),
        ("gewichtsverval 0.2 -> 0.1", "regularization.weight_decay.matrix"),
    ],
)
def test_dutch_messages_are_read(text: str, knob: str) -> None:
    assert [claim.knob for claim in claims(text)] == [knob]

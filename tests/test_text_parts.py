"""Values go to the part that is named, and edits that move no knob are told from those that do."""

from __future__ import annotations

import pytest
from wordings import claims, said

ROOT = "1/sqrt(d_model)"
TO_2_18 = ("decrease", None, "2**18")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ADAM_BETAS beta2 0.95 -> 0.98", [("optimizer.adam_beta2", "0.95", "0.98")]),
        ("beta1 in ADAM_BETAS from 0.8 to 0.85", [("optimizer.adam_beta1", "0.8", "0.85")]),
        ("1-sqrt warmdown shape", [("schedule.lr_shape", None, "sqrt")]),
        ("init FFN and MHA output projections to zero", [("init.c_proj", None, "0")]),
        ("momentum warmup 0.9 -> 0.85", [("schedule.muon_momentum_start", "0.9", "0.85")]),
        ("0.2 weight decay at 1024", [("regularization.weight_decay.matrix", None, "0.2")]),
        ("MLP mult 4x (instead of 3)", [("mlp.expansion", "3", "4")]),
        ("init scale 0.7x (0.8 better)", [("init.scale", None, "0.7")]),
        ("Set TOTAL_BATCH_SIZE to 32", [("batch.total", None, "32")]),
        ("depth to 20 to leverage unused memory", [("model.depth", None, "20")]),
        (
            'Increase WINDOW_PATTERN from "SSSL" to "SSLL"',
            [("attention.window_pattern", "SSSL", "SSLL")],
        ),
        (
            "beta1 from 0.8 to 0.85 to test intermediate momentum between runs (0.9)",
            [("optimizer.adam_beta1", "0.8", "0.85")],
        ),
        ("10 layers dim 320", [("model.depth", None, "10")]),
        ("scale Q, K init by 1.3x", [("init.qk_scale", None, "1.3")]),
        ("linear WD decay to zero", [("schedule.weight_decay", None, "0")]),
        ("momentum warmup 300 -> 250", [("schedule.muon_momentum_warmup_steps", "300", "250")]),
        (
            "batch size 2^15 with device_batch=16",
            [("batch.total", None, "2**15"), ("batch.device", None, "16")],
        ),
        (
            "differential attention (pair 8 heads into 4)",
            [("attention.differential", None, None)],
        ),
    ],
)
def test_values_go_to_the_part_that_is_named(
    text: str, expected: list[tuple[str, str | None, str | None]]
) -> None:
    assert [(claim.knob, claim.old, claim.new) for claim in claims(text)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("quarter batch size (131K tokens)", [("batch.total", "decrease")]),
        ("SCALAR_LR 0.3 worse than default 0.5", [("optimizer.scalar_lr", "decrease")]),
        ("MATRIX_LR=0.05 (identical to 0.04)", [("optimizer.matrix_lr", "increase")]),
        ("total_batch=2^18 (too few optimizer steps)", [("batch.total", "increase")]),
        ("EMBEDDING_LR=0.3 (worse, still too low)", [("optimizer.embedding_lr", "decrease")]),
        ("WEIGHT_DECAY=0.5 (too much decay)", [("regularization.weight_decay.matrix", "increase")]),
        ("GQA n_kv_head=2 (quality loss too much)", [("attention.n_kv_head", "decrease")]),
        ("resid_lambdas LR *0.02 (*0.01 better)", [("optimizer.resid_lambda_lr", "increase")]),
        ("compile mode=max-autotune (+5% steps)", [("precision.compile_mode", "add")]),
        (
            "lower learning rates - MATRIX_LR=0.02, SCALAR_LR=0.2",
            [("optimizer.matrix_lr", "decrease"), ("optimizer.scalar_lr", "decrease")],
        ),
        (
            "constant 0.1 weight decay",
            [
                ("schedule.weight_decay", "replace"),
                ("regularization.weight_decay.matrix", "replace"),
            ],
        ),
        ("half as many heads for the keys", [("attention.n_kv_head", "decrease")]),
    ],
)
def test_directions_survive_what_stands_beside_them(
    text: str, expected: list[tuple[str, str]]
) -> None:
    assert said(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fix the sliding window so that it recompiles once", ["other.bugfix"]),
        ("correct the batch size for the 4090 in the docs", ["other.docs"]),
        ("update the wrong batch size in README", ["other.docs"]),
        ("remove the duplicate softcap kernel", ["other.refactor"]),
        ("batch size 64 for the 4090", ["batch.device"]),
        ("clip gradients at an L2 norm of 1.0", ["optimizer.grad_clip"]),
        ("refactor the FLOPS calculation", ["other.refactor"]),
        ("update uv.lock", ["other.environment"]),
    ],
)
def test_an_edit_that_moves_no_knob_is_named_by_its_kind(text: str, expected: list[str]) -> None:
    assert [claim.knob for claim in claims(text)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "add learned value embeddings just as in the speedrun",
            ["embedding.value_embeds.placement"],
        ),
        ("the value embeddings learn at half the rate", ["optimizer.value_embeds_lr"]),
        ("two VE groups", ["embedding.value_embeds.sharing"]),
        ("single VE across layers", ["embedding.value_embeds.sharing"]),
        ("normalize VE first", ["norm.placement"]),
        ("flat Muon momentum 0.9", ["schedule.muon_momentum_warmup_steps"]),
        ("drop the MLP-only blocks, all 12 layers attend", ["attention.every_n_layers"]),
        ("CWD for Adam as well", ["optimizer.cautious_mask"]),
    ],
)
def test_a_word_is_read_by_its_part_in_the_sentence(text: str, expected: list[str]) -> None:
    assert [claim.knob for claim in claims(text)] == expected


@pytest.mark.parametrize(
    ("text", "knob", "kind", "old", "new"),
    [
        ("switch nesterov off", "optimizer.nesterov", "disable", None, None),
        ("switch QK norm on", "attention.qk_norm", "add", None, None),
        ("switch the softcap off, deeper", "head.softcap", "remove", None, None),
        (
            "turn weight decay off for embeddings",
            "regularization.weight_decay.embedding",
            "decrease",
            None,
            None,
        ),
        ("drop softcap to 10", "head.softcap", "decrease", None, "10"),
        ("drop the softcap", "head.softcap", "remove", None, None),
        ("remove z-loss 1e-4", "loss.z_loss", "remove", "1e-4", None),
        ("set softcap to 0", "head.softcap", "decrease", None, "0"),
        ("bigger head lr", "optimizer.unembedding_lr", "increase", None, None),
        ("bigger heads", "attention.head_dim", "increase", None, None),
        ("GQA with 2 KV heads instead of 6", "attention.n_kv_head", "decrease", "6", "2"),
        ("drop flash-attn", "attention.backend", "remove", "flash attn", None),
        (
            "halve TOTAL_BATCH_SIZE to 2^18 for 2x more optimizer steps",
            "batch.total",
            "decrease",
            None,
            "2**18",
        ),
        ("2x scaling of the LR", "optimizer.all_lr", "increase", None, None),
        ("1/sqrt(d_model) scaling", "optimizer.lr_scale_reference", "replace", None, ROOT),
    ],
)
def test_a_verb_in_two_parts_and_a_value_beside_it_are_read_together(
    text: str, knob: str, kind: str, old: str | None, new: str | None
) -> None:
    first = claims(text)[0]
    assert (first.knob, first.change_type.value, first.old, first.new) == (knob, kind, old, new)

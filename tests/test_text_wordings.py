"""Wordings without a knob's own names: terms compose, sentences are read, the rest is left."""

from __future__ import annotations

import pytest

from kg.lexicon import load
from kg.text import Claim, resolve
from kg.text_gloss import FEWEST, OPEN, SECOND

LEXICON = load()


def claims(text: str) -> tuple[Claim, ...]:
    return resolve(text, LEXICON, engine="light").claims


def said(text: str) -> list[tuple[str, str]]:
    return [(claim.knob, claim.change_type.value) for claim in claims(text)]


def knobs(text: str) -> list[str]:
    return [claim.knob for claim in claims(text)]


@pytest.mark.parametrize(
    ("text", "knob"),
    [
        ("take the difference of two softmax maps", "attention.differential"),
        ("attention in every third block", "attention.every_n_layers"),
        ("blend queries and keys", "attention.qk_mixing"),
        ("fuse Q, K and V: one matmul for QKV", "attention.qkv_projection"),
        ("alternate long and short windows", "attention.window_pattern"),
        ("windows that grow gradually", "attention.window_sizes"),
        ("one table shared by embedding and lm_head", "embedding.tying"),
        ("ramp the sequence length", "data.seq_len_curriculum"),
        ("leave the first 25 steps out of the time budget", "evaluation.startup_exclude"),
        ("N(0, 0.01) noise on the gradients", "regularization.gradient_noise"),
        ("draw wte from N(0, 0.3)", "init.wte_std"),
        ("penalize the log partition function", "loss.z_loss"),
        ("soften the one-hot targets", "loss.label_smoothing"),
        ("running average of the gradients", "optimizer.gradient_ema"),
        ("average the weights over the last steps", "regularization.weight_ema"),
        (
            "weight decay only where it agrees with the sign of the update",
            "optimizer.cautious_mask",
        ),
        ("recompute the activations", "precision.activation_checkpointing"),
        ("ramp the LR up over the first 3% of training", "schedule.warmup_ratio"),
        ("raise beta1 over the course of training", "schedule.adam_momentum"),
        ("weight decay in proportion to the LR", "schedule.weight_decay"),
        ("full context in every second layer", "attention.window_pattern"),
    ],
)
def test_terms_compose_where_no_name_stands(text: str, knob: str) -> None:
    assert knobs(text) == [knob]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train the head twice as fast", [("optimizer.unembedding_lr", "increase")]),
        ("the embeddings should learn more slowly", [("optimizer.embedding_lr", "decrease")]),
        ("hotter Muon", [("optimizer.matrix_lr", "increase")]),
        (
            "decay the value embeddings by 0.01",
            [("regularization.weight_decay.value_embeds", "increase")],
        ),
        (
            "put a bit of weight decay on lm_head",
            [("regularization.weight_decay.lm_head", "increase")],
        ),
        ("start the LR decay earlier", [("schedule.warmdown_ratio", "increase")]),
        ("remove NorMuon's variance normalization", [("optimizer.muon_beta2", "remove")]),
        ("share KV heads", [("attention.n_kv_head", "decrease")]),
        ("loosen the softcap", [("head.softcap", "increase")]),
        ("Muon LR minus 20%", [("optimizer.matrix_lr", "decrease")]),
        ("DEPTH=14 fewer tokens per minute", [("model.depth", "increase")]),
        ("untie the value embeddings", [("embedding.value_embeds.sharing", "disable")]),
    ],
)
def test_words_tell_the_direction(text: str, expected: list[tuple[str, str]]) -> None:
    assert said(text) == expected


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        ("init the value embeddings to zero", None, "0"),
        ("warmdown wins most, going 0.3 -> 0.4", "0.3", "0.4"),
        ("gate channels 48 (24 before)", "24", "48"),
        ("depth: d18 -> d16", "18", "16"),
        ("cooldown over the last 40% of training", None, "0.4"),
        ("softcap to +-25 instead of +-15", "15", "25"),
        ("short window seq_len/16", None, "seq_len/16"),
        ("anneal the LR to exactly zero (was 0.1)", "0.1", "0"),
    ],
)
def test_values_are_read_where_sentences_put_them(text: str, old: str | None, new: str) -> None:
    claim = claims(text)[0]
    assert (claim.old, claim.new) == (old, new)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("increase depth and width", ["model.depth", "model.width"]),
        ("halve device and total batch", ["batch.device", "batch.total"]),
        ("residual lambdas: LR 0.02 -> 0.05", ["optimizer.resid_lambda_lr"]),
        ("x0 params: betas[0] 0.9 -> 0.95", ["optimizer.x0_lambda_beta1"]),
        (
            "weight decay (wte=0.002 lm_head=0.02)",
            ["regularization.weight_decay.embedding", "regularization.weight_decay.lm_head"],
        ),
        ("double the batch (DEVICE_BATCH_SIZE=64)", ["batch.total", "batch.device"]),
        ("raise depth to 9 while shrinking the width to 448", ["model.depth", "model.width"]),
    ],
)
def test_heads_verbs_and_lists_are_carried_over(text: str, expected: list[str]) -> None:
    assert knobs(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("head_dim 64 -> 96 (8 heads instead of 12)", ["attention.head_dim"]),
        ("depth 9 -> 11 (576 -> 704 dim)", ["model.depth"]),
        ("add a width-5 causal convolution", ["attention.short_conv"]),
        ("mixture of 6 experts in place of the MLP", ["mlp.moe"]),
        ("depthwise conv parallel to attention", ["attention.short_conv"]),
        (
            "weight decay 0.1 -> 0.2: val_bpb 1.03. Also the batch fell 64 -> 32",
            ["regularization.weight_decay.matrix"],
        ),
        ("batch 2^16 to avoid gradient accumulation", ["batch.total"]),
        ("long anneal, warmdown 0.5 -> 0.9", ["schedule.warmdown_ratio"]),
        ("compile-friendly stochastic depth", ["regularization.stochastic_depth"]),
        ("dropout 0.1 hurts the SSM", ["regularization.dropout.residual"]),
    ],
)
def test_what_only_follows_is_no_change(text: str, expected: list[str]) -> None:
    assert knobs(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("This PR raises the softcap to 20.", ["head.softcap"]),
        ("The idea is to use SwiGLU instead of GELU.", ["mlp.activation"]),
        ("The MLP was replaced with a mixture of experts.", ["mlp.moe"]),
        ("The forward pass runs in float16.", ["precision.autocast"]),
        ("There is an additional norm after the embedding.", ["norm.placement"]),
        (
            "The head is regularized with a weight decay of 0.03.",
            ["regularization.weight_decay.lm_head"],
        ),
        ("fix: cast the logits to float32", ["other.bugfix"]),
    ],
)
def test_sentences_state_changes(text: str, expected: list[str]) -> None:
    assert knobs(text) == expected


@pytest.mark.parametrize(
    ("text", "knob"),
    [
        ("every layer should guess what its successor computes and send the error on", None),
        ("Keys and values are made from one small vector.", "attention.latent"),
        ("Each unit keeps its mean activity near a target.", "mlp.homeostatic_plasticity"),
    ],
)
def test_a_text_may_be_answered_by_the_words_of_a_definition(text: str, knob: str | None) -> None:
    found = [(claim.knob, claim.method) for claim in claims(text)]
    assert found == ([(knob, "gloss")] if knob else [])


@pytest.mark.parametrize(
    "text",
    [
        "bump version",
        "new optimizer",
        "save more state",
        "add the weekly report for the sales team",
        "support for the new tokenizer file of the vendor",
        "always put the longest example first",
        "updated style sheet of the start page",
    ],
)
def test_few_or_foreign_words_are_not_answered_by_definitions(text: str) -> None:
    assert [c for c in claims(text) if c.method == "gloss"] == []


def test_a_definition_answers_only_with_words_enough_and_a_lead() -> None:
    assert FEWEST >= 4
    assert SECOND < OPEN
    assert 0.5 < OPEN < 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "remove value embeddings, softcap, QK norm",
            ["embedding.value_embeds.placement", "head.softcap", "attention.qk_norm"],
        ),
        ("add z-loss, faster steps", ["loss.z_loss"]),
        (
            "lower embedding LR and head LR by 3x",
            ["optimizer.embedding_lr", "optimizer.unembedding_lr"],
        ),
        (
            "LRs for the small batch (matrix 0.02, embedding 0.2)",
            ["optimizer.matrix_lr", "optimizer.embedding_lr"],
        ),
        ("cautious mask removed from weight decay", ["optimizer.cautious_mask"]),
        ("anneal over the final 30%", ["schedule.warmdown_ratio"]),
        ("FINAL_LR_FRAC 0.0->0.05, no LR decay to the very end", ["schedule.final_lr_frac"]),
        ("log per-layer gradient norms", ["evaluation.logging"]),
        ("fallback for cards without FA3", ["other.environment"]),
    ],
)
def test_lists_and_places(text: str, expected: list[str]) -> None:
    assert knobs(text) == expected


@pytest.mark.parametrize(
    ("text", "knob", "old", "new"),
    [
        ("six layers instead of eight", "model.depth", "8", "6"),
        ("four KV heads rather than two", "attention.n_kv_head", "2", "4"),
        ("seven Newton-Schulz iterations vs five", "optimizer.muon_ns_steps", "5", "7"),
        ("MLP hidden size three times the model width", "mlp.expansion", None, "3"),
    ],
)
def test_number_words_are_values_beside_a_second_one(
    text: str, knob: str, old: str | None, new: str
) -> None:
    assert [(c.knob, c.old, c.new) for c in claims(text)] == [(knob, old, new)]


def test_a_number_word_alone_is_no_value() -> None:
    assert said("one table shared by embedding and lm_head") == [("embedding.tying", "enable")]
    assert claims("one more table")[:1] == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("MuonLR 0.02 -> 0.025", [("optimizer.matrix_lr", "increase")]),
        ("AdamB2=0.9 (was 0.95)", [("optimizer.adam_beta2", "decrease")]),
        ("weight decay reduction", [("regularization.weight_decay.matrix", "decrease")]),
        ("removal of the softcap", [("head.softcap", "remove")]),
        ("sawtooth WD", [("schedule.weight_decay", "replace")]),
        ("keep the gradient norm below 2", [("optimizer.grad_clip", "add")]),
        ("log the gradient norm", [("evaluation.logging", "add")]),
        (
            "cool the LR down over a larger share of the run",
            [("schedule.warmdown_ratio", "increase")],
        ),
        ("warm the LR up over a smaller part of training", [("schedule.warmup_ratio", "decrease")]),
        ("short context first, then longer", [("data.seq_len_curriculum", "add")]),
        ("build up momentum over 150 steps", [("schedule.muon_momentum_warmup_steps", "replace")]),
        ("half as many channels per head", [("attention.head_dim", "decrease")]),
        ("rotate half of the head dims", [("position.encoding", "replace")]),
        ("the LR should not drop below 5% of its peak", [("schedule.final_lr_frac", "increase")]),
        ("let weight decay fade out during training", [("schedule.weight_decay", "replace")]),
        (
            "hit lm_head with a lower LR",
            [("optimizer.unembedding_lr", "decrease")],
        ),
        (
            "reach Muon's full momentum after 150 steps",
            [("schedule.muon_momentum_warmup_steps", "replace")],
        ),
        ("undo the last change of the softcap", [("head.softcap", "revert")]),
        ("shave a layer off", [("model.depth", "decrease")]),
        ("share the input matrix with the output projection", [("embedding.tying", "enable")]),
        ("attention and MLP in parallel from one norm", [("residual.parallel_block", "enable")]),
    ],
)
def test_paraphrases_name_what_they_are_about(text: str, expected: list[tuple[str, str]]) -> None:
    assert said(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("more updates with a smaller batch", [("batch.total", "decrease")]),
        ("twice as many steps from half the batch", [("batch.total", "decrease")]),
        ("more tokens with a shallower model", [("model.depth", "decrease")]),
    ],
)
def test_a_gain_names_the_edit_that_buys_it(text: str, expected: list[tuple[str, str]]) -> None:
    assert said(text) == expected

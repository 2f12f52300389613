"""Messages in detail: negations, with, tags, near names, orders in a row."""

from __future__ import annotations

import pytest
from wordings import LEXICON, claims, said

from kg.text import resolve

CHECKPOINTING = "precision.activation_checkpointing"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cooldown begins earlier", [("schedule.warmdown_ratio", "increase")]),
        ("delay the warmdown", [("schedule.warmdown_ratio", "decrease")]),
        ("finish the warmup sooner", [("schedule.warmup_ratio", "decrease")]),
        ("lm_head learns slower", [("optimizer.unembedding_lr", "decrease")]),
        ("faster value embedding LR", [("optimizer.value_embeds_lr", "increase")]),
        ("faster warmup", [("schedule.warmup_ratio", "decrease")]),
        ("push the depth", [("model.depth", "increase")]),
        ("push the matrix LR lower", [("optimizer.matrix_lr", "decrease")]),
        ("ease off on weight decay", [("regularization.weight_decay.matrix", "decrease")]),
        ("one extra norm after the MLP", [("norm.placement", "add")]),
        ("add GQA", [("attention.n_kv_head", "decrease")]),
        ("drop GQA", [("attention.n_kv_head", "increase")]),
        ("post-norm rather than pre-norm", [("norm.placement", "replace")]),
        ("different learning rates for Q and K", [("optimizer.matrix_lr", "restructure")]),
        ("larger heads", [("attention.head_dim", "increase")]),
        ("more heads", [("attention.n_head", "increase")]),
        ("another seed", [("other.seed", "replace")]),
        ("cut the warmdown by a third", [("schedule.warmdown_ratio", "decrease")]),
        ("warmdown up by half", [("schedule.warmdown_ratio", "increase")]),
        ("U-net skips between the first and second half", [("residual.unet_skip", "add")]),
        ("cooldown takes up 60 percent", [("schedule.warmdown_ratio", "replace")]),
        ("heads half as wide", [("attention.head_dim", "decrease")]),
        ("twice as many heads", [("attention.n_head", "increase")]),
        ("stop clipping gradients", [("optimizer.grad_clip", "remove")]),
        ("skinnier but deeper", [("model.width", "decrease"), ("model.depth", "increase")]),
    ],
)
def test_a_word_means_what_it_means_for_its_knob(
    text: str, expected: list[tuple[str, str]]
) -> None:
    assert sorted(said(text)) == sorted(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("don't tie the embeddings", [("embedding.tying", "disable")]),
        ("do not use QK norm", [("attention.qk_norm", "remove")]),
        ("no longer clip gradients", [("optimizer.grad_clip", "remove")]),
        ("no more dropout", [("regularization.dropout.residual", "remove")]),
        ("never decay the LR to zero", [("schedule.final_lr_frac", "increase")]),
        ("replace the fixed seed", [("other.seed", "replace")]),
        ("deeper at the same width", [("model.depth", "increase")]),
        ("D7/192, one layer more at the same width", [("model.depth", "increase")]),
        (
            "differential learning rates across layers with higher ones on top",
            [("optimizer.all_lr", "restructure")],
        ),
        ("another RoPE base for each layer", [("position.rope_base", "restructure")]),
        (
            "different weight decay per shape - higher decay (0.3) for matrices",
            [("regularization.weight_decay.matrix", "restructure")],
        ),
        ("DEPTH=8 - push depth hard", [("model.depth", "increase")]),
    ],
)
def test_negations_and_what_stays(text: str, expected: list[tuple[str, str]]) -> None:
    assert said(text) == expected


@pytest.mark.parametrize("article", ["", "the ", "a ", "an "])
def test_articles_do_not_hide_a_name(article: str) -> None:
    assert said(f"tie {article}embeddings") == [("embedding.tying", "enable")]


def test_british_spelling_is_read_like_american() -> None:
    for american, british in [
        ("regularize the head with weight decay", "regularise the head with weight decay"),
        ("fewer orthogonalization iterations", "fewer orthogonalisation iterations"),
        ("penalize logits with a z-loss", "penalise logits with a z-loss"),
    ]:
        assert said(american) == said(british) != []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("regularize lm_head with weight decay 0.01", ["regularization.weight_decay.lm_head"]),
        ("equip attention with a short convolution", ["attention.short_conv"]),
        ("depth 10, again with SwiGLU+warmup config", ["model.depth"]),
        ("add SwiGLU + warmup 0.02", ["mlp.activation", "schedule.warmup_ratio"]),
        ("embedding LR 0.8 with QK norm", ["optimizer.embedding_lr"]),
    ],
)
def test_with_names_the_change_after_some_verbs_and_a_condition_after_others(
    text: str, expected: list[str]
) -> None:
    assert [claim.knob for claim in claims(text)] == expected


@pytest.mark.parametrize(
    "text",
    [
        "max_depth=7",
        "xgboost depth 6 to 8",
        "random forest, 300 trees, depth 12",
        "log_income as target",
        "rerun to measure noise",
        "difference is within noise",
        "gbr without normalization",
        "prediction clip 2.0",
        "EMA span 20",
        "sample from a narrower distribution",
    ],
)
def test_names_of_other_fields_are_no_knobs(text: str) -> None:
    assert [claim for claim in claims(text) if claim.knob != "optimizer.all_lr"] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fix(train): softcap and warmup", [("other.bugfix", "no_effect")]),
        ("fix: warmup off by one", [("other.bugfix", "no_effect")]),
        ("fix: warmup 0.1 to 0.05", [("schedule.warmup_ratio", "decrease")]),
        ("fix: remove the softcap", [("head.softcap", "remove")]),
        ("refactor: move the rotary embedding", [("other.refactor", "no_effect")]),
        ("docs: explain the warmdown", [("other.docs", "no_effect")]),
    ],
)
def test_a_tag_says_what_kind_of_edit_a_bare_name_stands_in(
    text: str, expected: list[tuple[str, str]]
) -> None:
    assert said(text) == expected


@pytest.mark.parametrize(
    ("text", "knob"),
    [
        ("RoPE 200K", "position.rope_base"),
        ("RoPE 10k -> 50k", "position.rope_base"),
        ("RoPE on 50% of the dims", "position.encoding"),
        ("run attention and the MLP side by side", "residual.parallel_block"),
        ("randomly skip whole blocks", "regularization.stochastic_depth"),
        ("run every block twice", "model.layer_loops"),
        ("skip a block", "model.depth"),
        ("U-net skip connections", "residual.unet_skip"),
        ("value residual", "residual.value_residual"),
        ("value residual LR 0.5 -> 0.4", "optimizer.value_embeds_lr"),
        ("softcap on the attention scores", "attention.softcap"),
        ("multi head latent attention", "attention.latent"),
    ],
)
def test_near_names_are_told_apart(text: str, knob: str) -> None:
    assert [claim.knob for claim in claims(text)] == [knob]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Muon is too hot: halve its LR", ["optimizer.matrix_lr"]),
        ("give the embeddings a gentler LR", ["optimizer.embedding_lr"]),
        ("more optimizer steps by halving the batch", ["batch.total"]),
        ("add weight decay (0.001) to the embeddings", ["regularization.weight_decay.embedding"]),
        ("initialize the unembedding with larger std", ["init.lm_head_std"]),
        ("anneal the LR all the way to zero", ["schedule.final_lr_frac"]),
        ("weight decay only at the start of training", ["schedule.weight_decay"]),
        ("zero the residual branches (ReZero)", ["residual.rezero"]),
        ("add Gaudi support", ["other.environment"]),
        ("tanh on the attention scores", ["attention.softcap"]),
    ],
)
def test_names_compose_over_a_sentence(text: str, expected: list[str]) -> None:
    assert [claim.knob for claim in claims(text)] == expected


def test_a_number_named_in_passing_is_unresolved_until_the_diff_confirms_it() -> None:
    text = "see each batch in pieces"
    assert claims(text) == ()
    (rest,) = resolve(text, LEXICON, engine="light").unresolved
    assert rest.candidates[0][0] == "batch.total"
    found = resolve(text, LEXICON, candidates=["batch.total", "model.depth"], engine="light")
    assert [claim.knob for claim in found.claims] == ["batch.total"]
    assert [claim.knob for claim in claims("retune the matrix LR")] == ["optimizer.matrix_lr"]
    assert [claim.knob for claim in claims("matrix LR")] == ["optimizer.matrix_lr"]


def test_what_is_shown_of_a_run_is_no_change_of_it() -> None:
    assert said("print the gradient norm") == [("evaluation.logging", "add")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "revert: restore exp12 best (1.2) after z-loss failed",
            [("loss.z_loss", "revert")],
        ),
        ("restore the best commit", [("other.reset", "revert")]),
        (
            "lower LRs (matrix=0.02, embed=0.3)",
            [("optimizer.matrix_lr", "replace"), ("optimizer.embedding_lr", "replace")],
        ),
        ("momentum acceleration features", []),
        ("init scale 3^0.5 -> 2^0.5", [("init.scale", "decrease")]),
        (
            "sinusoidal LR schedule that swings between 0.3 and 1",
            [("schedule.lr_shape", "replace")],
        ),
    ],
)
def test_details_in_parentheses_and_after_a_restore(
    text: str, expected: list[tuple[str, str]]
) -> None:
    assert said(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "every third layer looks at everything",  # a place, no third of the depth
        "open the gates wider",
        "what a block adds is scaled",
        "normalise both sides of every product",
        "rescale the activations behind the table",
        "pass more of it on to the deeper layers",
        "draw the weights from a bell curve",
        "upper layers may rest",
    ],
)
def test_a_general_word_in_a_sentence_about_something_else_is_not_believed(text: str) -> None:
    assert claims(text) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "halve the batch for 2x more steps and increase value embedding WD to 0.003",
            ["batch.total", "regularization.weight_decay.value_embeds"],
        ),
        (
            "halve the batch size (2^16), add smaller z-loss, and set WARMDOWN_RATIO=0.75",
            ["batch.total", "loss.z_loss", "schedule.warmdown_ratio"],
        ),
        (
            "combine weight tying + value embedding weight decay",
            ["embedding.tying", "regularization.weight_decay.value_embeds"],
        ),
        ("matrix LR 0.04->0.06 - so keep depth 4 and boost LR instead", ["optimizer.matrix_lr"]),
        ("exponential decay schedule for the attention temperature", ["attention.temperature"]),
        ("gradient noise annealing", ["regularization.gradient_noise"]),
        ("cosine LR schedule with 0.1 minimum", ["schedule.lr_shape"]),
        ("learned position embeddings alongside rotary embeddings", ["position.absolute"]),
        ("add gradient checkpointing to the transformer blocks", [CHECKPOINTING]),
        ("add weight decay to the projection weights", ["regularization.weight_decay.matrix"]),
        ("different softcaps for early and late layers", ["head.softcap"]),
        ("remove the logit cap - the run has WD=1.5 which does that", ["head.softcap"]),
        ("head_dim 128->64 - 4 heads instead of 2", ["attention.head_dim"]),
        ("batch 2^15->2^14 with device batch 16->8", ["batch.total", "batch.device"]),
        ("save a late checkpoint", ["evaluation.checkpoint_saving"]),
        ("enhance the script with gradient logging", ["evaluation.logging"]),
        ("log more metrics", ["evaluation.logging"]),
        ("no warmup, no cooldown", ["schedule.warmup_ratio", "schedule.warmdown_ratio"]),
        ("depth 8 -> 9, no softcap", ["model.depth"]),
        ("muon -> adamw everywhere", ["optimizer.kind"]),
        ("doc masking", ["attention.document_mask"]),
        ("packed sequences, no cross-doc attention", ["attention.document_mask"]),
        ("RMSNorm eps 1e-6", ["norm.kind"]),
        ("layer-wise lr decay 0.9", ["optimizer.matrix_lr"]),
        ("tokenizer vocab 8192 -> 4096", ["data.vocab_size"]),
        ("fix the docs", ["other.docs"]),
    ],
)
def test_orders_in_a_row_are_all_read_and_comments_are_not(text: str, expected: list[str]) -> None:
    assert [claim.knob for claim in claims(text)] == expected

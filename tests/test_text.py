"""What a message claims: wordings of one change agree, numbers decide, and nothing is forced."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kg.lexicon import load
from kg.lexicon_aliases import add_alias
from kg.model import Change, ChangeType, OptimizerScope
from kg.text import Agreement, Claim, agree, resolve, resolve_lines
from kg.text_clauses import opening
from kg.text_lemmas import LEMMAS, lemma_of
from kg.text_tokens import keeps, key_of, tokenize

LEXICON = load()
CHECKPOINTING = "precision.activation_checkpointing"


def claims(text: str, *candidates: str) -> tuple[Claim, ...]:
    return resolve(text, LEXICON, candidates=candidates or None, engine="light").claims


def said(text: str, *candidates: str) -> list[tuple[str, str]]:
    return [(claim.knob, claim.change_type.value) for claim in claims(text, *candidates)]


def values(text: str) -> list[tuple[str, str | None, str | None]]:
    return [(claim.knob, claim.old, claim.new) for claim in claims(text)]


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


def test_an_unanswered_text_is_unresolved_with_the_nearest_knobs() -> None:
    found = resolve("penalise overconfident logits", LEXICON, engine="light")
    assert found.claims == ()
    (rest,) = found.unresolved
    assert rest.text == "penalise overconfident logits"
    assert len(rest.candidates) <= 3
    assert found.lexicon_version == LEXICON.version


def test_an_ambiguous_name_stays_unresolved_until_the_diff_decides() -> None:
    found = resolve("temperature 1.2", LEXICON, engine="light")
    assert found.claims == ()
    assert {name for name, _ in found.unresolved[0].candidates} == {
        "attention.temperature",
        "head.logit_temperature",
    }
    assert said("temperature 1.2", "head.logit_temperature", "model.depth") == [
        ("head.logit_temperature", "add")
    ]


def test_the_diffs_knobs_decide_between_readings() -> None:
    assert said("LR 0.04->0.05") == [("optimizer.all_lr", "increase")]
    assert said("LR 0.04->0.05", "optimizer.matrix_lr") == [("optimizer.matrix_lr", "increase")]
    assert said("smaller batch", "batch.device") == [("batch.device", "decrease")]
    assert said("depth 8->9", "batch.device") == [("model.depth", "increase")]  # said is said


def test_a_definition_answers_only_among_the_diffs_knobs() -> None:
    text = "let tokens look further back"
    assert claims(text) == ()
    (claim,) = claims(text, "attention.short_window", "optimizer.matrix_lr")
    assert (claim.knob, claim.method) == ("attention.short_window", "gloss")
    assert claim.score < 0.9


def test_knobs_no_lexicon_knows_are_found_by_their_own_name() -> None:
    diff = ("other.GBR.n_estimators", "other.STOP_LOSS")
    assert said("n_estimators 500->1000, stop loss 0.2 -> 0.1", *diff) == [
        ("other.GBR.n_estimators", "increase"),
        ("other.STOP_LOSS", "decrease"),
    ]
    assert said("n_estimators 500->1000") == []


def test_the_values_of_the_file_give_a_lone_value_its_direction() -> None:
    found = resolve("depth 9", LEXICON, current={"model.depth": 8}, engine="light")
    assert found.claims[0].change_type is ChangeType.INCREASE


def test_a_users_alias_is_resolved_as_human(tmp_path: Path) -> None:
    add_alias(tmp_path / "aliases.toml", "taller tower", "model.depth")
    lexicon = load(tmp_path / "aliases.toml")
    (claim,) = resolve("a taller tower", lexicon, engine="light").claims
    assert (claim.knob, claim.method, claim.rule) == ("model.depth", "human", "taller tower")


def test_a_claim_points_at_the_words_that_name_its_knob() -> None:
    text = "exp7: raise the matrix LR to 0.05"
    (claim,) = claims(text)
    assert text[slice(*claim.span)] == "matrix LR"
    assert resolve("depth 8->9 with WD", LEXICON, engine="light").context == (
        "regularization.weight_decay.matrix",
    )


SIGNS = """
    ( ) -> , : " - = + // ^ / 0.5 2^19 9% 1.5x 0 S SSSL 1e400 (0.9,0.95) x0 /2 *2 with to from
    by instead of was halve no revert keep more exp3 1/sqrt((d) é 测
"""
PIECES = st.sampled_from(
    [
        *(label for concept in LEXICON.concepts.values() for label in concept.labels),
        *SIGNS.split(),
    ]
)


@given(st.lists(PIECES, max_size=14), st.sampled_from(["", " ", ", "]), st.booleans())
@settings(max_examples=300, deadline=None)
@example(["8->"] * 1200, "", False)
@example(["("] * 3000, "", True)
def test_no_text_breaks_the_reader(pieces: list[str], glue: str, diff: bool) -> None:
    text = glue.join(pieces)
    candidates = ["model.depth", "other.f.x"] if diff else None
    found = resolve(text, LEXICON, candidates=candidates, engine="light")
    assert found == resolve(text, LEXICON, candidates=candidates, engine="light")
    assert len({claim.knob for claim in found.claims}) == len(found.claims)
    assert all(0 <= c.span[0] < c.span[1] <= len(text) for c in found.claims)


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_tokens_stand_in_order_where_they_say(text: str) -> None:
    tokens = tokenize(text)
    assert all(a.end <= b.start for a, b in pairwise(tokens))
    assert all(0 <= token.start < token.end <= len(text) for token in tokens)
    opening(text)


def test_lemmas_are_stable_and_plain_labels_take_the_short_way_to_the_same_key() -> None:
    assert {form: lemma for form, lemma in LEMMAS.items() if lemma_of(lemma) != lemma} == {}
    for concept in LEXICON.concepts.values():
        for label in concept.labels:
            long = tuple(t.lemma for t in tokenize(label) if t.kind != "sign" or keeps(t))
            assert key_of(label) == long


SPACY = """
import json, sys
from kg.text_spacy import block_torch
block_torch()
from kg.lexicon import load
from kg.text import resolve, resolve_lines
lexicon = load()
texts = [line.rstrip("\\n") for line in sys.stdin]
differ = [t for t in texts if resolve(t, lexicon) != resolve(t, lexicon, engine="light")]
loaded = [name for name in ("spacy", "torch") if sys.modules.get(name)]
lines = list(resolve_lines(['{"id": 1, "text": "depth 8 to 9"}'], lexicon))
print(json.dumps([differ, loaded, lines]))
"""


def test_spacy_and_the_light_engine_read_alike() -> None:
    labels = [label for c in LEXICON.concepts.values() for label in (*c.labels, *c.hidden)]
    pairs = [f"{a} 0.5 to 0.7 with {b}" for a, b in zip(labels, labels[7:], strict=False)]
    done = subprocess.run(
        [sys.executable, "-c", SPACY],
        input="\n".join(labels + pairs[::3]),
        capture_output=True,
        text=True,
        check=True,
    )
    differ, loaded, lines = json.loads(done.stdout)
    assert differ == []
    assert loaded == ["spacy"]
    assert json.loads(lines[0])["records"][0]["knob"] == "model.depth"


def test_json_lines_are_resolved_and_bad_ones_reported() -> None:
    lines = [
        '{"id": "a", "text": "depth 8 to 9"}\n',
        "\n",
        "not json\n",
        '{"id": "b"}\n',
        '{"id": "c", "text": "penalise overconfident logits"}\n',
        '{"id": "d", "text": "baseline"}',
    ]
    found = [json.loads(line) for line in resolve_lines(lines, LEXICON, engine="light")]
    assert found[0] == {
        "id": "a",
        "records": [
            {
                "knob": "model.depth",
                "component": "model_size",
                "change_type": "increase",
                "old": "8",
                "new": "9",
            }
        ],
    }
    assert found[1]["error"].startswith("line 3: not JSON (")
    assert found[2] == {"line": 4, "error": "line 4: no 'id' and 'text'; give both"}
    assert found[3]["records"] == []
    assert found[3]["unresolved"][0]["text"] == "penalise overconfident logits"
    assert found[4] == {"id": "d", "records": []}


def change(knob: str, way: str, old: str | None = None, new: str | None = None) -> Change:
    component = LEXICON.component(knob)
    return Change(knob, component, ChangeType(way), OptimizerScope.NONE, old, new)


@pytest.mark.parametrize(
    ("text", "changes", "expected"),
    [
        ("depth 8 to 9", [change("model.depth", "increase", "8", "9")], Agreement.AGREE),
        ("depth 9", [change("model.depth", "increase", "8", "9")], Agreement.AGREE),
        (
            "batch 524K to 262K",
            [change("batch.total", "decrease", "2**19", "2**18")],
            Agreement.AGREE,
        ),
        (
            "short window 1/8 context",
            [change("attention.short_window", "decrease", "w//2", "long_window//8")],
            Agreement.AGREE,
        ),
        (
            "S-window 1024->512",
            [change("attention.short_window", "decrease", "w//2", "long_window//4")],
            Agreement.AGREE,
        ),
        ("depth 9", [change("model.depth", "increase", "8", "10")], Agreement.CONTRADICT),
        ("lower the depth", [change("model.depth", "increase", "8", "10")], Agreement.CONTRADICT),
        ("softcap 20", [change("model.depth", "increase", "8", "10")], Agreement.CONTRADICT),
        (
            "depth 9",
            [change("model.depth", "increase", "8", "9"), change("model.width", "decrease")],
            Agreement.EXTRA_IN_DIFF,
        ),
        (
            "depth 9 + softcap 20",
            [change("model.depth", "increase", "8", "9"), change("model.width", "decrease")],
            Agreement.MISSING_IN_DIFF,
        ),
        ("depth 9", [], Agreement.MISSING_IN_DIFF),
        ("update README", [change("other.refactor", "no_effect")], Agreement.AGREE),
        ("baseline", [change("model.depth", "increase", "8", "9")], Agreement.NO_CLAIM),
    ],
)
def test_text_and_diff_agree_or_not(text: str, changes: list[Change], expected: Agreement) -> None:
    assert agree(claims(text), changes) is expected


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
    ],
)
def test_orders_in_a_row_are_all_read_and_comments_are_not(text: str, expected: list[str]) -> None:
    assert [claim.knob for claim in claims(text)] == expected

"""The reader of messages as a whole: what stays unresolved, laws, engines, JSON lines."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st
from wordings import LEXICON, claims, said

from kg.lexicon import load
from kg.lexicon_aliases import add_alias
from kg.model import ChangeType
from kg.text import resolve, resolve_lines
from kg.text_clauses import opening
from kg.text_lemmas import LEMMAS, lemma_of
from kg.text_tokens import keeps, key_of, tokenize


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
@settings(max_examples=300)
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
@settings(max_examples=200)
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

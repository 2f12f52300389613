"""The fallback by meaning: it answers only among the diff's knobs, and only if one is clear."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from histories import line
from hypothesis import given
from hypothesis import strategies as st

from kg import claims
from kg.build import experiment_quads
from kg.errors import LexiconError
from kg.lexicon import Lexicon, load, parse
from kg.model import ChangeType, Status
from kg.terms import LAB
from kg.text import Resolution, resolve
from kg.text_semantic import (
    OPEN,
    TABLE,
    Semantic,
    configured,
    main_words,
    scores_of,
    table_at,
    vocabulary,
    write_table,
)
from kg.text_tokens import tokenize

HEAD = """
@prefix lab: <https://w3id.org/nightlab/vocab#> .
@prefix knob: <https://w3id.org/nightlab/knob/> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
"""
KNOBS = {
    "model.depth": "stages of the network",
    "model.width": "channels of the stream",
    "optimizer.all_lr": "pace of learning",
    "head.softcap": "bound on predictions",
    "loss.z_loss": "penalty on normalizers",
    "batch.total": "tokens in an update",
    "other.docs": "remarks and manuals",
    "other.unspecified": "something",
}
VECTORS = {
    # lemmas, one axis a topic; "storey" is next to "stage", "sluggish" next to "pace"
    "stage": (1, 0, 0, 0, 0),
    "storey": (0.9, 0.1, 0, 0, 0.1),
    "channel": (0, 1, 0, 0, 0),
    "lane": (0, 0.95, 0.1, 0, 0),
    "pace": (0, 0, 1, 0, 0),
    "sluggish": (0, 0, 0.9, 0, 0.1),
    "floor": (0.7, 0.7, 0, 0, 0),  # as near to "stage" as to "channel"
    "manual": (0, 0, 0, 1, 0),
    "leaflet": (0, 0, 0, 0.95, 0.1),
    "penalty": (0, 0, 0, 0, 1),
    "bound": (0, 0, 0, 0, -1),
    "update": (0, 0, -1, 0, 0),
    "something": (-1, 0, 0, 0, 0),
}


def small_lexicon(knobs: dict[str, str] = KNOBS) -> Lexicon:
    kinds = {name: "event" if name.startswith("other.") else "number" for name in knobs}
    return parse(
        (
            HEAD
            + "".join(
                f'knob:{name} skos:prefLabel "{name}" ; skos:definition "{text}" ;'
                f' lab:valueKind "{kinds[name]}" .\n'
                for name, text in knobs.items()
            )
        ).encode()
    )


LEXICON = small_lexicon()


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("semantic") / "table.npz"
    write_table(path, list(VECTORS), list(VECTORS.values()))
    return path


def read(text: str, table: Path | None, *diff: str, open_: bool = False) -> Resolution:
    semantic = Semantic(table, open_) if table else None
    return resolve(text, LEXICON, candidates=diff or None, engine="light", semantic=semantic)


def test_a_near_word_answers_among_the_diffs_knobs(table: Path) -> None:
    text, diff = "one more storey", ("model.depth", "optimizer.all_lr")
    assert read(text, None, *diff).claims == ()
    (claim,) = read(text, table, *diff).claims
    assert (claim.knob, claim.method) == ("model.depth", "semantic")
    assert claim.change_type is ChangeType.INCREASE
    assert 0.2 <= claim.score < 1


def test_without_a_diff_the_nearest_are_told_and_none_is_taken(table: Path) -> None:
    found = read("a sluggish storey", table)
    assert found.claims == ()
    (rest,) = found.unresolved
    assert {name for name, _ in rest.candidates} == {"optimizer.all_lr", "model.depth"}
    assert all(0 < score <= 1 for _, score in rest.candidates)


def test_a_user_may_let_it_answer_without_a_diff(table: Path) -> None:
    (claim,) = read("another storey", table, open_=True).claims
    assert (claim.knob, claim.method) == ("model.depth", "semantic")


def test_two_knobs_equally_near_leave_a_text_unresolved(table: Path) -> None:
    found = read("other floors", table, "model.depth", "model.width")
    assert found.claims == ()
    assert {name for name, _ in found.unresolved[0].candidates} == {"model.depth", "model.width"}
    assert [claim.knob for claim in read("other floors", table, "model.depth").claims] == [
        "model.depth"
    ]


@pytest.mark.parametrize("nameless", ["other.mystery.alpha", "other.unspecified"])
def test_beside_an_edit_without_a_name_nothing_is_taken(table: Path, nameless: str) -> None:
    assert read("one more storey", table, "model.depth", nameless).claims == ()


def test_an_event_is_never_taken(table: Path) -> None:
    found = read("another leaflet", table, "other.docs", "model.depth")
    assert found.claims == ()
    assert found.unresolved[0].candidates[0][0] == "other.docs"


def test_a_word_like_those_of_most_knobs_is_no_evidence(table: Path) -> None:
    alike = small_lexicon(dict.fromkeys(KNOBS, "a stage") | {"model.width": "its channel"})
    scores = scores_of(tokenize("storey lane"), alike, Semantic(table).table)
    assert scores["model.depth"] == 0
    assert scores["model.width"] > 0.2


def test_a_word_the_table_lacks_counts_where_a_knob_has_it(table: Path) -> None:
    scores = scores_of(tokenize("normalizers"), LEXICON, Semantic(table).table)
    assert scores["loss.z_loss"] == max(scores.values()) == 1


def test_parentheses_hold_outcomes_unless_they_hold_everything() -> None:
    def words(text: str) -> list[str]:
        return [token.text for token in main_words(tokenize(text)) if token.kind == "word"]

    assert words("one storey (sluggish) more") == ["one", "storey", "more"]
    assert words("(one storey)") == ["one", "storey"]
    assert words("one) storey") == ["one", "storey"]


@given(st.permutations(["model.depth", "model.width", "optimizer.all_lr"]), st.text(max_size=80))
def test_any_text_is_answered_alike_whatever_the_order_of_the_diff(
    table: Path, diff: list[str], text: str
) -> None:
    tokens = tokenize(f"storey {text}")
    ranked, winner = Semantic(table).answer(tokens, LEXICON, diff)
    assert (ranked, winner) == Semantic(table).answer(tokens, LEXICON, sorted(diff))
    assert all(0 <= score <= 1 for _, score in ranked)
    assert winner is None or winner == ranked[0][0]


def test_a_table_keeps_its_words_and_knows_its_version(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "table.npz"
    version = write_table(path, ["a1", "b2"], [(3.0, 4.0), (0.0, 0.0)])
    found = table_at(path, 0)
    assert (dict(found.rows), found.version) == ({"a1": 0, "b2": 1}, version)
    assert np.allclose(found.vectors, [(0.6, 0.8), (0, 0)], atol=1e-3)
    assert write_table(path, ["a1", "b2"], [(3.0, 4.0), (0.0, 1.0)]) != version
    assert [place.name for place in path.parent.iterdir()] == ["table.npz"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"\x93NUMPY"])
def test_a_broken_table_says_how_to_make_another(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "table.npz"
    path.write_bytes(content)
    with pytest.raises(LexiconError, match="run `nightlab kg semantic build`"):
        _ = Semantic(path).table


def test_a_table_of_unequal_parts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.npz"
    np.savez(path, words=np.array(["a1"]), vectors=np.zeros((2, 3), dtype=np.float16))
    with pytest.raises(LexiconError, match="words and vectors differ"):
        _ = Semantic(path).table


def test_the_environment_names_the_table(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TABLE, raising=False)
    assert configured() is None
    monkeypatch.setenv(TABLE, str(table.with_name("none.npz")))
    assert configured() is None
    monkeypatch.setenv(TABLE, str(table))
    assert configured() == Semantic(table)
    monkeypatch.setenv(OPEN, "1")
    assert configured() == Semantic(table, open=True)


def test_the_graph_keeps_the_version_of_the_table_that_answered(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "lexicon", lambda: LEXICON)
    monkeypatch.setenv(TABLE, str(table))
    source = "DEPTH = {}\nmodel = GPT(n_layer=DEPTH)\n"
    edits = [(source.format(8), 1.0, Status.KEEP), (source.format(9), 0.9, Status.KEEP)]
    second = replace(line(edits)[1], description="one more storey")
    told = {
        quad.predicate: quad.object.value
        for quad in experiment_quads(second)
        if "/claim/" in quad.subject.value
    }
    assert told[LAB.method] == "semantic"
    assert told[LAB.tableVersion] == Semantic(table).table.version
    assert told[LAB.lexiconVersion] == LEXICON.version


def test_a_message_that_names_its_knob_loads_neither_numpy_nor_a_table(tmp_path: Path) -> None:
    (tmp_path / "table.npz").write_bytes(b"no table at all")
    code = (
        "import sys; from kg.claims import read_message;"
        "print(read_message('depth 8 to 9', None).claims[0].method, 'numpy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"NIGHTLAB_SEMANTIC": str(tmp_path / "table.npz"), "PATH": ""},
    )
    assert done.stdout.split() == ["alias", "False"], done.stderr


def test_the_vocabulary_holds_the_lexicons_words_as_written_and_as_lemmas() -> None:
    words = vocabulary(load())
    assert {"normalization", "norm", "embedding", "warmdown"} <= set(words)
    assert words == sorted(set(words))
    assert all(word.isascii() and word.isalnum() for word in words)

"""Preparing data: packing, splitting, the tokenizer, and finding what is prepared already."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
from corpora import BOS, TINY, decode, parquet, prepared, sentences
from hypothesis import given
from hypothesis import strategies as st

import prepare
from prepare import PrepareError


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(tmp_path_factory.mktemp("data"))


@pytest.fixture
def corpus(built: Path) -> Path:
    return built / "made-up.parquet"


@pytest.fixture
def copy(built: Path, tmp_path: Path) -> Path:
    """A copy of the prepared data, to be damaged."""
    (tmp_path / "tiny").mkdir()
    for file in (built / "tiny").iterdir():
        (tmp_path / "tiny" / file.name).write_bytes(file.read_bytes())
    return tmp_path


def no_data(root: Path, problem: str) -> str:
    return (
        f"prepare: {problem} for profile 'tiny' in {root / 'tiny'}; "
        "run python prepare.py --profile tiny"
    )


# --- packing

token_lists = st.lists(st.lists(st.integers(0, 9), max_size=40), max_size=12)


@given(token_lists, st.integers(2, 12))
def test_packing_loses_and_repeats_no_token_but_the_last_partial_row(
    documents: list[list[int]], width: int
) -> None:
    rows = list(prepare.pack((np.array(d, dtype=np.uint32) for d in documents), 99, width))
    assert all(len(row) == width and row[0] == 99 and row.dtype == np.uint16 for row in rows)
    packed = [int(token) for row in rows for token in row if token != 99]
    wanted = [token for document in documents for token in document]
    assert packed == wanted[: len(packed)]
    lost = len(wanted) - len(packed)
    assert lost < width


def test_a_document_too_long_for_a_row_goes_on_in_the_next() -> None:
    rows = prepare.pack([np.arange(5), np.array([7])], 99, 4)
    assert [row.tolist() for row in rows] == [[99, 0, 1, 2], [99, 3, 4, 99]]


def test_rows_are_written_without_being_held(tmp_path: Path) -> None:
    rows = np.arange(12, dtype=np.uint16).reshape(3, 4)
    assert prepare.write_rows(iter(rows), tmp_path / "rows.npy", 4) == 3
    assert np.load(tmp_path / "rows.npy", mmap_mode="r").tolist() == rows.tolist()
    assert prepare.write_rows(iter([]), tmp_path / "none.npy", 4) == 0
    assert np.load(tmp_path / "none.npy").shape == (0, 4)


# --- splitting and building


def test_training_and_validation_documents_are_disjoint(built: Path) -> None:
    data = prepare.load_data(TINY, built)
    train, val = decode(data.train, built), decode(data.val, built)
    numbers = [text.rpartition("№")[2] for text in sentences(200)]
    in_train = {number for number in numbers if f"№{number}" in train}
    in_val = {number for number in numbers if f"№{number}" in val}
    assert in_train
    assert in_val
    assert not in_train & in_val


def test_equal_documents_land_on_the_same_side(tmp_path: Path) -> None:
    texts = sentences(60)
    twice = prepare.Corpus("x", (parquet(tmp_path / "x.parquet", texts + texts),), ())
    val, train = prepare.split(twice, TINY)
    assert train is not None
    assert not val & train
    assert len(val | train) == 60


def test_equal_text_gives_equal_bytes_in_any_row_group_and_directory(
    tmp_path: Path, built: Path
) -> None:
    texts = sentences(200)
    parquet(tmp_path / "corpus" / "a.parquet", texts[:70])
    parquet(tmp_path / "corpus" / "b.parquet", texts[70:])
    again = prepare.build(TINY, tmp_path, tmp_path / "corpus")
    first = prepare.load_manifest(TINY, built)
    assert again.files == first.files
    assert again.corpus_sha256 == first.corpus_sha256


def test_a_second_run_returns_at_once(
    copy: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(prepare.PROFILES, "tiny", TINY)
    monkeypatch.delattr(prepare, "build")
    arguments = ["--profile", "tiny", "--data", str(copy)]
    assert prepare.main(arguments) == 0
    assert prepare.main([*arguments, "--corpus", str(corpus)]) == 0
    assert prepare.main([*arguments, "--check"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["data ready", "data ready", "data intact"]


def test_another_corpus_is_prepared_in_place_of_the_old(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(prepare.PROFILES, "tiny", TINY)
    before = prepare.load_manifest(TINY, copy).id
    other = parquet(tmp_path / "other.parquet", sentences(201))
    arguments = ["--profile", "tiny", "--data", str(copy), "--corpus", str(other)]
    assert prepare.main(arguments) == 0
    assert prepare.load_manifest(TINY, copy).id != before


def test_an_interrupted_preparation_is_noticed(
    copy: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace

    def interrupted(self: Path, target: Path) -> Path:
        if target.name == "val.npy":
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare.build(TINY, copy, corpus)
    monkeypatch.undo()
    with pytest.raises(prepare.NoDataError):
        prepare.load_manifest(TINY, copy)
    assert not (copy / "tiny.tmp").exists()
    prepare.build(TINY, copy, corpus)
    assert prepare.verify(TINY, copy).source == "file:made-up.parquet"


def test_too_small_a_corpus_is_refused_with_one_sentence(tmp_path: Path, corpus: Path) -> None:
    with pytest.raises(PrepareError) as caught:
        prepare.build(TINY, tmp_path, parquet(tmp_path / "one.parquet", sentences(1)))
    assert str(caught.value) == (
        "prepare: the corpus gives 256 tokens, the profile needs 299; give a larger --corpus"
    )
    with pytest.raises(PrepareError) as caught:
        prepare.build(dataclasses.replace(TINY, eval_tokens=160_000), tmp_path, corpus)
    assert re.fullmatch(
        r"prepare: the corpus gives \d{3} validation rows of 16 tokens, "
        r"profile 'tiny' needs 10000; give a larger --corpus",
        str(caught.value),
    )


# --- tokenizer


def test_the_tokenizer_keeps_every_text_and_special_text_is_ordinary(built: Path) -> None:
    tokens = prepare.load_tokens(built / "tiny" / "tokenizer.json")
    encoding = prepare.encoding(tokens)
    assert len(tokens) == BOS == encoding.n_vocab - 1
    for text in ("", "naïve №1 <|bos|>\r\n\t\0", "1234567 ΩΩ 🜂"):
        (array,) = prepare.encode([text], tokens)
        assert BOS not in array
        assert encoding.decode(array.tolist()) == text
        assert sum(len(tokens[token]) for token in array) == len(text.encode())


# --- loading


def test_missing_and_damaged_data_say_what_to_run(copy: Path) -> None:
    path = copy / "tiny" / "manifest.json"
    whole = path.read_text("utf-8")
    cases = {
        "damaged manifest": "{",
        "damaged manifest ": whole.replace('"documents": 200', '"documents": 201'),
        "data of other constants": whole.replace('"vocab_size": 300', '"vocab_size": 301'),
    }
    for problem, text in cases.items():
        path.write_text(text, "utf-8")
        with pytest.raises(prepare.NoDataError) as caught:
            prepare.load_data(TINY, copy)
        assert str(caught.value) == no_data(copy, problem.strip())
    path.unlink()
    with pytest.raises(prepare.NoDataError) as caught:
        prepare.load_data(TINY, copy)
    assert str(caught.value) == no_data(copy, "no data")


def test_a_wrong_size_is_found_on_loading_and_a_flipped_byte_by_the_check(copy: Path) -> None:
    path = copy / "tiny" / "val.npy"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    assert prepare.load_manifest(TINY, copy).profile == "tiny"
    with pytest.raises(prepare.NoDataError) as caught:
        prepare.verify(TINY, copy)
    assert str(caught.value) == no_data(copy, "damaged data (val.npy)")
    path.write_bytes(raw[:-1])
    with pytest.raises(prepare.NoDataError) as caught:
        prepare.load_manifest(TINY, copy)
    assert str(caught.value) == no_data(copy, "damaged data (val.npy)")


def test_the_manifest_id_is_no_number_and_covers_every_field(built: Path) -> None:
    manifest = json.loads((built / "tiny" / "manifest.json").read_text("utf-8"))
    stated = manifest.pop("id")
    assert stated == prepare.manifest_id(manifest)
    assert stated.startswith("m")
    for key in manifest:
        assert prepare.manifest_id({**manifest, key: None}) != stated


def test_profile_directory_and_budget_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("NIGHTLAB_PROFILE", "NIGHTLAB_DATA", "NIGHTLAB_BUDGET_SECONDS"):
        monkeypatch.delenv(name, raising=False)
    assert prepare.active_profile().name == "cpu"
    assert prepare.time_budget(prepare.active_profile()) == 60.0
    assert prepare.data_directory(TINY) == Path(prepare.__file__).parent / "data" / "tiny"
    monkeypatch.setenv("NIGHTLAB_PROFILE", "h100")
    monkeypatch.setenv("NIGHTLAB_DATA", str(tmp_path))
    monkeypatch.setenv("NIGHTLAB_BUDGET_SECONDS", "2.5")
    assert prepare.active_profile().eval_tokens == 20_971_520
    assert prepare.time_budget(TINY) == 2.5
    assert prepare.data_directory(TINY) == tmp_path / "tiny"
    monkeypatch.setenv("NIGHTLAB_PROFILE", "gpu")
    with pytest.raises(PrepareError) as caught:
        prepare.active_profile()
    assert str(caught.value) == ("prepare: no profile 'gpu'; choose one of cpu, smoke, mps, h100")
    for wrong in ("-1", "soon", "nan", "inf"):
        monkeypatch.setenv("NIGHTLAB_BUDGET_SECONDS", wrong)
        with pytest.raises(PrepareError, match="set it to a positive number of seconds"):
            prepare.time_budget(TINY)


def test_every_profile_is_consistent() -> None:
    for name, profile in prepare.PROFILES.items():
        assert profile.name == name
        assert profile.eval_tokens % profile.sequence_len == 0
        assert profile.vocab_size <= 2**16  # rows are uint16

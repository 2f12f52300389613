from __future__ import annotations

import dataclasses
import hashlib
import http.server
import importlib.metadata
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import prepare
from prepare import PrepareError, Profile

torch.set_num_threads(1)  # on a busy machine two threads wait longer than they compute
TINY = Profile("tiny", 300, 16, 5.0, None, 320, 4, "sympy", None, 100_000)
BOS = 299


def sentences(count: int) -> list[str]:
    """Documents of a made-up language: varied enough for 300 tokens, the same every time."""
    random = np.random.RandomState(7)
    words = ["".join(random.choice(list("abcdeilnorstu"), 5)) for _ in range(200)]
    return [" ".join(random.choice(words, 60)) + f" №{number}." for number in range(count)]


def parquet(path: Path, texts: list[str], column: str = "text") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.table({column: texts}), path, row_group_size=40)
    return path


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return parquet(tmp_path_factory.mktemp("corpus") / "made-up.parquet", sentences(200))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> Path:
    root = tmp_path_factory.mktemp("data")
    prepare.build(TINY, root, corpus)
    return root


@pytest.fixture
def data(built: Path) -> prepare.Data:
    return prepare.load_data(TINY, built)


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


def decode(rows: np.ndarray, root: Path) -> str:
    encoding = prepare.encoding(prepare.load_tokens(root / "tiny" / "tokenizer.json"))
    return encoding.decode([int(token) for token in rows.ravel() if token != BOS])


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


def test_training_and_validation_documents_are_disjoint(built: Path, data: prepare.Data) -> None:
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


# --- the user's own text


def test_a_directory_of_text_files_is_a_corpus(tmp_path: Path, built: Path) -> None:
    folder = tmp_path / "texts"
    (folder / ".hidden").mkdir(parents=True)
    (folder / ".hidden" / "no.txt").write_text("not read", "utf-8")
    (folder / "picture.png").write_bytes(b"\x89PNG\xff")
    for number, text in enumerate(sentences(200)):
        (folder / f"{number:03d}.txt").write_text(text, "utf-8")
    manifest = prepare.build(TINY, tmp_path, folder)
    assert manifest.files == prepare.load_manifest(TINY, built).files


def test_one_text_file_is_cut_at_blank_lines(tmp_path: Path) -> None:
    text = "\n\n".join(sentences(100))
    path = tmp_path / "book.txt"
    path.write_text(text, "utf-8")
    pieces = list(prepare.user_texts(path))
    assert len(pieces) > 5
    assert "\n\n".join(pieces) == text


def test_a_parquet_file_without_text_is_refused(tmp_path: Path) -> None:
    path = parquet(tmp_path / "x.parquet", ["a"], column="body")
    with pytest.raises(PrepareError, match="cannot be read as parquet with a `text` column"):
        prepare.build(TINY, tmp_path, path)
    with pytest.raises(PrepareError, match=r"no file or directory .*none; give another --corpus"):
        prepare.build(TINY, tmp_path, tmp_path / "none")


def test_another_sympy_is_refused_with_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    other = SimpleNamespace(version="1.13.3", files=[])
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: other)
    with pytest.raises(PrepareError) as caught:
        prepare.sympy_texts()
    assert str(caught.value) == (
        "prepare: the corpus is sympy 1.14.0, installed is 1.13.3; "
        "run pip install --force-reinstall --no-deps sympy==1.14.0"
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


# --- batches


def test_batches_cover_every_row_once_an_epoch_in_a_seeded_order(data: prepare.Data) -> None:
    count = len(data.train)
    batches = prepare.batches(data.train, 3, seed=5)
    seen = []
    for _ in range(count):  # three epochs
        x, y = next(batches)
        assert x.shape == y.shape == (3, 16)
        assert x.dtype == y.dtype == torch.int64
        assert torch.equal(x[:, 1:], y[:, :-1])
        seen += [row.tolist() for row in torch.cat([x, y[:, -1:]], dim=1)]
    rows = sorted(data.train.tolist())
    for epoch in range(3):
        assert sorted(seen[epoch * count : (epoch + 1) * count]) == rows
    assert seen[:count] != seen[count : 2 * count]
    same, other = prepare.batches(data.train, 3, seed=5), prepare.batches(data.train, 3, seed=6)
    assert next(same)[0].tolist() == [row[:-1] for row in seen[:3]]
    assert next(other)[0].tolist() != [row[:-1] for row in seen[:3]]


# --- evaluation


def table_model(seed: int) -> Any:
    """A bigram model: the logits of a token's successors are a row of a table."""
    table = torch.randn(300, 300, generator=torch.Generator().manual_seed(seed))
    return lambda tokens: table[tokens]


def test_bits_per_byte_equals_five_lines_of_numpy(data: prepare.Data) -> None:
    table = table_model(3)(torch.arange(300)).numpy().astype(np.float64)
    x, y = data.val[:, :-1].ravel().astype(int), data.val[:, 1:].ravel().astype(int)
    nats = np.log(np.exp(table).sum(1))[x] - table[x, y]
    counts = data.token_bytes[y]
    expected = nats[counts > 0].sum() / (np.log(2) * counts.sum())
    assert prepare.evaluate_bpb(table_model(3), data) == pytest.approx(expected, rel=1e-5)


def test_uniform_logits_cost_log2_of_the_vocabulary_a_token(data: prepare.Data) -> None:
    targets = data.val[:, 1:]
    tokens = int((targets != BOS).sum())
    expected = tokens * np.log2(300) / int(data.token_bytes[targets].sum())
    uniform = prepare.evaluate_bpb(lambda x: torch.zeros(*x.shape, 300), data)
    assert uniform == pytest.approx(expected, rel=1e-5)


def test_the_score_does_not_depend_on_how_many_rows_go_at_once(data: prepare.Data) -> None:
    scores = {
        prepare.evaluate_bpb(
            table_model(4),
            dataclasses.replace(data, profile=dataclasses.replace(TINY, eval_rows=rows)),
        )
        for rows in (1, 7, 1000)
    }
    assert max(scores) - min(scores) < 1e-9


def test_the_model_never_gets_near_the_targets(data: prepare.Data) -> None:
    seen = []

    def model(tokens: torch.Tensor) -> torch.Tensor:
        assert tokens.untyped_storage().nbytes() == 8 * tokens.numel()  # nothing behind it
        assert not torch.is_grad_enabled()
        seen.append(tokens)
        return torch.zeros(*tokens.shape, 300)

    prepare.evaluate_bpb(model, data)
    assert torch.equal(torch.cat(seen), torch.from_numpy(data.val[:, :-1].astype(np.int64)))


def test_a_model_that_returns_a_loss_of_its_own_is_refused(data: prepare.Data) -> None:
    with pytest.raises(PrepareError) as caught:
        prepare.evaluate_bpb(lambda tokens: torch.zeros(tokens.shape), data)
    assert str(caught.value) == (
        "evaluate_bpb: the model returned shape (4, 16); "
        "it must map tokens (4, 16) to logits (4, 16, 300)"
    )


def test_an_empty_evaluation_is_an_error_and_nan_stays_nan(data: prepare.Data) -> None:
    for rows in (data.val[:0], np.full((2, 17), BOS, dtype=np.uint16)):
        with pytest.raises(PrepareError, match=r"run python prepare\.py"):
            prepare.evaluate_bpb(table_model(0), dataclasses.replace(data, val=rows))
    bad = prepare.evaluate_bpb(lambda x: torch.full((*x.shape, 300), torch.nan), data)
    assert np.isnan(bad)


# --- download


class Hub(http.server.BaseHTTPRequestHandler):
    """A hub that redirects to its store, and fails as its `faults` say, one a request."""

    shards: dict[str, bytes]
    faults: dict[str, list[str]]
    requests: list[str]

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        raw = self.shards.get(name)
        if raw is None:
            self.send_error(404)
        elif not self.path.startswith("/store/"):
            self.requests.append(name)
            self.send_response(302)
            self.send_header("Location", f"/store/{name}")
            self.send_header("X-Linked-Etag", f'"{hashlib.sha256(raw).hexdigest()}"')
            self.end_headers()
        else:
            fault = self.faults.get(name, []).pop(0) if self.faults.get(name) else ""
            if fault.isdigit():
                self.send_error(int(fault))
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            body = {"flip": b"?" + raw[1:], "cut": raw[:-5]}.get(fault, raw)
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    texts = sentences(200)
    files = {0: texts[:90], 1: texts[90:150], 9: [*texts[150:], texts[0]]}
    Hub.shards = {
        f"shard_{number:05d}.parquet": parquet(tmp_path / "hub" / "x", part).read_bytes()
        for number, part in files.items()
    }
    Hub.faults, Hub.requests = {}, []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(prepare, "CLIMBMIX_VAL_SHARD", 9)
    yield Hub
    server.shutdown()
    thread.join()
    server.server_close()


def test_shards_survive_faults_of_the_network_and_validation_has_its_own(
    hub: type[Hub], tmp_path: Path
) -> None:
    hub.faults = {
        "shard_00000.parquet": ["503", "flip"],
        "shard_00001.parquet": ["cut"],
        "shard_00009.parquet": ["429"],
    }
    train, val = prepare.download_shards(tmp_path / "corpus" / "climbmix", 2, pause=0)
    assert [path.read_bytes() for path in [*train, val]] == list(hub.shards.values())
    assert len(hub.requests) == 3 + 4  # every fault asked once more
    profile = dataclasses.replace(TINY, corpus="climbmix")
    manifest = prepare.build(profile, tmp_path, shards=2)
    assert len(hub.requests) == 7  # complete shards are kept
    assert (manifest.source, manifest.documents) == ("climbmix:2", 201)
    data = prepare.load_data(profile, tmp_path)
    assert "№0." not in decode(data.train, tmp_path)  # also in the validation shard
    assert "№149." in decode(data.train, tmp_path)
    assert "№150." not in decode(data.train, tmp_path)


def test_a_download_that_cannot_work_ends_with_one_sentence(hub: type[Hub], tmp_path: Path) -> None:
    with pytest.raises(PrepareError, match=r"shard_00002.parquet could not .*\(HTTP 404\)"):
        prepare.download_shards(tmp_path / "a", 3, pause=0)
    hub.faults = {"shard_00000.parquet": ["flip"] * prepare.DOWNLOAD_ATTEMPTS}
    with pytest.raises(PrepareError, match=r"\(the checksum differs\); check the network"):
        prepare.download_shards(tmp_path / "b", 1, pause=0)
    assert not (tmp_path / "b" / "shard_00000.parquet").exists()
    with pytest.raises(PrepareError, match="--shards is 0; give 1 to 9"):
        prepare.download_shards(tmp_path / "c", 0)

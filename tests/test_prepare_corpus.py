"""Where prepare takes its texts from: the user's own files, sympy, shards of a hub."""

from __future__ import annotations

import dataclasses
import hashlib
import http.server
import importlib.metadata
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from corpora import TINY, decode, parquet, prepared, sentences

import prepare
from prepare import PrepareError

# --- the user's own text


def test_a_directory_of_text_files_is_a_corpus(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    (folder / ".hidden").mkdir(parents=True)
    (folder / ".hidden" / "no.txt").write_text("not read", "utf-8")
    (folder / "picture.png").write_bytes(b"\x89PNG\xff")
    for number, text in enumerate(sentences(200)):
        (folder / f"{number:03d}.txt").write_text(text, "utf-8")
    manifest = prepare.build(TINY, tmp_path, folder)
    as_parquet = prepare.load_manifest(TINY, prepared(tmp_path / "parquet"))
    assert manifest.files == as_parquet.files


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

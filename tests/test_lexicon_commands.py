import json
from pathlib import Path

import pytest
from conftest import TRAIN

from flows.cli import main


def test_a_users_word_is_learned_and_the_graph_reads_it(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(root)
    assert main(["start", "t", "--json"]) == 0
    target = Path(json.loads(capsys.readouterr().out)["target"])
    target.write_text(TRAIN.replace("DEPTH = 4", "DEPTH = 5"))
    assert main(["try", "-m", "one more storey for the tower", "--json"]) == 0
    capsys.readouterr()
    assert main(["kg", "alias", "add", "storey", "model.depth", "--note", "ours", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["file"] == str(root / "aliases.toml")
    assert main(["kg", "rebuild", "--json"]) == 0
    capsys.readouterr()
    query = (
        "SELECT ?e { ?e lab:states ?c . ?c lab:knob <https://w3id.org/nightlab/knob/model.depth> }"
    )
    assert main(["sparql", query, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 1
    assert main(["kg", "alias", "add", "storey", "model.width", "--json"]) == 1
    assert "storey" in json.loads(capsys.readouterr().out)["error"]


def test_unresolved_words_are_listed_with_an_experiment(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(root)
    assert main(["start", "t", "--json"]) == 0
    capsys.readouterr()
    assert main(["kg", "unresolved", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["unresolved"]
    assert all({"text", "times", "experiment", "candidates"} == set(row) for row in rows)

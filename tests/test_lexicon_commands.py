import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from laboratory import TRAIN

from flows import semantic_table
from flows.cli import main
from kg.text_semantic import OPEN, TABLE, write_table

WORDS = ["depth", "storey", "tower", "attention", "rate", "weight", "embedding", "batch"]
NEAR = np.eye(8)
NEAR[1, 0] = 3.0  # a storey is much like depth


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


def test_a_users_word_is_read_by_resolve_and_an_alias_needs_one(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(root)
    (root / "text.jsonl").write_text('{"id": 1, "text": "one more storey"}\n')
    assert main(["kg", "alias", "add", "12", "model.depth", "--json"]) == 1
    assert "'12': holds no word" in json.loads(capsys.readouterr().out)["error"]
    assert main(["kg", "alias", "add", "storey", "model.depth", "--json"]) == 0
    capsys.readouterr()
    assert main(["kg", "resolve", "text.jsonl"]) == 0
    (record,) = json.loads(capsys.readouterr().out)["records"]
    assert record["knob"] == "model.depth"


def test_unresolved_words_are_listed_with_an_experiment(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(root)
    assert main(["start", "t", "--json"]) == 0
    capsys.readouterr()
    assert main(["kg", "unresolved", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["unresolved"]
    assert all({"text", "times", "experiment", "candidates"} == set(row) for row in rows)


def said(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["kg", *words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def methods(capsys: pytest.CaptureFixture[str]) -> list[str]:
    query = "SELECT ?m { ?e lab:states/lab:method ?m }"
    assert main(["sparql", query, "--json"]) == 0
    return [row["m"] for row in json.loads(capsys.readouterr().out)["rows"]]


def one_more_storey(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Start a campaign whose one experiment no rule can name; leave no table behind it."""
    monkeypatch.chdir(root)
    monkeypatch.setenv(TABLE, "")
    monkeypatch.setenv(OPEN, "")
    assert main(["start", "t", "--json"]) == 0
    target = Path(json.loads(capsys.readouterr().out)["target"])
    target.write_text(TRAIN.replace("DEPTH = 4", "DEPTH = 5"))
    assert main(["try", "-m", "one more storey for the tower", "--json"]) == 0
    capsys.readouterr()


def test_a_new_word_reads_old_messages_only_in_a_rebuild(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one_more_storey(root, monkeypatch, capsys)
    assert main(["kg", "alias", "add", "storey", "model.depth"]) == 0
    assert "earlier messages are read again by `nightlab kg rebuild`" in capsys.readouterr().out
    assert methods(capsys) == []
    again = said(capsys, "alias", "add", "storey", "model.depth", "--rebuild")
    assert again["experiments"] == 2
    assert methods(capsys) == ["human"]


def test_a_table_that_was_built_reads_messages_by_meaning(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one_more_storey(root, monkeypatch, capsys)
    (row,) = (row for row in said(capsys, "unresolved")["unresolved"] if "storey" in row["text"])
    assert (row["times"], row["experiment"]) == (1, "t-0001")
    monkeypatch.setattr(semantic_table, "model_directory", lambda: root)
    monkeypatch.setattr(semantic_table, "distil", lambda model, words: (WORDS, NEAR))
    built = said(capsys, "semantic", "build", "--rebuild")
    assert (built["words"], built["experiments"]) == (len(WORDS), 2)
    assert methods(capsys) == ["semantic"]
    assert not [r for r in said(capsys, "unresolved")["unresolved"] if "storey" in r["text"]]
    settings = root / "nightlab.toml"
    settings.write_text('semantic = "off"\n' + settings.read_text())
    assert said(capsys, "rebuild")["experiments"] == 2
    assert methods(capsys) == []


def test_unresolved_words_are_listed_for_people_with_their_nearest_knobs(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one_more_storey(root, monkeypatch, capsys)
    table = root / ".nightlab" / "semantic" / "table.npz"
    vectors = NEAR.copy()
    vectors[1] = [1, 2, 0, 0, 0, 0, 0, 0]  # a little like depth, too little to be taken
    write_table(table, WORDS, vectors)
    assert main(["kg", "unresolved"]) == 0
    shown = capsys.readouterr().out
    assert "one more storey for the tower" in shown
    assert "model.depth 0." in shown


def test_a_command_that_finds_nothing_says_so(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(root)
    assert main(["start", "t"]) == 0
    capsys.readouterr()
    assert main(["kg", "unresolved"]) == 0
    assert capsys.readouterr().err == "every message was read: no words are unresolved\n"
    assert main(["sparql", "SELECT ?e { ?e lab:seq 77 }"]) == 0
    assert capsys.readouterr().err == "no rows\n"

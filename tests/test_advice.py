import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from laboratory import TRAIN, git
from told import LR, STORY

from flows.advice import say
from flows.cli import main
from flows.mcp_tools import Tools
from kg.check_model import Advice, Advised, Difference, Reason
from kg.memory import Memory


class Night:
    """A campaign driven by the commands an agent types."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys
        assert main(["start", "t", "--json"]) == 0
        self.target = Path(json.loads(capsys.readouterr().out)["target"])

    def edit(self, *pairs: tuple[str, str]) -> None:
        source = self.target.read_text()
        for old, new in pairs:
            assert old in source
            source = source.replace(old, new)
        self.target.write_text(source)

    def answer(self, *words: str, code: int = 0) -> Any:
        assert main([*words, "--json"]) == code
        return json.loads(self.capsys.readouterr().out)


@pytest.fixture
def night(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Night:
    monkeypatch.chdir(root)
    return Night(capsys)


def test_an_identical_program_is_answered_with_its_earlier_result(night: Night) -> None:
    night.edit(("DEPTH = 4", "DEPTH = 1"))
    first = night.answer("try", "-m", "depth 4 -> 1")
    night.edit(("DEPTH = 4", "DEPTH = 1  # once more"))
    assert night.answer("check", code=3)["verdict"] == "identical"
    again = night.answer("try", "-m", "the same in other words")
    assert (again["experiment"], again["value"]) == (first["experiment"], first["value"])
    assert again["check"]["verdict"] == "identical"
    assert again["log"] == first["log"]  # still the last run
    night.edit(("DEPTH = 4", "DEPTH = 2"))
    assert night.answer("try", "-m", "depth 4 -> 2")["log"] == first["log"]
    night.edit(("DEPTH = 4", "DEPTH = 1"))
    again = night.answer("try", "-m", "and again")
    assert (again["experiment"], "log" in again) == (first["experiment"], False)
    assert len(night.answer("log")["experiments"]) == 3
    assert night.target.read_text() == TRAIN


def test_a_known_result_can_be_asked_for_again_with_a_reason(night: Night) -> None:
    night.edit(("DEPTH = 4", "DEPTH = 1"))
    night.answer("try", "-m", "depth 4 -> 1")
    night.edit(("DEPTH = 4", "DEPTH = 1"))
    words = ("try", "-m", "depth again", "--force", "--because", "is it noise?")
    assert night.answer(*words)["experiment"] == "t-0002"
    query = "SELECT ?why { ?e lab:name 't-0002' ; lab:forcedBecause ?why }"
    assert night.answer("sparql", query)["rows"] == [{"why": "is it noise?"}]
    (told,) = night.answer("ask", "repeats")["rows"]
    assert (told["experiment"], told["because"]) == ("t-0002", "is it noise?")
    logged = [one["because"] for one in night.answer("log")["experiments"]]
    assert logged == [None, None, "is it noise?"]


def test_a_repeat_is_stopped_and_says_how_to_overrule(night: Night) -> None:
    night.edit(("DEPTH = 4", "DEPTH = 1"))
    night.answer("try", "-m", "depth 4 -> 1")
    night.edit(("DEPTH = 4", "DEPTH = 5 - 4"))
    verdict = night.answer("check", code=4)
    assert (verdict["verdict"], verdict["reasons"][0]["experiment"]) == ("repeat", "t-0001")
    stopped = night.answer("try", "-m", "depth in other words", code=4)
    assert "--force --because" in stopped["error"]
    assert stopped["check"]["verdict"] == "repeat"
    assert len(night.answer("log")["experiments"]) == 2


def test_a_new_idea_is_run_and_recall_cites_what_failed(night: Night) -> None:
    night.edit(("DEPTH = 4", "DEPTH = 1"))
    night.answer("try", "-m", "depth 4 -> 1")
    night.edit(("MATRIX_LR = 0.04", "MATRIX_LR = 0.05"))
    assert night.answer("check")["verdict"] == "new"
    digest = night.answer("recall", "a smaller depth", "--tokens", "200")
    assert digest["tokens"] <= 200
    assert " #1 " in digest["text"]


def test_words_alone_are_checked_where_the_file_is_not_edited(night: Night) -> None:
    night.edit(("DEPTH = 4", "DEPTH = 1"))
    night.answer("try", "-m", "depth 4 -> 1")
    verdict = night.answer("check", "--message", "depth 4 to 1", code=4)
    assert verdict["reasons"][0]["experiment"] == "t-0001"


def test_two_edits_nobody_can_name_are_not_one_edit(night: Night) -> None:
    night.edit(("    out = ", "    raise ValueError('too deep')\n    out = "))
    assert night.answer("try", "-m", "raises")["status"] == "crash"
    night.edit(("    out = ", "    import time; time.sleep(0.01)\n    out = "))
    assert night.answer("check")["verdict"] in ("new", "near")
    assert night.answer("try", "-m", "sleeps")["experiment"] == "t-0002"


def test_an_imported_memory_advises_outside_a_repository_and_inside_another(
    night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Memory(tmp_path / "imported")
    other.add_all(STORY)
    words = ("--message", "embedding LR 0.8 to 0.9", "--store", str(other.directory))
    assert night.answer("check", *words)["verdict"] == "near"  # it won there in the end
    assert "t-0006" in night.answer("recall", "embedding LR", *words[2:])["text"]
    monkeypatch.chdir(tmp_path)
    assert night.answer("check", *words)["verdict"] == "near"
    assert "t-0006" in night.answer("recall", "embedding LR", *words[2:])["text"]
    said = night.answer("check", "--store", str(other.directory), code=1)["error"]
    assert said == "check: there is no file to judge here; give a message or a file"
    said = night.answer("check", "-m", "x", "--store", "nowhere", code=1)["error"]
    assert said == "store 'nowhere': does not exist; give the directory of an import"


def test_a_missing_target_does_not_keep_a_named_memory_or_a_named_file_from_being_asked(
    night: Night, tmp_path: Path
) -> None:
    other = Memory(tmp_path / "imported")
    other.add_all(STORY)
    night.target.rename(tmp_path / "edited.py")
    said = night.answer("check", code=1)["error"]
    assert said.endswith("train.py: is not a plain file; put the edited file there")
    told = night.answer("check", "--file", str(tmp_path / "edited.py"), code=3)
    assert told["verdict"] == "identical"
    words = ("embedding LR 0.8 to 0.9", "--store", str(other.directory))
    assert night.answer("check", "-m", *words)["verdict"] == "near"
    assert "t-0006" in night.answer("recall", *words)["text"]
    config = Path("nightlab.toml")
    config.write_text(config.read_text().replace("profiles.cpu", "profiles.mine"))
    config.write_text('profile = "mine"\n' + config.read_text())
    assert "profile 'cpu': not in nightlab.toml" in night.answer("check", code=1)["error"]
    assert night.answer("check", "-m", *words)["verdict"] == "near"


def test_words_about_another_memory_are_judged_and_not_the_edited_target(
    night: Night, tmp_path: Path
) -> None:
    other = Memory(tmp_path / "imported")
    other.add_all(STORY)
    night.edit(("MATRIX_LR = 0.04", "MATRIX_LR = 0.05"))
    words = ("check", "-m", "depth 10", "--store", str(other.directory))
    verdict = night.answer(*words, code=4)
    assert [idea["knob"] for idea in verdict["changes"]] == ["model.depth"]
    own = night.answer("check", "-m", "depth 10")
    assert [idea["knob"] for idea in own["changes"]] == ["optimizer.matrix_lr"]
    assert own["notes"] == ["the edited target was judged; the message only says what it is about"]


def test_an_unknown_campaign_a_missing_file_and_too_few_tokens_are_said(night: Night) -> None:
    for command in (("check", "-m", "depth 10"), ("recall", "depth")):
        said = night.answer(*command, "--campaign", "nosuch", code=1)["error"]
        assert said == "campaign 'nosuch': is not in the memory; it has t"
    said = night.answer("check", "--file", "nosuch.py", code=1)["error"]
    assert said == (
        "file 'nosuch.py': No such file or directory; give the path of an edited target"
    )
    said = night.answer("recall", "depth", "--tokens", "5", code=1)["error"]
    assert said == "tokens=5: holds no line; give 50 or more"


def test_a_target_that_is_empty_or_does_not_parse_is_not_called_new(night: Night) -> None:
    night.target.write_text("\n")
    assert night.answer("check", code=1)["error"] == (
        "the edited target: is empty; write the whole edited program into it"
    )
    night.target.write_text(TRAIN)
    night.edit(("DEPTH = 4", "DEPTH = = 4"))
    line = night.target.read_text().split("\n").index("DEPTH = = 4") + 1
    assert night.answer("check", code=1)["error"] == (
        f"the edited target: does not parse (line {line}: invalid syntax);"
        " a run would crash, mend it first"
    )


def test_try_says_what_the_memory_thinks_of_a_run_it_does_not_stop(night: Night) -> None:
    night.edit(("DEPTH = 4", "DEPTH = 1"))
    assert night.answer("try", "-m", "depth 4 -> 1")["check"]["verdict"] == "new"
    night.edit(("DEPTH = 4", "DEPTH = 2"))
    assert main(["try", "-m", "depth 4 -> 2"]) == 0
    said = night.capsys.readouterr().err
    assert "check: new: t-0001" in said


def test_a_deleted_memory_is_made_anew_before_anything_is_asked_of_it(
    night: Night, root: Path
) -> None:
    night.edit(("DEPTH = 4", "DEPTH = 1"))
    night.answer("try", "-m", "depth 4 -> 1")
    shutil.rmtree(root / ".nightlab" / "graph")
    night.edit(("DEPTH = 4", "DEPTH = 1  # again"))
    assert night.answer("try", "-m", "again")["experiment"] == "t-0001"
    shutil.rmtree(root / ".nightlab" / "graph")
    assert len(night.answer("ask", "attempts", "knob=model.depth")["rows"]) == 1
    assert "made anew from git" not in night.capsys.readouterr().out
    served = Tools()
    before = served.ask("attempts", {"knob": "model.depth"}, None, None)
    shutil.rmtree(root / ".nightlab")
    assert served.ask("attempts", {"knob": "model.depth"}, None, None) == before
    assert git(root, "status", "--porcelain") == ""  # .nightlab is ignored again


@pytest.mark.parametrize("part", ["store", ""])
def test_a_new_campaign_brings_back_a_memory_of_which_something_was_deleted(
    night: Night, root: Path, part: str
) -> None:
    night.edit(("DEPTH = 4", "DEPTH = 1"))
    night.answer("try", "-m", "depth 4 -> 1")
    graph = root / ".nightlab" / "graph"
    if part:
        (graph / part).unlink()
    else:
        shutil.rmtree(graph)
    night.answer("start", "other")
    names = Memory(graph).names()
    assert sorted(names) == ["other-0000", "t-0000", "t-0001"]


def test_a_program_that_won_in_another_campaign_can_be_accepted_in_this_one(night: Night) -> None:
    night.edit(("DEPTH = 4", "DEPTH = 5"))
    assert night.answer("try", "-m", "depth 4 -> 5")["status"] == "keep"
    night.edit(("DEPTH = 5", "DEPTH = 1"))
    assert night.answer("try", "-m", "depth 5 -> 1")["status"] == "discard"
    night.target = Path(night.answer("start", "u")["target"])
    night.edit(("DEPTH = 4", "DEPTH = 1"))
    told = night.answer("try", "--tag", "u", "-m", "depth 4 -> 1")
    assert told["experiment"] == "t-0002"
    assert told["next"].startswith("it is known in campaign t: the target is back")
    night.edit(("DEPTH = 4", "DEPTH = 5"))
    adopted = night.answer("try", "--tag", "u", "-m", "depth 4 -> 5")
    assert (adopted["experiment"], adopted["status"]) == ("u-0001", "keep")
    night.edit(("DEPTH = 5", "DEPTH = 5  # the same"))
    told = night.answer("try", "--tag", "u", "-m", "a comment")
    assert told["next"].startswith("nothing was changed: the program is the accepted one")


def test_as_of_judges_against_what_was_accepted_then(night: Night) -> None:
    night.edit(("DEPTH = 4", "DEPTH = 5"))
    night.answer("try", "-m", "depth 4 -> 5")
    (now,) = night.answer("check", "-m", "depth 7")["changes"]
    (then,) = night.answer("check", "-m", "depth 7", "--as-of", "0")["changes"]
    assert (now["old"], then["old"]) == (5, 4)


def test_a_check_says_how_many_lines_it_leaves_out(capsys: pytest.CaptureFixture[str]) -> None:
    reasons = tuple(Reason(f"t-{i}", "", f"reason {i}", LR) for i in range(9))
    moved = tuple(Difference(LR, "rate", i, i + 1, f"t-{i}", "", "t-0", False) for i in range(7))
    say(Advice(Advised.REPEAT, reasons, moved))
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "repeat: reason 0"
    assert told[6:8] == ["- reason 6", "- and 2 more reasons: --json tells all"]
    assert told[13:] == [
        "- changed since: rate 5 -> 6 since t-0 (by t-5)",
        "- and 1 more change: --json tells all",
    ]
    say(Advice(Advised.REPEAT, reasons[:7], moved[:6]))
    assert "more" not in capsys.readouterr().out


def test_words_are_judged_as_of_an_earlier_experiment_where_the_target_is_unedited(
    night: Night,
) -> None:
    night.edit(("DEPTH = 4", "DEPTH = 5"))
    assert night.answer("try", "-m", "depth 4 -> 5")["status"] == "keep"
    told = night.answer("check", "-m", "depth 7", "--as-of", "0")
    assert [(idea["knob"], idea["old"], idea["new"]) for idea in told["changes"]] == [
        ("model.depth", 4, 7)
    ]
    night.edit(("MATRIX_LR = 0.04", "MATRIX_LR = 0.03"))
    told = night.answer("check", "-m", "depth 7", "--as-of", "0")
    assert "optimizer.matrix_lr" in [idea["knob"] for idea in told["changes"]]

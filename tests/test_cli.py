import json
import subprocess
import sys
from pathlib import Path

import pytest
from laboratory import TRAIN

from flows.cli import build_parser, main, parsed

HEAVY = ("torch", "prefect", "dvc", "spacy", "rdflib", "pyoxigraph", "optuna", "matplotlib")


@pytest.fixture
def here(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository under research as the current directory."""
    monkeypatch.chdir(root)
    return root


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from flows.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        f"sys.exit(','.join(m for m in {HEAVY!r} if m in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "start a campaign and run its baseline" in done.stdout


def test_no_command_is_misuse_and_prints_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "COMMAND" in capsys.readouterr().out
    assert main(["kg"]) == 2
    assert "rebuild" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        main(["no-such-command"])
    assert stop.value.code == 2


@pytest.mark.parametrize(
    "words",
    [
        ["ask", "attempts", "knob=model.depth", "limit=3", "--tag", "t"],
        ["ask", "attempts", "--tag", "t", "knob=model.depth", "limit=3"],
        ["ask", "attempts", "knob=model.depth", "--tag", "t", "limit=3"],
    ],
)
def test_a_question_takes_its_arguments_before_and_after_options(words: list[str]) -> None:
    options = parsed(build_parser(), words)
    assert options.question == "attempts"
    assert (options.campaign, options.arguments) == ("t", ["knob=model.depth", "limit=3"])


@pytest.mark.parametrize(
    "words", [["ask", "best", "--nope"], ["noise", "t", "x=1"], ["ask", "a", "b=1", "--x=2"]]
)
def test_an_option_nobody_knows_is_misuse(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        parsed(build_parser(), words)
    assert stop.value.code == 2
    assert f"unrecognized arguments: {words[-1]}" in capsys.readouterr().err


def test_an_error_is_one_line_and_with_json_also_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["log", "--json"]) == 1
    said = capsys.readouterr()
    sentence = json.loads(said.out)["error"]
    assert said.err == f"error: {sentence}\n"
    assert sentence.endswith("run `git init` and commit your files")


def test_start_try_and_log_answer_as_documented(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["start", "t", "--json"]) == 0
    started = json.loads(capsys.readouterr().out)
    assert set(started) == {"tag", "branch", "workdir", "target", "baseline"}
    Path(started["target"]).write_text(TRAIN.replace("DEPTH = 4", "DEPTH = 5"))
    assert (
        main(["try", "-m", "deeper", "--hypothesis", "more layers", "--expect", "-0.1", "--json"])
        == 0
    )
    tried = json.loads(capsys.readouterr().out)
    documented = {
        "experiment",
        "commit",
        "parent",
        "status",
        "reason",
        "metric",
        "value",
        "best_before",
        "delta",
        "seconds",
        "workdir",
        "next",
    }
    assert documented <= set(tried)
    assert (tried["status"], tried["delta"]) == ("keep", -0.03)
    assert main(["log", "t", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["experiments"]
    assert [e["experiment"] for e in listed] == ["t-0000", "t-0001"]
    assert listed[1]["hypothesis"] == "more layers"
    assert listed[1]["expected_delta"] == -0.1
    assert main(["log", "t"]) == 0
    assert "deeper" in capsys.readouterr().out


def test_force_needs_a_reason(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["start", "t"])
    capsys.readouterr()
    assert main(["try", "-m", "x", "--force"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        'error: --force: needs a reason; add --because "..."'
    )


def test_a_batch_by_the_built_in_researcher_without_a_server(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "t", "-n", "3", "--seed", "7", "--no-prefect", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["experiments"]
    assert [e["experiment"] for e in found] == ["t-0000", "t-0001", "t-0002", "t-0003"]
    assert (here / ".nightlab/campaigns/t/progress.png").stat().st_size > 5000


def test_completion_scripts_name_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash"]) == 0
    assert "rebuild" in capsys.readouterr().out
    assert build_parser().prog == "nightlab"


def test_a_plot_of_no_campaign_says_which_one_is_missing(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plot", "zz"]) == 1
    assert capsys.readouterr().err == (
        "error: campaign zz: does not exist; run `nightlab start zz`\n"
    )


def test_where_nothing_runs_nobody_says_that_it_runs_directly(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "no `nightlab serve` is running: the experiment runs directly"
    main(["start", "t"])
    target = here / ".nightlab" / "campaigns" / "t" / "work" / "train.py"
    capsys.readouterr()
    for source, code, runs in (
        (TRAIN, 1, False),  # the accepted version
        (TRAIN.replace("DEPTH = 4", "DEPTH = 1"), 0, True),
        (TRAIN.replace("DEPTH = 4", "DEPTH = 1"), 0, False),  # identical
        (TRAIN.replace("DEPTH = 4", "DEPTH = 2 - 1"), 4, False),  # a repeat
    ):
        target.write_text(source)
        assert main(["try", "-m", "shallow"]) == code
        assert (said in capsys.readouterr().err) is runs


def test_the_process_of_a_command_ends_with_its_exit_code_and_all_of_its_output(root: Path) -> None:
    (root / "broken.py").write_text("DEPTH = (\n")
    run = [sys.executable, "-m", "flows.cli"]
    for words, code, told in (
        (["ask"], 0, "improved-while"),
        (["ask", "nosuch"], 1, ""),
        (["check", "--file", "broken.py", "--json"], 1, '{"error": "broken.py: does not parse'),
        (["recall", "--tokens", "x"], 2, ""),
        (["nosuch"], 2, ""),
    ):
        done = subprocess.run([*run, *words], cwd=root, capture_output=True, text=True)
        assert (done.returncode, told in done.stdout) == (code, True), words
        assert (code == 0) == (not done.stderr), words
    ended = subprocess.run(
        f"{sys.executable} -m flows.cli ask | head -1", shell=True, cwd=root, capture_output=True
    )
    assert (ended.stdout.count(b"\n"), ended.stderr) == (1, b"")

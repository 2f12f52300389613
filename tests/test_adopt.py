import json
from pathlib import Path
from typing import Any

import pytest
from laboratory import git

from flows import campaign, ledger
from flows.cli import main
from flows.comparable import scorer_now
from flows.errors import FlowError
from flows.lab import Wishes, open_campaign, open_lab

SCRIPT = "ALPHA = 0.5\nprint('score:', 1 - (ALPHA - 0.3) ** 2)\n"


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A committed repository that has never heard of nightlab or DVC."""
    (tmp_path / "model.py").write_text(SCRIPT)
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "Begin")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_init_makes_any_script_a_task(foreign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--target", "model.py", "--metric", "score", "--direction", "maximise", "--json"]
    assert main(["init", *words]) == 0
    written = json.loads(capsys.readouterr().out)["written"]
    assert written[:2] == ["nightlab.toml", "dvc.yaml"]
    git(foreign, "add", "-f", *written)
    git(foreign, "commit", "-qm", "Adopt")
    assert main(["start", "t", "--json"]) == 0
    started = json.loads(capsys.readouterr().out)
    assert started["baseline"]["value"] == pytest.approx(0.96)
    Path(started["target"]).write_text(SCRIPT.replace("0.5", "0.35"))
    assert main(["try", "-m", "alpha 0.5 -> 0.35", "--json"]) == 0
    tried = json.loads(capsys.readouterr().out)
    assert (tried["status"], tried["delta"]) == ("keep", pytest.approx(0.0375))
    assert tried["reason"] == "higher by 0.037500"


def test_init_leaves_what_is_there(foreign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (foreign / "dvc.yaml").write_text("stages: {}\n")
    assert main(["init", "--target", "model.py", "--json"]) == 0
    assert "dvc.yaml" in json.loads(capsys.readouterr().out)["kept"]
    assert (foreign / "dvc.yaml").read_text() == "stages: {}\n"
    assert main(["init", "--target", "nowhere.py"]) == 1
    assert "nowhere.py: is not a file of" in capsys.readouterr().err


def test_a_pipeline_that_cannot_save_a_run_is_refused_before_one_is_spent(root: Path) -> None:
    (root / "dvc.yaml").write_text("stages: {train: {cmd: x, outs: [exp/artifacts]}}\n")
    git(root, "commit", "-qam", "Break the outs")
    with pytest.raises(FlowError, match=r"lack exp/loss\.csv, exp/metrics\.json"):
        campaign.start(open_lab(root), "t", Wishes())
    (root / "dvc.yaml").write_text("stages: []\n")
    git(root, "commit", "-qam", "Break the stage")
    with pytest.raises(FlowError, match="no stage 'train' or 'train' with outs"):
        campaign.start(open_lab(root), "t", Wishes())
    git(root, "rm", "-q", "dvc.yaml")
    git(root, "commit", "-qm", "Lose it")
    with pytest.raises(FlowError, match=r"dvc\.yaml: is not in commit"):
        campaign.start(open_lab(root), "t", Wishes())
    assert open_lab(root).repository.refs("refs/heads/autoresearch/") == {}


MEASURE = "from model import ALPHA\nprint('score:', {factor} * (1 - (ALPHA - 0.3) ** 2))\n"


def adopt_measured_apart(root: Path, factor: int) -> None:
    """Give a repository a target, a file of its own that scores it, and our pipeline."""
    (root / "model.py").write_text("ALPHA = 0.5\n")
    (root / "measure.py").write_text(MEASURE.format(factor=factor))
    git(root, "add", "-A")
    git(root, "commit", "-qm", "Measure apart")
    words = ["--target", "model.py", "--metric", "score", "--direction", "maximise"]
    assert main(["init", *words, "--command", "python measure.py"]) == 0
    git(root, "add", "-A")
    git(root, "commit", "-qm", "Adopt")


def test_another_scorer_makes_values_incomparable(
    foreign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adopt_measured_apart(foreign, 1)
    assert "- measure.py\n" in (foreign / "dvc.yaml").read_text()

    def campaign_of(tag: str) -> tuple[str, float]:
        """Start a campaign and try the same edit; what became of it, and its value."""
        assert main(["start", tag, "--json"]) == 0
        target = json.loads(capsys.readouterr().out.splitlines()[-1])["target"]
        Path(target).write_text("ALPHA = 0.9\n")
        main(["try", "-m", "alpha 0.5 -> 0.9", "--tag", tag, "--json"])
        tried = json.loads(capsys.readouterr().out)
        return tried["experiment"], tried["value"]

    capsys.readouterr()
    assert campaign_of("a") == ("a-0001", pytest.approx(0.64))
    assert campaign_of("b") == ("a-0001", pytest.approx(0.64))  # known, answered
    (foreign / "measure.py").write_text(MEASURE.format(factor=100))
    git(foreign, "commit", "-qam", "Measure in percent")
    assert campaign_of("c") == ("c-0001", pytest.approx(64.0))
    assert main(["kg", "dump"]) == 0
    before = capsys.readouterr().out
    assert before.count('vocab#scorer> "') == 5
    assert main(["kg", "rebuild"]) == 0
    capsys.readouterr()
    assert main(["kg", "dump"]) == 0
    assert capsys.readouterr().out == before


def test_another_scorer_on_a_campaigns_own_branch_begins_the_comparison_anew(
    foreign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adopt_measured_apart(foreign, 100)
    assert main(["start", "a", "--json"]) == 0
    work = Path(json.loads(capsys.readouterr().out.splitlines()[-1])["target"])

    def tried(alpha: float) -> dict[str, Any]:
        work.write_text(f"ALPHA = {alpha}\n")
        main(["try", "-m", f"alpha {alpha}", "--tag", "a", "--json"])
        return json.loads(capsys.readouterr().out)

    def checked(alpha: float) -> str:
        work.write_text(f"ALPHA = {alpha}\n")
        main(["check", "--tag", "a", "--json"])
        return json.loads(capsys.readouterr().out)["verdict"]

    assert tried(0.4)["status"] == "keep"
    assert tried(0.9)["status"] == "discard"
    assert (checked(0.4), checked(0.9)) == ("identical", "identical")
    git(foreign, "checkout", "-q", "autoresearch/a")
    (foreign / "measure.py").write_text(MEASURE.format(factor=1))
    git(foreign, "commit", "-qam", "Measure between 0 and 1")
    assert (checked(0.4), checked(0.9)) == ("near", "near")
    again = tried(0.4)  # the accepted program itself: lower than before, and the first of its kind
    assert (again["experiment"], again["status"], again["best_before"]) == ("a-0003", "keep", None)
    assert again["reason"].startswith("first result since the evaluation")
    assert (checked(0.4), checked(0.9)) == ("identical", "near")
    worse = tried(0.9)
    assert (worse["status"], worse["best_before"]) == ("discard", pytest.approx(0.99))
    git(foreign, "checkout", "-qf", "main")
    first = ledger.names(open_lab(foreign).repository, "a")["a-0001"]
    git(foreign, "branch", "-f", "autoresearch/a", first)  # back, with the evaluation it had
    told = tried(0.9)
    assert (told["experiment"], told["value"]) == ("a-0002", pytest.approx(64))
    assert main(["log", "--tag", "a", "--json"]) == 0


def test_what_was_kept_elsewhere_under_a_changed_scorer_can_be_accepted_here(
    foreign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adopt_measured_apart(foreign, 100)

    def tried(tag: str, alpha: float) -> dict[str, Any]:
        work = foreign / ".nightlab" / "campaigns" / tag / "work" / "model.py"
        work.write_text(f"ALPHA = {alpha}\n")
        capsys.readouterr()
        main(["try", "-m", f"alpha {alpha}", "--tag", tag, "--json"])
        printed = capsys.readouterr()
        found: dict[str, Any] = json.loads(printed.out)
        assert ("runs directly" in printed.err) is (tag in found.get("experiment", ""))
        return found

    assert main(["start", "a"]) == 0
    git(foreign, "checkout", "-q", "autoresearch/a")
    (foreign / "measure.py").write_text(MEASURE.format(factor=1))
    git(foreign, "commit", "-qam", "Measure between 0 and 1")
    assert main(["start", "b"]) == 0
    assert (tried("b", 0.4)["status"], tried("b", 0.9)["status"]) == ("keep", "discard")
    assert tried("a", 0.9)["experiment"] == "b-0002"  # it lost there: known, not run again
    # An edit would be kept whatever it measures: the accepted version, 96 of 100, comes first.
    error = tried("a", 0.4)["error"]
    assert "the accepted version has no result under it" in error
    assert "run `nightlab run a -n 1` first" in error
    assert main(["run", "a", "-n", "1", "--no-prefect"]) == 0
    work = foreign / ".nightlab" / "campaigns" / "a" / "work"
    assert [path.read_text() for path in work.glob("model.untried-*.py")] == ["ALPHA = 0.4\n"]
    better = tried("a", 0.4)
    assert (better["experiment"], better["best_before"]) == ("a-0002", pytest.approx(0.96))


def test_a_batch_measures_the_accepted_version_first_where_the_scorer_was_changed(
    foreign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adopt_measured_apart(foreign, 100)
    assert main(["start", "a"]) == 0
    git(foreign, "checkout", "-q", "autoresearch/a")
    (foreign / "measure.py").write_text(MEASURE.format(factor=1))
    git(foreign, "commit", "-qam", "Measure between 0 and 1")
    assert main(["run", "a", "-n", "2", "--no-prefect"]) == 0
    found = [*ledger.entries(open_lab(foreign).repository, "a")]
    assert [entry.value for entry in found][:2] == [pytest.approx(96), pytest.approx(0.96)]
    assert [entry.facts.best_before for entry in found] == [None, None, pytest.approx(0.96)]
    assert found[1].facts.fingerprint == found[0].facts.fingerprint != found[2].facts.fingerprint
    capsys.readouterr()
    assert main(["kg", "unresolved", "--json"]) == 0
    texts = [row["text"] for row in json.loads(capsys.readouterr().out)["unresolved"]]
    assert found[1].facts.description not in texts  # our own words ask nobody for a name


def test_a_changed_scorer_is_seen_in_a_clone_that_has_no_refs_of_experiments(foreign: Path) -> None:
    adopt_measured_apart(foreign, 100)
    assert main(["start", "a"]) == 0
    git(foreign, "checkout", "-q", "autoresearch/a")
    for factor in (10, 1):
        (foreign / "measure.py").write_text(MEASURE.format(factor=factor))
        git(foreign, "commit", "-qam", f"Measure up to {factor}")
    git(foreign, "clone", "-q", ".", "clone")
    here, there = open_lab(foreign), open_lab(foreign / "clone")
    place, _ = open_campaign(here, "a")
    changed = scorer_now(here, place)
    assert changed is not None
    assert scorer_now(there, place) == changed
    git(there.root, "reset", "-q", "--hard", "HEAD~2")
    assert scorer_now(there, place) is None

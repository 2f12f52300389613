"""A baseline that cannot be recorded: said before the run, and never a campaign stuck for ever."""

from __future__ import annotations

from pathlib import Path

import pytest
from laboratory import PIPELINE, git

from flows import campaign, ledger, tracking
from flows.errors import CampaignError, FlowError, TrackingError
from flows.experiment import PENDING, Proposal
from flows.lab import Lab, Wishes

LACKING = PIPELINE.replace("deps: [train.py]", "deps: [train.py, words.txt]")
SAID = (
    "dvc.yaml: words.txt: a dependency of the run is not there; commit it,"
    " or correct the deps and commit dvc.yaml"
)


def commit(root: Path, *more: str, **files: str) -> str:
    for name, text in files.items():
        (root / name.replace("_", ".")).write_text(text)
    git(root, "add", "-A")
    git(root, "commit", "-qm", "Correct", *more)
    return git(root, "rev-parse", "HEAD").strip()


def start(lab: Lab) -> campaign.Done:
    return campaign.start(lab, "t", Wishes())[1]


def stuck(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a baseline run that DVC cannot save, as if nothing had been checked before."""
    with monkeypatch.context() as patch:
        patch.setattr(tracking, "check_dependencies", lambda *arguments: None)
        with pytest.raises(TrackingError, match=r"words\.txt"):
            start(lab)
    assert list(lab.repository.refs(PENDING)) == [f"{PENDING}t-0000"]


def test_a_missing_dependency_is_said_before_the_run_and_corrected_by_a_commit(
    lab: Lab, root: Path
) -> None:
    commit(root, dvc_yaml=LACKING)
    for _ in range(2):
        with pytest.raises(FlowError) as error:
            start(lab)
        assert str(error.value) == SAID
    place = campaign.open_campaign(lab, "t")[0]
    assert not (place.run / "exp" / "metrics.json").exists()
    assert lab.repository.refs(PENDING) == {}
    head = commit(root, words_txt="one two\n")
    done = start(lab)
    assert (done.entry.facts.name, done.entry.parent_commit) == ("t-0000", head)
    assert (place.work / "words.txt").read_text() == "one two\n"


def test_a_baseline_that_could_not_be_recorded_is_made_anew_from_the_correction(
    lab: Lab, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tip = commit(root, dvc_yaml=LACKING)
    stuck(lab, monkeypatch)
    with pytest.raises(CampaignError) as error:  # nothing was corrected: what to do, and no run
        start(lab)
    assert str(error.value).startswith("campaign t: its baseline cannot be recorded (dvc in ")
    assert str(error.value).endswith(
        f"; commit a correction on top of {tip[:7]} and run `nightlab start t` again,"
        " or start another tag"
    )
    head = commit(root, dvc_yaml=PIPELINE)
    done = start(lab)
    assert (done.entry.facts.name, done.entry.parent_commit) == ("t-0000", head)
    assert done.entry.value == 1.05
    assert lab.repository.refs(PENDING) == {}
    assert start(lab).entry == done.entry


def test_a_correction_beside_the_branch_does_not_take_it_along(
    lab: Lab, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tip = commit(root, dvc_yaml=LACKING)
    stuck(lab, monkeypatch)
    commit(root, "--amend", "--allow-empty", dvc_yaml=PIPELINE)
    with pytest.raises(CampaignError, match=f"on top of {tip[:7]} .* or start another tag"):
        start(lab)
    assert lab.repository.resolve("refs/heads/autoresearch/t") == tip
    assert campaign.start(lab, "u", Wishes())[1].entry.facts.name == "u-0000"


def test_a_branch_made_by_hand_at_an_earlier_commit_stays_there(lab: Lab, root: Path) -> None:
    early = lab.repository.head()
    lab.repository.create_ref("refs/heads/autoresearch/t", early)
    commit(root, notes_md="Later.\n")
    assert start(lab).entry.parent_commit == early


def test_experiments_are_never_given_up(
    lab: Lab, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = start(lab).entry
    commit(root, notes_md="Later.\n")
    with monkeypatch.context() as patch:

        def full(*arguments: object) -> bytes:
            raise TrackingError("here", "no space")

        patch.setattr(tracking, "save_outputs", full)
        edited = lab.repository.read(first.commit, "train.py") or b""
        proposal = Proposal(edited.replace(b"DEPTH = 4", b"DEPTH = 5"), "deeper")
        with pytest.raises(TrackingError):
            campaign.attempt(lab, "t", lambda place, old: proposal)
        with pytest.raises(TrackingError):
            start(lab)
    assert start(lab).entry == first  # and what was pending is finished
    found = [entry.facts.name for entry in ledger.entries(lab.repository, "t")]
    assert found == ["t-0000", "t-0001"]

"""A batch is a plain loop: it starts or continues, never repeats a program, and ends when told."""

import logging
from pathlib import Path

import pytest
from laboratory import FILES, TRAIN, git

from flows import campaign, ledger
from flows.agents import History
from flows.batch import Plan, Work, line, run_batch, run_night
from flows.campaign import Done
from flows.errors import CampaignError
from flows.experiment import Proposal, begin
from flows.lab import Campaign, Lab, Wishes, open_lab
from flows.prefect_server import home_of
from flows.server_process import only_one
from kg.model import Status


@pytest.fixture(autouse=True)
def nothing_derived(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger alone decides what a batch does: save half of the time."""
    monkeypatch.setattr("flows.derived.update", lambda *rest: None)


def entries(lab: Lab, tag: str = "night") -> list[ledger.Entry]:
    return list(ledger.entries(lab.repository, tag))


def sources(lab: Lab, tag: str = "night") -> list[bytes | None]:
    return [lab.repository.read(entry.commit, "train.py") for entry in entries(lab, tag)]


def test_a_batch_runs_the_baseline_and_then_as_many_experiments_as_asked(lab: Lab) -> None:
    steps: list[str] = []
    seen: list[str] = []

    def step(name: str, work: Work) -> Done:
        steps.append(name)
        return work()

    def on_experiment(place: Campaign, done: Done) -> None:
        assert place.tag == "night"
        seen.append(done.entry.facts.name)

    finished = run_batch(lab, Plan("night", experiments=2), None, on_experiment, step)
    assert [entry.commit for entry in entries(lab)] == [done.entry.commit for done in finished]
    assert steps == ["exp-0000", "exp-0001", "exp-0002"]
    assert seen == ["night-0000", "night-0001", "night-0002"]
    assert finished[0].entry.facts.description == "baseline"
    assert {done.entry.facts.agent for done in finished} == {"builtin"}


def test_a_continued_batch_counts_on_and_never_runs_a_program_twice(lab: Lab) -> None:
    run_batch(lab, Plan("night", experiments=1))
    run_batch(lab, Plan("night", experiments=2, seed=7))
    found = entries(lab)
    assert [entry.facts.seq for entry in found] == [0, 1, 2, 3]
    assert len({entry.facts.fingerprint for entry in found}) == 4


def test_the_same_seed_makes_the_same_night_whether_or_not_it_was_cut(tmp_path: Path) -> None:
    labs = []
    for name in ("whole", "cut"):
        for path, text in FILES.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_text(text)
        git(tmp_path / name, "init", "-q", "-b", "main")
        git(tmp_path / name, "add", "-A")
        git(tmp_path / name, "commit", "-qm", "Begin")
        labs.append(open_lab(tmp_path / name))
    whole, cut = labs
    run_batch(whole, Plan("night", experiments=2, seed=3))
    run_batch(cut, Plan("night", experiments=1, seed=3))
    run_batch(cut, Plan("night", experiments=1, seed=3))
    assert sources(whole) == sources(cut)
    assert len(sources(whole)) == 3


def test_an_interrupted_experiment_says_nothing_about_its_program(lab: Lab) -> None:
    place = campaign.start(lab, "night", Wishes())[0]
    cut = Proposal(TRAIN.replace("DEPTH = 4", "DEPTH = 6").encode(), "depth 6")
    begin(lab, place, cut, None)  # and the runner dies here
    names: list[str] = []

    def step(name: str, work: Work) -> Done:
        names.append(name)
        return work()

    run_batch(lab, Plan("night", experiments=1), step=step)
    found = entries(lab)
    assert [entry.facts.seq for entry in found] == [0, 1, 2]
    assert str(found[1].metrics["reason"]).startswith("interrupted")
    assert names == ["exp-0002"]
    told = History(lab, "night")
    assert len(told.outcomes()) == 2
    assert found[1].facts.fingerprint not in told.fingerprints


def test_no_experiment_starts_after_the_hours_are_over(lab: Lab) -> None:
    finished = run_batch(lab, Plan("night", hours=1e-9))
    assert [done.entry.facts.description for done in finished] == ["baseline"]


def test_a_batch_ends_when_there_is_nothing_left_to_try(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    (lab.root / "train.py").write_text('import sys\nprint("---")\nprint("val_bpb: 1.5")\n')
    git(lab.root, "commit", "-qam", "A program without a knob")
    finished = run_batch(lab, Plan("night", experiments=5))
    assert len(finished) == 1
    assert "no knob" in caplog.text


def test_crashes_are_results_and_the_batch_goes_on(lab: Lab) -> None:
    (lab.root / "train.py").write_text(TRAIN.replace("loss = 1.0", "loss = 1 / (DEPTH - 4)"))
    git(lab.root, "commit", "-qam", "Divides by zero")
    finished = run_batch(lab, Plan("night", experiments=1))
    assert finished[0].entry.status is Status.CRASH
    assert len(finished) == 2


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        (
            Plan("night"),
            "campaign night: nothing says when to stop; give a number of experiments or hours",
        ),
        (
            Plan("night", experiments=1, agent="nobody"),
            "agent 'nobody': unknown; take one of: builtin",
        ),
    ],
)
def test_a_plan_that_cannot_be_done_is_refused_before_anything_runs(
    lab: Lab, plan: Plan, sentence: str
) -> None:
    with pytest.raises(CampaignError) as caught:
        run_batch(lab, plan)
    assert str(caught.value) == sentence
    assert entries(lab) == []


def test_a_finished_experiment_is_one_line_of_keys_and_values(lab: Lab) -> None:
    done = run_batch(lab, Plan("night", experiments=0))[0]
    words = line(Done(done.entry, {"git": 0.25, "run": 1.5, "dvc": 0.5}))
    assert words == (
        "experiment=night-0000 status=keep val_bpb=1.050000 run_seconds=1.5 overhead=0.75 "
        'reason="first result of the campaign"'
    )


def test_without_a_server_the_night_runs_all_the_same_and_says_so(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    with only_one(home_of(lab)), caplog.at_level(logging.WARNING):
        finished = run_night(lab, Plan("night", experiments=1))
    assert len(finished) == 2
    assert (
        "prefect: another nightlab of this repository has the server just now; wait for its "
        "batch, or end it; the experiments run without Prefect, nothing is lost"
    ) in caplog.text

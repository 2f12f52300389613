"""What the built-in researcher proposes, and that it gets better."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from itertools import pairwise

import pytest
from trainer_source import TRAINER, named, program

from flows.edits import apply, knobs
from flows.errors import NothingToEdit
from flows.evidence import near_misses, read_trials, sightings
from flows.evidence import settings as settings_of
from flows.researcher import Outcome, Proposal, Researcher, propose
from flows.scale import lawful, place
from flows.search import couples_batches


def bowl(best: dict[str, float], noise: Callable[[], float] = lambda: 0.0):
    """Return a metric to minimise: 2 at the start of TRAINER, less towards the best places."""
    start = {knob.name: knob for knob in knobs(TRAINER)}

    def metric(source: str) -> float:
        values = settings_of(source)
        away = sum(
            (place(start[name], values[name]) - at) ** 2 - at**2 for name, at in best.items()
        )
        return 2 + 0.02 * away + noise()

    return metric


def campaign(metric: Callable[[str], float], count: int, *, seed: int = 0, direction: str = "min"):
    """Run the loop of a campaign; return the proposals and the accepted value after each."""
    researcher = Researcher(seed, direction, program)
    sign = 1 if direction == "min" else -1
    accepted, best = TRAINER, metric(TRAINER)
    researcher.tell(TRAINER, best, "keep")
    proposals: list[Proposal] = []
    for _ in range(count):
        proposal = researcher.propose(accepted)
        proposals.append(proposal)
        value = metric(proposal.source)
        kept = sign * value < sign * best
        researcher.tell(proposal.source, value, "keep" if kept else "discard")
        if kept:
            accepted, best = proposal.source, value
    return proposals, best, researcher


def test_what_is_proposed_parses_is_new_and_says_what_it_does() -> None:
    proposals, _, _ = campaign(bowl({"matrix_lr": 1.0, "depth": 1}), 60)
    programs = [program(TRAINER), *(program(p.source) for p in proposals)]
    assert len(set(programs)) == 61
    for proposal in proposals:
        assert "seed" not in proposal.message
        assert proposal.message.count(" -> ") == len(proposal.knobs)
        assert proposal.hypothesis[0].isupper()
        assert proposal.hypothesis.endswith(".")
        assert "\n" not in proposal.hypothesis + proposal.message
        values = settings_of(proposal.source)
        assert lawful(named(), values)
        assert values["device_batch_size"] * 256 <= values["total_batch_size"]


def test_a_message_names_the_literals_before_and_after() -> None:
    proposals, _, _ = campaign(bowl({"depth": 1}), 12)
    single = next(p for p in proposals if p.knobs == ("matrix_lr",))
    changed = [
        line[2:]
        for line in difflib.ndiff(TRAINER.splitlines(), single.source.splitlines())
        if line.startswith("+ ")
    ]
    old, new = single.message.removeprefix("matrix_lr ").split(" -> ")
    assert old == "0.04"
    assert changed == [f"MATRIX_LR: float = {new}; EMBEDDING_LR = 0.6"]


def test_the_same_seed_and_history_propose_the_same_also_after_a_restart() -> None:
    metric = bowl({"matrix_lr": 1.2, "warmdown_ratio": 2.0})
    first, _, researcher = campaign(metric, 15, seed=7)
    again, _, _ = campaign(metric, 15, seed=7)
    other, _, _ = campaign(metric, 15, seed=8)
    assert first == again
    assert [p.message for p in first] != [p.message for p in other]
    resumed = Researcher(7, "min", program, researcher.history)
    assert resumed.propose(TRAINER) == researcher.propose(TRAINER)


def test_the_first_ten_experiments_try_what_usually_pays() -> None:
    for seed in range(5):
        proposals, _, _ = campaign(bowl({}), 10, seed=seed)
        moved = {name for proposal in proposals for name in proposal.knobs}
        assert len(moved & {"total_batch_size", "matrix_lr", "depth", "warmdown_ratio"}) >= 3


@pytest.mark.parametrize("direction", ["min", "max"])
def test_a_short_night_finds_most_of_what_there_is(direction: str) -> None:
    best = {"matrix_lr": 1.5, "total_batch_size": -1.0, "embedding_lr": -1.0, "warmdown_ratio": 2.0}
    sign = 1 if direction == "min" else -1
    gains = []
    for seed in range(4):
        metric = bowl(best)
        _, value, _ = campaign(lambda s, m=metric: sign * m(s), 40, seed=seed, direction=direction)
        gains.append(2 - sign * value)
    available = 0.02 * sum(at**2 for at in best.values())
    assert min(gains) > 0.6 * available
    assert sum(gains) / len(gains) > 0.8 * available


def test_no_knob_alone_loses_three_experiments_in_a_row() -> None:
    for seed in range(3):
        proposals, _, _ = campaign(lambda source: 2.0, 30, seed=seed)
        names = [set(p.knobs) for p in proposals]
        assert not any(a & b & c for (a, b), (_, c) in pairwise(pairwise(names)))


def test_what_crashed_is_not_gone_beyond_again() -> None:
    researcher = Researcher(3, "min", program)
    researcher.tell(TRAINER, 2.0, "keep")
    deepest = 99
    for _ in range(60):
        proposal = researcher.propose(TRAINER)
        depth = settings_of(proposal.source)["depth"]
        assert depth < deepest
        if depth > 4:
            deepest = min(deepest, depth)
        value = None if depth > 4 else 2.1
        researcher.tell(proposal.source, value, "crash" if value is None else "discard")
    assert deepest < 99


def test_two_near_misses_are_tried_together() -> None:
    proposals, _, researcher = campaign(lambda source: 2.0, 25)
    trials = read_trials(researcher.history, minimise=True)
    combined = [p for p in proposals if len(p.knobs) > 1]
    singles = {p.message for p in proposals}
    assert any(set(p.message.split(", ")) & singles for p in combined)
    assert all(len(trials[n].moved) >= 1 for n in range(25))
    assert next(near_misses(trials), None) is not None


def test_gains_add_up_along_the_accepted_versions() -> None:
    found = {knob.name: knob for knob in knobs(TRAINER)}
    lower, higher = (apply(TRAINER, [(found["matrix_lr"], v)]) for v in (0.02, 0.06))
    history = [
        Outcome(TRAINER, 2.0, "keep"),
        Outcome(lower, 2.01, "discard"),
        Outcome(higher, 1.98, "keep"),
        Outcome("DEPTH = (", None, "crash"),
    ]
    trials = read_trials(history, minimise=True)
    assert [round(t.gain, 9) if t.gain is not None else None for t in trials] == [-0.01, 0.02, None]
    now = next(knob for knob in knobs(higher) if knob.name == "matrix_lr")
    seen = {s.value: s.gain for s in sightings(now, trials)}
    assert seen == {0.02: pytest.approx(-0.03), 0.04: pytest.approx(-0.02)}


def test_a_long_losing_streak_is_still_compared_with_the_version_accepted_before_it() -> None:
    (knob,) = knobs("X_LR = 0.1\n")
    lost = [apply("X_LR = 0.1\n", [(knob, 0.1 + n / 1000)]) for n in range(1, 311)]
    history = [Outcome("X_LR = 0.1\n", 2.0, "keep"), *(Outcome(s, 2.5, "discard") for s in lost)]
    trials = read_trials(history, minimise=True)
    assert len(trials) == 300
    assert {trial.gain for trial in trials} == {-0.5}


def test_a_batch_that_must_be_a_multiple_moves_with_its_rows() -> None:
    assert couples_batches(TRAINER)
    assert not couples_batches("TOTAL_BATCH_SIZE = 512\nprint(TOTAL_BATCH_SIZE // 2)\n")
    proposals, _, _ = campaign(bowl({}), 12)
    halved = [p for p in proposals if "total_batch_size 2**9 -> 2**8" in p.message]
    assert all("device_batch_size 2 -> 1" in p.message for p in halved)
    assert halved


def test_a_file_without_a_knob_is_said_in_one_sentence() -> None:
    with pytest.raises(NothingToEdit) as caught:
        propose("x = 1\n", lambda source: False, [], 0, "min")
    assert str(caught.value) == (
        "researcher: the file has no knob it can edit; give it upper-case constants at module "
        "level (LEARNING_RATE = 0.01), or let an agent edit it"
    )
    with pytest.raises(NothingToEdit, match="is no Python"):
        propose("x = (", lambda source: False, [], 0, "min")


def test_it_ends_when_every_edit_was_tried() -> None:
    with pytest.raises(NothingToEdit, match="every edit within reach was tried"):
        propose("USE_X = True\n", lambda source: True, [], 0, "min")


def test_other_tasks_are_tuned_too() -> None:
    source = "ALPHA = 10.0\nN_ESTIMATORS = 500\nSUBSAMPLE = 0.8\nRANDOM_STATE = 1\nN_FOLDS = 5\n"
    researcher = Researcher(0, "max", program)
    researcher.tell(source, 1.0, "keep")
    moved: set[str] = set()
    for _ in range(12):
        proposal = researcher.propose(source)
        researcher.tell(proposal.source, 0.9, "discard")
        moved |= set(proposal.knobs)
    assert moved == {"alpha", "n_estimators", "subsample"}

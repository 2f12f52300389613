from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from histories import line
from hypothesis import given
from hypothesis import strategies as st

from kg.attribution import ENOUGH, NEVER, Credit, credits_of, ridge, robust
from kg.memory import Memory
from kg.model import Status
from kg.record import ExperimentRecord, NoiseFloor

KEEP, DISCARD, CRASH = Status.KEEP, Status.DISCARD, Status.CRASH
KNOBS = {"embedding LR": (0.8, 0.9), "depth": (8, 9), "softcap": (15, 20), "warmdown": (0.5, 0.7)}
NAMES = {
    "embedding LR": "optimizer.embedding_lr",
    "depth": "model.depth",
    "softcap": "head.softcap",
    "warmdown": "schedule.warmdown_ratio",
}
TRUTH = {"embedding LR": -0.004, "depth": 0.006, "softcap": 0.0, "warmdown": 0.002}


def told(
    edits: list[tuple[str, ...]], values: list[float | None], tag: str = "t"
) -> list[ExperimentRecord]:
    """Return a campaign told in words alone: who edits what, and the metric."""
    found = line([("", 1.0, KEEP), *(("", v, DISCARD if v else CRASH) for v in values)], tag)
    texts = [", ".join(f"{n} {KNOBS[n][0]} to {KNOBS[n][1]}" for n in names) for names in edits]
    return [
        replace(record, source=None, parent_source=None, description=text)
        for record, text in zip(found, ["baseline", *texts], strict=True)
    ]


def credited(place: Path, records: list[ExperimentRecord]) -> dict[str, Credit]:
    memory = Memory(place / "graph")
    memory.add_all(records)
    return {row.knob: row for row in credits_of(memory.graph().board("t"))}


def made_up(seed: int, size: int = 60, noise: float = 0.0005) -> list[ExperimentRecord]:
    chance = random.Random(seed)
    edits = [tuple(chance.sample(sorted(KNOBS), chance.choice((1, 2, 2, 3)))) for _ in range(size)]
    values = [1.0 + sum(TRUTH[n] for n in names) + chance.gauss(0, noise) for names in edits]
    return told(edits, list(values))


def test_an_empty_campaign_credits_nothing(tmp_path: Path) -> None:
    assert Memory(tmp_path / "graph").ask("attribution").rows == []


def test_an_isolated_effect_is_the_mean_over_isolated_edits_alone(tmp_path: Path) -> None:
    rows = credited(
        tmp_path,
        told([("depth",), ("depth",), ("depth", "softcap")], [1.002, 1.004, 1.5]),
    )
    depth = rows["model.depth"]
    assert (depth.n, depth.alone, depth.isolated_effect) == (3, 2, 0.003)
    assert depth.experiments == ("t-0001", "t-0002", "t-0003")
    assert (depth.experiment, depth.commit) == (
        "t-0001",
        "0000002",
    )  # the best isolated, not the last
    softcap = rows["head.softcap"]
    assert softcap.experiment == "t-0003"
    assert (softcap.n, softcap.alone, softcap.isolated_effect) == (1, 0, None)
    assert softcap.label.startswith(NEVER)


def test_a_few_experiments_give_no_estimate(tmp_path: Path) -> None:
    rows = credited(tmp_path, told([("depth",)] * 3, [1.002, 1.004, 1.003]))
    assert rows["model.depth"].estimate is None
    assert rows["model.depth"].label == (
        f"isolated in 3; no estimate from fewer than {ENOUGH} experiments of repeated edits"
    )


def test_estimates_find_the_effects_of_edits_that_were_mostly_combined(tmp_path: Path) -> None:
    rows = credited(tmp_path, made_up(1))
    for name, effect in TRUTH.items():
        row = rows[NAMES[name]]
        assert row.estimate == pytest.approx(effect, abs=0.0006)
        assert row.low is not None
        assert row.high is not None
        assert row.low < row.estimate < row.high
        assert "estimate: ridge over 60 experiments, 95 % interval if effects add up" in row.label


def test_intervals_hold_the_truth_about_as_often_as_they_say(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    hits = []
    for _ in range(200):
        truth = chance.normal(0, 0.003, 12)
        design = (chance.random((80, 12)) < 0.15).astype(float)
        mean, deviation = ridge(design, design @ truth + chance.normal(0, 0.001, 80))
        hits += list(np.abs(mean - truth) <= 1.96 * deviation)
    assert 0.90 <= np.mean(hits) <= 0.99


def test_edits_always_made_together_are_inseparable_and_get_no_estimate(tmp_path: Path) -> None:
    chance = random.Random(2)
    edits = [("depth", "softcap") if n % 3 else ("warmdown",) for n in range(30)]
    values = [1.0 + sum(TRUTH[n] for n in names) + chance.gauss(0, 1e-4) for names in edits]
    rows = credited(tmp_path, told(edits, list(values)))
    assert rows["model.depth"].estimate is None
    assert rows["model.depth"].confounded_with == ("head.softcap increase",)
    assert rows["model.depth"].label == f"{NEVER}; inseparable from head.softcap increase"
    assert rows["schedule.warmdown_ratio"].estimate == pytest.approx(0.002, abs=3e-4)


def test_one_broken_run_does_not_drown_the_others(tmp_path: Path) -> None:
    records = made_up(3)
    broken = [replace(records[-1], value=3.2), *records[:-1]]
    rows = credited(tmp_path, broken)
    assert rows["optimizer.embedding_lr"].estimate == pytest.approx(-0.004, abs=0.001)


def test_an_edit_nobody_repeated_says_nothing_about_the_others(tmp_path: Path) -> None:
    records = made_up(5)
    odd = replace(records[-1], name="t-0099", seq=99, description="weight tying", value=3.2)
    plain, mixed = (
        credited(tmp_path / "plain", records),
        credited(tmp_path / "mixed", [*records, odd]),
    )
    assert mixed["embedding.tying"].estimate is None
    assert mixed["embedding.tying"].isolated_effect == pytest.approx(2.2)
    assert mixed["model.depth"] == plain["model.depth"]


def test_crashes_interruptions_and_seeds_count_nowhere(tmp_path: Path) -> None:
    records = told([("depth",)] * 3, [1.002, None, 1.004])
    records[3] = replace(records[3], status=CRASH, value=None, reason="interrupted: power")
    seed = replace(records[1], name="t-0004", seq=4, description="random seed 42 to 137")
    rows = credited(tmp_path, [*records, seed])
    assert set(rows) == {"model.depth"}
    assert rows["model.depth"].n == 1


def test_the_question_answers_in_plain_values_the_most_tried_first(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "graph")
    memory.add_all(made_up(4))
    rows = memory.ask("attribution", campaign="t").rows
    assert [row["n"] for row in rows] == sorted((row["n"] for row in rows), reverse=True)
    assert json.loads(json.dumps(rows)) == rows
    assert rows == memory.ask("attribution").rows  # the only campaign there is
    early = memory.ask("attribution", campaign="t", as_of=5).rows
    assert max(int(name[-4:]) for row in early for name in row["experiments"]) <= 5
    narrow = {"knob": "model.depth", "component": "model_size", "direction": "increase"}
    (depth,) = memory.ask("attribution", narrow).rows
    assert depth in rows
    assert memory.ask("attribution", {**narrow, "direction": "decrease"}).rows == []


@given(st.integers(0, 1000), st.floats(0.001, 1000))
def test_effects_scale_with_the_unit_and_ignore_the_order(seed: int, unit: float) -> None:
    chance = np.random.default_rng(seed)
    design = (chance.random((30, 5)) < 0.3).astype(float)
    deltas = chance.normal(0, 1, 30)
    mean, deviation = ridge(design, deltas)
    scaled, wider = ridge(design, deltas * unit)
    assert scaled == pytest.approx(mean * unit, rel=1e-6, abs=1e-9 * unit)
    assert wider == pytest.approx(deviation * unit, rel=1e-6, abs=1e-9 * unit)
    order = chance.permutation(30)
    shuffled, _ = ridge(design[order], deltas[order])
    assert shuffled == pytest.approx(mean, rel=1e-6, abs=1e-9)


def test_ridge_is_the_posterior_of_the_normal_equations() -> None:
    chance = np.random.default_rng(5)
    design = (chance.random((40, 6)) < 0.3).astype(float)
    deltas = design @ chance.normal(0, 1, 6) + chance.normal(0, 0.5, 40)
    mean, deviation = ridge(design, deltas)
    fitting = [
        strength
        for strength in np.logspace(-3, 3, 61)
        if np.allclose(
            np.linalg.solve(design.T @ design + strength * np.eye(6), design.T @ deltas), mean
        )
    ]
    assert len(fitting) == 1
    inverse = np.linalg.inv(design.T @ design + fitting[0] * np.eye(6))
    ratio = deviation**2 / np.diag(inverse)
    assert ratio == pytest.approx(np.full(6, ratio[0]))  # one noise variance for all


def test_nothing_happened_is_no_effect() -> None:
    mean, deviation = ridge(np.ones((20, 2)), np.zeros(20))
    assert not mean.any()
    assert not deviation.any()


def test_without_outliers_the_robust_fit_is_the_plain_one() -> None:
    chance = np.random.default_rng(6)
    design = (chance.random((40, 6)) < 0.3).astype(float)
    deltas = design @ chance.normal(0, 1, 6) + chance.uniform(-0.1, 0.1, 40)
    plain, tough = ridge(design, deltas), robust(design, deltas)
    assert tough[0].tolist() == plain[0].tolist()
    assert tough[1].tolist() == plain[1].tolist()


def test_what_does_not_add_up_says_with_what(tmp_path: Path) -> None:
    edits: list[tuple[str, ...]] = [
        ("depth",),  # +0.006
        ("softcap",),  # +0.004
        ("warmdown",),  # +0.002
        ("depth", "softcap"),  # the sum would be +0.010
        ("softcap", "warmdown"),  # +0.006 would
    ]
    records = told(edits, [1.006, 1.004, 1.002, 0.994, 1.0055])
    made = Memory(tmp_path / "graph")
    made.add_all(records)

    def labels() -> dict[str, str]:
        rows = made.ask("attribution", campaign="t").rows
        return {row["knob"]: row["label"].rpartition("; ")[2] for row in rows}

    assert not any("add up" in label for label in labels().values())  # the noise is not known
    # three deviations of a sum of three deltas, sqrt(6) of 0.001 each: 0.0073 is chance
    made.measure("t", [NoiseFloor("t", "val_bpb", "", "", "", 0.001, 0.002, 3)])
    found = labels()
    assert found["model.depth"] == "does not add up with head.softcap"
    assert found["head.softcap"] == "does not add up with model.depth"
    assert "add up" not in found["schedule.warmdown_ratio"]
    made.measure("t", [NoiseFloor("t", "val_bpb", "", "", "", 0.004, 0.008, 3)])
    assert not any("add up" in label for label in labels().values())  # 0.016 is inside 0.029

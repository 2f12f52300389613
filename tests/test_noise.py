from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from laboratory import CONFIG, TRAIN, git

from flows import campaign, derived
from flows.campaign import held
from flows.errors import CampaignError
from flows.experiment import Proposal
from flows.lab import Lab, Wishes, open_campaign, open_lab
from flows.ledger import Entry
from flows.measure import lines_of, measure_noise
from flows.noise import (
    FIRST_SEED,
    REFS,
    Noise,
    SeedRun,
    confirmed,
    floors_of,
    marked,
    measured,
    noise_of,
    within_noise,
)
from kg.memory import open_memory

BRANCH = "refs/heads/autoresearch/t"


def seeded(luck: str) -> str:
    """Return a trainer that reads its seed, with what that adds to its loss."""
    reads = TRAIN.replace("SEED = 42", 'SEED = int(os.environ.get("NIGHTLAB_SEED") or 42)')
    return reads.replace("    out =", f"    loss += {luck}\n    out =")


SEEDED = seeded("SEED % 7 / 1000")
BROKEN = SEEDED.replace("    out =", "    if SEED == 1002: raise ValueError('bad luck')\n    out =")


@pytest.fixture
def make(root: Path) -> Iterator[Callable[[str], Lab]]:
    """Return what makes a lab whose accepted version is a given trainer."""
    made: list[Lab] = []

    def build(source: str) -> Lab:
        (root / "train.py").write_text(source)
        git(root, "commit", "-qam", "Another trainer")
        made.append(open_lab(root))
        made[-1].repository.create_ref(BRANCH, made[-1].repository.head())
        return made[-1]

    yield build
    for lab in made:
        lab.repository.close()


def expected(seeds: int) -> list[float]:
    base = 1.0 + 4 / 100 + 0.01
    return [round(base + seed % 7 / 1000, 6) for seed in range(FIRST_SEED, FIRST_SEED + seeds)]


def run(seed: int, value: float | None, version: str = "a", **fields: object) -> SeedRun:
    made = SeedRun("t", version, seed, value, "", 1.0, "val_bpb", "cpu", "m", "cpu", None)
    return replace(made, **fields)  # type: ignore[arg-type]


def noise(*runs: SeedRun) -> Noise:
    return Noise("t", runs[0].conditions, runs)


def test_the_floor_is_the_standard_deviation_over_seeds_and_lies_in_git(
    make: Callable[[str], Lab], root: Path
) -> None:
    lab = make(SEEDED)
    found = measure_noise(lab, "t", 3)
    assert [one.value for one in found.runs] == expected(3)
    assert found.floor == pytest.approx(statistics.stdev(expected(3)))
    assert found.threshold == pytest.approx(2 * statistics.stdev(expected(3)))
    assert found.conditions == ("val_bpb", "cpu", "", "cpu", None, "")
    assert list(lab.repository.refs(REFS)) == [f"{REFS}t/{n:04d}" for n in (1, 2, 3)]
    shown = git(root, "show", f"{REFS}t/0002:exp/noise.json")
    assert json.loads(shown)["seed"] == FIRST_SEED + 1
    assert not (open_campaign(lab, "t")[0].directory / "noise").exists()


def test_a_measurement_is_never_made_twice_and_more_seeds_only_add(
    make: Callable[[str], Lab], root: Path
) -> None:
    lab = make(SEEDED)
    first = measure_noise(lab, "t", 2)
    assert measure_noise(lab, "t", 2) == first
    assert len(lab.repository.refs(REFS)) == 2
    more = measure_noise(lab, "t", 3)
    assert more.runs[:2] == first.runs
    assert len(lab.repository.refs(REFS)) == 3
    again = open_lab(root)  # nothing of it lives outside git
    assert noise_of(again, "t") == more
    again.repository.close()


def test_the_users_files_are_not_touched(make: Callable[[str], Lab], root: Path) -> None:
    lab = make(SEEDED)
    (root / "train.py").write_text("# half an idea\n")
    before = git(root, "status", "--porcelain"), git(root, "rev-parse", "HEAD", BRANCH)
    measure_noise(lab, "t", 2)
    assert (git(root, "status", "--porcelain"), git(root, "rev-parse", "HEAD", BRANCH)) == before
    assert (root / "train.py").read_text() == "# half an idea\n"


def test_a_seed_that_fails_is_recorded_and_left_out(make: Callable[[str], Lab]) -> None:
    lab = make(BROKEN)
    found = measure_noise(lab, "t", 3)
    assert [one.seed for one in found.runs] == [1001, 1003]
    assert [one.seed for one in found.failed] == [1002]
    assert "bad luck" in found.failed[0].problem
    failed = {found.failed[0].version: {"1002": found.failed[0].problem}}
    assert found.to_json()["failed"] == failed
    with pytest.raises(CampaignError, match="no noise floor from 2 seeds"):
        measure_noise(make_other(lab), "other", 2)


def make_other(lab: Lab) -> Lab:
    """Give the lab a second campaign whose trainer never ends well."""
    commit = lab.repository.commit(lab.repository.head(), {"train.py": b"raise SystemExit(3)"}, "x")
    lab.repository.create_ref("refs/heads/autoresearch/other", commit)
    return lab


def test_what_cannot_be_measured_says_why(make: Callable[[str], Lab]) -> None:
    lab = make(SEEDED)
    with pytest.raises(CampaignError) as one:
        measure_noise(lab, "t", 1)
    assert str(one.value) == "noise: 1 seed cannot show a spread; give at least 2"
    with pytest.raises(CampaignError) as none:
        measure_noise(lab, "u", 2)
    assert str(none.value) == "campaign u: does not exist; run `nightlab start u`"
    with held(open_campaign(lab, "t")[0]), pytest.raises(CampaignError, match="another nightlab"):
        measure_noise(lab, "t", 2)
    assert noise_of(lab, "t") is None
    assert lab.repository.refs(REFS) == {}


def test_a_trainer_that_ignores_the_seed_is_noticed(make: Callable[[str], Lab]) -> None:
    found = measure_noise(make(TRAIN + "# deaf\n"), "t", 2)
    assert (found.floor, found.threshold) == (0.0, 0.0)
    assert found.note == "all values are equal: the target may not read NIGHTLAB_SEED"


def test_campaigns_whose_names_begin_alike_are_kept_apart(make: Callable[[str], Lab]) -> None:
    lab = make(SEEDED)
    measure_noise(lab, "t", 2)
    lab.repository.create_ref(f"{REFS}t-2/0001", lab.repository.head())  # not one of ours
    assert list(measured(lab, "t-2")) == []
    assert len(list(measured(lab, "t"))) == 2
    assert noise_of(lab, "t-2") is None


def test_versions_are_pooled_about_their_own_means() -> None:
    found = noise(run(1, 1.0), run(2, 1.2), run(1, 5.0, "b"), run(2, 5.2, "b"))
    assert found.freedom == 2
    assert found.floor == pytest.approx(statistics.stdev([1.0, 1.2]))
    assert noise(run(1, 1.0), run(1, 5.0, "b")).floor is None
    assert noise(run(1, 1.0), run(2, 1.2)).note.startswith("two runs tell little")


def test_what_is_told_keeps_versions_apart_and_counts_what_shows_a_spread() -> None:
    found = noise(
        run(1, 1.0, "a" * 40),
        run(2, 1.2, "a" * 40),
        run(1, 5.0, "b" * 40),
        run(2, 5.2, "b" * 40),
        run(1, 9.0, "c" * 40),  # the second seed of a keep that was confirmed
    )
    assert (found.counted, found.freedom) == (4, 2)
    assert list(lines_of(found)) == [
        "val_bpb of aaaaaaa over 2 seeds: 1.000000, 1.200000",
        "val_bpb of bbbbbbb over 2 seeds: 5.000000, 5.200000",
        "not counted: 1 of versions that were run with one seed alone",
        "noise floor 0.141421 (standard deviation, each version about its own mean);"
        " an effect counts above",
        "threshold   0.282843",
    ]
    told = found.to_json()
    assert told["values"] == {
        "a" * 40: {"1": 1.0, "2": 1.2},
        "b" * 40: {"1": 5.0, "2": 5.2},
        "c" * 40: {"1": 9.0},
    }
    assert (told["runs"], told["freedom"]) == (4, 2)
    assert marked("lower by 0.1", -0.1, found).endswith("are 0.282843 over 4 runs")
    alone = noise(run(1, 1.0), run(2, 1.2))
    assert next(lines_of(alone)) == "val_bpb of a over 2 seeds: 1.000000, 1.200000"
    assert "own mean" not in " ".join(lines_of(alone))


def test_a_reason_is_marked_only_inside_the_noise() -> None:
    found = noise(run(1, 1.0), run(2, 1.2), run(3, 1.1))
    assert marked("lower by 0.100000", -0.1, found) == (
        "lower by 0.100000; within-noise: 2 floors are 0.200000 over 3 runs"
    )
    assert marked("lower by 0.300000", -0.3, found) == "lower by 0.300000"
    assert marked("first result", None, found) == "first result"
    assert marked("lower by 0.1", -0.1, noise(run(1, 1.0))) == "lower by 0.1"


numbers = st.floats(-10, 10)


@given(numbers, st.floats(0, 10))
def test_noise_has_no_direction(delta: float, threshold: float) -> None:
    assert within_noise(delta, threshold) == within_noise(-delta, threshold)
    assert within_noise(0.0, threshold) is True
    assert within_noise(delta, None) is None
    assert within_noise(None, threshold) is None


@given(st.lists(numbers, min_size=1, max_size=5), numbers)
def test_confirmation_is_mirrored_when_more_is_better(values: list[float], best: float) -> None:
    mirrored = confirmed([-value for value in values], -best, "maximise")
    assert confirmed(values, best) == mirrored
    assert confirmed([*values, None], best) is False
    assert confirmed(values, None) is True


CONFIRM = CONFIG.replace("much_code = 20", "much_code = 20, confirm = true")


def test_a_lucky_seed_is_not_kept_where_keeps_are_confirmed(root: Path) -> None:
    lucky = seeded("0.0 if SEED == 42 else 0.5")
    (root / "nightlab.toml").write_text(CONFIRM)
    git(root, "commit", "-qam", "Confirm")
    lab = open_lab(root)
    campaign.start(lab, "t", Wishes())

    def tried(source: str) -> Entry:
        return campaign.attempt(lab, "t", lambda place, old: Proposal(source.encode(), "try"))[
            1
        ].entry

    entry = tried(lucky.replace("DEPTH = 4", "DEPTH = 5"))
    assert entry.status.value == "discard"
    assert entry.metrics["reason"].endswith("; not confirmed: 1.520000 with a second seed")
    kept = tried(TRAIN.replace("DEPTH = 4", "DEPTH = 5"))
    assert kept.status.value == "keep"
    assert kept.metrics["reason"] == ("lower by 0.030000; confirmed: 1.020000 with a second seed")


def test_a_verdict_inside_the_noise_says_so(root: Path) -> None:
    noisy = seeded("SEED % 10 / 100")
    (root / "train.py").write_text(noisy)
    git(root, "commit", "-qam", "Noise")
    lab = open_lab(root)
    campaign.start(lab, "t", Wishes())
    assert measure_noise(lab, "t", 3).floor == pytest.approx(0.01)
    source = noisy.replace("MATRIX_LR = 0.04", "MATRIX_LR = 0.045").encode()
    _, done = campaign.attempt(lab, "t", lambda place, old: Proposal(source, "a little"))
    assert "within-noise: 2 floors are 0.020000 over 3 runs" in done.entry.metrics["reason"]
    memory = open_memory(lab.graph)
    (told,) = memory.ask("attempts", {"knob": "optimizer.matrix_lr"}).rows
    assert told["within_noise"] is True  # the questions use the floor the verdict used
    live = memory.dump()
    derived.rebuild(lab)
    assert memory.dump() == live


def test_noise_of_another_scorer_is_kept_apart(root: Path) -> None:
    (root / "train.py").write_text(seeded("SEED % 10 / 100"))
    (root / "score.py").write_text("FACTOR = 1\n")
    pipeline = (root / "dvc.yaml").read_text()
    (root / "dvc.yaml").write_text(pipeline.replace("[train.py]", "[train.py, score.py]"))
    git(root, "add", "-A")
    git(root, "commit", "-qm", "Noise")
    lab = open_lab(root)
    campaign.start(lab, "t", Wishes())
    first = measure_noise(lab, "t", 3)
    git(root, "checkout", "-q", "autoresearch/t")
    (root / "score.py").write_text("FACTOR = 2\n")
    (root / "train.py").write_text(seeded("SEED % 10 / 1000"))
    git(root, "commit", "-qam", "Score anew")
    accepted = seeded("SEED % 10 / 1000")
    edited = accepted.replace("MATRIX_LR = 0.04", "MATRIX_LR = 0.041")
    for source in (accepted, edited):  # the second one is held against the first
        proposal = Proposal(source.encode(), "little")
        _, done = campaign.attempt(lab, "t", lambda place, old, proposal=proposal: proposal)
        assert "within-noise" not in done.entry.metrics["reason"]
    again = measure_noise(lab, "t", 3)
    assert (first.floor, again.floor) == (pytest.approx(0.01), pytest.approx(0.001))
    assert again.conditions.scorer not in ("", first.conditions.scorer)
    (told,) = floors_of(lab, "t")
    assert told.threshold == again.threshold

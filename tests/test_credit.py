"""What a combined attempt cost or gained is credited to no knob that was also tried alone."""

from __future__ import annotations

from pathlib import Path

from histories import asked as answer
from proposals import CRASH, DISCARD, FAILED, KEEP, Told, asked, memory, night, source
from told import column

from kg.recall import recall
from kg.record import ExperimentRecord

TIGHT = (source(matrix=0.03), 1.002, DISCARD)  # alone: next to nothing
BOTH = (source(matrix=0.03, depth=12), 1.05, DISCARD)  # what cost is the depth


def test_a_dead_end_rests_on_its_isolated_attempts() -> None:
    told = night(TIGHT, BOTH, (source(seed=7), 1.004, DISCARD))
    for where in ({"campaign": "t"}, {}, {"as_of": 3}):
        rows = {row["knob"]: row for row in answer(told, "dead-ends", least=1, **where).rows}
        alone = rows["optimizer.matrix_lr"]
        assert (alone["n"], alone["worsened"], alone["alone"]) == (2, 2, 1)
        assert (alone["mean_delta"], alone["best_delta"]) == (0.002, 0.002)
        assert (alone["within_noise"], alone["reason"]) == (True, "inside the noise")
        assert alone["experiment"] == "t-0001"
        deep = rows["model.depth"]
        assert (deep["n"], deep["alone"], deep["mean_delta"]) == (1, 0, 0.05)
        assert deep["reason"] == "worsens; never isolated"


def test_a_combined_crash_does_not_make_an_edit_crash() -> None:
    told = night(TIGHT, (source(matrix=0.03, depth=40), None, CRASH))
    rows = answer(told, "dead-ends", campaign="t").rows
    assert column(answer(told, "dead-ends"), "reason") == [rows[0]["reason"]] == ["worsens"]


def told(place: Path, records: list[ExperimentRecord], kind: str, **options: object) -> list[str]:
    """The lines of one kind in a digest of a campaign alone."""
    digest = recall(memory(place, records), records[0].source, tokens=2000, **options)  # type: ignore[arg-type]
    return [one.text for one in digest.lines if one.kind == kind]


def test_recall_marks_what_was_combined_and_goes_by_what_was_not(tmp_path: Path) -> None:
    up = (source(lr=0.9), 1.01, DISCARD)
    with_depth = (source(lr=1.6, depth=12), 1.05, DISCARD)
    (line,) = told(tmp_path, night(up, with_depth), "failed", idea="embedding lr")[:1]
    # 1.2 lies between 0.8 and the combined 1.6; alone only 0.9 failed
    assert line == (
        "failed: embedding learning rate increase 2x (worsens): 0.9 #1 0000002 +0.01,"
        " 1.6 #2 0000003 +0.05 (combined); instead embedding learning rate 0.85:"
        " between 0.8 and 0.9, never tried"
    )
    better = (source(lr=0.9, depth=9), 0.9, KEEP)
    (line,) = told(tmp_path / "b", night(better), "won", idea="embedding lr")[:1]
    assert line == "won: embedding learning rate increase 1x: 0.9 #1 0000002 -0.1 (combined)"


def test_failures_next_to_a_combined_one_are_not_its_neighbours(tmp_path: Path) -> None:
    nearer = (source(lr=0.82, depth=12), 1.05, DISCARD)
    (line,) = told(tmp_path, night(nearer, FAILED), "failed", idea="embedding lr")[:1]
    assert "instead embedding learning rate 0.85: between 0.8 and 0.9" in line
    (line,) = told(tmp_path / "b", night(nearer), "failed", idea="embedding lr")[:1]
    assert "(worsens; never isolated)" in line
    assert "between 0.8 and 0.82" in line


def test_other_campaigns_are_told_by_their_isolated_attempts(tmp_path: Path) -> None:
    won = (source(lr=0.9, depth=9), 0.9, KEEP)
    made = memory(tmp_path, night(tag="t"), night(FAILED, won, tag="u"))
    reason = asked(made, source(lr=0.9, batch=2**17), campaign="t").reasons[-1]
    assert reason.text == (
        "embedding learning rate 0.9 improved 0 of 1 alone in other campaigns,"
        " such as u-0001 0000002 (+0.010000 val_bpb)"
    )
    lines = recall(made, source(), idea="embedding lr 0.9", campaign="t").lines
    assert [one.text for one in lines if one.kind == "elsewhere"] == [
        "elsewhere: embedding learning rate increase: 0 of 1 improved alone in 1 campaign,"
        " closest 0.9 u-0001 0000002 +0.01"
    ]
    made = memory(tmp_path / "b", night(tag="t"), night(won, tag="u"))
    (reason,) = asked(made, source(lr=0.9), campaign="t").reasons
    assert "improved 1 of 1 combined in other campaigns" in reason.text


TOGETHER = [  # decay alone helps; embedding LR alone costs 0.05, whatever it is raised to
    *((source(lr=lr), 1.05, DISCARD) for lr in (0.9, 1.0, 1.2, 1.6)),
    (source(matrix=0.05), 0.99, KEEP),  # 5
    (source(matrix=0.05, seed=7), 0.9945, DISCARD),  # 6: the noise is 0.0045
    (source(matrix=0.05, lr=0.9, wd=0.001), 0.987, KEEP),  # 7
    (source(matrix=0.05, lr=1.0, wd=0.002), 0.984, KEEP),  # 8
    (source(matrix=0.05, lr=1.2, wd=0.003), 0.986, DISCARD),  # 9: worse, combined, in the noise
]


def test_isolated_failures_are_told_before_and_beside_combined_wins(tmp_path: Path) -> None:
    records = night(*TOGETHER)
    (row,) = answer(records, "conflicts", campaign="t", knob="optimizer.embedding_lr").rows
    # of the isolated failures the very same edit as the first win, 0.8 -> 0.9
    assert (row["experiment"], row["worsened_experiment"]) == ("t-0007", "t-0001")
    assert (row["improved"], row["worsened"]) == (2, 5)
    assert (row["differs"], row["verdict"]) == (["optimizer.matrix_lr"], "inside the noise")
    (line,) = [
        text
        for text in told(tmp_path, records, "failed", idea="larger embedding LR")
        if "embedding learning rate" in text
    ]
    assert line.startswith("failed: embedding learning rate increase 5x (worsens): 1.6 #4 0000005")
    (line,) = [
        text for text in told(tmp_path / "b", records, "won") if "embedding learning" in text
    ]
    assert line.endswith("-0.003 (noise, combined), 0.9 #7 0000008 -0.003 (noise, combined)")


def test_all_campaigns_set_isolated_gains_against_isolated_losses() -> None:
    records = night(FAILED, (source(lr=0.9, depth=12), 1.3, DISCARD), (source(lr=0.85), 0.9, KEEP))
    (row,) = answer(records, "conflicts", knob="optimizer.embedding_lr").rows
    assert (row["gain"], row["loss"], row["worsened_experiment"]) == (0.1, 0.01, "t-0001")


def test_a_range_is_bracketed_by_isolated_attempts_beyond_the_noise() -> None:
    low, high = (source(lr=0.7), 1.01, DISCARD), (source(lr=0.9), 1.01, DISCARD)

    def state(*told: Told) -> tuple[object, ...]:
        rows = answer(night(*told), "unexplored", campaign="t", component="optimizer").rows
        (row,) = [row for row in rows if row["knob"] == "optimizer.embedding_lr"]
        return row["state"], row["low"], row["high"]

    assert state(low, high) == ("bracketed", 0.7, 0.9)
    nearer = (source(lr=0.85, depth=12), 1.05, DISCARD)
    assert state(low, nearer) == ("open", 0.7, 0.85)
    assert state(low, high, nearer) == ("bracketed", 0.7, 0.9)
    assert state(low, high, (source(seed=7), 1.02, DISCARD)) == ("open", 0.7, 0.9)
    crash = (source(lr=0.9), None, CRASH)
    assert state(low, crash, (source(seed=7), 1.001, DISCARD)) == ("bracketed", 0.7, 0.9)

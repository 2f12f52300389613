"""What a combined attempt cost or gained is credited to no knob that was also tried alone."""

from __future__ import annotations

from dataclasses import replace

from histories import asked as answer
from proposals import CRASH, DISCARD, night, source
from told import column

from kg.model import ExperimentRecord

TIGHT = (source(matrix=0.03), 1.002, DISCARD)  # alone: next to nothing
BOTH = (source(matrix=0.03, depth=12), 1.05, DISCARD)  # what cost is the depth


def again(records: list[ExperimentRecord], tag: str) -> list[ExperimentRecord]:
    """The same night as another campaign."""
    return [replace(one, name=one.name.replace("t-", f"{tag}-"), campaign=tag) for one in records]


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

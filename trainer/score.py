"""The one place that decides what a run scored."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.run import Outcome, Run
from trainer.summary import Summary


@dataclass(frozen=True, slots=True)
class Score:
    """The metric of one run and where it comes from."""

    value: float | None  # None: the run has no score
    source: str  # "printed": the run's own claim
    problem: str  # why there is no score, one sentence; empty if there is one


def score(run: Run, summary: Summary, metric: str) -> Score:
    """Return what the run is credited with.

    A run that did not end well scores nothing, whatever it printed: success is exit code 0
    AND a finite metric (exit(0) without a result, or a result before a crash, are known ways
    to cheat). Until a trusted scorer re-computes it, the value is the printed one and says so.
    """
    if run.outcome is not Outcome.OK:
        return Score(None, "printed", run.reason)
    if summary.problem:
        tail = f"; last line: {run.last_line}" if run.last_line else ""
        return Score(None, "printed", summary.problem + tail)
    return Score(summary.numbers[metric], "printed", "")

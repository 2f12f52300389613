"""What one experiment costs outside its training process: git, DVC, graph, Prefect.

The trainer takes 50 ms, so 300 experiments show how the cost grows with the ledger.
"""

from __future__ import annotations

import logging
import os
import statistics
import tempfile
import time
from pathlib import Path

from flows import campaign
from flows.experiment import Proposal
from flows.lab import Lab, Wishes, open_lab
from tests.laboratory import TRAIN, make_repository

NIGHT = int(os.environ.get("NIGHTLAB_BENCH_NIGHT", "300"))
STEPS = ("git", "dvc", "results", "graph")


def main() -> None:
    """Print the overhead by step, early and late in a night, and through Prefect."""
    logging.getLogger("flows").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as directory:
        lab = open_lab(make_repository(Path(directory) / "night"))
        campaign.start(lab, "bench", Wishes())
        spent = [one(lab, number) for number in range(1, NIGHT + 1)]
        early, late = spent[1:11], spent[-10:]
        for name, part in (("experiments 2-11", early), (f"experiments {NIGHT - 9}-{NIGHT}", late)):
            by_step = " ".join(f"{s} {median(part, s) * 1000:.0f}" for s in STEPS)
            print(
                f"{name}: median {median(part, 'overhead'):.3f} s outside the run (ms: {by_step})"
            )
        ratio = median(late, "overhead") / median(early, "overhead")
        print(
            f"late / early: {ratio:.2f} (bar: 1.5); all: {median(spent, 'overhead'):.3f} s (bar: 2)"
        )
    with tempfile.TemporaryDirectory() as directory:
        through_prefect(open_lab(make_repository(Path(directory) / "served")))


def one(lab: Lab, number: int) -> dict[str, float]:
    """Run one experiment; its seconds by step and those outside the run."""
    rate = 0.04 + number / 30000  # every 10th is a little better, as in a real night
    depth = 5 if number % 10 == 0 else 3
    text = TRAIN.replace("MATRIX_LR = 0.04", f"MATRIX_LR = {rate:.6f}")
    source = text.replace("DEPTH = 4", f"DEPTH = {depth}").encode()
    begun = time.monotonic()
    _, done = campaign.attempt(lab, "bench", lambda place, old: Proposal(source, f"edit {number}"))
    whole = time.monotonic() - begun
    return {**done.seconds, "overhead": whole - done.entry.metrics["run_seconds"]}


def median(rows: list[dict[str, float]], key: str) -> float:
    """Return the median of one column, in seconds."""
    return statistics.median(row.get(key, 0.0) for row in rows)


def through_prefect(lab: Lab, experiments: int = 20) -> None:
    """Print what the same costs as tasks of a flow run on a real server."""
    from flows.batch import Plan, run_night

    begun = time.monotonic()
    plan = Plan(tag="served", experiments=experiments, seed=1)
    done = run_night(lab, plan)
    runs = sum(item.entry.metrics["run_seconds"] for item in done)
    inside = sum(sum(item.seconds.values()) for item in done)
    whole = time.monotonic() - begun
    print(
        f"through Prefect: {len(done)} experiments in {whole:.1f} s, {runs:.1f} s of it in runs, "
        f"{(inside - runs) / len(done):.3f} s each in git, DVC and graph; the rest is the server's "
        "start and its tasks"
    )


if __name__ == "__main__":
    main()

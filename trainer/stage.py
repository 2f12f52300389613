"""The `train` stage: one run with every output written, whatever happens.

DVC cannot record a stage whose outputs are missing, so a crash, a time-out and a NaN leave the
same four outputs as a good run: `metrics.json`, `params.json`, `loss.csv` and `artifacts/`.
`python -m trainer.stage` is what dvc.yaml runs; a campaign calls `run_stage`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.params import extract_params
from trainer.run import Outcome, Run, Watch, start, tail
from trainer.score import Score, score
from trainer.summary import TAIL_BYTES, Summary, parse_summary

OUT = "exp"  # directory of the outputs, below the directory the run has for itself


@dataclass(frozen=True, slots=True)
class Job:
    """What to run and how long."""

    command: str
    target: str  # the file the agent edits, relative to the directory
    metric: str
    limit_seconds: float
    env: Mapping[str, str]
    marker: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """One finished run with what it said and what it is credited with."""

    run: Run
    summary: Summary
    score: Score


def run_stage(job: Job, directory: Path, watch: Watch | None = None) -> Result:
    """Run a job in a directory and write its four outputs below `exp/`.

    `metrics.json` is written last: where it exists, the run is over and its result is sealed.
    """
    out = directory / OUT
    shutil.rmtree(out, ignore_errors=True)  # else a crash is saved with the last checkpoint
    (out / "artifacts").mkdir(parents=True)
    source = (directory / job.target).read_text(encoding="utf-8", errors="replace")
    write_json(out / "params.json", extract_params(source))
    paths = [str(directory), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {"NIGHTLAB_OUT": OUT, "PYTHONPATH": os.pathsep.join(paths), **job.env}
    run = start(
        job.command,
        cwd=directory,
        log=out / "artifacts" / "run.log",
        limit_seconds=job.limit_seconds,
        env=env,
        marker=job.marker,
        watch=watch,
    )
    summary = parse_summary(tail(run.log, TAIL_BYTES), job.metric)
    scored = score(run, summary, job.metric)
    if not (out / "loss.csv").is_file():
        (out / "loss.csv").write_text("step,seconds,loss\n", encoding="utf-8")
    write_json(out / "metrics.json", metrics(job, run, summary, scored))
    return Result(run, summary, scored)


def metrics(
    job: Job, run: Run, summary: Summary, scored: Score
) -> dict[str, float | str | int | None]:
    """Return the columns `dvc exp show` compares: flat, the metric first, never missing."""
    claims: dict[str, float | str] = {**summary.words, **summary.numbers}
    said = {key: claims[key] for key in claims if scored.value is not None and key != job.metric}
    ours = {"outcome": run.outcome.value, "problem": scored.problem, "score_source": scored.source}
    return {job.metric: scored.value, **said, **ours, "run_seconds": round(run.seconds, 3)}


def seal_unfinished(directory: Path, target: str, metric: str, reason: str) -> None:
    """Write the outputs of a run whose runner died, so that it can be recorded as a crash.

    What the run had written so far (its log, its loss curve) is kept.
    """
    out = directory / OUT
    (out / "artifacts").mkdir(parents=True, exist_ok=True)
    (out / "artifacts" / "run.log").touch()
    if not (out / "loss.csv").is_file():
        (out / "loss.csv").write_text("step,seconds,loss\n", encoding="utf-8")
    source = (directory / target).read_text(encoding="utf-8", errors="replace")
    write_json(out / "params.json", extract_params(source))
    ended = {metric: None, "outcome": Outcome.KILLED.value, "problem": reason}
    write_json(out / "metrics.json", {**ended, "score_source": "printed"})


def environment(profile: str, budget_seconds: float | None) -> dict[str, str]:
    """Return the variables by which prepare.py learns its profile and its clock."""
    budget = {"NIGHTLAB_BUDGET_SECONDS": f"{budget_seconds:g}"} if budget_seconds else {}
    return {"NIGHTLAB_PROFILE": profile, **budget}


def write_json(path: Path, value: object) -> None:
    """Write JSON by rename, so that a reader never sees half of it."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the stage in the current directory; exit code 0 for any outcome that is recorded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", default="trainer/train.py")
    parser.add_argument("--command", default="python -m trainer.train")
    parser.add_argument("--metric", default="val_bpb")
    parser.add_argument("--limit-seconds", type=float, default=600.0)
    parser.add_argument("--profile", default="cpu")
    parser.add_argument("--budget-seconds", type=float, default=0.0, help="0: the profile's own")
    options = parser.parse_args(arguments)
    env = environment(options.profile, options.budget_seconds)
    job = Job(options.command, options.target, options.metric, options.limit_seconds, env)
    result = run_stage(job, Path.cwd())
    line = result.score.problem or f"{options.metric} {result.score.value}"
    sys.stderr.write(f"{result.run.outcome} after {result.run.seconds:.1f} s: {line}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""`nightlab demo`: a short real campaign on this machine, then what the night has learned."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from flows import derived, ledger
from flows.batch import Plan
from flows.commands import night
from flows.lab import Lab, open_campaign, open_lab
from flows.output import notes, out, show_results
from flows.recovery import was_interrupted
from flows.tables import answer_table

BUDGET_SECONDS = 20.0
EXPERIMENTS = 5  # after the baseline
QUESTIONS: tuple[tuple[str, dict[str, str]], ...] = (
    ("progress", {}),
    ("best", {}),
    ("attempts", {"knob": "optimizer.matrix_lr"}),
)


def demo(options: argparse.Namespace) -> int:
    """Run the demo; an earlier one that was interrupted is carried on."""
    lab = open_lab()
    tag, have = unfinished(lab)
    missing = EXPERIMENTS - have
    notes().print(
        f"campaign autoresearch/{tag}: {'baseline and ' if not have else ''}{missing} experiments "
        f"of {BUDGET_SECONDS:g} s of training each, by the built-in researcher"
    )
    plan = Plan(tag=tag, experiments=missing, budget_seconds=BUDGET_SECONDS, seed=1)
    night(lab, plan)
    show(lab, tag)
    return 0


def unfinished(lab: Lab) -> tuple[str, int]:
    """Return a tag and the number of experiments it has after its baseline."""
    number = 1
    while True:
        tag = f"demo{number}"
        found = [e for e in ledger.entries(lab.repository, tag) if not was_interrupted(e)]
        if len(found) <= EXPERIMENTS:
            return tag, max(0, len(found) - 1)
        number += 1


def show(lab: Lab, tag: str) -> None:
    """Print what a person wants to see in the morning."""
    place, _ = open_campaign(lab, tag)
    derived.plot(lab, place)
    console = out()
    console.print(f"\nresults of {place.branch}")
    show_results(list(ledger.entries(lab.repository, tag)))
    memory = lab.memory
    for question, arguments in QUESTIONS:
        words = " ".join(f"{key}={value}" for key, value in arguments.items())
        console.print(f"\n$ nightlab ask {question} {words} --campaign {tag}".replace("  ", " "))
        answer = memory.ask(question, arguments, campaign=tag)
        answer_table(console, answer.columns, answer.rows)
    console.print("\n$ dvc exp show -A")
    console.print(experiments_table(lab.root))
    console.print(f"\nplot         {place.plot}\nresults.tsv  {place.results}")
    console.print(f"branch       {place.branch} (git log {place.branch})")


def experiments_table(root: Path, lines: int = 14, width: int = 150) -> str:
    """Return the first lines of `dvc exp show -A`, in columns that fit a terminal."""
    drop = (
        "manifest|attention|device|threads|load|.*seconds|mfu.*|.*_M|peak.*|score.*|isolation|"
        "outcome|problem|reason|depth|ASPECT_RATIO|HEAD_DIM|WINDOW_PATTERN|data.*|.*py|seed|profile|.*_added|.*_removed"
    )
    words = ["-m", "dvc", "exp", "show", "-A", "--no-pager", "--only-changed", "--drop", drop]
    env = {**os.environ, "COLUMNS": str(width)}  # DVC cuts its table to the terminal's width
    done = subprocess.run(
        [sys.executable, *words], cwd=root, env=env, capture_output=True, text=True
    )
    found = (done.stdout or done.stderr).splitlines()
    return "\n".join(line[:width] for line in found[:lines])

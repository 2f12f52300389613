"""A repository as it is late in a project: this trainer, a campaign, experiments in git and memory.

`nightlab check`, `nightlab recall` and `nightlab mcp` are timed in it as whole processes. Its
experiments are made up (bench/synthetic.py): their refs all point to one commit, packed as
`git gc` leaves them.
"""

from __future__ import annotations

import math
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from flows import ledger
from flows.lab import BRANCH, open_lab
from kg.memory import Memory, open_memory

ROOT: Final = Path(__file__).resolve().parents[1]
TARGET: Final = "trainer/train.py"
COPIED: Final = ("nightlab.toml", "params.yaml", "dvc.yaml", TARGET)
IDENTITY: Final = ("-c", "user.name=bench", "-c", "user.email=bench@example.org")
NUMBERS: Final = '{"status": "keep", "val_bpb": 1.0, "reason": "made up"}'


def filled(store: Path, experiments: int) -> Memory:
    """Return a memory of made-up experiments, built unless it is there."""
    from bench.synthetic import history

    memory = open_memory(store)
    if not (store / "snapshot").exists():
        memory.rebuild(history(experiments))
    return memory


def laboratory(place: Path, store: Path, experiments: int) -> tuple[Path, str]:
    """Make the repository around a memory; return its campaign's work directory and its tag."""
    memory = filled(store, experiments)
    tag = memory.graph().campaigns()[-1]
    for name in COPIED:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes((ROOT / name).read_bytes())
    git(place, "init", "-q", "-b", "main")
    git(place, "add", "-A")
    git(place, "commit", "-qm", "Begin")
    head = git(place, "rev-parse", "HEAD").strip()
    lab = open_lab(place)
    facts = ledger.facts_json(facts_of(tag, memory))
    files = {ledger.FACTS: facts, ledger.METRICS: NUMBERS.encode()}
    commit = lab.repository.commit(head, files, "an experiment")
    lab.repository.close()
    refs = [*experiment_refs(memory, head), f"{BRANCH}{tag}"]
    git(place, "update-ref", "--stdin", words="".join(f"create {ref} {commit}\n" for ref in refs))
    git(place, "pack-refs", "--all")
    work = lab.state / "campaigns" / tag / "work"
    (work / TARGET).parent.mkdir(parents=True)
    (work / TARGET).write_bytes((place / TARGET).read_bytes())
    (work.parent / "lock").touch()
    lab.graph.symlink_to(store.resolve(), target_is_directory=True)
    return work, tag


def facts_of(tag: str, memory: Memory) -> ledger.Facts:
    """Return what the ledger holds of a campaign's accepted experiment."""
    accepted = memory.graph().board(tag).accepted
    assert accepted is not None  # the baseline is
    return ledger.Facts(
        name=accepted.name,
        campaign=tag,
        seq=accepted.entry.seq,
        parent=None,
        description="baseline",
        task="train",
        profile="cpu",
        target=TARGET,
        metric="val_bpb",
        direction="minimise",
        agent="bench",
        started="2026-11-22T20:00:00+00:00",
        ended="2026-11-22T20:05:00+00:00",
        best_before=None,
        lines_added=0,
        lines_removed=0,
        nodes_added=0,
        fingerprint="",
    )


def experiment_refs(memory: Memory, parent: str) -> Iterator[str]:
    """Yield the ref of every experiment a memory has."""
    graph = memory.graph()
    for tag in graph.campaigns():
        for row in graph.board(tag).rows:
            yield ledger.ref_of(parent, row.name)


def git(place: Path, *arguments: str, words: str | None = None) -> str:
    """Run git in the repository, with some words on its stdin."""
    command = ["git", *IDENTITY, *arguments]
    done = subprocess.run(
        command, cwd=place, check=True, input=words, capture_output=True, text=True
    )
    return done.stdout


def edit(work: Path, number: int) -> None:
    """Edit the target as an agent does: one rate, another one each time."""
    old = (ROOT / TARGET).read_text("utf-8")
    new = old.replace("MATRIX_LR = 0.04", f"MATRIX_LR = {0.03 + number / 10_000:.4f}")
    if new == old:
        raise ValueError(f"{TARGET}: has no line to edit; name another one here")
    (work / TARGET).write_text(new, encoding="utf-8")


def quantile95(values: list[float]) -> float:
    """Return the value that 95 % do not exceed."""
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


def clean_environment() -> dict[str, str]:
    """Return the environment for a timed process: this tree's code, no other settings."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("NIGHTLAB")}
    return {**kept, "PYTHONPATH": str(ROOT)}

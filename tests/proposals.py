"""Proposals held against a small made-up night, for the tests of `check`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from histories import line

from kg.check import Advice, check
from kg.memory import Memory
from kg.model import Status
from kg.record import ExperimentRecord

KEEP, DISCARD, CRASH = Status.KEEP, Status.DISCARD, Status.CRASH
Told = tuple[str, float | None, Status]

SOURCE = """DEPTH = {depth}
EMBEDDING_LR = {lr}
MATRIX_LR = {matrix}
TOTAL_BATCH_SIZE = {batch}
WARMDOWN_RATIO = {warmdown}
SEED = {seed}

def optimizer(model):
    groups = [
        dict(kind="adamw", params=model.wte.parameters(), lr=EMBEDDING_LR, weight_decay={wd}),
        dict(kind="muon", params=model.blocks.parameters(), lr=MATRIX_LR, weight_decay=0.2),
    ]
    return MuonAdamW(groups)

def schedule(progress):
    return min(1.0, (1.0 - progress) / WARMDOWN_RATIO)

torch.manual_seed(SEED)
train(GPT(n_layer=DEPTH), optimizer, schedule, TOTAL_BATCH_SIZE)
"""
START = {
    "depth": 8,
    "lr": 0.8,
    "matrix": 0.04,
    "batch": 2**18,
    "warmdown": 0.7,
    "seed": 42,
    "wd": 0.0,
}


def source(**settings: object) -> str:
    return SOURCE.format(**{**START, **settings})


def memory(place: Path, *campaigns: Iterable[ExperimentRecord]) -> Memory:
    made = Memory(place / "graph")
    made.add_all([record for told in campaigns for record in told])
    return made


def night(*told: Told, tag: str = "t") -> list[ExperimentRecord]:
    return line([(source(), 1.0, KEEP), *told], tag)


def asked(made: Memory, new: str, old: str | None = None, **options: object) -> Advice:
    return check(made, new, old or source(), **options)  # type: ignore[arg-type]


FAILED = (source(lr=0.9), 1.01, DISCARD)
WALL = tuple((source(matrix=value), 1.01, DISCARD) for value in (0.05, 0.06, 0.07))

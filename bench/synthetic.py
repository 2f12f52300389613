"""Seeded campaigns of made-up experiments: a response surface, noise, crashes, repeats.

The sources are real Python of the shape of a train.py, small so that thousands are read in
seconds. Nothing here is a claim about training.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from kg.model import Status
from kg.record import ExperimentRecord

TEMPLATE = """import torch

DEPTH = {DEPTH}
ASPECT_RATIO = {ASPECT_RATIO}
HEAD_DIM = {HEAD_DIM}
WINDOW_PATTERN = "{WINDOW_PATTERN}"
TOTAL_BATCH_SIZE = 2**{BATCH_BITS}
DEVICE_BATCH_SIZE = {DEVICE_BATCH_SIZE}
EMBEDDING_LR = {EMBEDDING_LR}
UNEMBEDDING_LR = {UNEMBEDDING_LR}
MATRIX_LR = {MATRIX_LR}
SCALAR_LR = {SCALAR_LR}
WEIGHT_DECAY = {WEIGHT_DECAY}
ADAM_BETAS = ({BETA1}, {BETA2})
WARMUP_RATIO = {WARMUP_RATIO}
WARMDOWN_RATIO = {WARMDOWN_RATIO}
FINAL_LR_FRAC = {FINAL_LR_FRAC}
SEED = {SEED}


def rotary(length, base={ROPE_BASE}):
    return torch.arange(length) / base


def forward(x):
    softcap = {SOFTCAP}
    return softcap * torch.tanh(x / softcap)


def optimizer(model):
    groups = [
        dict(kind="adamw", params=model.lm_head.parameters(), lr=UNEMBEDDING_LR, betas=ADAM_BETAS,
             weight_decay={HEAD_WD}),
        dict(kind="adamw", params=model.wte.parameters(), lr=EMBEDDING_LR, betas=ADAM_BETAS,
             weight_decay={EMBED_WD}),
        dict(kind="muon", params=model.blocks.parameters(), lr=MATRIX_LR, momentum={MOMENTUM},
             weight_decay=WEIGHT_DECAY),
    ]
    return MuonAdamW(groups)


def schedule(progress):
    if progress < WARMUP_RATIO:
        return progress / WARMUP_RATIO
    if progress < 1.0 - WARMDOWN_RATIO:
        return 1.0
    return FINAL_LR_FRAC + (1.0 - progress) / WARMDOWN_RATIO * (1.0 - FINAL_LR_FRAC)


def main():
    torch.manual_seed(SEED)
    model = GPT(n_layer=DEPTH, n_embd=DEPTH * ASPECT_RATIO, head_dim=HEAD_DIM,
                window_pattern=WINDOW_PATTERN, scalar_lr=SCALAR_LR)
    accumulate = TOTAL_BATCH_SIZE // (DEVICE_BATCH_SIZE * 2048)
    train(model, optimizer(model), schedule, accumulate)


main()
"""

FACTORS = (0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2, 1.3, 1.5, 1.75, 2.0)
START_AT = FACTORS.index(1.0)


def around(start: float) -> tuple[float, ...]:
    """Return values around a start, as people try them."""
    return tuple(float(f"{start * factor:.3g}") for factor in FACTORS)


# name: (values to try, index of the start, index of the best, weight of the distance from it)
KNOBS: dict[str, tuple[tuple[object, ...], int, int, float]] = {
    "DEPTH": (tuple(range(3, 17)), 5, 6, 0.0008),
    "ASPECT_RATIO": (tuple(range(40, 97, 4)), 6, 4, 0.0002),
    "HEAD_DIM": ((32, 48, 64, 96, 128, 192), 4, 4, 0.0005),
    "WINDOW_PATTERN": (("SSSL", "SSSSL", "SSL", "SL", "L", "SSSSSL", "LSSS"), 0, 1, 0.0003),
    "BATCH_BITS": ((15, 16, 17, 18, 19, 20, 21), 4, 3, 0.002),
    "DEVICE_BATCH_SIZE": ((8, 16, 32, 48, 64, 96, 128), 4, 4, 0.0003),
    "EMBEDDING_LR": (around(0.6), START_AT, 13, 0.00003),
    "UNEMBEDDING_LR": (around(0.004), START_AT, 12, 0.00003),
    "MATRIX_LR": (around(0.04), START_AT, START_AT, 0.00004),
    "SCALAR_LR": (around(0.5), START_AT, START_AT, 0.00001),
    "WEIGHT_DECAY": (around(0.2), START_AT, START_AT, 0.00002),
    "BETA1": (around(0.45), START_AT, START_AT, 0.00001),
    "BETA2": ((0.9, 0.93, 0.95, 0.96, 0.97, 0.98, 0.99), 2, 2, 0.0001),
    "WARMUP_RATIO": ((0.0, 0.01, 0.02, 0.03, 0.05, 0.1), 0, 0, 0.0003),
    "WARMDOWN_RATIO": (around(0.5), START_AT, 14, 0.00003),
    "FINAL_LR_FRAC": ((0.0, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1), 0, 4, 0.00005),
    "SEED": ((42, 137, 7, 1, 2, 3), 0, 0, 0.0),
    "ROPE_BASE": ((1000, 10000, 50000, 100000, 150000, 200000, 300000, 400000), 1, 5, 0.0001),
    "SOFTCAP": (tuple(range(9, 31)), 6, 6, 0.00005),
    "HEAD_WD": ((0.0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1), 0, 3, 0.00003),
    "EMBED_WD": ((0.0, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01), 0, 2, 0.0001),
    "MOMENTUM": ((0.85, 0.88, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98), 5, 5, 0.0001),
}
START = {name: start for name, (_, start, _, _) in KNOBS.items()}
NOISE = 0.0005
DRIFT = 0.00003  # per experiment: what is not in the knobs gets better too

State = dict[str, int]


@dataclass(slots=True)
class Course:
    """Where a campaign stands."""

    tag: str
    chance: random.Random
    state: State
    accepted: str
    best: float
    last: str = ""


def source_of(state: State) -> str:
    """Return the train.py of a state."""
    return TEMPLATE.format(**{name: KNOBS[name][0][index] for name, index in state.items()})


def response(state: State, chance: random.Random) -> float:
    """Return the made-up metric: a bowl per knob, two interactions, noise."""
    value = 0.97
    for name, index in state.items():
        _, _, best, weight = KNOBS[name]
        value += weight * (index - best) ** 2
    if state["EMBEDDING_LR"] > START_AT + 1 and state["EMBED_WD"] == 0:
        value += 0.003
    value += 0.0002 * (state["DEPTH"] - 6) * (state["ASPECT_RATIO"] - 4)
    return round(value + chance.gauss(0.0, NOISE), 6)


def propose(course: Course) -> State:
    """Return the next state to try: one edit mostly, two or three at times."""
    chance = course.chance
    count = chance.choices((1, 2, 3), (7, 2, 1))[0]
    state = dict(course.state)
    names = chance.sample(sorted(KNOBS), count)
    if count == 1 and course.last and chance.random() < 0.3:
        names = [course.last]  # agents stay with a knob for a while
    course.last = names[0]
    for name in names:
        others = [i for i in range(len(KNOBS[name][0])) if i != state[name]]
        near = [1.0 / abs(i - state[name]) for i in others]
        state[name] = chance.choices(others, near)[0]
    return state


def message(before: State, after: State) -> str:
    """Return what an agent would write."""
    parts = [
        f"{name} {KNOBS[name][0][before[name]]} to {KNOBS[name][0][after[name]]}"
        for name in sorted(after)
        if before[name] != after[name]
    ]
    return ", ".join(parts) or "baseline"


def campaign(tag: str, size: int, seed: int = 0, agents: int = 2) -> Iterator[ExperimentRecord]:
    """Yield the experiments of one campaign in their order."""
    chance = random.Random(f"{seed}/{tag}")
    state = dict(START)
    value = response(state, chance)
    course = Course(tag, chance, state, f"{tag}-0000", value)
    first = record(course, 0, state, value, Status.KEEP, "baseline", agents)
    yield replace(first, parent=None, parent_commit=None, parent_source=None)
    for seq in range(1, size):
        state = propose(course)
        value = round(response(state, chance) - DRIFT * seq, 6)
        fate = chance.random()
        status, reason = Status.DISCARD, "worse than the best"
        if fate < 0.03:
            status, reason = Status.CRASH, "out of memory"
        elif fate < 0.035:
            status, reason = Status.CRASH, "interrupted: the machine went down"
        elif value < course.best:
            status, reason = Status.KEEP, "better than the best"
        yield record(course, seq, state, value, status, reason, agents)
        if status is Status.KEEP:
            course.state, course.best = state, value
            course.accepted = f"{tag}-{seq:04d}"


def record(
    course: Course,
    seq: int,
    state: State,
    value: float,
    status: Status,
    reason: str,
    agents: int,
) -> ExperimentRecord:
    """Return one experiment as the ledger would know it."""
    name = f"{course.tag}-{seq:04d}"
    chance = course.chance
    minute = seq * 6
    when = f"2026-03-{8 + minute // 1440:02d}T{minute // 60 % 24:02d}:{minute % 60:02d}:00Z"
    guess = chance.random() < 0.3
    return ExperimentRecord(
        name=name,
        campaign=course.tag,
        seq=seq,
        commit=f"{random.Random(name).getrandbits(160):040x}",
        parent=course.accepted,
        parent_commit=f"{random.Random(course.accepted).getrandbits(160):040x}",
        status=status,
        reason=reason,
        description=message(course.state, state),
        metric="val_bpb",
        direction="min",
        value=None if status is Status.CRASH else value,
        agent=f"agent-{chance.randrange(agents)}",
        task="gpt",
        hypothesis="it should train faster" if guess else None,
        expected_delta=round(-abs(chance.gauss(0, 0.002)), 4) if guess else None,
        started=when if seq * 6 < 23 * 1440 else None,
        ended=None,
        seed=42,
        device="cpu",
        manifest="m1",
        summary={"training_seconds": 300.0, "total_seconds": 330.0, "num_steps": 900.0},
        source=source_of(state),
        parent_source=source_of(course.state),
    )


def history(experiments: int, size: int = 1000, seed: int = 0) -> Iterator[ExperimentRecord]:
    """Yield so many experiments in campaigns of a given size."""
    for index in range(0, experiments, size):
        yield from campaign(f"c{index // size:03d}", min(size, experiments - index), seed)

"""The world of the simulated agent: a response surface drawn per seed.

The program is the train.py of bench/synthetic.py with its 21 knobs (no seed). True val_bpb is a
bowl over the knobs' positions: FLOOR + sum of w u^2 + 2 r sqrt(w w') u u' over pairs of knobs
that interact, u being the distance to the best position. Each seed draws the best positions, the
weights, eight interacting pairs (half of them textbook pairs, half any two knobs, so that no rule
of `check` is built in), the window patterns' losses, and the values at which the run crashes.
What is measured is the true value + gaussian noise + a slow wave: the machine's load over the
night. Noise and wave belong to (seed, number of the experiment): every arm meets the same.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from bench.synthetic import KNOBS, START, State

FLOOR: Final = 0.970  # val_bpb of the best program
GAP: Final = 0.030  # baseline to best; the public reference night went down by 0.028
SIGMA: Final = 0.0005  # its only change of the seed alone moved val_bpb by 0.0007 = sqrt(2) sigma
PAIRS, PARTNERS = 8, 2  # interacting pairs, and how many of them one knob is in at most
STRENGTH: Final = (0.30, 0.48)  # |r|; twice the upper one stays below 1, so FLOOR is the minimum
CATEGORY: Final = "WINDOW_PATTERN"
TUNED: Final = tuple(sorted(KNOBS.keys() - {"SEED"}))
ORDERED: Final = tuple(name for name in TUNED if name != CATEGORY)
TEXTBOOK: Final = (
    ("EMBEDDING_LR", "EMBED_WD"),
    ("UNEMBEDDING_LR", "HEAD_WD"),
    ("MATRIX_LR", "WEIGHT_DECAY"),
    ("MATRIX_LR", "MOMENTUM"),
    ("MATRIX_LR", "BATCH_BITS"),
    ("EMBEDDING_LR", "BATCH_BITS"),
    ("MATRIX_LR", "DEPTH"),
    ("DEPTH", "ASPECT_RATIO"),
    ("WARMDOWN_RATIO", "FINAL_LR_FRAC"),
    ("WARMUP_RATIO", "MATRIX_LR"),
    ("SOFTCAP", "UNEMBEDDING_LR"),
    ("EMBEDDING_LR", "BETA2"),
    ("HEAD_DIM", "ASPECT_RATIO"),
    ("WARMUP_RATIO", "BETA2"),
)


@dataclass(frozen=True, slots=True)
class Surface:
    """What is true in one seed's world. Positions are indices into the values of KNOBS."""

    best: Mapping[str, int]
    weight: Mapping[str, float]
    partners: Mapping[str, Mapping[str, float]]  # knob: {knob it interacts with: r}
    patterns: tuple[float, ...]  # loss of each window pattern
    crashes: Mapping[str, frozenset[int]]
    noise: str  # what the streams of noise are seeded with
    sigma: float
    wave: tuple[float, float]  # cycles a hundred experiments, phase

    def distance(self, name: str, position: int) -> float:
        """Return how far a knob is from its best, in half ranges."""
        return (position - self.best[name]) / ((len(KNOBS[name][0]) - 1) / 2)

    def crashed(self, state: State) -> bool:
        """Tell whether a program ends without a result."""
        return any(state[name] in where for name, where in self.crashes.items())

    def part(self, name: str, position: int, state: State) -> float:
        """Return what one knob at a position adds, the others as in a state; inf: a crash."""
        if position in self.crashes.get(name, ()):
            return math.inf
        if name == CATEGORY:
            return self.patterns[position]
        own, weight = self.distance(name, position), self.weight[name]
        mixed = sum(
            2 * r * math.sqrt(weight * self.weight[other]) * self.distance(other, state[other])
            for other, r in self.partners[name].items()
        )
        return own * (weight * own + mixed)

    def true(self, state: State) -> float:
        """Return the value without noise; inf for a crash."""
        if self.crashed(state):
            return math.inf
        total = FLOOR + self.patterns[state[CATEGORY]]
        for name in ORDERED:  # a pair is met from both of its ends, so each counts half
            own = self.distance(name, state[name])
            alone = self.weight[name] * own * own
            total += (alone + self.part(name, state[name], state)) / 2
        return total

    def measured(self, state: State, number: int) -> float | None:
        """Return what experiment ``number`` reports; None for a crash."""
        if self.crashed(state):
            return None
        cycles, phase = self.wave
        drift = self.sigma * math.sin(2 * math.pi * (cycles * number / 100 + phase))
        chance = random.Random(f"{self.noise}/{number}")
        return round(self.true(state) + drift + chance.gauss(0.0, self.sigma), 6)


def draw_surface(seed: int, sigma: float = SIGMA, textbook: float = 0.5) -> Surface:
    """Return the world of a seed; sigma and textbook leave everything else as it is."""
    chance = random.Random(f"{seed}/surface")
    best = {name: near_start(name, chance) for name in ORDERED}
    weight = {name: chance.lognormvariate(0.0, 1.0) for name in ORDERED}
    patterns = [abs(chance.gauss(0.0, 1.0)) for _ in KNOBS[CATEGORY][0]]
    patterns[chance.randrange(len(patterns))] = 0.0
    crashes = {name: crash_values(name, best[name], chance) for name in ORDERED}
    wave = chance.uniform(0.5, 2.5), chance.random()
    partners = interactions(random.Random(f"{seed}/pairs"), textbook)
    noise = f"{seed}/noise"
    draft = Surface(best, weight, partners, tuple(patterns), crashes, noise, sigma, wave)
    scale = GAP / (draft.true(START) - FLOOR)
    weight = {name: value * scale for name, value in weight.items()}
    return replace(draft, weight=weight, patterns=tuple(value * scale for value in patterns))


def near_start(name: str, chance: random.Random) -> int:
    """Return a best position: defaults are tuned, so mostly within a quarter of the range."""
    size = len(KNOBS[name][0])
    return min(max(START[name] + round(chance.gauss(0.0, size / 4)), 0), size - 1)


def crash_values(name: str, best: int, chance: random.Random) -> frozenset[int]:
    """Return the end of a knob's range that crashes, mostly none: beyond start and best."""
    size = len(KNOBS[name][0])
    free = max(best, START[name]) + 1
    return frozenset(range(max(free, size - size // 4), size) if chance.random() < 0.1 else ())


def interactions(chance: random.Random, textbook: float) -> dict[str, dict[str, float]]:
    """Return who interacts with whom and how strongly."""
    found: dict[str, dict[str, float]] = {name: {} for name in ORDERED}
    left = PAIRS
    while left:
        known = chance.random() < textbook
        one, other = chance.choice(TEXTBOOK) if known else chance.sample(ORDERED, 2)
        full = max(len(found[one]), len(found[other])) >= PARTNERS
        if full or other in found[one]:
            continue
        r = chance.uniform(*STRENGTH) * chance.choice((-1, 1))
        found[one][other] = found[other][one] = r
        left -= 1
    return found

"""Sums over trials: of a campaign's, and of such sums over campaigns.

None depends on the order in which trials or campaigns come.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from kg.entries import Outcome, Trial

End = tuple[float, str] | None

ROUNDING = 1e-12  # of the largest number: what decimal fractions are off by in binary

SIGNS = (1, -1, 0, 0)
"""What makes each of `Sum.ends` the smallest; 0 wants the largest size."""


class Sum(NamedTuple):
    """What came of one edit, or of one evidence key."""

    n: int
    improved: int
    worsened: int
    equal: int
    crashed: int
    measured: int
    delta: float
    ends: tuple[End, ...]  # smallest, largest, gain, loss: delta and experiment

    @property
    def mean(self) -> float | None:
        """Return the mean delta, None if nothing was measured."""
        return float(f"{self.delta / self.measured:.9g}") if self.measured else None

    def best(self, sense: str) -> End:
        """Return the best delta and whose it is."""
        return self.ends[1 if sense == "max" else 0]


def sum_of(trials: list[Trial]) -> Sum:
    """Add the trials of one campaign's evidence up."""
    outcomes = [trial.outcome for trial in trials]
    measured = [(t.delta, t.name, t.outcome) for t in trials if t.delta is not None]
    ends = [(delta, name) for delta, name, _ in measured]
    kinds = (Outcome.IMPROVED, Outcome.WORSENED, Outcome.EQUAL, Outcome.CRASHED)
    improved, worsened, equal, crashed = (outcomes.count(kind) for kind in kinds)
    gains, losses = (
        [(delta, name) for delta, name, outcome in measured if outcome == kind]
        for kind in kinds[:2]
    )
    return Sum(
        len(trials),
        improved,
        worsened,
        equal,
        crashed,
        len(measured),
        total(delta for delta, _ in ends),
        tuple(map(farthest, SIGNS, (ends, ends, gains, losses))),
    )


def merged(sums: Iterable[Sum]) -> Sum:
    """Add sums up."""
    found = list(sums)
    return Sum(
        n=sum(part.n for part in found),
        improved=sum(part.improved for part in found),
        worsened=sum(part.worsened for part in found),
        equal=sum(part.equal for part in found),
        crashed=sum(part.crashed for part in found),
        measured=sum(part.measured for part in found),
        delta=total(part.delta for part in found),
        ends=tuple(
            farthest(sign, [end for part in found if (end := part.ends[index])])
            for index, sign in enumerate(SIGNS)
        ),
    )


def farthest(sign: int, ends: Iterable[tuple[float, str]]) -> End:
    """Return the end wanted; equals go to the first name."""
    return min(ends, key=lambda end: (far(end[0], sign), end[1]), default=None)


def far(delta: float, sign: int) -> float:
    """Return what is smallest at the wanted end of some deltas."""
    return sign * delta if sign else -abs(delta)


def total(numbers: Iterable[float]) -> float:
    """Add numbers so that their order does not matter, to 12 digits of the largest.

    >>> total([0.1, 0.2, -0.3]), total([0.1, 0.2])
    (0.0, 0.3)
    """
    found = sorted(numbers)
    largest = max(map(abs, found), default=0.0)
    return settled(float(f"{math.fsum(found):.12g}"), largest)


def settled(number: float, largest: float) -> float:
    """Return a sum, 0.0 where numbers cancelled and only their last digits are left of it."""
    return 0.0 if abs(number) < ROUNDING * largest else number

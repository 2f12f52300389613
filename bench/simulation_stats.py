"""Means over seeds with their 95 % bootstrap intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

RESAMPLES: Final = 10_000
LEVEL: Final = 0.95


class Interval(NamedTuple):
    """A mean and the ends of its interval."""

    mean: float
    low: float
    high: float

    def told(self, digits: int = 1, scale: float = 1.0, sign: str = "") -> str:
        """Show it.

        >>> Interval(-0.0012, -0.002, 0.0001).told(1, 1000, "+")
        '-1.2 [-2.0, +0.1]'
        """
        mean, low, high = (f"{scale * value:{sign}.{digits}f}" for value in self)
        return f"{mean} [{low}, {high}]"


def interval(values: Sequence[float]) -> Interval:
    """Return the mean of one value a seed with the percentile bootstrap of it.

    Seeds are drawn anew with replacement, RESAMPLES times (Efron 1979); the generator's own seed
    is fixed, so equal values give equal intervals. For a paired comparison give the differences.
    """
    sample = np.asarray(values, dtype=float)
    chance = np.random.default_rng(0)
    draws = chance.integers(0, len(sample), size=(RESAMPLES, len(sample)))
    ends = np.quantile(sample[draws].mean(axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(sample.mean()), float(ends[0]), float(ends[1]))


def paired(left: Sequence[float], right: Sequence[float]) -> Interval:
    """Return the mean of left - right over seeds, with its interval."""
    return interval([a - b for a, b in zip(left, right, strict=True)])

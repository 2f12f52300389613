"""Where an experiment stands on the value axis of progress.png."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

CRASH_BAND, CLIP_BAND = 0.03, 0.085  # distance from the worse border, in parts of the height


@dataclass(frozen=True, slots=True)
class Point:
    """One experiment of the plot, in order of the sequence it stands in."""

    name: str
    status: str  # keep, discard or crash
    value: float | None  # None for a crash
    description: str
    component: str | None = None  # what the edit changed, `attention`; colours the point


@dataclass(frozen=True, slots=True)
class Frame:
    """The value axis: its limits and which way is better."""

    low: float
    high: float
    minimise: bool

    def clips(self, value: float) -> bool:
        """Tell whether a value lies outside the axis."""
        return not self.low <= value <= self.high

    def border(self, part: float, *, worse: bool) -> float:
        """Return the value at a distance from the worse (or better) border."""
        top = self.minimise == worse
        return self.low + (1 - part if top else part) * (self.high - self.low)


def finite(point: Point) -> float | None:
    """Return the value of a point that has one; a crash never has."""
    if point.status == "crash" or point.value is None or not math.isfinite(point.value):
        return None
    return max(-1e100, min(1e100, point.value))  # spans stay finite


def limits(points: Sequence[Point], *, minimise: bool) -> tuple[float, float]:
    """Return limits of the value axis that outliers do not stretch.

    Values beyond three interquartile ranges are left outside, but for the best one and the
    kept ones as long as these do not stretch the axis more than fourfold.
    """
    values = sorted(v for p in points if (v := finite(p)) is not None)
    if not values:
        return 0.0, 1.0
    low, high = values[0], values[-1]
    if len(values) >= 4:
        first, _, third = statistics.quantiles(values, method="inclusive")
        reach = 3 * (third - first) or high - low
        core = [v for v in values if first - reach <= v <= third + reach]
        low, high = core[0], core[-1]
    kept = sorted(v for p in points if p.status == "keep" and (v := finite(p)) is not None)
    if kept:
        best = kept[0] if minimise else kept[-1]
        low, high = min(low, best), max(high, best)
    within = [v for v in kept if max(high, v) - min(low, v) <= 4 * (high - low)]
    low, high = min([low, *within]), max([high, *within])
    span = (high - low) or max(abs(high) * 0.01, 1e-6)
    room = 0.30 if kept else 0.08  # on the better side, for descriptions
    better, worse = room * span, 0.16 * span
    return (low - better, high + worse) if minimise else (low - worse, high + better)


def height(point: Point, frame: Frame) -> float:
    """Return where on the value axis a point is drawn."""
    value = finite(point)
    if value is None:
        return frame.border(CRASH_BAND, worse=True)
    if frame.clips(value):
        worse = (value > frame.high) == frame.minimise
        return frame.border(CLIP_BAND, worse=worse)
    return value

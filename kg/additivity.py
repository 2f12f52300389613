"""Where effects do not add up: what was made together against what each edit did alone."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from kg.board import Board, Row
from kg.conflict import Tried, tried_of
from kg.vocab import Value

Made = tuple[Tried, Value | None, Value | None]  # an edit with the very values it went between
DEVIATIONS: Final = 3.0  # that a sum must be off by: of hundred sums looked at 0.3 are by chance
PAIRINGS: Final = 3  # reruns of one program that tell the noise where it was not measured


def unsummed(board: Board, rows: Iterable[Row]) -> dict[Tried, tuple[str, ...]]:
    """Return the knobs each edit does not add up with; nothing while the noise is not known.

    Compared are the same edits between the same values: a larger step is another effect. Of three
    edits made at once nobody can tell which two interact, so each is named to the others.
    """
    deviation = deviation_of(board)
    if deviation is None:
        return {}
    deltas: dict[frozenset[Made], list[float]] = {}
    for row in rows:
        made = frozenset((tried_of(key), t.old, t.new) for key, t in board.pairs[row.name])
        deltas.setdefault(made, []).append(row.delta or 0.0)
    found: dict[Tried, set[str]] = {}
    for made, together in deltas.items():
        alone = [deltas[one] for edit in made if (one := frozenset({edit})) in deltas]
        if len(made) > 1 and len(alone) == len(made) and off(together, alone, deviation):
            for tried, _, _ in made:
                others = {other.knob for other, _, _ in made} - {tried.knob}
                found.setdefault(tried, set()).update(others)
    return {tried: tuple(sorted(knobs)) for tried, knobs in found.items() if knobs}


def off(together: list[float], alone: list[list[float]], deviation: float) -> bool:
    """Tell whether the effect of several edits is not the sum of theirs, beyond the noise.

    The version they were compared with has noise too, and enters each delta: if all share one,
    it counts once less than there are edits.
    """
    chance = sum(1 / len(deltas) for deltas in (together, *alone))
    shared = (len(alone) - 1) ** 2
    reach = DEVIATIONS * deviation * math.sqrt(chance + max(shared, chance))
    return abs(mean(together) - math.fsum(map(mean, alone))) > reach


def mean(numbers: list[float]) -> float:
    """Return the mean, whatever the order of the numbers."""
    return math.fsum(numbers) / len(numbers)


def deviation_of(board: Board) -> float | None:
    """Return the standard deviation of one run, None while nobody knows it well enough."""
    if board.threshold is not None:
        return board.threshold / 2  # two of them make the threshold
    seen = board.seen_noise if board.pairings >= PAIRINGS else None
    return None if seen is None else seen / math.sqrt(2)  # of the difference of two runs

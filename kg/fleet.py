"""All trials of all campaigns in columns, for the one question no sum was kept for.

`improved-while` may be asked under any condition on any setting, so nothing can be summed up
beforehand. A process that answers more than once reads the trials once per snapshot (1 s at
100,000 experiments) and then counts in numpy (5 ms).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pyoxigraph import Store

from kg import vocab
from kg.entries import EvidenceKey, Outcome, Trial, edit_of
from kg.load import texts
from kg.packed import evidence_key, unpack_trials
from kg.terms import LAB
from kg.vocab import EVERYTHING, Value, name_of, python

CODES = {str(outcome): index for index, outcome in enumerate(Outcome)}
IMPROVED = CODES[Outcome.IMPROVED]
ATTEMPTED = [
    CODES[kind] for kind in (Outcome.IMPROVED, Outcome.WORSENED, Outcome.EQUAL, Outcome.CRASHED)
]
Counts = NDArray[np.int64]


class Fleet:
    """The trials of every campaign, one array a column, in the order of names."""

    def __init__(self, store: Store) -> None:
        self.store = store
        found = sorted(all_trials(store), key=lambda pair: (pair[1].name, pair[0]))
        self.trials = [trial for _, trial in found]
        self.keys = [key for key, _ in found]
        self.edits = sorted({edit_of(key) for key, _ in found})
        number = {edit: index for index, edit in enumerate(self.edits)}
        names = sorted({trial.name for trial in self.trials})
        place = {name: index for index, name in enumerate(names)}
        self.places = place
        self.edit = np.array([number[edit_of(key)] for key, _ in found], dtype=np.int64)
        self.experiment = np.array([place[t.name] for t in self.trials], dtype=np.int64)
        self.seq = np.array([trial.seq for trial in self.trials], dtype=np.int64)
        self.outcome = np.array([CODES[t.outcome] for t in self.trials], dtype=np.int64)
        deltas = [math.nan if t.delta is None else t.delta for t in self.trials]
        self.delta = np.array(deltas, dtype=np.float64)
        self.measured = ~np.isnan(self.delta)
        self.tried = np.isin(self.outcome, ATTEMPTED)
        self.good = self.outcome == IMPROVED
        self.held: dict[str, dict[Value, Counts]] = {}

    def values(self, knob: str) -> dict[Value, Counts]:
        """Return the experiments that had each value of a knob, read once."""
        if knob not in self.held:
            groups: dict[Any, list[int]] = {}
            for quad in self.store.quads_for_pattern(None, vocab.knob(knob), None):
                subject: Any = quad.subject
                index = self.places.get(name_of(subject))
                if index is not None:
                    groups.setdefault(quad.object, []).append(index)
            self.held[knob] = {python(k): np.array(v, np.int64) for k, v in groups.items()}
        return self.held[knob]

    def while_held(
        self, knob: str, fits: Callable[[Value | None], bool], until: int | None
    ) -> NDArray[np.int64]:
        """Return the places of the trials made while a setting held."""
        chosen = np.zeros(len(self.places) + 1, dtype=bool)
        for value, experiments in self.values(knob).items():
            if fits(value):
                chosen[experiments] = True
        mask = chosen[self.experiment]
        if until is not None:
            mask &= self.seq <= until
        return np.flatnonzero(mask)

    def counts(self, places: NDArray[np.int64]) -> Counted:
        """Count trials by edit."""
        edit, size = self.edit[places], len(self.edits)
        known = places[self.measured[places]]
        return Counted(
            np.bincount(edit[self.good[places]], minlength=size),
            np.bincount(edit[self.tried[places]], minlength=size),
            np.bincount(self.edit[known], minlength=size),
            np.bincount(self.edit[known], self.delta[known], size).astype(np.float64),
        )

    def improving(self, counts: Counted) -> list[int]:
        """Return the edits that improved at least once."""
        return [int(index) for index in np.flatnonzero(counts.improved)]

    def improved(
        self, places: NDArray[np.int64], edits: list[int]
    ) -> dict[int, list[tuple[EvidenceKey, Trial]]]:
        """Return the trials that improved, by edit."""
        good = places[self.good[places]]
        good = good[np.isin(self.edit[good], edits)]
        found: dict[int, list[tuple[EvidenceKey, Trial]]] = {}
        for place in good.tolist():
            pair = self.keys[place], self.trials[place]
            found.setdefault(int(self.edit[place]), []).append(pair)
        return found


class Counted(NamedTuple):
    """Counts and sums of trials, one number an edit."""

    improved: Counts
    tried: Counts
    measured: Counts
    deltas: NDArray[np.float64]

    def mean(self, index: int) -> float | None:
        """Return the mean delta of one edit."""
        n = self.measured[index]
        return float(f"{self.deltas[index] / n:.9g}") if n else None


def all_trials(store: Store) -> list[tuple[EvidenceKey, Trial]]:
    """Return every trial of every campaign with what it counts under."""
    found = []
    for quad in store.quads_for_pattern(None, LAB.evidenceIn, None):
        node: Any = quad.subject
        if quad.object != EVERYTHING:
            key = evidence_key(node)
            found += [(key, trial) for trial in unpack_trials(texts(store, node, LAB.trial))]
    return found

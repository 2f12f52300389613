"""All trials of all campaigns in columns, for the one question no sum was kept for.

`improved-while` may be asked under any condition on any setting, so nothing in the graph sums it
up. A process that answers more than once reads the trials once per snapshot (1.5 s at 100,000
experiments) and adds them up by setting and edit, once a knob (0.5 s). Any condition on the knob is
then a sum over some of those cells, a few thousand numbers whatever the number of experiments; only
the trials that improved, an eighth, are looked at one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pyoxigraph import NamedNode, Store

from kg import vocab
from kg.entries import ATTEMPTED, Edits, EvidenceKey, Outcome, Trial, edit_of
from kg.load import pairs
from kg.packed import evidence_key, unpack_trials
from kg.terms import LAB
from kg.totals import settled
from kg.vocab import Value, python, value_order

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Course = tuple[Value | None, Value]  # what a knob was set to before an experiment and in it


class Fleet:
    """The trials of every campaign, one array a column, in the order of experiments' names."""

    def __init__(self, store: Store) -> None:
        self.store = store
        keys, key, trials = read_trials(store)
        self.names = sorted({trial.name for trial in trials})
        place = {name: index for index, name in enumerate(self.names)}
        self.places = {vocab.experiment(name).value: index for name, index in place.items()}
        by_name = np.array([place[trial.name] for trial in trials], dtype=np.int64)
        order = np.lexsort((ranks(keys)[key], by_name))
        trials, key = [trials[index] for index in order.tolist()], key[order]
        edits = [edit_of(one) for one in keys]
        self.edits = sorted(set(edits))
        self.edit: Integers = ranks(edits)[key]
        self.alone: Mask = np.array([one.isolated for one in keys], dtype=bool)[key]
        self.experiment: Integers = by_name[order]
        self.seq = np.array([trial.seq for trial in trials], dtype=np.int64)
        self.old = [trial.old for trial in trials]
        numbers = np.array([numbers_of(trial) for trial in trials], dtype=np.float64)
        self.numbers: Floats = numbers.reshape(-1, 4).T  # rows in the order of Conditioned's sums
        self.largest = float(np.abs(self.numbers[3]).max(initial=0.0))  # delta
        self.commits = {trial.name: trial.commit for trial in trials}
        self.gains = Gains(self, trials)
        self.settings: dict[str, Settings] = {}

    def held(
        self, knob: str, fits: Callable[[Value | None], bool], until: int | None
    ) -> Conditioned:
        """Return what became of the trials made while a setting held, by edit."""
        if knob not in self.settings:
            self.settings[knob] = Settings(self, knob)
        settings = self.settings[knob]
        cells = settings.cells if until is None else settings.cells_of(self.seq <= until)
        pairs_fit = (fits(before) and fits(after) for before, after in settings.values)
        fitting = np.array([*pairs_fit, False], dtype=bool)  # -1: not set
        mine = fitting[cells.value]
        sums = added(cells.edit[mine], cells.sums[:, mine], len(self.edits))
        chosen = fitting[settings.value[self.experiment[self.gains.trial]]]
        if until is not None:
            chosen &= self.seq[self.gains.trial] <= until
        gains = np.flatnonzero(chosen)
        improved, tried, measured, deltas = sums
        return Conditioned(self, improved, tried, measured, deltas, gains, self.gains.edit[gains])

    def seen(self, knob: str, until: int | None) -> set[Value]:
        """Return every value of a knob before and in the experiments `held` was asked about."""
        settings = self.settings[knob]
        made = self.experiment if until is None else self.experiment[self.seq <= until]
        courses = (settings.values[i] for i in np.unique(settings.value[made]).tolist() if i >= 0)
        return {value for course in courses for value in course if value is not None}


def numbers_of(trial: Trial) -> tuple[float, ...]:
    """Return what is added up of a trial: improved, tried, measured, delta."""
    improved, tried = trial.outcome == Outcome.IMPROVED, trial.outcome in ATTEMPTED
    return improved, tried, trial.delta is not None, trial.delta or 0.0


def added(where: Integers, numbers: Floats, size: int) -> Floats:
    """Add numbers up by their places.

    Shapes:
        where: (n,), each below size.
        numbers: (rows, n).
        returns: (rows, size), float64.
    """
    sums = [np.bincount(where, weights=row, minlength=size) for row in numbers]
    return np.array(sums, dtype=np.float64)


def read_trials(store: Store) -> tuple[list[EvidenceKey], Integers, list[Trial]]:
    """Return the keys of all evidence, and each trial with the place of its key among them."""
    nodes: dict[Any, int] = {}
    number: list[int] = []
    packed: list[str] = []
    for node, literal in pairs(store, LAB.trial):
        number.append(nodes.setdefault(node.value, len(nodes)))
        packed.append(literal.value)
    keys = [evidence_key(NamedNode(value)) for value in nodes]
    return keys, np.array(number, dtype=np.int64), unpack_trials(packed)


def ranks(items: Sequence[EvidenceKey] | Sequence[Edits]) -> Integers:
    """Return the place of each among all in their order; equals have one place."""
    rank = {item: index for index, item in enumerate(sorted(set(items)))}
    return np.array([rank[item] for item in items], dtype=np.int64)


class Gains:
    """The trials that improved, by edit, the best of each edit first, equals by name."""

    def __init__(self, fleet: Fleet, trials: list[Trial]) -> None:
        improved, _, _, delta = fleet.numbers
        good = np.flatnonzero(improved)
        sign = np.array([-1.0 if edit.sense == "max" else 1.0 for edit in fleet.edits])
        edit = fleet.edit[good]
        order = np.lexsort((fleet.experiment[good], sign[edit] * delta[good], edit))
        self.trial: Integers = good[order]
        self.edit: Integers = edit[order]
        self.new = [trials[index].new for index in self.trial.tolist()]


class Cells(NamedTuple):
    """Trials added up by value of one knob and by edit; only cells that have any."""

    value: Integers  # (cells,), index into the values, -1 where the knob is not set
    edit: Integers  # (cells,)
    sums: Floats  # (4, cells), in the order of Conditioned's


class Settings:
    """What one knob was set to before and in each experiment, and the trials added up by that."""

    def __init__(self, fleet: Fleet, knob: str) -> None:
        self.fleet = fleet
        found: dict[Any, list[int]] = {}
        for node, term in pairs(fleet.store, vocab.knob(knob)):
            index = fleet.places.get(node.value)
            if index is not None:
                found.setdefault(term, []).append(index)
        now = {index: python(term) for term, held in found.items() for index in held}
        course = {index: (value, value) for index, value in now.items()}
        course |= {i: (old, now[i]) for i, old in self.moved(knob).items() if i in now}
        groups: dict[Course, list[int]] = {}
        for index, pair in course.items():
            groups.setdefault(pair, []).append(index)
        self.values: list[Course] = sorted(groups, key=by_course)
        self.value: Integers = np.full(len(fleet.names), -1, dtype=np.int64)
        for place, pair in enumerate(self.values):
            self.value[groups[pair]] = place
        self.cells = self.cells_of(np.ones(len(fleet.edit), dtype=bool))

    def moved(self, knob: str) -> dict[int, Value | None]:
        """Return what the experiments that edited the knob had before, by their place."""
        fleet, found = self.fleet, dict[int, Value | None]()
        edits = [index for index, edit in enumerate(fleet.edits) if edit.knob == knob]
        for trial in np.flatnonzero(np.isin(fleet.edit, edits)).tolist():
            found.setdefault(int(fleet.experiment[trial]), fleet.old[trial])
        return found

    def cells_of(self, counted: Mask) -> Cells:
        """Add up the trials that count, a mask over all."""
        fleet, size = self.fleet, len(self.fleet.edits) or 1
        value = self.value[fleet.experiment[counted]]
        cell, where = np.unique(value * size + fleet.edit[counted], return_inverse=True)
        sums = added(where, fleet.numbers[:, counted], len(cell))
        return Cells(cell // size, cell % size, sums)


def by_course(pair: Course) -> tuple[tuple[str, Value], ...]:
    """Return what the values of a knob are ordered by, so that sums do not depend on chance."""
    return tuple(value_order("" if value is None else value) for value in pair)


class Conditioned(NamedTuple):
    """What became of the trials made while a setting held; the sums are one number an edit."""

    fleet: Fleet
    improved: Floats
    tried: Floats
    measured: Floats
    deltas: Floats
    gains: Integers  # places among the gains, by edit, the best first
    edits: Integers  # the edit of each

    def mean(self, edit: int) -> float | None:
        """Return the mean delta of one edit."""
        n = self.measured[edit]
        deltas = settled(float(self.deltas[edit]), self.fleet.largest)
        return float(f"{deltas / n:.9g}") if n else None

    def improvements(self, edit: int) -> Improvements:
        """Return the trials of one edit that improved, the best first."""
        fleet = self.fleet
        places = self.gains[slice(*np.searchsorted(self.edits, (edit, edit + 1)))]
        trials = fleet.gains.trial[places]
        return Improvements(
            [fleet.names[index] for index in fleet.experiment[trials].tolist()],
            {new for index in places.tolist() if (new := fleet.gains.new[index]) is not None},
            int(fleet.alone[trials].sum()),
            float(fleet.numbers[3, trials[0]]),
        )


class Improvements(NamedTuple):
    """The trials of one edit that improved."""

    names: list[str]  # the best first
    values: set[Value]  # what it was set to
    alone: int  # how many changed nothing else
    best: float  # delta

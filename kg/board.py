"""The state of one campaign: what its experiments add up to, up to the latest one.

A board is a fold over experiments in their order. Each step depends on earlier experiments
only, so the answer "as of experiment N" is the board of the first N, and adding the next
experiment is one more step. A board is loaded from the graph itself (kg.load), never from a
second store that could disagree with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from kg.entries import (
    SEED,
    Entry,
    EvidenceKey,
    Outcome,
    Regime,
    Row,
    Scale,
    Trial,
    Try,
)
from kg.tally import Tally, TallyKey, tally_keys
from kg.vocab import Value

__all__ = [
    "SEED",
    "Board",
    "Entry",
    "EvidenceKey",
    "Outcome",
    "Regime",
    "Row",
    "Scale",
    "Trial",
    "Try",
    "in_order",
    "signature_of",
]


@dataclass(slots=True)
class Board:
    """Everything a campaign adds up to so far."""

    campaign: str
    rows: list[Row] = field(default_factory=list)
    names: dict[str, Row] = field(default_factory=dict)
    attempts: list[Row] = field(default_factory=list)
    tally: dict[str, int] = field(default_factory=lambda: {"keep": 0, "discard": 0, "crash": 0})
    tallies: dict[TallyKey, Tally] = field(default_factory=dict)
    untold: int = 0  # attempts that were accepted and have no value
    measured: bool = False  # some attempt has a value
    spent: float = 0.0  # seconds, interrupted runs included
    spread: float = 0.0  # sum of squared differences between two runs of one program
    pairings: int = 0  # how many such differences there are
    threshold: float | None = None  # what an effect must exceed, where the noise was measured
    best: dict[Scale, Row] = field(default_factory=dict)
    accepted: Row | None = None
    programs: dict[str, Row] = field(default_factory=dict)
    evidence: dict[EvidenceKey, list[Trial]] = field(default_factory=dict)
    about: dict[str, list[EvidenceKey]] = field(default_factory=dict)  # knob -> its evidence
    latest: dict[str, Trial] = field(default_factory=dict)  # knob -> its last trial
    pairs: dict[str, list[tuple[EvidenceKey, Trial]]] = field(default_factory=dict)
    tried: dict[frozenset[tuple[str, str]], Row] = field(default_factory=dict)
    spans: dict[str, list[Regime]] = field(default_factory=dict)
    memo: dict[str, Any] = field(default_factory=dict)  # what was worked out from it for answers
    later: Callable[[], Iterable[Regime]] | None = None  # reads them on first use

    @property
    def regimes(self) -> dict[str, list[Regime]]:
        """Return the regimes of each knob, the earliest first."""
        if self.later is not None:
            read, self.later = self.later, None
            for regime in read():
                self.spans.setdefault(regime.knob, []).append(regime)
        return self.spans

    def note(self, row: Row) -> None:
        """Append one experiment."""
        entry = row.entry
        self.rows.append(row)
        self.names[entry.name] = row
        self.spent += entry.seconds or 0.0
        if row.attempt:
            self.attempts.append(row)
            self.tally[entry.status] += 1
            self.untold += row.untold
            self.measured = self.measured or entry.value is not None
            for key in tally_keys(entry):
                self.tallies.setdefault(key, Tally()).count(row)
        if row.kept:
            self.accepted = row
            leader = self.best.get(entry.scale)
            than = leader.entry.value if leader else None
            if entry.value is not None and (than is None or entry.scale.better(entry.value, than)):
                self.best[entry.scale] = row
        if row.lineage:
            self.pairs[entry.name] = trials_in(row, entry.tries)
            self.accepted = self.run_of(row)
        if entry.fingerprint and row.attempt:
            first = self.programs.setdefault(entry.fingerprint, row)
            if first is not row and first.entry.scale == entry.scale:
                self.rerun(first.entry.value, entry.value)

    def count(self, row: Row, trials: Iterable[tuple[EvidenceKey, Trial]]) -> None:
        """Count the edits of one experiment, already noted."""
        found = list(trials) if row.attempt else []
        for key, trial in found:
            if key not in self.evidence:
                self.evidence[key] = []
                self.about.setdefault(key.knob, []).append(key)
            self.evidence[key].append(trial)
            self.latest[key.knob] = trial
            if key.knob == SEED and key.isolated:
                self.rerun(0.0, trial.delta)
        if found:
            self.pairs[row.name] = found
            signature = signature_of(found)
            if signature is not None:
                self.tried[signature] = row

    def run_of(self, row: Row) -> Row:
        """Return the attempt an experiment stands for: of what puts a program back, its run.

        The last accepted run of the program with a value, else its first run here, else itself.
        """
        first = self.programs.get(row.entry.fingerprint or "")
        if not row.lineage or first is None:
            return row
        runs = (run for run in reversed(self.attempts) if run.kept and not run.untold)
        again = (run for run in runs if run.entry.fingerprint == first.entry.fingerprint)
        return next(again, first)

    @property
    def counts(self) -> tuple[int, int]:
        """Return how many were tried and how many of them kept.

        Where results are known, what was accepted without one is not counted: it is a step of
        the branch nobody judged.
        """
        untold = self.untold if self.measured else 0
        return len(self.attempts) - untold, self.tally["keep"] - untold

    def rerun(self, first: float | None, again: float | None) -> None:
        """Take in the values of two runs that differ in nothing but chance."""
        if first is not None and again is not None:
            self.spread += (again - first) ** 2
            self.pairings += 1

    @property
    def noise(self) -> float | None:
        """Return what an effect must exceed in the metric's units, None while nobody knows.

        The measured threshold where there is one, else what the experiments themselves show.
        """
        return self.seen_noise if self.threshold is None else self.threshold

    @property
    def seen_noise(self) -> float | None:
        """Return the root mean square difference between two runs of one program.

        Runs of equal fingerprint, and runs where only the seed was changed.
        """
        return math.sqrt(self.spread / self.pairings) if self.pairings else None

    def column(self, knob: str) -> dict[str, Value]:
        """Return what a knob was set to in each experiment that has it."""
        spans = self.regimes.get(knob, [])
        found: dict[str, Value] = {}
        begun = 0  # of the spans, which do not overlap
        for row in self.rows:
            order = row.order
            while begun < len(spans) and (spans[begun].since, spans[begun].by) <= order:
                begun += 1
            if row.deviates is None:
                continue
            if knob in row.deviates:
                value = row.deviates[knob]
            else:
                held = begun and spans[begun - 1].covers(order)
                value = spans[begun - 1].value if held else None
            if value is not None:
                found[row.name] = value
        return found

    def settings(self, row: Row) -> tuple[tuple[str, Value], ...] | None:
        """Return the whole configuration of an experiment, None if its source is lost."""
        if row.deviates is None:
            return None
        held: dict[str, Value | None] = {
            regime.knob: regime.value
            for spans in self.regimes.values()
            for regime in spans
            if regime.covers(row.order)
        }
        found = {**held, **row.deviates}
        return tuple(sorted((k, v) for k, v in found.items() if v is not None))

    def config(self) -> dict[str, Regime]:
        """Return the settings that hold now on the accepted line."""
        return {k: spans[-1] for k, spans in self.regimes.items() if spans[-1].until is None}


def trials_in(row: Row, tries: Iterable[Try]) -> list[tuple[EvidenceKey, Trial]]:
    """Return edits of an experiment with what became of them."""
    entry = row.entry
    head = (entry.seq, entry.name, entry.commit, row.outcome, row.delta)
    return in_order((t.key(entry.scale), Trial(*head, t.old, t.new, t.told)) for t in tries)


def signature_of(
    trials: Iterable[tuple[EvidenceKey, Trial]],
) -> frozenset[tuple[str, str]] | None:
    """Return what an experiment set to what, None where an edit has no definite result."""
    found = set()
    for key, trial in trials:
        if trial.new is None and key.direction not in ("remove", "disable"):
            return None
        found.add((key.knob, repr(trial.new)))
    return frozenset(found)


def in_order(
    trials: Iterable[tuple[EvidenceKey, Trial]],
) -> list[tuple[EvidenceKey, Trial]]:
    """Return the trials of one experiment in the one order in which they are counted."""
    return sorted(trials, key=lambda pair: (pair[0], repr(pair[1])))

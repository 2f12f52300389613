"""Evidence: how often one edit was tried in a campaign, and what came of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import partial

from pyoxigraph import Literal, NamedNode, Quad

from kg import vocab
from kg.board import Board, EvidenceKey, Outcome, Trial
from kg.build import about, double, text
from kg.packed import evidence_node, pack_trial
from kg.terms import LAB, RDF

Pairs = Iterable[tuple[NamedNode, NamedNode | Literal | None]]


def sum_quads(campaign: NamedNode, board: Board, key: EvidenceKey) -> Iterator[Quad]:
    """Yield one evidence node: how often an edit was tried and what came of it."""
    trials = board.evidence.get(key, [])
    if not trials:
        return
    node = evidence_node(campaign, key)
    yield from about(node, key_pairs(key))
    yield Quad(node, LAB.evidenceIn, campaign)
    yield Quad(node, LAB.partOf, evidence_node(vocab.EVERYTHING, key))
    yield Quad(node, LAB.lastSeq, Literal(max(trial.seq for trial in trials)))
    yield from about(node, sum_pairs(trials))


def key_pairs(key: EvidenceKey) -> Pairs:
    """Yield what an evidence node is about."""
    yield RDF.type_, LAB.Evidence
    yield LAB.metric, Literal(vocab.clean(key.metric))
    yield LAB.sense, Literal(vocab.clean(key.sense))
    yield LAB.component, vocab.component(key.component)
    yield LAB.knob, vocab.knob(key.knob)
    yield LAB.direction, Literal(key.direction)
    yield LAB.to, text(key.to)
    yield LAB.optimizerScope, Literal(key.scope)
    yield LAB.isolated, Literal(key.isolated)


def sum_pairs(trials: list[Trial]) -> Pairs:
    """Yield counts and sums over trials; the sums do not depend on their order."""
    outcomes = [trial.outcome for trial in trials]
    yield LAB.trials, Literal(len(trials))
    yield LAB.nImproved, Literal(outcomes.count(Outcome.IMPROVED))
    yield LAB.nWorsened, Literal(outcomes.count(Outcome.WORSENED))
    yield LAB.nEqual, Literal(outcomes.count(Outcome.EQUAL))
    yield LAB.nCrashed, Literal(outcomes.count(Outcome.CRASHED))
    measured = [trial for trial in trials if trial.delta is not None]
    if measured:
        yield LAB.nDelta, Literal(len(measured))
        yield LAB.sumDelta, double(total(trial.delta or 0.0 for trial in measured))
    for delta, by, trial in extremes(measured):
        yield delta, double(trial.delta)
        yield by, vocab.experiment(trial.name)


def extremes(measured: list[Trial]) -> Iterator[tuple[NamedNode, NamedNode, Trial]]:
    """Yield the trials at either end of all deltas, of the gains and of the losses."""
    chosen = (
        measured,
        measured,
        [trial for trial in measured if trial.outcome == Outcome.IMPROVED],
        [trial for trial in measured if trial.outcome == Outcome.WORSENED],
    )
    for (delta, by, sign), trials in zip(ENDS, chosen, strict=True):
        if trials:
            yield delta, by, min(trials, key=partial(place, sign))


ENDS = (
    (LAB.minDelta, LAB.minDeltaBy, 1),
    (LAB.maxDelta, LAB.maxDeltaBy, -1),
    (LAB.gain, LAB.improvedBy, 0),
    (LAB.loss, LAB.worsenedBy, 0),
)
"""The ends of an evidence's deltas: the term of the delta, of its experiment, and the sign that
makes the wanted end the smallest; 0 wants the largest size. Equals go to the first name."""


def place(sign: int, trial: Trial) -> tuple[float, str]:
    """Return where a trial stands on the way to the wanted end."""
    return far(trial.delta or 0.0, sign), trial.name


def far(delta: float, sign: int) -> float:
    """Return what is smallest at the wanted end of some deltas."""
    return sign * delta if sign else -abs(delta)


def total(numbers: Iterable[float]) -> float:
    """Add numbers so that their order does not matter, to 12 digits."""
    return float(f"{math.fsum(sorted(numbers)):.12g}")


def trial_quads(campaign: NamedNode, trials: list[tuple[EvidenceKey, Trial]]) -> Iterator[Quad]:
    """Yield the trials of one experiment, on the evidence they count in."""
    for key, trial in trials:
        node = evidence_node(campaign, key)
        yield Quad(node, LAB.trial, pack_trial(trial))
        yield Quad(vocab.experiment(trial.name), LAB.countedIn, node)

"""Evidence: how often one edit was tried in a campaign, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pyoxigraph import Literal, NamedNode, Quad

from kg import vocab
from kg.board import Board, EvidenceKey, Trial
from kg.packed import evidence_node, pack, pack_trial
from kg.quads import about, double, text
from kg.terms import LAB, RDF
from kg.totals import Sum, sum_of

Pairs = Iterable[tuple[NamedNode, NamedNode | Literal | None]]


def sum_quads(campaign: NamedNode, board: Board, key: EvidenceKey) -> Iterator[Quad]:
    """Yield one evidence node: how often an edit was tried and what came of it."""
    trials = board.evidence.get(key, [])
    if not trials:
        return
    node, whole = evidence_node(campaign, key), evidence_node(vocab.EVERYTHING, key)
    found = sum_of(trials)
    yield from about(node, key_pairs(key))
    yield Quad(node, LAB.evidenceIn, campaign)
    yield Quad(node, LAB.partOf, whole)
    yield Quad(whole, LAB.part, pack((board.campaign, *found)))
    yield Quad(node, LAB.lastSeq, Literal(max(trial.seq for trial in trials)))
    yield from about(node, sum_pairs(found))


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


def sum_pairs(found: Sum) -> Pairs:
    """Yield counts and sums over trials."""
    for predicate, number in zip(NUMBERS, found[:-1], strict=True):
        if found.measured or predicate not in MEASURED:
            yield predicate, Literal(number)
    for end, (delta, by) in zip(found.ends, ENDS, strict=True):
        if end is not None:
            yield delta, double(end[0])
            yield by, vocab.experiment(end[1])


NUMBERS = (
    LAB.trials,
    LAB.nImproved,
    LAB.nWorsened,
    LAB.nEqual,
    LAB.nCrashed,
    LAB.nDelta,
    LAB.sumDelta,
)
"""The terms of a `Sum`'s numbers, in their order."""

MEASURED = frozenset({LAB.nDelta, LAB.sumDelta})
"""Said only where something was measured."""

ENDS = (
    (LAB.minDelta, LAB.minDeltaBy),
    (LAB.maxDelta, LAB.maxDeltaBy),
    (LAB.gain, LAB.improvedBy),
    (LAB.loss, LAB.worsenedBy),
)
"""The terms of `Sum.ends`: of a delta and of its experiment."""


def trial_quads(campaign: NamedNode, trials: list[tuple[EvidenceKey, Trial]]) -> Iterator[Quad]:
    """Yield the trials of one experiment, on the evidence they count in."""
    for key, trial in trials:
        node = evidence_node(campaign, key)
        yield Quad(node, LAB.trial, pack_trial(trial))
        yield Quad(vocab.experiment(trial.name), LAB.countedIn, node)

"""Opposite outcomes of one edit: where it helped, where it hurt, and what differed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from pyoxigraph import Literal, NamedNode, Quad

from kg import vocab
from kg.board import Board, EvidenceKey, Outcome, Trial
from kg.build import about, double, text
from kg.terms import LAB, RDF
from kg.vocab import Value


class Tried(NamedTuple):
    """An edit as one speaks of it: a knob, a direction, and a new value if it has no direction."""

    knob: str
    direction: str
    to: str


def tried_of(key: EvidenceKey) -> Tried:
    """Return an edit without what else was true of it."""
    return Tried(key.knob, key.direction, key.to)


class Conflict(NamedTuple):
    """A pair of opposite outcomes of one edit."""

    tried: Tried
    improved: Trial
    worsened: Trial
    n_improved: int
    n_worsened: int
    differs: tuple[str, ...]  # knobs that stood differently on the accepted line


def conflict_of(board: Board, tried: Tried, until: int | None = None) -> Conflict | None:
    """Return the conflict over one edit, None where outcomes agree.

    The pair shown is the one that is most alike: the very same edit if there is such a pair, and
    the two nearest in time, because least has changed between them.
    """
    trials = [t for t in trials_about(board, tried) if until is None or t.seq <= until]
    good = [t for t in trials if t.outcome == Outcome.IMPROVED and t.delta is not None]
    bad = [t for t in trials if t.outcome == Outcome.WORSENED and t.delta is not None]
    if not good or not bad:
        return None
    improved, worsened = min(product(good, bad), key=closeness)
    mine, other = context(board, improved), context(board, worsened)
    differs = sorted(
        knob for knob in mine.keys() | other.keys() if mine.get(knob) != other.get(knob)
    )
    return Conflict(
        tried,
        improved,
        worsened,
        len(good),
        len(bad),
        tuple(knob for knob in differs if knob != tried.knob),
    )


def closeness(pair: tuple[Trial, Trial]) -> tuple[bool, int, tuple[int, str], tuple[int, str]]:
    """Return how far apart a good and a bad trial are, the smallest first."""
    good, bad = pair
    apart = (good.old, good.new) != (bad.old, bad.new)
    return apart, abs(good.seq - bad.seq), good.order, bad.order


def trials_about(board: Board, tried: Tried) -> list[Trial]:
    """Return the trials of an edit, alone or combined, whichever optimizer it touched."""
    keys = board.about.get(tried.knob, ())
    return sorted(
        (
            trial
            for key in keys
            if (key.direction, key.to) == (tried.direction, tried.to)
            for trial in board.evidence[key]
        ),
        key=lambda trial: trial.order,
    )


def context(board: Board, trial: Trial) -> dict[str, Value]:
    """Return the settings that were accepted when an experiment was tried."""
    found = {}
    for knob, spans in board.regimes.items():
        for span in reversed(spans):
            if span.since < trial.seq:
                if span.until is None or span.until >= trial.seq:
                    found[knob] = span.value
                break
    return found


def conflict_quads(campaign: NamedNode, board: Board, tried: Tried) -> Iterator[Quad]:
    """Yield the node of one conflict, nothing where there is none."""
    conflict = conflict_of(board, tried)
    if conflict is None:
        return
    node = vocab.part(campaign, "conflict", *tried)
    yield from about(
        node,
        [
            (RDF.type_, LAB.Conflict),
            (LAB.conflictIn, campaign),
            (LAB.knob, vocab.knob(tried.knob)),
            (LAB.direction, Literal(tried.direction)),
            (LAB.to, text(tried.to)),
            (LAB.nImproved, Literal(conflict.n_improved)),
            (LAB.nWorsened, Literal(conflict.n_worsened)),
            (LAB.improvedBy, vocab.experiment(conflict.improved.name)),
            (LAB.worsenedBy, vocab.experiment(conflict.worsened.name)),
            (LAB.gain, double(abs(conflict.improved.delta or 0.0))),
            (LAB.loss, double(abs(conflict.worsened.delta or 0.0))),
            *((LAB.differsIn, vocab.knob(knob)) for knob in conflict.differs),
        ],
    )

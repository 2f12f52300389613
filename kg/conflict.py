"""Opposite outcomes of one edit: where it helped, where it hurt, and what differed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

from pyoxigraph import Literal, NamedNode, Quad

from kg import vocab
from kg.board import Board, EvidenceKey, Outcome, Trial
from kg.build import about, double, text
from kg.terms import LAB, RDF
from kg.vocab import Value

Made = tuple[EvidenceKey, Trial]


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
    alone: tuple[bool, bool]  # whether each of the two is isolated
    n_improved: int
    n_worsened: int
    differs: tuple[str, ...]  # knobs that stood differently on the accepted line


def conflict_of(board: Board, tried: Tried, noise: float | None = None) -> Conflict | None:
    """Return the conflict over one edit, None where outcomes agree.

    The pair shown is of isolated attempts if there are any, then of effects beyond the noise,
    then the one that is most alike: the very same edit if there is such a pair, and the two
    nearest in time, because least has changed between them.
    """
    pairs = [pair for pair in trials_about(board, tried) if pair[1].delta is not None]
    good = [pair for pair in pairs if pair[1].outcome == Outcome.IMPROVED]
    bad = [pair for pair in pairs if pair[1].outcome == Outcome.WORSENED]
    if not good or not bad:
        return None
    (helped, improved), (hurt, worsened) = min(
        product(good, bad), key=lambda found: telling(found[0], found[1], noise)
    )
    mine, other = context(board, improved), context(board, worsened)
    differs = sorted(
        knob for knob in mine.keys() | other.keys() if mine.get(knob) != other.get(knob)
    )
    return Conflict(
        tried,
        improved,
        worsened,
        (helped.isolated, hurt.isolated),
        len(good),
        len(bad),
        tuple(knob for knob in differs if knob != tried.knob),
    )


def telling(helped: Made, hurt: Made, noise: float | None) -> tuple[Any, ...]:
    """Return what pairs of a good and a bad attempt are ordered by, the most telling first."""
    good, bad = helped[1], hurt[1]
    combined = (not helped[0].isolated) + (not hurt[0].isolated)
    inside = sum(noise is not None and abs(trial.delta or 0.0) <= noise for trial in (good, bad))
    apart = (good.old, good.new) != (bad.old, bad.new)
    return combined, inside, apart, abs(good.seq - bad.seq), good.order, bad.order


def trials_about(board: Board, tried: Tried) -> list[Made]:
    """Return the trials of an edit, alone or combined, whichever optimizer it touched."""
    keys = board.about.get(tried.knob, ())
    return sorted(
        (
            (key, trial)
            for key in keys
            if (key.direction, key.to) == (tried.direction, tried.to)
            for trial in board.evidence[key]
        ),
        key=lambda pair: (pair[1].order, pair[0]),
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
    """Yield the node of one conflict, nothing where there is none.

    Without the noise, which later experiments tell better: a node holds what is said of it.
    """
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

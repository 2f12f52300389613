"""Opposite outcomes of one edit: where it helped, where it hurt, and what differed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from pyoxigraph import Literal, NamedNode, Quad

from kg import vocab
from kg.board import Board, EvidenceKey, Outcome, Trial
from kg.quads import about, double, text
from kg.terms import LAB, RDF
from kg.vocab import Value

if TYPE_CHECKING:
    from kg.graph import Graph

Made = tuple[EvidenceKey, Trial]


class Tried(NamedTuple):
    """An edit as one speaks of it: a knob, a direction, and a new value if it has no direction."""

    knob: str
    direction: str
    to: str


def tried_of(key: EvidenceKey) -> Tried:
    """Return an edit without what else was true of it."""
    return Tried(key.knob, key.direction, key.to)


# What is said of a pair where no accepted setting stood differently.
SUSPECT_NOISE = "same context: suspect noise"
OTHER_VALUES = "same context, other values: the best may lie between"


class Conflict(NamedTuple):
    """A pair of opposite outcomes of one edit."""

    tried: Tried
    improved: Trial
    worsened: Trial
    alone: tuple[bool, bool]  # whether each of the two is isolated
    n_improved: int
    n_worsened: int
    differs: tuple[str, ...]  # knobs that stood differently on the accepted line

    @property
    def verdict(self) -> str:
        """What the two outcomes come from, apart from the noise where it was measured."""
        return verdict_of(bool(self.differs), same_move(self.improved, self.worsened))


def verdict_of(differs: bool, same_values: bool) -> str:
    """Return what opposite outcomes come from: the context, the values or chance."""
    if differs:
        return "context differs"
    return SUSPECT_NOISE if same_values else OTHER_VALUES


def same_move(one: Trial, other: Trial) -> bool:
    """Tell whether two trials took their knob from and to the same values."""
    return one.new == other.new and one.old == other.old


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
        product(most_telling(good, noise), most_telling(bad, noise)), key=closeness
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


def told_conflict(graph: Graph, board: Board, tried: Tried, noise: float | None) -> Conflict | None:
    """Return a conflict as answers tell it: what only follows from other settings differs not.

    Where the width follows from the depth, so do the heads: 8 to 9 and 9 to 10 layers, tried one
    after the other, have the same context.
    """
    found = conflict_of(board, tried, noise)
    if found is None or not found.differs:
        return found
    rows = [board.names[trial.name] for trial in (found.improved, found.worsened)]
    follow = set.union(*(graph.follow(row.compared) for row in rows))
    return found._replace(differs=tuple(knob for knob in found.differs if knob not in follow))


def most_telling(pairs: list[Made], noise: float | None) -> list[Made]:
    """Return the isolated attempts if there are any, and of those the ones beyond the noise."""
    alone = [pair for pair in pairs if pair[0].isolated] or pairs
    return [p for p in alone if noise is None or abs(p[1].delta or 0.0) > noise] or alone


def closeness(pair: tuple[Made, Made]) -> tuple[bool, int, tuple[int, str], tuple[int, str]]:
    """Return how far apart a good and a bad attempt are, the smallest first."""
    (_, good), (_, bad) = pair
    return not same_move(good, bad), abs(good.seq - bad.seq), good.order, bad.order


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

"""Sweeps: runs of experiments that explored one knob in a row."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import NamedTuple

from pyoxigraph import Literal, NamedNode, Quad

from kg import vocab
from kg.board import SEED, Board, Row
from kg.quads import about
from kg.terms import LAB, RDF

SHORTEST = 3  # two in a row are a correction, not a sweep


class Sweep(NamedTuple):
    """A run of attempts, each of which edited one knob."""

    knob: str
    rows: tuple[Row, ...]


def open_sweeps(board: Board) -> Iterator[Sweep]:
    """Yield the sweeps that end at the latest attempt."""
    attempts = board.attempts
    if not attempts:
        return
    for knob in sorted(ideas(board, attempts[-1])):
        run = []
        for row in reversed(attempts):
            if all(key.knob != knob for key, _ in board.pairs.get(row.name, ())):
                break
            run.append(row)
        if len(run) >= SHORTEST:
            yield Sweep(knob, tuple(reversed(run)))


def sweeps(board: Board, rows: Iterable[Row]) -> list[Sweep]:
    """Return all sweeps among rows, in the order of their first experiments."""
    running: dict[str, list[Row]] = {}
    found: list[Sweep] = []
    for row in rows:
        if not row.attempt:
            continue
        knobs = ideas(board, row)
        found += [Sweep(k, tuple(run)) for k, run in running.items() if k not in knobs]
        running = {knob: [*running.get(knob, ()), row] for knob in sorted(knobs)}
    found += [Sweep(knob, tuple(run)) for knob, run in running.items()]
    long = [sweep for sweep in found if len(sweep.rows) >= SHORTEST]
    return sorted(long, key=lambda sweep: (sweep.rows[0].order, sweep.knob))


def ideas(board: Board, row: Row) -> set[str]:
    """Return the knobs an experiment edited, but for the seed: trying seeds explores nothing."""
    return {key.knob for key, _ in board.pairs.get(row.name, ()) if key.knob != SEED}


def sweep_quads(
    campaign: NamedNode, board: Board, knobs: Container[str] | None = None
) -> Iterator[Quad]:
    """Yield the sweeps that are still going on; earlier ones do not change any more."""
    for sweep in open_sweeps(board):
        if knobs is not None and sweep.knob not in knobs:
            continue
        first, last = sweep.rows[0], sweep.rows[-1]
        node = vocab.part(campaign, "sweep", sweep.knob, first.name)
        yield from about(
            node,
            [
                (RDF.type_, LAB.Sweep),
                (LAB.sweepIn, campaign),
                (LAB.knob, vocab.knob(sweep.knob)),
                (LAB.fromSeq, Literal(first.entry.seq)),
                (LAB.untilSeq, Literal(last.entry.seq)),
                (LAB.trials, Literal(len(sweep.rows))),
                *((LAB.member, vocab.experiment(row.name)) for row in sweep.rows),
            ],
        )

"""A campaign's board read back from the graph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyoxigraph import NamedNode, Store

from kg import vocab
from kg.board import Board, Entry, EvidenceKey, Regime, Row, Trial, in_order
from kg.entries import as_told
from kg.packed import evidence_key, unpack_rows, unpack_trials
from kg.terms import KNOBS, LAB, PROV
from kg.vocab import Value, name_of, python

Counted = dict[str, list[tuple[EvidenceKey, Trial]]]


def subjects(store: Store, predicate: NamedNode, value: NamedNode) -> list[Any]:
    """Return the nodes that point to another."""
    return [quad.subject for quad in store.quads_for_pattern(None, predicate, value)]


def texts(store: Store, node: NamedNode, predicate: NamedNode) -> list[str]:
    """Return the literals of a node."""
    found: list[Any] = [quad.object for quad in store.quads_for_pattern(node, predicate, None)]
    return [literal.value for literal in found]


def pairs(store: Store, predicate: NamedNode) -> Iterator[tuple[Any, Any]]:
    """Yield subject and object of every triple of a predicate.

    A query does not decode the predicate of each: 8 us a triple and not 13.
    """
    found: Any = store.query(f"SELECT ?s ?o {{ ?s {predicate} ?o }}")
    for solution in found:
        yield solution[0], solution[1]


def load_board(store: Store, tag: str) -> Board:
    """Return the board of a campaign."""
    campaign = vocab.campaign(tag)
    counted = load_trials(store, campaign)
    board = Board(tag, threshold=load_threshold(store, campaign))
    for row in load_rows(store, campaign):
        board.note(row)
        board.count(row, counted.get(row.name, ()))
    board.later = lambda: load_regimes(store, campaign)
    return board


def cut(board: Board, until: int) -> Board:
    """Return a board as it was after experiment ``until``."""
    early = Board(board.campaign, threshold=board.threshold)
    for row in board.rows:
        if row.entry.seq > until:
            break
        early.note(row)
        early.count(row, board.pairs.get(row.name, ()))
    early.later = lambda: [
        regime.as_of(until)
        for regimes in board.regimes.values()
        for regime in regimes
        if regime.since <= until
    ]
    return early


def load_threshold(store: Store, campaign: NamedNode) -> float | None:
    """Return what an effect must exceed by a measurement, None where there was none."""
    found = texts(store, campaign, LAB.noiseThreshold)
    return float(found[0]) if found else None


def load_rows(store: Store, campaign: NamedNode) -> list[Row]:
    """Return the log of a campaign in order, in 9 ms for 1,000 experiments."""
    found: Any = store.query(f"SELECT ?row {{ {campaign} {LAB.logRow} ?row }}")
    rows = unpack_rows(solution[0].value for solution in found)
    return sorted(rows, key=lambda row: row.entry[:2])


def load_trials(store: Store, campaign: NamedNode) -> Counted:
    """Return the trials of a campaign by the experiment they were made in."""
    packed: Any = store.query(  # each key's in one piece, which decodes in half the time
        f"""SELECT ?key (GROUP_CONCAT(STR(?trial); separator=",") AS ?trials)
            {{ ?key {LAB.evidenceIn} {campaign} ; {LAB.trial} ?trial }} GROUP BY ?key"""
    )
    found: Counted = {}
    for node, trials in packed:
        key = evidence_key(node)
        for trial in unpack_trials([trials.value]):
            found.setdefault(trial.name, []).append((key, trial))
    return {name: in_order(t) if len(t) > 1 else t for name, t in found.items()}


def load_regimes(store: Store, campaign: NamedNode) -> list[Regime]:
    """Return the regimes of a campaign, the earliest first."""
    regimes = [load_regime(store, node) for node in subjects(store, LAB.regimeIn, campaign)]
    return sorted(regimes, key=lambda regime: (regime.since, regime.by, regime.knob))


def load_regime(store: Store, node: NamedNode) -> Regime:
    """Return one regime."""
    found: dict[NamedNode, Any] = {
        quad.predicate: quad.object for quad in store.quads_for_pattern(node, None, None)
    }
    ended = found.get(PROV.wasInvalidatedBy)
    until = found.get(LAB.untilSeq)
    return Regime(
        knob=name_of(found[LAB.knob]),
        value=python(found[LAB.held]),
        since=int(found[LAB.fromSeq].value),
        by=name_of(found[PROV.wasGeneratedBy]),
        until=int(until.value) if until is not None else None,
        ended_by=name_of(ended) if ended is not None else None,
    )


def load_settings(store: Store, name: str) -> tuple[tuple[str, Value], ...]:
    """Return the effective configuration of an experiment, by knob."""
    found = [
        (name_of(quad.predicate), python(quad.object))
        for quad in store.quads_for_pattern(vocab.experiment(name), None, None)
        if quad.predicate.value.startswith(KNOBS)
    ]
    return tuple(sorted(found))


def entries_of(board: Board) -> Iterator[Entry]:
    """Yield what a board was made of, to make it anew in another order."""
    for row in board.rows:
        pairs = board.pairs.get(row.name, ())
        tries = tuple(as_told(key, trial) for key, trial in pairs)
        settings = None if row.entry.lost else board.settings(row)
        yield row.entry._replace(tries=tries, settings=settings)

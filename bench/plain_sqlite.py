"""A SQL table as a peer: the experiments of one memory in SQLite, in memory and indexed.

The tables hold what was told and what follows from it step by step (outcome, delta, a regime's
end, the noise of a campaign), as the graph does; no table holds an answer. Settings are those of
the campaigns asked about, and of all experiments that of one knob: 28 an experiment would be
2.8 million rows at 100,000.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from kg import vocab
from kg.board import Board, Row
from kg.graph import Graph, plain
from kg.load import pairs
from kg.memory import Memory
from kg.terms import DCT, LAB

TABLES = """
CREATE TABLE experiment (id INTEGER PRIMARY KEY, name TEXT, campaign TEXT, seq INTEGER, status TEXT,
  value REAL, outcome TEXT, delta REAL, parent TEXT, compared TEXT, agent TEXT, task TEXT,
  metric TEXT, seconds REAL, program TEXT, expected REAL, hypothesis TEXT, description TEXT, held);
CREATE TABLE trial (experiment INTEGER, campaign TEXT, seq INTEGER, component TEXT, knob TEXT,
  direction TEXT, goal TEXT, alone INTEGER, old, new, outcome TEXT, delta REAL);
CREATE TABLE regime (campaign TEXT, knob TEXT, value, since INTEGER, until INTEGER);
CREATE TABLE setting (experiment INTEGER, knob TEXT, value);
CREATE TABLE idle (experiment INTEGER, knob TEXT, why TEXT);
CREATE TABLE link (this TEXT, relation TEXT, other TEXT);
CREATE TABLE campaign (name TEXT, noise REAL);
CREATE TABLE component (knob TEXT, component TEXT);
"""
INDICES = """
CREATE UNIQUE INDEX named ON experiment (name);
CREATE INDEX kept ON experiment (status, campaign, value);
CREATE INDEX holding ON experiment (held);
CREATE INDEX campaigns ON experiment (campaign, seq);
CREATE INDEX children ON experiment (parent);
CREATE INDEX tried ON trial (knob, campaign, seq);
CREATE INDEX made ON trial (experiment, knob, direction, goal, outcome, delta);
CREATE INDEX ended ON trial (campaign, knob, direction, goal, outcome);
CREATE INDEX held ON regime (knob, campaign, since);
CREATE INDEX course ON regime (campaign, knob, since);
CREATE INDEX settings ON setting (experiment, knob);
CREATE INDEX idles ON idle (experiment, knob);
CREATE INDEX links ON link (this);
CREATE INDEX linked ON link (other);
CREATE INDEX tags ON campaign (name);
CREATE INDEX components ON component (knob);
ANALYZE;
"""
RELATIONS = (LAB.reverts, LAB.repeats)
Rows = Iterator[tuple[Any, ...]]


def in_sqlite(memory: Memory, knob: str, tag: str) -> sqlite3.Connection:
    """Return the same experiments in tables: a knob of all of them, every knob of a campaign."""
    graph = memory.graph()
    base = sqlite3.connect(":memory:")
    base.executescript(TABLES)
    held = told(graph, vocab.knob(knob))
    about = told(graph, DCT.description)
    numbers: dict[str, int] = {}
    for name in graph.campaigns():
        board = graph.board(name)
        for row in board.rows:
            numbers[row.name] = len(numbers)
        fill(base, "experiment", experiments(board, numbers, held, about))
        fill(base, "trial", trials(board, numbers))
        spans = (span for found in board.regimes.values() for span in found)
        fill(base, "regime", ((name, s.knob, s.value, s.since, s.until) for s in spans))
        fill(base, "campaign", [(name, board.noise)])
    fill(base, "setting", settings(graph, graph.board(tag), numbers))
    for why in (LAB.inert, LAB.follows):
        found = pairs(graph.store, why)
        rows = ((numbers[plain(node)], plain(term), plain(why)) for node, term in found)
        fill(base, "idle", rows)
    for relation in RELATIONS:
        found = pairs(graph.store, relation)
        fill(base, "link", ((plain(this), plain(relation), plain(other)) for this, other in found))
    knobs = {plain(node) for node, _ in pairs(graph.store, LAB.inComponent)}
    fill(base, "component", ((name, graph.component(name)) for name in sorted(knobs)))
    base.executescript(INDICES)
    return base


def told(graph: Graph, predicate: Any) -> dict[str, Any]:
    """Return what is said of each thing under a predicate, by the thing's IRI."""
    return {node.value: plain(term) for node, term in pairs(graph.store, predicate)}


def fill(base: sqlite3.Connection, table: str, rows: Any) -> None:
    """Insert rows into a table."""
    width = len(base.execute(f"SELECT * FROM {table} LIMIT 0").description)
    base.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * width)})", rows)


def experiments(
    board: Board, numbers: dict[str, int], held: dict[str, Any], about: dict[str, Any]
) -> Rows:
    """Yield the experiments of a campaign."""
    for row in board.rows:
        node = vocab.experiment(row.name)
        guess = about.get(vocab.part(node, "hypothesis").value)
        texts = (guess, about.get(node.value))
        yield (numbers[row.name], *own(board, row), *texts, held.get(node.value))


def own(board: Board, row: Row) -> tuple[Any, ...]:
    """Return what a board knows of an experiment."""
    entry = row.entry
    course = (entry.seq, entry.status, entry.value, row.outcome, row.delta)
    whose = (entry.parent, row.compared, entry.agent, entry.task, entry.scale.metric)
    more = (entry.seconds, entry.fingerprint, entry.expected)
    return (row.name, board.campaign, *course, *whose, *more)


def trials(board: Board, numbers: dict[str, int]) -> Rows:
    """Yield the edits of the attempts of a campaign."""
    for key, found in board.evidence.items():
        edit = (key.component, key.knob, key.direction, key.to, key.isolated)
        for trial in found:
            place = (numbers[trial.name], board.campaign, trial.seq)
            yield (*place, *edit, trial.old, trial.new, trial.outcome, trial.delta)


def settings(graph: Graph, board: Board, numbers: dict[str, int]) -> Rows:
    """Yield the effective configurations of the experiments of a campaign."""
    for row in board.rows:
        for knob, value in graph.settings(row.name).items():
            yield numbers[row.name], knob, value

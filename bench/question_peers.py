"""Every question put to a SQL table and to plain rdflib over the same experiments.

SQLite holds its tables in memory, with integer keys and indices. rdflib holds a Graph in memory
and answers with its own engine. Both hold only the columns and predicates that these questions
need, and give only the columns compared; ours has all of them in a store on disk, and keeps what
it worked out of a campaign or of all until something is added (`first` is without that). What does
not give our rows is marked, so that nothing is compared that is not the same answer.
"""

from __future__ import annotations

import math
import sqlite3
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.peer_questions import FLEET, KNOB, PEERS, Peer, asked_with, sparql, sql
from bench.plain_rdflib import PlainRdflib, plain_rdflib
from bench.plain_sqlite import in_sqlite
from kg import vocab
from kg.memory import Memory, open_memory

PATIENCE = 20.0  # seconds a query of rdflib may take
DIGITS = 1e-8  # relative: what a sum of binary fractions may be off by
HEAD = (
    f"{'question':<16}{'about':<10}{'rows':>5}{'first ms':>10}{'ours ms':>9}"
    f"{'SQLite ms':>11}{'rdflib ms':>12}{'SQLite/ours':>13}{'rdflib/ours':>13}"
)
Rows = list[tuple[Any, ...]]


@dataclass(slots=True)
class Laboratory:
    """One memory and its peers."""

    memory: Memory
    base: sqlite3.Connection
    peer: PlainRdflib
    given: dict[str, str]  # what the questions are asked with


def compare(memory: Memory, directory: Path, slow: set[tuple[str, str]]) -> None:
    """Print the questions beside their peers.

    ``slow`` are those that rdflib did not answer in time about fewer experiments: this memory
    holds the same and more, so they are not asked again.
    """
    tags = memory.graph().campaigns()
    given = asked_with(memory.graph(), tags[0])
    base = in_sqlite(memory, KNOB, tags[0])
    nodes = tuple(str(vocab.experiment(given[name])) for name in ("a", "b"))
    with plain_rdflib(directory, (str(vocab.knob(KNOB)),), nodes) as peer:
        print(
            f"beside SQLite {sqlite3.sqlite_version} (in memory, indexed) and plain rdflib"
            f" {version('rdflib')} (in memory, only the {peer.triples:,} triples these questions"
            f" need, loaded in {peer.seconds:.0f} s, given up after {PATIENCE:.0f} s a query);"
            f" ours: pyoxigraph {version('pyoxigraph')}, on disk; first: with nothing kept"
        )
        print(HEAD)
        laboratory = Laboratory(memory, base, peer, given)
        for question in PEERS:
            for about in question.about(len(tags) > 1):
                line(laboratory, directory, question, about, slow)


def line(
    laboratory: Laboratory,
    directory: Path,
    question: Peer,
    about: str,
    slow: set[tuple[str, str]],
) -> None:
    """Print one question, asked about one campaign, about all, or about experiments by name."""
    cold, _ = once(lambda: ours(open_memory(directory), question, about, laboratory.given))
    known, wanted = clocked(lambda: ours(laboratory.memory, question, about, laboratory.given))
    sql_ms, sql_rows = clocked(lambda: in_sql(laboratory, question, about))
    cells = [f"{len(wanted):5}", f"{cold:10.1f}", f"{known:9.2f}", f"{sql_ms:11.2f}"]
    ratios = [f"{times(sql_ms / known):>13}"]
    differing = [] if same(sql_rows, wanted) else ["SQLite"]
    key = (question.name, about)
    text = sparql(question, about, laboratory.given)
    found = None if key in slow else laboratory.peer.ask(text, PATIENCE)
    if found is None:
        slow.add(key)
        cells.append(f"{f'> {PATIENCE:.0f} s':>12}")
        ratios.append(f"{'> ' + times(PATIENCE * 1000 / known):>13}")
    else:
        cells.append(f"{found[0]:12.1f}")
        ratios.append(f"{times(found[0] / known):>13}")
        differing += [] if same(found[1], wanted) else ["rdflib"]
    notes = [f"differs: {', '.join(differing)}"] if differing else []
    notes += [f"peers: {question.lacks}"] if question.lacks else []
    tail = "  " + "; ".join(notes) if notes else ""
    print(f"{question.name:<16}{about:<10}{''.join(cells + ratios)}{tail}", flush=True)


def ours(memory: Memory, question: Peer, about: str, given: dict[str, str]) -> Rows:
    """Return our answer in the columns that are compared."""
    arguments = {name: given[name] for name in question.arguments}
    campaign = None if about == FLEET else given["campaign"]
    rows = memory.ask(question.name, arguments, campaign=campaign).rows
    return [tuple(row[name] for name in question.compared(about)) for row in rows]


def in_sql(laboratory: Laboratory, question: Peer, about: str) -> Rows:
    """Return the answer of SQLite."""
    return laboratory.base.execute(sql(question, about), laboratory.given).fetchall()


def times(ratio: float) -> str:
    """Return a ratio in two digits, without an exponent."""
    return f"{float(f'{ratio:.2g}'):,g}"


def same(found: Rows, wanted: Rows) -> bool:
    """Tell whether a peer found our rows; it may give more columns, which are not compared."""
    width = len(wanted[0]) if wanted else 0
    return len(found) == len(wanted) and all(
        all(map(equal, theirs[:width], mine)) for theirs, mine in zip(found, wanted, strict=True)
    )


def equal(theirs: Any, mine: Any) -> bool:
    """Tell whether two cells are one answer: numbers to eight digits, empty texts as nothing."""
    left, right = words(theirs), words(mine)
    return len(left) == len(right) and all(map(alike, left, right))


def words(cell: Any) -> list[str]:
    """Return the words of a cell; peers write a list as its members with spaces between."""
    members = cell if isinstance(cell, list) else [cell]
    told = [int(one) if isinstance(one, bool) else one for one in members if one is not None]
    return " ".join(map(str, told)).split()


def alike(one: str, other: str) -> bool:
    """Tell whether two words are one, or one number."""
    if one == other:
        return True
    try:
        return math.isclose(float(one), float(other), rel_tol=DIGITS)
    except ValueError:
        return False


def once(ask: Callable[[], Any]) -> tuple[float, Any]:
    """Return the milliseconds of a call, and what it returns."""
    begun = time.perf_counter()
    found = ask()
    return (time.perf_counter() - begun) * 1000, found


def clocked(ask: Callable[[], Any], repeat: int = 5) -> tuple[float, Any]:
    """Return the median milliseconds of a call that was made before, and what it returns."""
    found = ask()
    return statistics.median(once(ask)[0] for _ in range(repeat)), found

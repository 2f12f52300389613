"""The same questions put to a SQL table and to plain rdflib over the same experiments.

SQLite holds its tables in memory, with integer keys and an index for each question. rdflib holds
a Graph in memory and answers with its own engine. Both hold only the columns and predicates that
these questions need, and give only the columns compared; ours has all of them in a store on disk.
What does not give our rows is marked, so that nothing is compared that is not the same answer.
"""

from __future__ import annotations

import sqlite3
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.plain_rdflib import PlainRdflib, plain_rdflib
from kg import vocab
from kg.fold import number_of
from kg.load import pairs
from kg.memory import Memory

PATIENCE = 60.0  # seconds a query of rdflib may take
KNOB = "optimizer.matrix_lr"
Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Peer:
    """One question in SQL and in SPARQL.

    ``{scope}`` is what narrows it to a campaign, nothing over all of them; ``{edit}`` are the
    changes of the knob asked about.
    """

    name: str
    columns: str  # of our answer that are compared, in the order of both queries
    sql: str
    sparql: str
    arguments: dict[str, str] = field(default_factory=dict)


EDIT = """?change lab:changeOf ?e ; lab:knob ?k ; lab:direction ?d .
  ?e lab:outcome ?o FILTER(?o != "interrupted")
  OPTIONAL { ?change lab:newValue ?new }
  BIND(IF(?d IN ("increase", "decrease") || !BOUND(?new), "", STR(?new)) AS ?to)"""
NUMBERS = """SUM(IF(?o = "improved", 1, 0))"""

PEERS = (
    Peer(
        "best",
        "experiment value",
        """SELECT name, MIN(value) FROM experiment t WHERE status = 'keep' {scope}
           GROUP BY campaign ORDER BY 2, 1 LIMIT 5""",
        """SELECT ?e ?best {
             { SELECT ?c (MIN(?v) AS ?best) { {scope} ?e lab:inCampaign ?c ;
               lab:status lab:keep ; lab:value ?v } GROUP BY ?c }
             ?e lab:value ?best ; lab:inCampaign ?c ; lab:status lab:keep .
           } ORDER BY ?best ?e LIMIT 5""",
    ),
    Peer(
        "attempts",
        "experiment direction outcome delta new",
        """SELECT name, direction, t.outcome, t.delta, new
           FROM trial t JOIN experiment ON id = t.experiment WHERE knob = :knob {scope}
           ORDER BY t.campaign, seq, direction LIMIT 200""",
        """SELECT ?e ?d ?o ?delta ?new { {scope} {edit}
             ?change lab:direction ?d ; lab:newValue ?new .
             ?e lab:outcome ?o FILTER(?o != "interrupted")
             OPTIONAL { ?e lab:delta ?delta }
           } ORDER BY ?e ?d LIMIT 200""",
        {"knob": KNOB},
    ),
    Peer(
        "dead-ends",
        "knob direction to n",
        """SELECT knob, direction, goal, COUNT(*) FROM trial t
           WHERE outcome <> 'unknown' AND knob <> 'other.seed' {scope}
           GROUP BY knob, direction, goal
           HAVING SUM(outcome = 'improved') = 0 AND COUNT(*) >= 2
           ORDER BY 4 DESC, 1, 2, 3 LIMIT 50""",
        """SELECT ?k ?d ?to (COUNT(*) AS ?n) { {scope} """
        + EDIT
        + """ FILTER(?o != "unknown" && ?k != knob:other.seed) }
           GROUP BY ?k ?d ?to HAVING ("""
        + NUMBERS
        + """ = 0 && COUNT(*) >= 2)
           ORDER BY DESC(?n) ?k ?d ?to LIMIT 50""",
    ),
    Peer(
        "improved-while",
        "knob direction to improved n",
        """SELECT knob, direction, goal, SUM(t.outcome = 'improved') AS good,
             SUM(t.outcome <> 'unknown'), AVG(t.delta), MIN(t.delta)
           FROM experiment JOIN trial t ON id = t.experiment WHERE held > 0.01 {scope}
           GROUP BY knob, direction, goal HAVING good > 0 ORDER BY 4 DESC, 1, 2, 3 LIMIT 50""",
        """SELECT ?k ?d ?to ("""
        + NUMBERS
        + """ AS ?good)
             (SUM(IF(?o = "unknown", 0, 1)) AS ?n) (AVG(?delta) AS ?mean) (MIN(?delta) AS ?low) {
             {scope} ?e knob:optimizer.matrix_lr ?held FILTER(?held > 0.01)
             """
        + EDIT
        + """ OPTIONAL { ?e lab:delta ?delta } }
           GROUP BY ?k ?d ?to HAVING ("""
        + NUMBERS
        + """ > 0)
           ORDER BY DESC(?good) ?k ?d ?to LIMIT 50""",
        {"knob": KNOB, "value": ">0.01"},
    ),
    Peer(
        "timeline",
        "value from_seq",
        """SELECT value, since FROM regime t WHERE knob = :knob {scope}
           ORDER BY campaign, since LIMIT 200""",
        """SELECT ?value ?since { {scope} ?r lab:regimeIn ?c ; lab:knob ?k ; lab:held ?value ;
             lab:fromSeq ?since FILTER(?k = knob:optimizer.matrix_lr) }
           ORDER BY ?c ?since LIMIT 200""",
        {"knob": KNOB},
    ),
)


def compare(memory: Memory, directory: Path, slow: set[tuple[str, str]]) -> None:
    """Print the questions beside their peers.

    ``slow`` are those that rdflib did not answer in time about fewer experiments: this memory
    holds the same and more, so they are not asked again.
    """
    tag = memory.graph().campaigns()[0]
    base = in_sqlite(memory)
    with plain_rdflib(directory, (str(vocab.knob(KNOB)),)) as peer:
        print(
            f"beside SQLite {sqlite3.sqlite_version} (in memory, indexed) and plain rdflib"
            f" {version('rdflib')} (in memory, only the {peer.triples:,} triples these questions"
            f" need, loaded in {peer.seconds:.0f} s); ours: pyoxigraph {version('pyoxigraph')},"
            " on disk"
        )
        print(f"{'question':<16}{'about':<10}{'ours ms':>9}{'SQLite ms':>11}{'rdflib ms':>12}"
              f"{'SQLite/ours':>13}{'rdflib/ours':>13}")  # fmt: skip
        for question in PEERS:
            for scope in (tag, None):
                line(memory, base, peer, question, scope, slow)


def line(
    memory: Memory,
    base: sqlite3.Connection,
    peer: PlainRdflib,
    question: Peer,
    tag: str | None,
    slow: set[tuple[str, str]],
) -> None:
    """Print one question about one campaign or about all."""
    about = "campaign" if tag else "fleet"
    ours, rows = clocked(lambda: memory.ask(question.name, question.arguments, campaign=tag).rows)
    wanted = [tuple(row[name] for name in question.columns.split()) for row in rows]
    sql_ms, sql_rows = clocked(lambda: base.execute(*sql(question, tag)).fetchall())
    cells = [f"{ours:9.2f}", f"{sql_ms:11.2f}"]
    ratios = [f"{times(sql_ms / ours):>13}"]
    differing = [] if same(sql_rows, wanted) else ["SQLite"]
    key = (question.name, about)
    found = None if key in slow else peer.ask(sparql(question, tag), PATIENCE)
    if found is None:
        slow.add(key)
        cells.append(f"{f'> {PATIENCE:.0f} s':>12}")
        ratios.append(f"{'> ' + times(PATIENCE * 1000 / ours):>13}")
    else:
        cells.append(f"{found[0]:12.1f}")
        ratios.append(f"{times(found[0] / ours):>13}")
        differing += [] if same(found[1], wanted) else ["rdflib"]
    note = f"  differs: {', '.join(differing)}" if differing else ""
    print(f"{question.name:<16}{about:<10}{''.join(cells + ratios)}{note}", flush=True)


def times(ratio: float) -> str:
    """Return a ratio in two digits, without an exponent."""
    return f"{float(f'{ratio:.2g}'):,g}"


def sql(question: Peer, tag: str | None) -> tuple[str, dict[str, str]]:
    """Return a question in SQL with its values."""
    values = {"knob": KNOB, "campaign": tag or ""}
    return question.sql.replace("{scope}", "AND t.campaign = :campaign" if tag else ""), values


def sparql(question: Peer, tag: str | None) -> str:
    """Return a question in SPARQL, in the shape rdflib answers fastest.

    The scope is a query of its own and the knob a filter after it: rdflib orders the patterns of
    one group by how many of their ends are known, and would pair every experiment of the campaign
    with every change of the knob (1.5 s at 1,000 experiments, 0.3 s this way).
    """
    node, link = ("?r", "regimeIn") if "?r " in question.sparql else ("?e", "inCampaign")
    scope = f"{{ SELECT {node} {{ {node} lab:{link} {vocab.campaign(tag)} }} }}" if tag else ""
    edit = (
        f"?change lab:changeOf ?e ; lab:knob ?k . FILTER(?k = {vocab.knob(KNOB)})"
        if tag
        else f"?change lab:knob {vocab.knob(KNOB)} ; lab:changeOf ?e ."
    )
    return question.sparql.replace("{scope}", scope).replace("{edit}", edit)


def same(found: Rows, wanted: Rows) -> bool:
    """Tell whether a peer found our rows; it may give more columns, which are not compared."""
    width = len(wanted[0]) if wanted else 0
    return [shown(row[:width]) for row in found] == [shown(row) for row in wanted]


def shown(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a row with nothing for empty texts, and numbers to nine digits."""
    return tuple(
        f"{number:.9g}" if (number := number_of(cell)) is not None else cell or None for cell in row
    )


def clocked(ask: Callable[[], Any], repeat: int = 5) -> tuple[float, Any]:
    """Return the median milliseconds of a call that was made before, and what it returns."""
    found, times = ask(), []
    for _ in range(repeat):
        begun = time.perf_counter()
        ask()
        times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times), found


TABLES = """
CREATE TABLE experiment (id INTEGER PRIMARY KEY, name, campaign, seq, status, value, held);
CREATE TABLE trial (experiment, campaign, knob, direction, goal, outcome, delta, new);
CREATE TABLE regime (campaign, knob, value, since);
"""
INDICES = """
CREATE INDEX kept ON experiment (status, campaign, value);
CREATE INDEX holding ON experiment (held);
CREATE INDEX campaigns ON experiment (campaign, held);
CREATE INDEX tried ON trial (knob, campaign);
CREATE INDEX made ON trial (experiment, knob, direction, goal, outcome, delta);
CREATE INDEX ended ON trial (campaign, knob, direction, goal, outcome);
CREATE INDEX held ON regime (knob, campaign, since);
ANALYZE;
"""


def in_sqlite(memory: Memory) -> sqlite3.Connection:
    """Return the same experiments in tables."""
    graph = memory.graph()
    base = sqlite3.connect(":memory:")
    base.executescript(TABLES)
    held = {node.value: float(term.value) for node, term in pairs(graph.store, vocab.knob(KNOB))}
    numbers: dict[str, int] = {}
    for tag in graph.campaigns():
        board = graph.board(tag)
        for row in board.rows:
            numbers[row.name] = len(numbers)
            known = (numbers[row.name], row.name, tag, row.entry.seq, row.entry.status)
            setting = held.get(vocab.experiment(row.name).value)
            more = (row.entry.value, setting)
            base.execute("INSERT INTO experiment VALUES (?,?,?,?,?,?,?)", (*known, *more))
        base.executemany(
            "INSERT INTO trial VALUES (?,?,?,?,?,?,?,?)",
            (
                (numbers[t.name], tag, k.knob, k.direction, k.to, t.outcome, t.delta, t.new)
                for k, trials in board.evidence.items()
                for t in trials
            ),
        )
        base.executemany(
            "INSERT INTO regime VALUES (?,?,?,?)",
            ((tag, r.knob, r.value, r.since) for spans in board.regimes.values() for r in spans),
        )
    base.executescript(INDICES)
    return base

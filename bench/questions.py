"""What a question costs at 1,000, 10,000 and 100,000 experiments, and one experiment added.

The campaigns are made up (bench/synthetic.py). To make 100,000 experiments in minutes, ten
campaigns are read from source and told again under other names. Beside it: three questions
over the same facts in SQLite with indices, and in plain rdflib at the smallest size.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from bench.synthetic import campaign
from kg import ingest, store
from kg.facts import Facts
from kg.memory import Memory, open_memory
from kg.query import PREFIXES, questions

SIZE = 1000  # experiments a campaign
READ = 10  # campaigns that are read from source
BAR_SCOPED, BAR_FLEET, BAR_ADD = 20.0, 31.0, 50.0  # ms


def main() -> None:
    """Print the latencies of every question at each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--repeat", type=int, default=40)
    options = parser.parse_args()
    tags = [f"c{index:03d}" for index in range(min(READ, max(options.sizes) // SIZE))]
    records = itertools.chain.from_iterable(campaign(tag, SIZE) for tag in tags)
    stream, workers = ingest.stream_workers(records)
    facts: dict[str, list[Facts]] = {}
    for one in ingest.understand(stream, None, workers):
        facts.setdefault(one.record.campaign, []).append(one)
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as directory:
            measure(Path(directory), facts, size, options.repeat)


def measure(directory: Path, facts: dict[str, list[Facts]], size: int, repeat: int) -> None:
    """Build a memory of a size and ask it everything."""
    seconds = written(directory, facts, size)
    disk = sum(path.stat().st_size for path in (directory / "store").resolve().iterdir())
    print(f"\n{size} experiments: written in {seconds:.0f} s, {disk / 1e6:.0f} MB on disk")
    memory = open_memory(directory)
    tags = memory.graph().campaigns()
    scoped = {name: timed(memory, name, tags, repeat, True) for name in questions()}
    fleet = {name: timed(memory, name, tags, max(repeat // 4, 5), False) for name in questions()}
    print(f"{'question':<16}{'campaign p50':>14}{'p95':>8}{'fleet p50':>12}{'p95':>8}  (ms, warm)")
    for name in questions():
        print(f"{name:<16}{row(scoped[name], 14, 8)}{row(fleet[name], 12, 8)}")
    for title, found, bar in (("campaign", scoped, BAR_SCOPED), ("fleet", fleet, BAR_FLEET)):
        everything = sorted(itertools.chain.from_iterable(found.values()))
        worst = max(percentile(times, 95) for times in found.values())
        print(f"{title}: p95 of all {percentile(everything, 95):.1f} ms, worst question's p95 "
              f"{worst:.1f} ms (bar: {bar:.0f})")  # fmt: skip
    print(f"first question about a campaign: {first(directory, tags):.0f} ms")
    print(f"one experiment added: {added(memory, facts):.0f} ms (bar at 10,000: {BAR_ADD:.0f})")
    peers(memory, size)


def written(directory: Path, facts: dict[str, list[Facts]], size: int) -> float:
    """Build a memory; return the seconds it took."""
    begun = time.perf_counter()
    with store.replacing(directory) as graph:
        ingest.build(graph, told(facts, size))
    return time.perf_counter() - begun


def told(facts: dict[str, list[Facts]], size: int) -> Iterator[Facts]:
    """Yield so many experiments, the campaigns that were read and then these under new names."""
    names = list(facts)
    for index in range(size // SIZE):
        tag, new = names[index % len(names)], f"c{index:03d}"
        yield from (renamed(one, tag, new) for one in facts[tag])


def renamed(facts: Facts, tag: str, new: str) -> Facts:
    """Return an experiment as one of another campaign."""
    if tag == new:
        return facts
    record = facts.record
    parent = record.parent.replace(tag, new) if record.parent else None
    commit = f"{int(new[1:]):03x}" + record.commit[3:]
    name = record.name.replace(tag, new)
    record = replace(record, name=name, campaign=new, parent=parent, commit=commit)
    return replace(facts, record=record, digest=f"{hash(name) & (2**64 - 1):032x}")


def arguments(name: str, tag: str) -> dict[str, str]:
    """Return what a question is asked with."""
    known = {
        "knob": "optimizer.matrix_lr",
        "value": ">0.01",
        "switch": "model.depth",
        "a": f"{tag}-0002",
        "b": f"{tag}-0900",
        "experiment": f"{tag}-0009",
    }
    return {a.name: known[a.name] for a in questions()[name].arguments if a.required}


def timed(memory: Memory, name: str, tags: list[str], repeat: int, scoped: bool) -> list[float]:
    """Return the milliseconds of each asking, after one about each campaign in question."""
    chance = random.Random(name)
    chosen = [chance.choice(tags) for _ in range(repeat)]
    times = []
    for warm in (True, False):
        for tag in dict.fromkeys(chosen) if warm else chosen:
            begun = time.perf_counter()
            memory.ask(name, arguments(name, tag), campaign=tag if scoped else None)
            times.append((time.perf_counter() - begun) * 1000)
            if warm and not scoped:
                break
        if warm:
            times.clear()
    return times


def first(directory: Path, tags: list[str]) -> float:
    """Return the median milliseconds of the first question about a campaign."""
    times = []
    for tag in tags[:10]:
        memory = open_memory(directory)
        memory.graph()
        begun = time.perf_counter()
        memory.ask("attempts", {"knob": "model.depth"}, campaign=tag)
        times.append((time.perf_counter() - begun) * 1000)
    return percentile(times, 50)


def added(memory: Memory, facts: dict[str, list[Facts]]) -> float:
    """Return the median milliseconds of adding the next experiment of a campaign."""
    tag = next(iter(facts))
    more = itertools.islice(campaign(tag, SIZE + 21), SIZE, None)
    times = []
    for record in more:
        begun = time.perf_counter()
        memory.add(record)
        times.append((time.perf_counter() - begun) * 1000)
    return percentile(times[1:], 50)


def peers(memory: Memory, size: int) -> None:
    """Print three questions over the same facts in SQLite and in plain rdflib."""
    graph = memory.graph()
    rows = [
        (row.name, tag, row.entry.seq, row.entry.status, row.entry.value, row.outcome)
        for tag in graph.campaigns()
        for row in graph.board(tag).rows
    ]
    trials = [
        (t.name, tag, key.knob, key.direction, t.outcome, t.delta)
        for tag in graph.campaigns()
        for key, found in graph.board(tag).evidence.items()
        for t in found
    ]
    base = sqlite3.connect(":memory:")
    base.execute("CREATE TABLE experiment (name, campaign, seq, status, value, outcome)")
    base.execute("CREATE TABLE trial (name, campaign, knob, direction, outcome, delta)")
    base.executemany("INSERT INTO experiment VALUES (?,?,?,?,?,?)", rows)
    base.executemany("INSERT INTO trial VALUES (?,?,?,?,?,?)", trials)
    base.execute("CREATE INDEX e ON experiment (campaign, status, value)")
    base.execute("CREATE INDEX t ON trial (campaign, knob, direction)")
    in_sql = {name: clocked(lambda q=q: base.execute(q).fetchall()) for name, q in SQL.items()}
    print("SQLite, one campaign: " + ", ".join(f"{n} {ms:.1f} ms" for n, ms in in_sql.items()))
    if size <= SIZE:
        from rdflib import Graph

        plain = Graph()
        for triple in memory.dataset().triples((None, None, None)):
            plain.add(triple)
        found = {
            n: clocked(lambda q=q: list(plain.query(q, initNs=PREFIXES))) for n, q in RDF.items()
        }
        print("rdflib, the same: " + ", ".join(f"{n} {ms:.0f} ms" for n, ms in found.items()))


SQL = {
    "best": "SELECT name, MIN(value) FROM experiment WHERE campaign='c000' AND status='keep'",
    "attempts": "SELECT * FROM trial WHERE campaign='c000' AND knob='optimizer.matrix_lr'",
    "dead-ends": "SELECT knob, direction, COUNT(*), MIN(delta) FROM trial WHERE campaign='c000' "
    "GROUP BY knob, direction HAVING COUNT(*) > 1 AND SUM(outcome='improved') = 0",
}
RDF = {
    "best": "SELECT ?e ?v { ?e lab:inCampaign <https://w3id.org/nightlab/id/campaign/c000> ;"
    " lab:status lab:keep ; lab:value ?v } ORDER BY ?v LIMIT 1",
    "attempts": "SELECT ?e ?o { ?c lab:knob knob:optimizer.matrix_lr ; lab:changeOf ?e ."
    " ?e lab:inCampaign <https://w3id.org/nightlab/id/campaign/c000> ; lab:outcome ?o }",
    "dead-ends": "SELECT ?k ?d (COUNT(*) AS ?n) { ?c lab:knob ?k ; lab:direction ?d ; lab:changeOf"
    " ?e . ?e lab:inCampaign <https://w3id.org/nightlab/id/campaign/c000> ; lab:outcome ?o }"
    ' GROUP BY ?k ?d HAVING (COUNT(*) > 1 && SUM(IF(?o = "improved", 1, 0)) = 0)',
}


def clocked(ask: Callable[[], object], repeat: int = 5) -> float:
    """Return the median milliseconds of a call."""
    times = []
    for _ in range(repeat):
        begun = time.perf_counter()
        ask()
        times.append((time.perf_counter() - begun) * 1000)
    return percentile(times, 50)


def percentile(times: list[float], percent: int) -> float:
    """Return a percentile of some times."""
    ranked = sorted(times)
    return ranked[min(len(ranked) - 1, len(ranked) * percent // 100)]


def row(times: list[float], *widths: int) -> str:
    """Return median and p95 in columns."""
    return "".join(f"{percentile(times, p):>{w}.1f}" for p, w in zip((50, 95), widths, strict=True))


if __name__ == "__main__":
    main()

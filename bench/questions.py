"""What a question costs at 1,000, 10,000 and 100,000 experiments, and one experiment added.

The campaigns are made up (bench/synthetic.py). Ten are read from source and built; to make 100,000
experiments in minutes, their triples are then loaded again under other names and the sums over all
campaigns made anew. Beside it: the same questions in SQLite and plain rdflib (question_peers).
"""

from __future__ import annotations

import argparse
import itertools
import random
import re
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from pyoxigraph import DefaultGraph, RdfFormat, Store

from bench.question_peers import compare
from bench.synthetic import campaign
from kg import ingest, store
from kg.facts import Facts
from kg.load import subjects
from kg.memory import Memory, open_memory
from kg.packed import evidence_key
from kg.query import questions
from kg.record import ExperimentRecord
from kg.rollup import refresh
from kg.terms import LAB, THINGS
from kg.vocab import EVERYTHING

SIZE = 1000  # experiments a campaign
READ = 10  # campaigns that are read from source
BAR_SCOPED, BAR_FLEET, BAR_ADD = 20.0, 31.0, 50.0  # ms


def main() -> None:
    """Print the latencies of every question at each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--repeat", type=int, default=40)
    options = parser.parse_args()
    begun = time.perf_counter()
    facts = read(min(READ, max(options.sizes) // SIZE))
    count = sum(map(len, facts.values()))
    print(f"{count} experiments read from source in {time.perf_counter() - begun:.0f} s")
    slow: set[tuple[str, str]] = set()
    for size in sorted(options.sizes):
        with tempfile.TemporaryDirectory() as directory:
            measure(Path(directory), facts, size, options.repeat, slow)


def read(count: int) -> dict[str, list[Facts]]:
    """Read so many campaigns from source."""
    tags = [f"c{index:03d}" for index in range(count)]
    stream, workers = ingest.stream_workers(
        itertools.chain.from_iterable(recorded(tag, SIZE) for tag in tags)
    )
    facts: dict[str, list[Facts]] = {}
    for one in ingest.understand(stream, None, workers):
        facts.setdefault(one.record.campaign, []).append(one)
    return facts


def recorded(tag: str, size: int) -> Iterator[ExperimentRecord]:
    """Yield a campaign whose commits hold its tag, so that renaming it renames them."""

    def marked(commit: str | None) -> str | None:
        return commit and commit[:7] + tag + commit[7 + len(tag) :]

    for record in campaign(tag, size):
        commit, parent = marked(record.commit) or "", marked(record.parent_commit)
        yield replace(record, commit=commit, parent_commit=parent)


def measure(
    directory: Path,
    facts: dict[str, list[Facts]],
    size: int,
    repeat: int,
    slow: set[tuple[str, str]],
) -> None:
    """Build a memory of a size and ask it everything."""
    seconds = written(directory, facts, size)
    disk = sum(path.stat().st_size for path in (directory / "store").resolve().iterdir())
    print(f"\n{size} experiments: written in {seconds:.0f} s, {disk / 1e6:.0f} MB on disk")
    memory = open_memory(directory)
    tags = memory.graph().campaigns()
    scoped = {name: timed(memory, name, tags, repeat, True) for name in questions()}
    fleet = {name: timed(memory, name, tags, max(repeat // 2, 5), False) for name in questions()}
    print(f"{'question':<16}{'campaign p50':>14}{'p95':>8}{'fleet p50':>12}{'p95':>8}  (ms, warm)")
    for name in questions():
        print(f"{name:<16}{row(scoped[name], 14, 8)}{row(fleet[name], 12, 8)}")
    for title, found, bar in (("campaign", scoped, BAR_SCOPED), ("fleet", fleet, BAR_FLEET)):
        everything = sorted(itertools.chain.from_iterable(found.values()))
        worst = max(found, key=lambda name: percentile(found[name], 95))
        print(f"{title}: p95 of all {percentile(everything, 95):.1f} ms, worst question's p95 "
              f"{percentile(found[worst], 95):.1f} ms ({worst}; bar: {bar:.0f})")  # fmt: skip
    print(f"first question about a campaign: {first(directory, tags):.0f} ms")
    compare(memory, directory, slow)
    print(
        f"one experiment added: {added(memory):.0f} ms (bar at 10,000: {BAR_ADD:.0f})", flush=True
    )


def written(directory: Path, facts: dict[str, list[Facts]], size: int) -> float:
    """Build a memory; return the seconds it took."""
    begun = time.perf_counter()
    tags = list(facts)[: size // SIZE]
    with store.replacing(directory) as graph:
        ingest.build(graph, itertools.chain.from_iterable(facts[tag] for tag in tags))
        tell_again(graph, tags, size // SIZE)
    return time.perf_counter() - begun


def tell_again(graph: Store, tags: list[str], count: int) -> None:
    """Load the campaigns of a store again under other names until there are so many."""
    if count <= len(tags):
        return
    triples = graph.dump(format=RdfFormat.N_TRIPLES, from_graph=DefaultGraph()) or b""
    lines = own_lines(triples.splitlines(keepends=True), tags)
    for index in range(len(tags), count):
        tag = tags[index % len(tags)]
        again = lines[tag].replace(tag.encode(), f"c{index:03d}".encode())
        graph.bulk_load(again, RdfFormat.N_TRIPLES)
    keys = [evidence_key(node) for node in subjects(graph, LAB.evidenceIn, EVERYTHING)]
    more, less = refresh(graph, keys, set(), set())
    store.apply(graph, more, less)


def own_lines(lines: Iterable[bytes], tags: list[str]) -> dict[str, bytes]:
    """Return the triples of each campaign, without the sums over all campaigns."""
    names = "|".join(tags)
    things, everything = re.escape(THINGS), re.escape(EVERYTHING.value)
    part = re.escape(LAB.part.value)
    own = re.compile(
        rf"<{things}(?:campaign/)?({names})[-/>]"
        rf'|<{everything}/\S+ <{part}> "\[\\"({names})\\"'.encode()
    )
    found: dict[str, list[bytes]] = {tag: [] for tag in tags}
    for line in lines:
        if match := own.match(line):
            found[(match[1] or match[2]).decode()].append(line)
    return {tag: b"".join(mine) for tag, mine in found.items()}


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


def added(memory: Memory) -> float:
    """Return the median milliseconds of adding the next experiment of a campaign."""
    times = []
    for record in itertools.islice(recorded("c000", SIZE + 21), SIZE, None):
        begun = time.perf_counter()
        memory.add(record)
        times.append((time.perf_counter() - begun) * 1000)
    return percentile(times[1:], 50)


def percentile(times: list[float], percent: int) -> float:
    """Return a percentile of some times."""
    ranked = sorted(times)
    return ranked[min(len(ranked) - 1, len(ranked) * percent // 100)]


def row(times: list[float], *widths: int) -> str:
    """Return median and p95 in columns."""
    return "".join(f"{percentile(times, p):>{w}.1f}" for p, w in zip((50, 95), widths, strict=True))


if __name__ == "__main__":
    main()

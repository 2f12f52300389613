"""How long `check` and `recall` take at 10,000 experiments: warm in a process, and as commands.

python -m bench.advice [--experiments 10000] [--store MEMORY]

Warm, each edit is a text never seen before, whose accepted version is known. The commands are
whole processes in a repository (bench/laboratory.py), started anew for each edit of this
project's own trainer. CPU is told beside the clock, and what `dvc --version` takes in the same
minute: other work on the machine stretches all of them, by 1.6 on a bad day.
"""

from __future__ import annotations

import argparse
import compileall
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.laboratory import ROOT, TARGET, clean_environment, edit, filled, laboratory, quantile95
from kg.check import EXIT_CODES, check
from kg.memory import Memory
from kg.recall import recall

HEAVY = ("torch", "spacy", "rdflib", "numpy", "prefect", "dvc")


def main() -> int:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiments", type=int, default=10_000)
    parser.add_argument("--store", type=Path, help="a synthetic memory made before")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        store = options.store or Path(scratch) / "graph"
        warm(filled(store, options.experiments))
        cold(laboratory(Path(scratch) / "laboratory", store, options.experiments)[0])
    return 0


def warm(memory: Memory) -> None:
    """Print how long calls take in a process that has the memory open."""
    from bench.synthetic import campaign

    tag = memory.graph().campaigns()[-1]
    memory.graph().board(tag)
    edits = [one for one in campaign(tag, 1_000, seed=0) if one.parent_source][-200:]
    fresh = [(f"{one.source}\n# {n}\n", one.parent_source or "") for n, one in enumerate(edits)]
    again = [(source.replace("softcap = ", "softcap = 1 + "), old) for source, old in fresh]
    real = (ROOT / TARGET).read_text("utf-8")
    long = f"of {len(real.splitlines())} lines never read"
    check(memory, real, real, campaign=tag)
    rates = [(source, real) for source in with_rates(real)]
    lines = [(source, real) for source in with_lines(real)]

    def judged(name: str, sources: list[tuple[str, str]], where: str | None) -> None:
        figures(name, [timed(lambda s=s: check(memory, *s, campaign=where)) for s in sources])  # type: ignore[misc]

    for name, sources in (("check, run before", fresh), ("check, an edit never run", again)):
        judged(name, sources, tag)
        judged(f"{name}, all campaigns", sources, None)
    texts = [one.description for one in edits]
    asked = [(lambda t=t: check(memory, None, campaign=tag, message=t)) for t in texts]
    figures("check, message alone", [timed(call) for call in asked])
    pairs = zip(fresh, texts, strict=True)
    wanted = [(lambda s=s, t=t: recall(memory, s, idea=t, campaign=tag)) for (s, _), t in pairs]
    figures("recall", [timed(call) for call in wanted])
    for name, sources in (("check, one value", rates), ("check, lines put in above", lines)):
        judged(f"{name}, {long}", sources, tag)


def with_rates(source: str, times: int = 60) -> list[str]:
    """Return a source with other values of one rate."""
    rates = (f"MATRIX_LR = {0.03 + n / 10_000:.5f}" for n in range(times))
    return [source.replace("MATRIX_LR = 0.04", rate) for rate in rates]


def with_lines(source: str, times: int = 60) -> list[str]:
    """Return a source with more and more lines before its second import, and a new constant."""
    first, rest = source.split("\nimport ", 1)
    return [
        "\n".join((first, *["# why"] * n, f"NEW = {n}", f"import {rest}")) for n in range(times)
    ]


def timed(call: Callable[[], object]) -> float:
    """Return the milliseconds of a call."""
    begun = time.perf_counter()
    call()
    return (time.perf_counter() - begun) * 1000


def cold(work: Path, times: int = 20) -> None:
    """Print how long whole commands take, and what they must not import."""
    for package in ("kg", "flows", "trainer"):  # as an install does
        compileall.compile_dir(ROOT / package, quiet=2)
    peer = [whole_process(["-m", "dvc", "--version"], work)[0] for _ in range(times // 2)]
    figures("dvc --version, cold, for comparison", peer)
    for command in ("check", "recall"):
        spent = []
        for number in range(times):
            edit(work, number)
            spent.append(whole_process(["-m", "flows.cli", command], work))
        figures(f"nightlab {command}, cold", [wall for wall, _ in spent])
        figures(f"nightlab {command}, cold, CPU alone", [cpu for _, cpu in spent])
        code = f"import sys; from flows.cli import main; main([{command!r}])"
        tell = f"print('loaded', sorted(set(sys.modules) & set({HEAVY!r})))"
        said = run(["-c", f"{code}; {tell}"], work).stdout.splitlines()[-1]
        print(f"nightlab {command}, of {', '.join(HEAVY)}: {said}", flush=True)


def whole_process(words: list[str], work: Path) -> tuple[float, float]:
    """Return the milliseconds of a process and those of CPU, what it started included."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    run(words, work)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall * 1000, cpu * 1000


def run(words: list[str], work: Path) -> subprocess.CompletedProcess[str]:
    """Run Python in the work directory; RuntimeError if it does not answer."""
    command = [sys.executable, *words]
    done = subprocess.run(
        command, cwd=work, env=clean_environment(), capture_output=True, text=True
    )
    if done.returncode not in (0, *EXIT_CODES.values()) or not done.stdout:
        raise RuntimeError(f"bench: {' '.join(command)} failed: {done.stderr}")
    return done


def figures(name: str, milliseconds: list[float]) -> None:
    """Print a row of the report."""
    row = {
        "n": len(milliseconds),
        "median_ms": round(statistics.median(milliseconds), 1),
        "p95_ms": round(quantile95(milliseconds), 1),
    }
    print(f"{name:<58} {json.dumps(row)}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())

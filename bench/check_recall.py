"""Hold `check` against the public H100 run: its re-proposals, its one justified retry, the rest.

python bench/check_recall.py --repo GITDIR --results TABLE [--ref REF]
python bench/check_recall.py --latency [--experiments 10000]

Each experiment of the table is checked as of just before it, by its description alone, since
most diffs of that run are lost. What counts as a re-proposal is read from the table by one
regular expression ("NAME a to b", with the same name and b discarded before), which knows
nothing of kg.text. Two graphs: `words` is built of descriptions alone, `import` of the
repository and the table.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

if __package__ in (None, ""):  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kg.check import Advice, Advised, check
from kg.memory import Memory, open_memory
from kg.model import ExperimentRecord, Status

STATED = re.compile(r"^(?P<name>.+?) (?P<old>\S+) to (?P<new>\S+)")
ALARMS = (Advised.REPEAT, Advised.IDENTICAL, Advised.DEAD_END)
FOUND = (*ALARMS, Advised.RETRY_JUSTIFIED)
Row = dict[str, str]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repo", type=Path, help="git directory of karpathy/autoresearch")
    parser.add_argument("--results", type=Path, help="results.tsv of the run")
    parser.add_argument("--ref", default="refs/heads/exp/H100/mar8")
    parser.add_argument("--verbose", action="store_true", help="print every verdict but `new`")
    parser.add_argument("--latency", action="store_true", help="time check and recall instead")
    parser.add_argument("--experiments", type=int, default=10_000)
    parser.add_argument("--store", type=Path, help="a synthetic memory made before")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        if options.latency or not (options.repo and options.results):
            latency(options.store or Path(scratch) / "graph", options.experiments)
            return 0
        rows = read_rows(options.results)
        words = open_memory(Path(scratch) / "words")
        words.add_all(records(rows))
        report("words", words, "mar8", rows, options.verbose)
        imported, tag = import_run(options.repo, options.ref, options.results, Path(scratch))
        report("import", imported, tag, rows, options.verbose)
        with_diffs(imported, tag, options.repo)
    return 0


def read_rows(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def records(rows: list[Row]) -> list[ExperimentRecord]:
    """Return the run as its table tells it: no source, no diff, only words."""
    found, accepted = list[ExperimentRecord](), None
    for seq, row in enumerate(rows):
        status = Status(row["status"])
        record = ExperimentRecord(
            name=f"mar8-{seq:04d}",
            campaign="mar8",
            seq=seq,
            commit=row["commit"],
            parent=accepted.name if accepted else None,
            parent_commit=accepted.commit if accepted else None,
            status=status,
            reason="told by the table",
            description=row["description"],
            metric="val_bpb",
            direction="min",
            value=None if status is Status.CRASH else float(row["val_bpb"]),
        )
        found.append(record)
        accepted = record if status is Status.KEEP else accepted
    return found


def import_run(repo: Path, ref: str, results: Path, scratch: Path) -> tuple[Memory, str]:
    from flows.history import import_history

    store = scratch / "import"
    import_history(repo, refs=[ref], results=[results], store=store)
    memory = open_memory(store)
    return memory, memory.graph().campaigns()[0]


def proposed_again(rows: list[Row]) -> dict[int, list[int]]:
    """Return the experiments that set a name to a value discarded before, with those before."""
    seen: dict[tuple[str, str], list[int]] = {}
    again: dict[int, list[int]] = {}
    for seq, row in enumerate(rows):
        match = STATED.match(row["description"])
        if match is None:
            continue
        key = match["name"].lower(), match["new"]
        if key in seen:
            again[seq] = list(seen[key])
        if row["status"] != "keep":
            seen.setdefault(key, []).append(seq)
    return again


def report(name: str, memory: Memory, tag: str, rows: list[Row], verbose: bool) -> None:
    """Print what was found, what was missed and what was called without cause."""
    again = proposed_again(rows)
    won = {seq for seq in again if rows[seq]["status"] == "keep"}
    advice = {
        seq: check(memory, None, campaign=tag, message=row["description"], as_of=seq - 1)
        for seq, row in enumerate(rows)
        if seq
    }
    verdicts = {seq: one.verdict for seq, one in advice.items()}
    repeats = [seq for seq in again if seq not in won and verdicts[seq] is Advised.REPEAT]
    justified = [seq for seq in won if verdicts[seq] is Advised.RETRY_JUSTIFIED]
    others = [seq for seq in advice if seq not in again]
    false = [seq for seq in others if verdicts[seq] in FOUND]
    recall = (len(repeats) + len(justified)) / len(again)
    print(f"{name}: {len(advice)} experiments, {len(again)} re-proposals ({len(won)} of them won)")
    print(f"  found as repeat        {len(repeats)} of {len(again) - len(won)}: {repeats}")
    print(f"  told apart as justified {len(justified)} of {len(won)}: {justified}")
    print(f"  recall {recall:.3f}  false alarms {len(false)} of {len(others)} others: {false}")
    counts = {str(v): list(verdicts.values()).count(v) for v in Advised}
    print(f"  verdicts {counts}")
    for seq, one in advice.items():
        if seq in again or seq in false or (verbose and one.verdict is not Advised.NEW):
            show(seq, rows[seq], one)


def with_diffs(memory: Memory, tag: str, repo: Path) -> None:
    """Check the accepted experiments by their diffs, which alone survived."""
    counts: dict[str, list[int]] = {}
    before = None
    for row in memory.graph().board(tag).rows:
        if not (row.kept and row.entry.commit):
            continue
        words = ["git", f"--git-dir={repo}", "show", f"{row.entry.commit}:train.py"]
        source = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        if before is not None:
            advice = check(memory, source, before, campaign=tag, as_of=row.entry.seq - 1)
            counts.setdefault(str(advice.verdict), []).append(row.entry.seq)
        before = source
    print(f"import, by the diffs of what was kept: {counts}")


def show(seq: int, row: Row, advice: Advice) -> None:
    print(f"  #{seq} {row['description']!r} ({row['status']}) -> {advice.verdict}")
    for reason in advice.reasons[:2]:
        print(f"      {reason.text}")
    for difference in advice.differences[:2]:
        print(f"      {'*' if difference.bears else '-'} {difference.text}")
    if advice.alternative:
        print(f"      instead: {advice.alternative.text}")


def latency(store: Path, experiments: int) -> None:
    """Print how long check and recall take, warm in one process and cold as commands."""
    from bench.synthetic import campaign, history

    if not (store / "snapshot").exists():
        open_memory(store).rebuild(history(experiments))
    memory = open_memory(store)
    tag = memory.graph().campaigns()[-1]
    edits = [one for one in campaign(tag, 1_000, seed=0) if one.parent_source][-200:]
    fresh = [(f"{one.source}\n# {n}\n", one.parent_source or "") for n, one in enumerate(edits)]
    again = [(source.replace("softcap = ", "softcap = 1 + "), old) for source, old in fresh]
    run = Timed(memory, tag)
    for name, sources in (("check, run before", fresh), ("check, an edit never run", again)):
        figures(name, [run.check(source, old) for source, old in sources])
        figures(f"{name}, all campaigns", [run.check(s, old, None) for s, old in sources])
    texts = [one.description for one in edits]
    figures("check, message alone", [run.message(text) for text in texts])
    pairs = zip(fresh, texts, strict=True)
    figures("recall", [run.recall(source, text) for (source, _), text in pairs])
    real = Path(__file__).resolve().parents[1].joinpath("trainer/train.py").read_text("utf-8")
    rates = [f"MATRIX_LR = {0.03 + n / 10_000:.4f}" for n in range(40)]
    whole = [run.check(real.replace("MATRIX_LR = 0.04", rate), real) for rate in rates]
    figures(f"check, an edit of {len(real.splitlines())} lines never read", whole[1:])
    figures("check, cold process", cold(store, "check", tag))
    figures("recall, cold process", cold(store, "recall", tag))


class Timed:
    """Calls with their milliseconds."""

    def __init__(self, memory: Memory, tag: str) -> None:
        self.memory, self.tag = memory, tag
        memory.graph().board(tag)

    def check(self, source: str, old: str, campaign: str | None = "") -> float:
        tag = self.tag if campaign == "" else campaign
        return timed(lambda: check(self.memory, source, old, campaign=tag))

    def message(self, text: str) -> float:
        return timed(lambda: check(self.memory, None, campaign=self.tag, message=text))

    def recall(self, source: str, idea: str) -> float:
        from kg.recall import recall

        return timed(lambda: recall(self.memory, source, idea=idea, campaign=self.tag))


def timed(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return (time.perf_counter() - begun) * 1000


COLD = """
import sys
from pathlib import Path
from kg.memory import open_memory
from kg.{module} import {module}
source, old = (Path(name).read_text() for name in sys.argv[2:4])
memory, tag = open_memory(Path(sys.argv[1])), sys.argv[4]
{call}
heavy = set(sys.modules) & set("torch spacy rdflib prefect dvc git".split())
assert not heavy, heavy
"""
CALLS = {
    "check": "check(memory, source, old, campaign=tag)",
    "recall": "recall(memory, source, campaign=tag)",
}


def cold(store: Path, module: str, tag: str, times: int = 20) -> list[float]:
    """Return the milliseconds of whole processes: start, imports, one answer."""
    from bench.synthetic import campaign

    edits = [one for one in campaign(tag, 1_000, seed=0) if one.parent_source][-times:]
    found = []
    for one in edits:
        files = [store.parent / name for name in ("new.py", "old.py")]
        for path, text in zip(files, (one.source, one.parent_source), strict=True):
            path.write_text(f"{text}\nx = 1\n", encoding="utf-8")
        code = COLD.format(module=module, call=CALLS[module])
        words = [sys.executable, "-c", code, str(store), *map(str, files), tag]
        found.append(timed(lambda words=words: subprocess.run(words, check=True)))  # type: ignore[misc]
    return found


def figures(name: str, milliseconds: list[float]) -> None:
    p95 = sorted(milliseconds)[max(0, round(0.95 * len(milliseconds)) - 1)]
    line = {"n": len(milliseconds), "median_ms": statistics.median(milliseconds), "p95_ms": p95}
    print(f"{name:<42} {json.dumps({k: round(v, 1) for k, v in line.items()})}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

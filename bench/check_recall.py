"""Hold `check` against the public H100 run: its re-proposals, its one justified retry, the rest.

python bench/check_recall.py --repo GITDIR --results TABLE [--ref REF]

Each experiment of the table is checked as of just before it, by its description alone, since
most diffs of that run are lost. What counts as a re-proposal is read from the table by one
regular expression ("NAME a to b", with the same name and b discarded before), which knows
nothing of kg.text. Two graphs: `words` is built of descriptions alone, `import` of the
repository and the table.
"""

from __future__ import annotations

import argparse
import csv
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kg.check import Advice, Advised, check
from kg.memory import Memory, open_memory
from kg.model import Status
from kg.record import ExperimentRecord

STATED = re.compile(r"^(?P<name>.+?) (?P<old>\S+) to (?P<new>\S+)")
ALARMS = (Advised.REPEAT, Advised.IDENTICAL, Advised.DEAD_END)
FOUND = (*ALARMS, Advised.RETRY_JUSTIFIED)
Row = dict[str, str]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--repo", type=Path, required=True, help="git directory of karpathy/autoresearch"
    )
    parser.add_argument("--results", type=Path, required=True, help="results.tsv of the run")
    parser.add_argument("--ref", default="refs/heads/exp/H100/mar8")
    parser.add_argument("--verbose", action="store_true", help="print every verdict but `new`")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
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


if __name__ == "__main__":
    sys.exit(main())

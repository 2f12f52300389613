"""Run every benchmark, or those named: `python -m bench overhead import`.

Each prints what it measured, beside what it is compared to; nothing here is a test. Some need
material that is not in this repository: NIGHTLAB_HISTORY is a clone of karpathy/autoresearch
with its pull requests' refs, NIGHTLAB_GOLD a directory with labelled commits and texts,
NIGHTLAB_DATA_TABLES one with the public results tables.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

GOLD = Path(os.environ.get("NIGHTLAB_GOLD", "../shared/gold"))
HISTORY = os.environ.get("NIGHTLAB_HISTORY", "")
DATA = Path(os.environ.get("NIGHTLAB_DATA_TABLES", "../shared/data"))
NEEDS_HISTORY, NEEDS_GOLD, NEEDS_DATA = "NIGHTLAB_HISTORY", "NIGHTLAB_GOLD", "NIGHTLAB_DATA_TABLES"

# name: (what it measures, words of the command, what it needs)
Section = tuple[str, list[str], tuple[str, ...]]
SECTIONS: dict[str, Section] = {
    "overhead": ("an experiment outside its training process, by step", ["overhead"], ()),
    "diffs": (
        "changes read from labelled commits",
        ["gold", "--repo", HISTORY, "--gold", str(GOLD / "diffs_dev.jsonl")],
        (NEEDS_HISTORY, NEEDS_GOLD),
    ),
    "texts": (
        "changes read from labelled texts",
        ["gold_text", str(GOLD / "text_dev.jsonl")],
        (NEEDS_GOLD,),
    ),
    "import": (
        "the whole public autoresearch history",
        ["import_history", "--repo", HISTORY],
        (NEEDS_HISTORY,),
    ),
    "fuzz": ("2,000 mutated trainers through the builder", ["fuzz"], ()),
    "reminders": (
        "check and recall on the public reference night",
        ["check_recall", "--repo", HISTORY, "--results", str(DATA / "h100_mar8.results.tsv")],
        (NEEDS_HISTORY, NEEDS_DATA),
    ),
    "questions": (
        "every question at 1,000, 10,000 and 100,000 experiments",
        ["questions"],
        (),
    ),
    "simulation": (
        "a simulated agent with and without the memory (no training)",
        ["simulation"],
        (),
    ),
    "advice": (
        "check and recall at 10,000 experiments",
        ["advice"],
        (),
    ),
    "mcp": (
        "from the start of nightlab mcp to its first answer",
        ["mcp_start"],
        (),
    ),
}


def main(names: list[str]) -> int:
    """Run the sections; exit code 2 for a name that does not exist, 1 if one failed."""
    unknown = [name for name in names if name not in SECTIONS]
    if unknown:
        print(f"bench: no section {unknown[0]!r}; there are: {', '.join(SECTIONS)}")
        return 2
    return max([run(name, *SECTIONS[name]) for name in names or SECTIONS])


def run(name: str, title: str, words: list[str], needs: tuple[str, ...]) -> int:
    """Run one section in a process of its own, so that none warms another's caches."""
    print(f"== {name}: {title}", flush=True)
    have = {NEEDS_HISTORY: bool(HISTORY), NEEDS_GOLD: GOLD.is_dir(), NEEDS_DATA: DATA.is_dir()}
    missing = [need for need in needs if not have[need]]
    if missing:
        print(f"not measured: set {' and '.join(missing)} (see bench/__main__.py)\n", flush=True)
        return 0
    begun = time.monotonic()
    module, *arguments = words
    done = subprocess.run([sys.executable, "-m", f"bench.{module}", *arguments])
    print(f"-- {name} took {time.monotonic() - begun:.0f} s\n", flush=True)
    return 1 if done.returncode else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

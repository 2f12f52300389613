"""Measure the import of a whole autoresearch history: speed, memory, and the second time.

python bench/import_history.py --repo GITDIR [--ref REF ...] [--target train.py]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

from flows.history import Account, import_history


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repo", required=True, help="path or URL of a git repository")
    parser.add_argument("--ref", action="append", default=[])
    parser.add_argument("--target", default="train.py")
    parser.add_argument("--store", help="keep the graph there instead of in a temporary place")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        store = Path(options.store or scratch) / "graph"
        first, seconds = timed(options, store)
        again, seconds_again = timed(options, store)
    figures = {
        "experiments": first.experiments,
        "commits": first.commits,
        "with_diff": first.with_diff,
        "without_diff": first.without_diff,
        "rejected_lines": len(first.rejected),
        "seconds": round(seconds, 2),
        "commits_per_second": round(first.commits / seconds, 1),
        "second_import_seconds": round(seconds_again, 2),
        "second_import_new": again.new,
        "peak_memory_mb": peak_mb(resource.RUSAGE_SELF),
        "peak_memory_mb_largest_worker": peak_mb(resource.RUSAGE_CHILDREN),
        "cores": multiprocessing.cpu_count(),
    }
    print(json.dumps(figures, indent=1))


def timed(options: argparse.Namespace, store: Path) -> tuple[Account, float]:
    begun = time.monotonic()
    account = import_history(options.repo, refs=options.ref, target=options.target, store=store)
    return account, time.monotonic() - begun


def peak_mb(who: int) -> int:
    return resource.getrusage(who).ru_maxrss // 1024


if __name__ == "__main__":
    main()

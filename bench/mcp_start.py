"""How long an agent waits for its first answer of `nightlab mcp`, started anew each time.

python -m bench.mcp_start [--experiments 10000] [--store MEMORY] [--times 12]

The server is a process of its own over stdio, in a repository with a campaign and a memory; the
official SDK's client starts it, initialises and calls `check` on a real edit. What the process
imported is told by the interpreter itself (`-X importtime`), in one start that is not timed.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, TextIO

from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from bench.laboratory import clean_environment, edit, laboratory, quantile95

HEAVY: Final = frozenset({"torch", "prefect", "dvc", "spacy"})
BAR_SECONDS: Final = 2.0
IMPORTED: Final = re.compile(r"^import time:\s+\d+ \|\s+\d+ \|\s+([\w.]+)$", re.M)


def main() -> int:
    """Print the times from start to first answer, and which heavy packages were loaded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiments", type=int, default=10_000)
    parser.add_argument("--store", type=Path, help="a synthetic memory made before")
    parser.add_argument("--times", type=int, default=12)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        store = options.store or Path(scratch) / "graph"
        work, _ = laboratory(Path(scratch) / "lab", store, options.experiments)
        log = Path(scratch) / "imports"
        loaded = packages(work, log)
        seconds = []
        for number in range(options.times):
            edit(work, number)
            seconds.append(start_to_answer(work, ("-m", "flows.cli", "mcp")))
    print(
        f"mcp, start to the first answer of check at {options.experiments} experiments: "
        f"n {len(seconds)} median {statistics.median(seconds):.2f} s "
        f"p95 {quantile95(seconds):.2f} s (bar: {BAR_SECONDS:g})"
    )
    found = sorted(HEAVY & loaded)
    print(f"mcp, of {', '.join(sorted(HEAVY))} it imported: {', '.join(found) or 'none'}")
    return 1 if found else 0


def packages(work: Path, log: Path) -> set[str]:
    """Return the packages that a server imports until its first answer."""
    edit(work, 0)
    with log.open("w", encoding="utf-8") as errors:
        start_to_answer(work, ("-X", "importtime", "-m", "flows.cli", "mcp"), errors)
    names = set(IMPORTED.findall(log.read_text(encoding="utf-8")))
    if not {"mcp.server", "kg.check"} <= names:
        raise RuntimeError(f"bench: the interpreter told too little: {len(names)} modules")
    return {name.partition(".")[0] for name in names}


def start_to_answer(work: Path, words: tuple[str, ...], errors: TextIO = sys.stderr) -> float:
    """Return the seconds from starting a server to the answer of its first call."""
    server = StdioServerParameters(
        command=sys.executable, args=[*words], cwd=work, env=clean_environment()
    )

    async def run() -> float:
        begun = time.perf_counter()
        async with Client(stdio_client(server, errlog=errors)) as client:
            result = await client.call_tool("check", {})
            seconds = time.perf_counter() - begun
        text = getattr(result.content[-1], "text", "")
        if result.is_error or '"verdict"' not in text:
            raise RuntimeError(f"bench: check did not answer but said {text}")
        return seconds

    return asyncio.run(run())


if __name__ == "__main__":
    raise SystemExit(main())

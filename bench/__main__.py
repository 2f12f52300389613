"""Run every benchmark, or those named: `python -m bench overhead import`.

Each prints what it measured, beside what it is compared to; nothing here is a test.
"""

from __future__ import annotations

import importlib
import sys
import time

SECTIONS = {
    "overhead": "what an experiment costs outside its training process, by step",
}


def main(names: list[str]) -> int:
    """Run the sections; exit code 2 for a name that does not exist."""
    unknown = [name for name in names if name not in SECTIONS]
    if unknown:
        print(f"bench: no section {unknown[0]!r}; there are: {', '.join(SECTIONS)}")
        return 2
    for name in names or SECTIONS:
        print(f"== {name}: {SECTIONS[name]}", flush=True)
        begun = time.monotonic()
        importlib.import_module(f"bench.{name}").main()
        print(f"-- {name} took {time.monotonic() - begun:.0f} s\n", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

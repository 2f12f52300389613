"""Mutated copies of our trainer through the builder: none may raise, none may take over 5 s."""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path

from kg.changes import changes
from kg.config import configuration
from kg.fingerprint import fingerprint, size
from tests.test_fuzz import DEEP, ODD, mutated

TRAINER = Path(__file__).parent.parent / "trainer" / "train.py"


def main() -> None:
    """Print how many sources were read, how many did not parse, and the slowest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    options = parser.parse_args()
    chance, before = random.Random(1), TRAINER.read_text(encoding="utf-8")
    trainer, refused, slowest = before, 0, 0.0
    sources = [*DEEP, *ODD, trainer + "# " + "x" * 10_000_000]
    for number in range(options.count):
        special = number < len(sources)
        after = sources[number] if special else mutated(chance.choice([trainer, before]), chance)
        begun = time.perf_counter()
        changes(before, after)
        fingerprint(after), size(after)
        refused += not configuration(after).parsed
        slowest = max(slowest, time.perf_counter() - begun)
        before = after if len(after) > 200 and not special else trainer
    print(f"{options.count} sources, {refused} of them do not parse, none raised")
    print(f"slowest {slowest:.2f} s (bar: 5)")


if __name__ == "__main__":
    main()

"""Score the semantic diff on labelled real commits: `python bench/gold.py --repo GIT --gold JSONL`.

Prints precision, recall and F1 by metric and by tag, as the scorer that came with the labels
does (`--scorer` names it; by default `score_gold.py` beside the gold file), and the time.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from types import ModuleType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from kg.changes import changes, record

HISTORY = 30  # earlier versions of the file that the builder is given


class Blobs:
    """Reads files of a repository through one `git cat-file --batch` process."""

    def __init__(self, repo: Path) -> None:
        self.repo = repo
        self.process = subprocess.Popen(
            ["git", "-C", str(repo), "cat-file", "--batch"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def read(self, name: str) -> str | None:
        """Return the text of an object such as `abc123:train.py`, None if there is none."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(name.encode() + b"\n")
        self.process.stdin.flush()
        head = self.process.stdout.readline().split()
        if head[-1] == b"missing" or len(head) != 3:
            return None
        data = self.process.stdout.read(int(head[2]) + 1)[:-1]
        return data.decode("utf-8", "replace")

    def close(self) -> None:
        """End the process."""
        self.process.communicate()

    def log(self, *arguments: str) -> list[str]:
        """Return the lines of `git log`; none for the parent of a first commit."""
        command = ["git", "-C", str(self.repo), "log", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout.splitlines()


def predict(blobs: Blobs, commit: str, target: str) -> dict[str, Any]:
    """Return the records of one commit."""
    message = "\n".join(blobs.log("-1", "--format=%B", commit))
    ancestors = blobs.log(
        "--first-parent", f"-{HISTORY + 1}", "--format=%x00%H%n%B", f"{commit}^", "--", target
    )
    ancestors = [line.split("\n", 1) for line in "\n".join(ancestors).split("\0")[1:]]
    read = [(blobs.read(f"{sha}:{target}"), said) for sha, said in ancestors]
    versions = [(text, said) for text, said in read if text is not None]
    before = blobs.read(f"{commit}^:{target}")
    after = blobs.read(f"{commit}:{target}")
    started = time.perf_counter()
    found = changes(
        before,
        after,
        message=message,
        history=[text for text, _ in versions[1:]],
        told=[said for _, said in versions],
    )
    seconds = time.perf_counter() - started
    return {"commit": commit, "records": [record(c) for c in found], "seconds": seconds}


def load_scorer(path: Path) -> ModuleType:
    """Import the scorer from its file."""
    spec = importlib.util.spec_from_file_location("score_gold", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def show_wrong(gold: dict[str, Any], predicted: list[dict[str, Any]]) -> None:
    """Print the records of an item that is not wholly right."""
    fields = ("knob", "change_type", "optimizer_scope", "old", "new", "silent", "effective")
    print(f"\n{gold['commit'][:7]} {gold['subject']}")
    for sign, records in (("-", gold["records"]), ("+", predicted)):
        for entry in records:
            print(f"  {sign} " + " | ".join(str(entry[name]) for name in fields))


def main() -> int:
    """Run the builder over the gold commits and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repo", type=Path, required=True)
    parser.add_argument("--gold", type=Path, required=True)
    parser.add_argument("--scorer", type=Path)
    parser.add_argument("--target", default="train.py")
    parser.add_argument("--wrong", action="store_true", help="print the items not wholly right")
    parser.add_argument("--json", type=Path, help="write the predictions here")
    args = parser.parse_args()
    scorer = load_scorer(args.scorer or args.gold.parent / "score_gold.py")
    gold = [json.loads(line) for line in args.gold.read_text(encoding="utf-8").splitlines()]
    blobs = Blobs(args.repo)
    predicted = {item["commit"]: predict(blobs, item["commit"], args.target) for item in gold}
    blobs.close()
    if args.json:
        lines = [json.dumps(entry) + "\n" for entry in predicted.values()]
        args.json.write_text("".join(lines), encoding="utf-8")
    rows = [(item, predicted[item["commit"]]["records"]) for item in gold]
    scorer.show("all", scorer.score([(found, item["records"]) for item, found in rows]))
    tagged = defaultdict(list)
    for item, found in rows:
        for tag in item["tags"]:
            tagged[tag].append((found, item["records"]))
    for tag in sorted(tagged):
        scorer.show(tag, scorer.score(tagged[tag]))
    seconds = sorted(entry["seconds"] for entry in predicted.values())
    print(f"{len(seconds) / sum(seconds):.0f} commits/s on one core, histories read")
    print(f"median {1e3 * seconds[len(seconds) // 2]:.1f} ms, slowest {1e3 * seconds[-1]:.1f} ms")
    if args.wrong:
        key = lambda r: (r["knob"], r["change_type"], r["optimizer_scope"])  # noqa: E731
        for item, found in rows:
            if sorted(map(key, found)) != sorted(map(key, item["records"])):
                show_wrong(item, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Precision and recall of the text side on a labelled file.

usage: gold_text.py GOLD.jsonl [--scorer score_gold.py] [--light] [--errors]
Prints the scorer's figures if it is given (imported by path), and always: knob P/R/F1, change
types, how many answers are wrong and how many labelled changes stay unresolved.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from collections import Counter
from pathlib import Path
from types import ModuleType

from bench import semantic
from kg.lexicon import load
from kg.text import Resolution, resolve
from kg.text_spacy import block_torch

Records = list[dict[str, object]]


def main(arguments: list[str] | None = None) -> int:
    """Resolve every text of the gold file and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gold", type=Path)
    parser.add_argument("--scorer", type=Path, help="score_gold.py, for its own figures")
    parser.add_argument("--light", action="store_true", help="without spaCy")
    parser.add_argument("--errors", action="store_true", help="print every text that differs")
    options = parser.parse_args(arguments)
    block_torch()
    gold = [json.loads(line) for line in options.gold.read_text(encoding="utf-8").splitlines()]
    lexicon, engine = load(), "light" if options.light else "spacy"
    resolve("depth 8 to 9", lexicon, engine=engine)  # the engine starts before the clock
    began = time.perf_counter()
    found = [resolve(item["text"], lexicon, engine=engine) for item in gold]
    seconds = time.perf_counter() - began
    report(gold, found, seconds, engine)
    if options.scorer:
        scorer = load_scorer(options.scorer)
        scorer.show(
            "scorer",
            scorer.score([(records(f), g["records"]) for f, g in zip(found, gold, strict=True)]),
        )
    if options.errors:
        show_errors(gold, found)
    diffs, table = options.gold.with_name("diffs_dev.jsonl"), semantic.table()
    if table is not None and diffs.is_file():
        semantic.report(table, diffs)
    return 0


def records(found: Resolution) -> Records:
    """Return the claims of a text as the scorer wants them."""
    return [
        {
            "knob": claim.knob,
            "component": claim.component,
            "change_type": claim.change_type.value,
            "old": claim.old,
            "new": claim.new,
        }
        for claim in found.claims
    ]


def counts(predicted: Records, labelled: Records) -> Counter[str]:
    """Count right, wrong and unresolved knobs of one text."""
    said = Counter(str(record["knob"]) for record in predicted)
    true = Counter(str(record["knob"]) for record in labelled)
    return Counter(
        right=(said & true).total(), wrong=(said - true).total(), unresolved=(true - said).total()
    )


def report(
    gold: list[dict[str, Records]], found: list[Resolution], seconds: float, engine: str
) -> None:
    """Print the figures."""
    total: Counter[str] = Counter()
    typed = 0
    for item, resolution in zip(gold, found, strict=True):
        predicted = records(resolution)
        total += counts(predicted, item["records"])
        kinds = {record["knob"]: record["change_type"] for record in predicted}
        typed += sum(kinds.get(r["knob"]) == r["change_type"] for r in item["records"])
    right, wrong, unresolved = total["right"], total["wrong"], total["unresolved"]
    precision = right / (right + wrong) if right + wrong else 0.0
    recall = right / (right + unresolved) if right + unresolved else 0.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    print(f"texts {len(gold)}  engine {engine}  {len(gold) / seconds:.0f} texts/s")
    print(f"knob  P {precision:.3f}  R {recall:.3f}  F1 {f1:.3f}")
    print(f"wrong {wrong}  unresolved {unresolved}")
    print(f"change type, of knobs found: {typed / right if right else 0:.3f}")


def show_errors(gold: list[dict[str, Records]], found: list[Resolution]) -> None:
    """Print every text whose knobs or change types differ from the labels."""
    for item, resolution in zip(gold, found, strict=True):
        said = sorted((str(r["knob"]), str(r["change_type"])) for r in records(resolution))
        true = sorted((str(r["knob"]), str(r["change_type"])) for r in item["records"])
        if said != true:
            print(f"- {item['text']}\n    labelled {true}\n    resolved {said}")


def load_scorer(path: Path) -> ModuleType:
    """Import score_gold.py from wherever it lies."""
    spec = importlib.util.spec_from_file_location("score_gold", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path}: not a Python file; give the path of score_gold.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(main())

"""How often the fallback by meaning is right: paraphrases, and real messages less their names.

usage: semantic.py DIFFS_DEV.jsonl [--errors]
Needs a table (`nightlab kg semantic build`; NIGHTLAB_SEMANTIC names another place). Every
paraphrase of paraphrases.tsv is read beside up to four real diffs that touched the knob it
means, and four that did not: there, and for texts that mean no knob, any answer is wrong. Every
labelled commit is read with a lexicon that has lost the names its message uses.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kg.lexicon import Concept, Lexicon, load, version_of
from kg.text import resolve
from kg.text_semantic import TABLE, Semantic, configured
from kg.text_tokens import key_of

PARAPHRASES = Path(__file__).with_name("paraphrases.tsv")
HERE = Path(".nightlab/semantic/table.npz")
DIFFS = 4
"""Real diffs a paraphrase is read beside, of either kind."""
VERDICTS = ("right", "wrong", "beside")
Item = tuple[str, str, str, tuple[str, ...]]  # part, text, knob it means, knobs of the diff


def main(arguments: list[str] | None = None) -> int:
    """Print the figures; exit code 1 without a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("diffs", type=Path)
    parser.add_argument("--errors", action="store_true", help="print every wrong answer")
    options = parser.parse_args(arguments)
    semantic = table()
    if semantic is None:
        print("semantic: no table; run `nightlab kg semantic build`")
        return 1
    report(semantic, options.diffs, options.errors)
    return 0


def table() -> Semantic | None:
    """Return the table to measure: the one NIGHTLAB_SEMANTIC names, else this repository's."""
    os.environ.setdefault(TABLE, str(HERE))
    return configured()


def report(semantic: Semantic, diffs: Path, errors: bool = False) -> None:
    """Print what is answered, and how often rightly, by method."""
    commits = [json.loads(line) for line in diffs.read_text(encoding="utf-8").splitlines()]
    lexicon = load()
    for part in ("dev", "fresh"):
        items = [item for item in paired(commits) if item[0] == part]
        count = Counter(
            outcome(semantic, lexicon, text, {knob} - {""}, diff, errors)
            for _, text, knob, diff in items
        )
        print_counts(f"paraphrases, {part}", count)
    hidden: Counter[tuple[str, str]] = Counter()
    for commit in commits:
        knobs = touched(commit)
        less = without(lexicon, knobs, commit["subject"])
        hidden[outcome(semantic, less, commit["subject"], set(knobs), knobs, errors)] += 1
    print_counts("labelled commits, names hidden", hidden)


def print_counts(title: str, count: Counter[tuple[str, str]]) -> None:
    """Print what came of the texts no name answers: right, wrong, and beside unrelated diffs."""
    for method in ("gloss", "semantic"):
        right, wrong, beside = (count[method, verdict] for verdict in VERDICTS)
        share = f"{right / (right + wrong):.3f}" if right + wrong else "-"
        print(f"{title}: {method} right {right} wrong {wrong} (P {share}), unrelated diff {beside}")
    open_, beside = count["nobody", "right"], count["nobody", "beside"]
    print(f"{title}: unresolved {open_}, unrelated diff {beside}")


def outcome(
    semantic: Semantic,
    lexicon: Lexicon,
    text: str,
    means: set[str],
    diff: tuple[str, ...],
    errors: bool,
) -> tuple[str, str]:
    """Return who answered, and whether the answer is right, wrong, or beside an unrelated diff."""
    found = resolve(text, lexicon, candidates=diff, engine="light", semantic=semantic)
    related = bool(means & set(diff))
    if not found.claims:
        return "nobody", "right" if related else "beside"
    said = {claim.knob for claim in found.claims}
    method = found.claims[0].method
    method = method if method in {"gloss", "semantic"} else "rules"
    verdict = ("right" if said & means else "wrong") if related else "beside"
    if errors and method == "semantic" and verdict != "right":
        print(f"  {verdict}: {text!r} means {sorted(means)}, read as {sorted(said)} of {diff}")
    return method, verdict


def paired(commits: Sequence[dict[str, Any]]) -> Iterator[Item]:
    """Yield every paraphrase beside real diffs, the same ones in every run."""
    chance = random.Random(0)
    diffs = sorted({touched(commit) for commit in commits})
    for line in PARAPHRASES.read_text(encoding="utf-8").splitlines()[1:]:
        part, knob, text = line.split("\t")
        own = [diff for diff in diffs if knob in diff]
        while knob and len(own) < DIFFS:
            own.append(tuple(sorted({*chance.choice(diffs), knob})))
        other = [diff for diff in diffs if knob not in diff]
        for diff in [*chance.sample(own, min(DIFFS, len(own))), *chance.sample(other, DIFFS)]:
            yield part, text, knob, diff


def touched(commit: dict[str, Any]) -> tuple[str, ...]:
    """Return the knobs of a labelled commit."""
    return tuple(sorted({record["knob"] for record in commit["records"]}))


def without(lexicon: Lexicon, knobs: Sequence[str], text: str) -> Lexicon:
    """Return the lexicon without the names by which a text could be read as these knobs."""
    words = key_of(text)
    concepts = {
        key: hidden(concept, words) if knobs_of(concept) & set(knobs) else concept
        for key, concept in lexicon.concepts.items()
    }
    return Lexicon(concepts, version_of(concepts.values()), lexicon.sources)


def knobs_of(concept: Concept) -> set[str]:
    """Return the knobs a concept names."""
    return {concept.name, concept.broader}


def hidden(concept: Concept, words: tuple[str, ...]) -> Concept:
    """Return a concept without the labels and patterns made of some words."""

    def other(labels: Sequence[str]) -> tuple[str, ...]:
        return tuple(label for label in labels if not set(key_of(label)) <= set(words))

    return replace(
        concept,
        label="".join(other([concept.label])),
        alt=other(concept.alt),
        hidden=other(concept.hidden),
        patterns=(),
        weak_patterns=(),
    )


if __name__ == "__main__":
    sys.exit(main())

"""Look after the words: what nobody could name, a user's own names, the table of word vectors."""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from typing import Any

from flows.memory_commands import memory_of
from flows.output import emit, notes, out, show_rows

MESSAGES = """
SELECT ?name ?text { ?e a lab:Experiment ; lab:name ?name ; dct:description ?text } ORDER BY ?name
"""
TOUCHED = """
SELECT ?name ?knob { ?e lab:hasChange ?c ; lab:name ?name . ?c lab:knob/skos:notation ?knob
  FILTER NOT EXISTS { ?c lab:fromText true } }
"""


def unresolved(options: argparse.Namespace) -> int:
    """`nightlab kg unresolved`: words of messages that may claim a change nobody could name."""
    rows = unresolved_rows(options)
    if options.json:
        emit({"unresolved": rows})
        return 0
    shown = [row | {"candidates": listed(row["candidates"])} for row in rows]
    show_rows(["text", "times", "experiment", "candidates"], shown)
    if not rows:
        notes().print("every message was read: no words are unresolved")
    return 0


def listed(candidates: list[dict[str, Any]]) -> str:
    """Return candidates as `model.depth 0.31, model.width 0.12`."""
    return ", ".join(f"{found['knob']} {found['score']:.2f}" for found in candidates)


def unresolved_rows(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the unresolved words, the most frequent first, each with one experiment.

    The messages are read as they are when the graph is built: beside the knobs their diffs
    touched, with the table of word vectors if there is one.
    """
    from kg.guard import Limits
    from kg.lexicon import load
    from kg.text import resolve
    from kg.text_semantic import configured

    memory, everything = memory_of(options), Limits(rows=10**9, answer_bytes=2**40)
    touched = defaultdict[str, set[str]](set)
    for row in memory.sparql(TOUCHED, everything).rows:
        touched[row["name"]].add(row["knob"])
    first: dict[str, tuple[str, list[dict[str, Any]]]] = {}
    lexicon, semantic, counted = load(), configured(), Counter[str]()
    for row in memory.sparql(MESSAGES, everything).rows:
        diff = sorted(touched[row["name"]]) if row["name"] in touched else None
        found = resolve(row["text"], lexicon, candidates=diff, engine="light", semantic=semantic)
        for item in found.unresolved:
            counted[item.text] += 1
            near = [{"knob": knob, "score": score} for knob, score in item.candidates]
            first.setdefault(item.text, (row["name"], near))
    return [
        {"text": text, "times": times, "experiment": first[text][0], "candidates": first[text][1]}
        for text, times in counted.most_common()
    ]


def alias(options: argparse.Namespace) -> int:
    """`nightlab kg alias`: teach the lexicon a word of yours."""
    from flows.lab import open_lab
    from kg.lexicon_aliases import add_alias

    lab = open_lab()
    add_alias(lab.aliases, options.alias, options.knob, options.note or "")
    said = {"alias": options.alias, "knob": options.knob, "file": str(lab.aliases)}
    return learned(options, f"{options.alias} -> {options.knob} in {lab.aliases}", said)


def semantic(options: argparse.Namespace) -> int:
    """`nightlab kg semantic`: build the table of word vectors."""
    from flows.lab import open_lab
    from flows.semantic_table import build

    lab = open_lab()
    lab.state.joinpath("semantic").mkdir(exist_ok=True)  # below what git is told to ignore
    built = build(lab.semantic)
    said = {"file": str(built.path), "words": built.words, "version": built.version}
    return learned(options, f"{built.words} words in {built.path}", said)


def learned(options: argparse.Namespace, line: str, said: dict[str, Any]) -> int:
    """Say what was learned; claims read before change only in a rebuild, done if asked for."""
    from flows.derived import rebuild
    from flows.lab import open_lab

    if options.rebuild:
        said["experiments"] = rebuild(open_lab())
    if options.json:
        emit(said)
    elif options.rebuild:
        out().print(f"{line}; {said['experiments']} experiments were read again")
    else:
        out().print(f"{line}; earlier messages are read again by `nightlab kg rebuild`")
    return 0

"""Look after the lexicon: what no word could be found for, and a user's own words."""

from __future__ import annotations

import argparse
from collections import Counter
from typing import Any

from flows.memory_commands import memory_of
from flows.output import emit, out

MESSAGES = """
SELECT ?name ?text { ?e a lab:Experiment ; lab:name ?name ; dct:description ?text } ORDER BY ?name
"""


def unresolved(options: argparse.Namespace) -> int:
    """`nightlab kg unresolved`: words of messages that may claim a change nobody could name."""
    rows = unresolved_rows(options)
    if options.json:
        emit({"unresolved": rows})
        return 0
    from flows.tables import answer_table

    answer_table(out(), ["text", "times", "experiment", "candidates"], rows)
    return 0


def unresolved_rows(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the unresolved words, the most frequent first, each with one experiment."""
    from kg.lexicon import load
    from kg.text import resolve

    first: dict[str, tuple[str, list[str]]] = {}
    lexicon, counted = load(), Counter[str]()
    for row in memory_of(options).sparql(MESSAGES).rows:
        for item in resolve(row["text"], lexicon, engine="light").unresolved:
            counted[item.text] += 1
            first.setdefault(item.text, (row["name"], [knob for knob, _ in item.candidates]))
    return [
        {"text": text, "times": times, "experiment": first[text][0], "candidates": first[text][1]}
        for text, times in counted.most_common()
    ]


def alias(options: argparse.Namespace) -> int:
    """`nightlab kg alias`: teach the lexicon a word of yours."""
    from flows.lab import open_lab
    from kg.lexicon import add_alias

    path = open_lab().aliases
    add_alias(path, options.alias, options.knob, options.note or "")
    if options.json:
        emit({"alias": options.alias, "knob": options.knob, "file": str(path)})
    else:
        out().print(f"{options.alias} -> {options.knob} in {path}; run `nightlab kg rebuild`")
    return 0

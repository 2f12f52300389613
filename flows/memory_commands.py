"""What the memory commands do; flows/cli_memory.py describes their options."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from flows.errors import FlowError
from flows.mcp_tools import answer_json
from flows.output import emit, notes, out, show_rows
from flows.stores import lab_memory, named_store
from kg.memory import Memory


def memory_of(options: argparse.Namespace) -> Memory:
    """Return the memory a command means: `--store`, else this repository's.

    Raises:
        FlowError: The store does not exist.
    """
    if options.store:
        return named_store(options.store)
    from flows.lab import open_lab

    return lab_memory(open_lab())


def arguments_of(words: Iterable[str]) -> dict[str, str]:
    """Read `name=value` words.

    Raises:
        FlowError: One of them has no `=`.
    """
    pairs: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise FlowError(f"argument {word!r}: is not name=value, such as knob=model.depth")
        pairs[name] = value
    return pairs


def ask(options: argparse.Namespace) -> int:
    """`nightlab ask`: one named question, or the list of them.

    Raises:
        UnknownQuestion: No question has this name.
        BadArgument: It does not take this argument, or not this value.
        FlowError: An argument is not name=value, or the store does not exist.
    """
    from kg.query import questions

    if options.question in (None, "help"):
        return list_questions(options)
    if options.question not in questions():
        from kg.errors import UnknownQuestion

        raise UnknownQuestion(options.question, questions())
    if options.arguments == ["help"]:
        return describe_question(options)
    answer = memory_of(options).ask(
        options.question,
        arguments_of(options.arguments),
        campaign=options.campaign,
        as_of=options.as_of,
    )
    if options.json:
        emit(answer_json(answer))
        return 0
    show_rows(answer.columns, answer.rows)
    if not answer.rows:
        notes().print("nothing known about that")
    for note in answer.notes:
        notes().print(note)
    if answer.truncated:
        notes().print(f"cut at {len(answer.rows)} rows; ask for more with limit=")
    return 0


def list_questions(options: argparse.Namespace) -> int:
    """Print every question with its arguments and an example."""
    from flows.question_help import listed, questions_json

    if options.json:
        emit(questions_json())
    else:
        sys.stdout.writelines(f"{line}\n" for line in listed())
    return 0


def describe_question(options: argparse.Namespace) -> int:
    """`nightlab ask NAME help`: what one question takes and gives."""
    from flows.question_help import described, question_json
    from kg.query import questions

    question = questions()[options.question]
    if options.json:
        emit(question_json(question))
    else:
        sys.stdout.writelines(f"{line}\n" for line in described(question))
    return 0


def sparql(options: argparse.Namespace) -> int:
    """`nightlab sparql`: free SPARQL, read only, in a process that can be killed at a deadline."""
    from flows.mcp_tools import Tools

    text = sys.stdin.read() if options.query == "-" else options.query
    tools = Tools(memory_of(options).directory)

    async def asked() -> dict[str, Any]:
        try:
            return await tools.sparql(text)
        finally:
            await tools.aclose()

    answer = asyncio.run(asked())
    if options.json:
        emit(answer)
        return 0
    if "columns" not in answer:  # CONSTRUCT and DESCRIBE have triples, ASK a truth value
        out().print("\n".join(f"{key}: {value}" for key, value in answer.items()))
        return 0
    show_rows(answer["columns"], answer["rows"])
    if not answer["rows"]:
        notes().print("no rows")
    if answer.get("truncated"):
        notes().print("the answer was cut; add a LIMIT")
    for note in answer["notes"]:
        notes().print(note)
    return 0


def rebuild(options: argparse.Namespace) -> int:
    """`nightlab kg rebuild`: everything derived, from the ledger.

    Raises:
        FlowError: A store was named: what was imported has no ledger here.
    """
    if options.store:
        raise FlowError("--store: an imported memory is rebuilt by `nightlab import` again")
    from flows import derived
    from flows.lab import open_lab

    begun = time.monotonic()
    lab = open_lab()
    number = derived.rebuild(lab)
    data = lab.memory.dump()
    found = {
        "experiments": number,
        "quads": data.count(b"\n"),
        "sha256": hashlib.sha256(data).hexdigest(),
        "seconds": round(time.monotonic() - begun, 3),
    }
    if options.json:
        emit(found)
    else:
        out().print(" ".join(f"{key}={value}" for key, value in found.items()))
    return 0


def dump(options: argparse.Namespace) -> int:
    """`nightlab kg dump`: the canonical graph."""
    memory = memory_of(options)
    data = memory.turtle() if options.format == "turtle" else memory.dump()
    if options.out:
        path = Path(options.out)
        temporary = path.with_suffix(".tmp")
        temporary.write_bytes(data)
        temporary.replace(path)
    if options.json:
        digest = hashlib.sha256(data).hexdigest()
        emit({"bytes": len(data), "sha256": digest, "out": options.out})
    elif not options.out:
        sys.stdout.buffer.write(data)
    return 0


def check_shapes(options: argparse.Namespace) -> int:
    """`nightlab kg check`: SHACL over the whole graph; exit code 1 if anything is wrong."""
    found = memory_of(options).check()
    if options.json:
        emit({"conforms": not found, "violations": found})
    else:
        for line in found or ["the graph conforms to its shapes"]:
            out().print(line)
    return 1 if found else 0


def import_(options: argparse.Namespace) -> int:
    """`nightlab import`: the graph of a repository that has never heard of nightlab."""
    from flows.history import import_history
    from flows.progress import display

    if options.store:
        place = Path(options.store)
    else:
        from flows.lab import open_lab

        place = open_lab().graph
    with display(f"import {options.source}") as shown:
        account = import_history(
            options.source,
            refs=options.ref,
            target=options.target,
            results=[Path(name) for name in options.results],
            metric=options.metric,
            direction=options.direction,
            store=place,
            progress=lambda done: shown.watch(0.0, f"{done} experiments"),
        )
    if options.json:
        emit(account.to_json())
    else:
        for line in account.lines():
            out().print(line)
    return 0

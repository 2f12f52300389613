"""Commands that ask the memory or build it: ask, sparql, kg, import."""

from __future__ import annotations

import argparse
from typing import Any

from flows.cli_campaign import add


def describe(commands: Any) -> None:
    """Add the commands to a parser; nothing heavy may be imported here."""
    describe_asking(commands)
    describe_services(commands)
    describe_import(commands)
    describe_kg(add(commands, "kg", "memory_commands:usage", "build and inspect the graph"))


def describe_asking(commands: Any) -> None:
    """Add what only reads."""
    ask = add(commands, "ask", "memory_commands:ask", "ask the memory a named question")
    ask.add_argument("question", nargs="?", help="its name; none lists the questions")
    ask.add_argument("arguments", nargs="*", metavar="NAME=VALUE", help="or `help`: what it takes")
    ask.add_argument("--campaign", "--tag", help="only this campaign")
    ask.add_argument(
        "--as-of", metavar="N", help="as known after an experiment: number, name or commit"
    )
    store(ask)
    check = add(commands, "check", "advice:check_command", "ask whether an edit was tried before")
    check.add_argument("-m", "--message", help="judge the words where the file is not edited")
    check.add_argument(
        "--as-of", metavar="N", help="as known after an experiment: number, name or commit"
    )
    recall = add(commands, "recall", "advice:recall_command", "what bears on the file as it is now")
    recall.add_argument("idea", nargs="?", help="what you think of trying")
    recall.add_argument("--tokens", type=int, default=600, help="what the answer may cost")
    for parser in (check, recall):
        parser.add_argument("--tag", "--campaign", help="campaign (default: the last one)")
        parser.add_argument(
            "--file", help="file to judge (default: the target in the work directory)"
        )
        store(parser)
    sparql = add(commands, "sparql", "memory_commands:sparql", "ask the memory in SPARQL")
    sparql.add_argument("query", help="the query's text, or - for stdin")
    store(sparql)


def describe_services(commands: Any) -> None:
    """Add the ways programs ask."""
    endpoint = add(commands, "endpoint", "service_commands:endpoint", "serve SPARQL on loopback")
    endpoint.add_argument("--port", type=int, default=0, help="default: a free one")
    endpoint.epilog = "NIGHTLAB_ENDPOINT_TOKEN is the bearer token every request must then carry."
    endpoint.add_argument("--seconds", type=float, default=10.0, help="deadline of a query")
    store(endpoint)
    mcp = add(commands, "mcp", "service_commands:mcp", "serve the memory's tools to an agent")
    mcp.add_argument("--http", type=int, metavar="PORT", help="over HTTP instead of stdio")
    store(mcp)


def describe_import(commands: Any) -> None:
    """Add the import of other people's histories."""
    parser = add(commands, "import", "memory_commands:import_", "import an autoresearch history")
    parser.add_argument("source", help="path or URL of a git repository; never written to")
    parser.add_argument("--ref", action="append", default=[], help="branch or ref (default: all)")
    parser.add_argument("--target", default="train.py", help="the file the agent edited")
    parser.add_argument("--results", action="append", default=[], metavar="FILE")
    parser.add_argument("--metric", help="key of the metric (default: from the table)")
    parser.add_argument("--direction", choices=["min", "max"], help="default: as the rows show")
    store(parser)


def describe_kg(parser: argparse.ArgumentParser) -> None:
    """Add the commands below `nightlab kg`."""
    parser.set_defaults(help=parser.print_help, call=None)
    below = parser.add_subparsers(title="commands", metavar="COMMAND")
    rebuild = add(below, "rebuild", "memory_commands:rebuild", "rebuild all that is derived")
    store(rebuild)
    dump = add(below, "dump", "memory_commands:dump", "print the canonical graph")
    dump.add_argument("--format", choices=["nquads", "turtle"], default="nquads")
    dump.add_argument("--out", metavar="FILE")
    store(dump)
    check = add(
        below, "check", "memory_commands:check_shapes", "check the graph against its shapes"
    )
    store(check)
    changes = add(below, "changes", "source_commands:changes", "changes of commits, as JSON lines")
    changes.add_argument("revision", nargs="?", help="REV or A..B")
    changes.add_argument("--revs", metavar="FILE", help="a file with one revision a line")
    changes.add_argument("--repo", default=".", help="path of the repository")
    changes.add_argument("--target", help="the file (default: nightlab.toml's, else train.py)")
    changes.add_argument("--jsonl", action="store_true", help="the only form, and the default")
    config = add(below, "config", "source_commands:config", "effective configuration of a file")
    config.add_argument("file", help="FILE or REV:FILE")
    schema = add(below, "schema", "service_commands:schema", "what the graph is made of")
    store(schema)
    describe_words(below)


def describe_words(below: Any) -> None:
    """Add what reads texts, and what teaches how to."""
    unresolved = add(below, "unresolved", "lexicon_commands:unresolved", "words nobody could name")
    store(unresolved)
    alias = add(below, "alias", "lexicon_commands:alias", "teach the lexicon a word of yours")
    alias.add_argument("action", choices=["add"])
    alias.add_argument("alias", help='the words, such as "stacking additional blocks"')
    alias.add_argument("knob", help="the knob they mean, such as model.depth")
    alias.add_argument("--note", help="why, kept in aliases.toml")
    semantic = add(below, "semantic", "lexicon_commands:semantic", "read messages by meaning too")
    semantic.add_argument("action", choices=["build"], help="make the table; takes 1 to 3 minutes")
    for parser in (alias, semantic):
        parser.add_argument("--rebuild", action="store_true", help="and read all messages again")
    resolve = add(below, "resolve", "source_commands:resolve", "what texts claim")
    resolve.add_argument("--jsonl", action="store_true", help="the only form, and the default")
    resolve.add_argument("-m", "--message", help="one text, instead of a file")
    resolve.add_argument(
        "file", nargs="?", default="-", help='JSON lines {"id","text"}; - is stdin'
    )


def store(parser: argparse.ArgumentParser) -> None:
    """Add the place of the memory."""
    parser.add_argument("--store", metavar="PATH", help="memory (default: this repository's)")

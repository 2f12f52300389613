"""Free SPARQL, read only: what is refused, what is cut, and errors with their place.

pyoxigraph sends a request for every SERVICE and crashes the process at some thousand nested
brackets (facts/security.md), so a text is judged by its tokens before it is parsed. In
SPARQL's grammar a bare word is a keyword, so no query can hide one from the tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pyoxigraph import (
    Literal,
    NamedNode,
    QueryBoolean,
    QuerySolutions,
    QueryTriples,
    Store,
)

from kg.errors import BadSparql
from kg.terms import PREFIXES
from kg.vocab import python


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one free query may take."""

    text_bytes: int = 32 * 1024
    nesting: int = 64
    rows: int = 10_000
    answer_bytes: int = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class SparqlAnswer:
    """The rows of a SELECT; an ASK has one row, a graph has subject, predicate, object."""

    columns: tuple[str, ...]
    rows: list[dict[str, Any]] = field(default_factory=list)
    truncated: bool = False
    form: str = "SELECT"


class Token(NamedTuple):
    """One piece of a query that matters to the guard."""

    kind: str
    text: str
    start: int


FORMS = frozenset({"SELECT", "ASK", "CONSTRUCT", "DESCRIBE"})
REFUSED = {
    "SERVICE": "asks another server",
    "FROM": "names another graph",
    "LOAD": "reads a file or an address",
    "INSERT": "is an update",
    "DELETE": "is an update",
    "CLEAR": "is an update",
    "DROP": "is an update",
    "CREATE": "is an update",
    "ADD": "is an update",
    "MOVE": "is an update",
    "COPY": "is an update",
}
TOKENS = re.compile(
    r'''(?P<string>"""(?:[^"\\]|\\.|"(?!""))*"""|\'\'\'(?:[^'\\]|\\.|'(?!\'\'))*\'\'\''''
    r"""|"(?:[^"\\\n\r]|\\.)*"|'(?:[^'\\\n\r]|\\.)*')"""
    r"|(?P<iri><[^<>\"{}|^`\\\x00-\x20]*>)"
    r"|(?P<comment>\#[^\n\r]*)"
    r"|(?P<variable>[?$]\w+)"
    r"|(?P<tag>@[A-Za-z][\w-]*)"
    r"|(?P<name>(?:[^\W\d_][\w.-]*)?:(?:[\w:]|%[0-9A-Fa-f]{2}|\\.|[.-](?=[\w:.%\\-]))*)"
    r"|(?P<word>[^\W\d_][\w]*)"
    r"|(?P<open>[({\[])"
    r"|(?P<close>[)}\]])"
    r"|(?P<other>.)",
    re.DOTALL,
)
LONGEST = 120  # characters of a parser's complaint that are worth reading
POSITION = re.compile(r"error at (\d+):(\d+): (.*)", re.DOTALL)


def tokens(text: str) -> Iterator[Token]:
    """Yield the tokens of a query, comments and spaces left out."""
    for match in TOKENS.finditer(text):
        kind = match.lastgroup or "other"
        if kind != "comment" and not (kind == "other" and match.group().isspace()):
            yield Token(kind, match.group(), match.start())


def guard(text: str, limits: Limits | None = None) -> str:
    """Let a reading query through; return its form, such as SELECT.

    Raises:
        BadSparql: It is too long, nested too deep, no reading query, or reaches outside.
    """
    limits = limits or Limits()
    if len(text.encode("utf-8", "replace")) > limits.text_bytes:
        raise BadSparql(f"longer than {limits.text_bytes} bytes; ask for less at once")
    depth, form = 0, ""
    before = Token("other", "", 0)
    for token in tokens(text):
        place = position_of(text, token.start)
        depth += (token.kind == "open") - (token.kind == "close")
        if depth > limits.nesting:
            raise BadSparql(f"nested deeper than {limits.nesting}; flatten it", place)
        word = token.text.upper() if token.kind == "word" else ""
        if word in REFUSED:
            raise BadSparql(f"{word} {REFUSED[word]}, which is refused; leave it out", place)
        if word in FORMS and not form:
            form = word
        if token.kind == "name" and before.kind == "word" and before.text.upper() == "PREFIX":
            check_prefix(text, token, place)
        before = token
    if not form:
        raise BadSparql("is no SELECT, ASK, CONSTRUCT or DESCRIBE; only these are answered")
    return form


def check_prefix(text: str, token: Token, place: tuple[int, int]) -> None:
    """Refuse to give one of the fixed prefixes another meaning."""
    prefix = token.text.rstrip(":")
    target = re.match(r"\s*<([^>]*)>", text[token.start + len(token.text) :])
    if prefix in PREFIXES and target and target.group(1) != PREFIXES[prefix]:
        raise BadSparql(f"prefix {prefix}: always means <{PREFIXES[prefix]}>; use another", place)


def position_of(text: str, index: int) -> tuple[int, int]:
    """Return line and column of an index, both from 1."""
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)


def sparql(store: Store, text: str, limits: Limits | None = None) -> SparqlAnswer:
    """Answer a free query over a snapshot.

    Raises:
        BadSparql: It is refused by `guard`, or does not parse.
    """
    limits = limits or Limits()
    form = guard(text, limits)
    try:
        found = store.query(text, prefixes=PREFIXES)
    except SyntaxError as error:
        raise syntax_error(text, str(error)) from None
    except (ValueError, RuntimeError, OSError) as error:
        raise BadSparql(f"{error}; see `nightlab kg schema`") from error
    if isinstance(found, QueryBoolean):
        return SparqlAnswer(("ask",), [{"ask": bool(found)}], form=form)
    if isinstance(found, QueryTriples):
        columns: tuple[str, ...] = ("subject", "predicate", "object")
        rows = ((t.subject, t.predicate, t.object) for t in found)
        return collected(columns, rows, limits, form)
    if not isinstance(found, QuerySolutions):
        raise BadSparql("is no SELECT, ASK, CONSTRUCT or DESCRIBE; only these are answered")
    columns = tuple(variable.value for variable in found.variables)
    return collected(columns, (tuple(solution) for solution in found), limits, form)


def syntax_error(text: str, message: str) -> BadSparql:
    """Return pyoxigraph's complaint with its place, and what usually helps."""
    known = set(PREFIXES)
    before = Token("other", "", 0)
    for token in tokens(text):
        prefix = token.text.partition(":")[0]
        if token.kind == "name" and before.text.upper() == "PREFIX":
            known.add(prefix)
        elif token.kind == "name" and prefix not in known:
            listed = " ".join(f"{name}:" for name in PREFIXES)
            place = position_of(text, token.start)
            return BadSparql(f"prefix {prefix}: is not declared; {listed} are", place)
        before = token
    match = POSITION.search(message)
    if match is None:
        return BadSparql(f"{message.strip()}; mend the query")
    line, column, what = match.groups()
    short = " ".join(what.split())
    short = short if len(short) <= LONGEST else short[:LONGEST] + " ..."
    return BadSparql(f"{short}; mend the query there", (int(line), int(column)))


def collected(
    columns: tuple[str, ...], rows: Iterator[tuple[Any, ...]], limits: Limits, form: str
) -> SparqlAnswer:
    """Collect rows up to the limits."""
    found: list[dict[str, Any]] = []
    size = 0
    try:
        for row in rows:
            values = [shown(term) for term in row]
            size += sum(len(v) if isinstance(v, str) else 8 for v in values)
            if len(found) >= limits.rows or size > limits.answer_bytes:
                return SparqlAnswer(columns, found, True, form)
            found.append(dict(zip(columns, values, strict=True)))
    except (ValueError, RuntimeError, OSError) as error:
        raise BadSparql(f"{error}; see `nightlab kg schema`") from error
    return SparqlAnswer(columns, found, False, form)


def shown(term: object) -> Any:
    """Return a term as JSON can carry it: an IRI in full, a literal as its value."""
    if isinstance(term, NamedNode):
        return term.value
    if isinstance(term, Literal):
        return python(term)
    return None if term is None else str(term)

"""Free SPARQL, read only: what is cut, and errors with their place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from pyoxigraph import (
    Literal,
    NamedNode,
    QueryBoolean,
    QueryTriples,
    Store,
)

from kg.dialect import relocated
from kg.errors import BadSparql
from kg.guard import Limits, guard
from kg.sparql_tokens import Token, position_of, tokens
from kg.terms import PREFIXES
from kg.unknown_terms import unknown_terms
from kg.vocab import python


@dataclass(frozen=True, slots=True)
class SparqlAnswer:
    """The rows of a SELECT; an ASK has one row, a graph has subject, predicate, object."""

    columns: tuple[str, ...]
    rows: list[dict[str, Any]] = field(default_factory=list)
    truncated: bool = False
    form: str = "SELECT"
    notes: tuple[str, ...] = ()  # of an empty answer: names in the query that stand for nothing


LONGEST = 120  # characters of a parser's complaint that are worth reading
POSITION = re.compile(r"error at (\d+):(\d+): (.*)", re.DOTALL)


def sparql(store: Store, text: str, limits: Limits | None = None) -> SparqlAnswer:
    """Answer a free query over a snapshot.

    Raises:
        BadSparql: It is refused by `guard`, does not parse, or cannot be evaluated.
    """
    answer = evaluated(store, text, limits or Limits())
    if answer.rows[1:] or any(map(any, map(dict.values, answer.rows))):
        return answer
    return replace(answer, notes=tuple(unknown_terms(store, text)))


def evaluated(store: Store, text: str, limits: Limits) -> SparqlAnswer:
    """Answer a free query, whatever it finds."""
    form, engine_text = guard(text, limits)
    with explained(text):
        found = store.query(engine_text, prefixes=PREFIXES)
        if isinstance(found, QueryBoolean):
            return SparqlAnswer(("ask",), [{"ask": bool(found)}], form=form)
        if isinstance(found, QueryTriples):
            columns: tuple[str, ...] = ("subject", "predicate", "object")
            rows = ((t.subject, t.predicate, t.object) for t in found)
            return collected(columns, rows, limits, form)
        columns = tuple(variable.value for variable in found.variables)
        return collected(columns, (tuple(solution) for solution in found), limits, form)


@contextmanager
def explained(text: str) -> Iterator[None]:
    """Turn what the engine raises over a query, at once or while rows are read, into a sentence.

    Raises:
        BadSparql: The query does not parse, or cannot be evaluated.
    """
    try:
        yield
    except SyntaxError as error:
        raise syntax_error(text, str(error)) from None
    except (ValueError, RuntimeError, OSError) as error:
        raise BadSparql(f"{error}; see `nightlab kg schema`") from error


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
    match = POSITION.search(relocated(text, message))
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
    for row in rows:
        values = [shown(term) for term in row]
        size += sum(len(v) if isinstance(v, str) else 8 for v in values)
        if len(found) >= limits.rows or size > limits.answer_bytes:
            return SparqlAnswer(columns, found, True, form)
        found.append(dict(zip(columns, values, strict=True)))
    return SparqlAnswer(columns, found, False, form)


def shown(term: object) -> Any:
    """Return a term as JSON can carry it: an IRI in full, a literal as its value."""
    if isinstance(term, NamedNode):
        return term.value
    if isinstance(term, Literal):
        return python(term)
    return None if term is None else str(term)

r"""What pyoxigraph 0.5.13 is given in place of a query: the same query, readable in one way only.

- ``knob:regularization.weight_decay.matrix`` is a name (SPARQL 1.1, PN_LOCAL), but the engine's
  parser stops at the second dot and would read what follows as code. With the dots escaped it
  reads the same name. Its Turtle parser has no such limit.
- ``1<x:y#>'`` is an IRI and a quote, or a comparison and a comment, by what stands before it.
  With ``\u0023`` for the ``#``, and so on, only the IRI is left.
- The engine knows a keyword by its letters alone, and SERVICE is one that sends a request. After
  `escaped`, these seven letters stand nowhere but in code and after the mark of a variable.
"""

from __future__ import annotations

import re
from typing import Final

from kg.sparql_tokens import TOKENS, position_of

BARE_DOT: Final = re.compile(r"(?<!\\)\.")
IN_TWO_WAYS: Final = re.compile(r"['#()]|s(?=ervice)", re.ASCII | re.IGNORECASE)
REMOTE: Final = re.compile("s(?=ervice)", re.ASCII | re.IGNORECASE)
PLACE: Final = re.compile(r"error at (\d+):(\d+):")


def escaped(text: str) -> str:
    r"""Return a query as the engine reads it the way SPARQL means it.

    >>> escaped("SELECT * { ?e knob:a.b.c 'knob:a.b.c' } # service")
    "SELECT * { ?e knob:a\\.b\\.c 'knob:a.b.c' } # -ervice"
    """
    return TOKENS.sub(escaped_token, text)


def escaped_token(match: re.Match[str]) -> str:
    """Return one token as the engine gets it."""
    kind, token = match.lastgroup, match.group()
    if kind == "name":
        prefix, colon, local = token.partition(":")
        if len(BARE_DOT.findall(local)) > 1:
            return prefix + colon + BARE_DOT.sub(r"\\.", local)
    elif kind == "iri":
        return IN_TWO_WAYS.sub(code_point, token)
    elif kind == "string":
        return REMOTE.sub(code_point, token)
    elif kind == "comment":
        return REMOTE.sub("-", token)
    return token


def code_point(match: re.Match[str]) -> str:
    """Write a character by its number."""
    return f"\\u{ord(match.group()):04x}"


def relocated(text: str, message: str) -> str:
    """Return pyoxigraph's complaint about `escaped(text)` with the place in ``text``.

    >>> relocated("ASK { ?e knob:a.b.c }}", "error at 1:24: expected nothing")
    'error at 1:22: expected nothing'
    """

    def original(match: re.Match[str]) -> str:
        line, column = int(match[1]), int(match[2])
        lines = escaped(text).split("\n")
        if line > len(lines):
            return match.group()
        index = origin(text, sum(len(one) + 1 for one in lines[: line - 1]) + column - 1)
        line, column = position_of(text, index)
        return f"error at {line}:{column}:"

    return PLACE.sub(original, message)


def origin(text: str, index: int) -> int:
    """Return the place in a query of a place in `escaped` of it."""
    end = 0
    for match in TOKENS.finditer(text):
        start, end = end, end + len(escaped_token(match))
        if end > index:
            return match.start() + min(index - start, len(match.group()) - 1)
    return len(text)

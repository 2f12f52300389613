"""SPARQL that pyoxigraph 0.5.13 refuses although it is correct: names with two dots.

``knob:regularization.weight_decay.matrix`` is a prefixed name (SPARQL 1.1, PN_LOCAL), but its
parser stops at the second dot; with the dots escaped it reads the same name. Its Turtle parser
has no such limit.
"""

from __future__ import annotations

import re
from typing import Final

from kg.sparql import TOKENS

BARE_DOT: Final = re.compile(r"(?<!\\)\.")
PLACE: Final = re.compile(r"error at (\d+):(\d+):")


def escaped(text: str) -> str:
    r"""Return a query with the dots of such names escaped; everything else as it was.

    >>> escaped("SELECT * { ?e knob:a.b.c 'knob:a.b.c' }")
    "SELECT * { ?e knob:a\\.b\\.c 'knob:a.b.c' }"
    """
    return TOKENS.sub(escaped_token, text)


def escaped_token(match: re.Match[str]) -> str:
    """Escape the dots of one token, if it is a name with two."""
    token = match.group()
    if match.lastgroup != "name":
        return token
    prefix, colon, local = token.partition(":")
    if len(BARE_DOT.findall(local)) < 2:
        return token
    return prefix + colon + BARE_DOT.sub(r"\\.", local)


def relocated(text: str, message: str) -> str:
    """Return pyoxigraph's complaint about `escaped(text)` with the place in ``text``.

    >>> relocated("ASK { ?e knob:a.b.c }}", "error at 1:24: expected nothing")
    'error at 1:22: expected nothing'
    """

    def original(match: re.Match[str]) -> str:
        line, column = int(match[1]), int(match[2])
        lines = text.split("\n"), escaped(text).split("\n")
        if line > len(lines[0]):
            return match.group()
        before = lines[0][line - 1], lines[1][line - 1]
        return f"error at {line}:{column - added(*before, column - 1)}:"

    return PLACE.sub(original, message)


def added(short: str, long: str, end: int) -> int:
    """Return how many backslashes a line has more than the other before a column."""
    place = 0
    for char in long[:end]:
        place += not (char == "\\" and short[place : place + 1] == ".")
    return min(end, len(long)) - place

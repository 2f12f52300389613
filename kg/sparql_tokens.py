r"""The tokens of a SPARQL query, cut exactly where pyoxigraph cuts them, in linear time.

The guard judges tokens, so whoever could make it see a text where the engine sees code would
have walked past it. Three things are therefore exact: escapes inside strings (with a bad one, a
long string is three short ones to the engine), ``\u`` inside IRIs, and language tags. Where the
engine decides by context, kg.dialect rewrites what it gets until only one reading parses.
Source: SPARQL 1.1 (W3C, 2013), section 19.8, as pyoxigraph 0.5 reads it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple


class Token(NamedTuple):
    """One piece of a query that matters to the guard."""

    kind: str
    text: str
    start: int


HEX: Final = "[0-9A-Fa-f]"
ESCAPE: Final = (
    r"\\(?:[tbnrf\"'\\]"
    rf"|u(?![Dd][89A-Fa-f]){HEX}{{4}}"
    rf"|U000(?:(?!0[Dd][89A-Fa-f])0|[1-9A-Fa-f]){HEX}{{4}}|U0010{HEX}{{4}})"
)
"""An escape that the engine can read, which no half of a surrogate pair is."""
IN_IRI: Final = r"[^<>\"{}|^`\x00-\x20]"
TOKENS: Final = re.compile(
    rf'(?P<string>"""(?:[^"\\]|{ESCAPE}|"(?!""))*+"""'
    rf"|'''(?:[^'\\]|{ESCAPE}|'(?!''))*+'''"
    rf'|"(?:[^"\\\n\r]|{ESCAPE})*+"|\'(?:[^\'\\\n\r]|{ESCAPE})*+\')'
    r"|(?P<unclosed>[\"'].*)"
    # Without a scheme there is no IRI, since BASE is refused: 1<?x&&?y>2 are two comparisons.
    rf"|(?P<iri><(?=[A-Za-z][A-Za-z0-9+.-]*:|[^<>\s]*\\){IN_IRI}*>)"
    r"|(?P<comment>\#[^\n\r]*)"
    r"|(?P<variable>[?$]\w+)"
    r"|(?P<tag>@[A-Za-z]+(?:-[A-Za-z0-9]+)*+(?:--[A-Za-z]+)?)"
    r"|(?P<blank>_:\w(?:[\w-]|\.(?=[\w.-]))*+)"
    r"|(?P<name>(?:[^\W\d_][\w.-]*+)?"
    r":(?:[\w:]|%[0-9A-Fa-f]{2}|\\.|[.-](?=[\w:.%\\-]))*+)"
    r"|(?P<run>[^\W\d_][\w.-]*+)"  # words with dots and dashes between them, told apart below
    r"|(?P<number>(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<datatype>\^\^)"
    r"|(?P<open>[({\[])"
    r"|(?P<close>[)}\]])"
    r"|(?P<space>[ \t\r\n]+)"
    r"|(?P<other>.)",
    re.DOTALL,
)
PARTS: Final = re.compile(r"(?P<word>[^\W\d_]\w*)|(?P<number>[0-9]+)|(?P<other>.)")


def tokens(text: str) -> Iterator[Token]:
    """Yield the tokens of a query, comments and spaces left out.

    >>> [token.kind for token in tokens("ASK { ?s a <urn:x>, 'y'@en . # z")]
    ['word', 'open', 'variable', 'word', 'iri', 'other', 'string', 'tag', 'other']
    """
    for match in TOKENS.finditer(text):
        kind = match.lastgroup or "other"
        if kind == "run":
            for part in PARTS.finditer(match.group()):
                yield Token(part.lastgroup or "other", part.group(), match.start() + part.start())
        elif kind not in ("comment", "space"):
            yield Token(kind, match.group(), match.start())


def position_of(text: str, index: int) -> tuple[int, int]:
    """Return line and column of an index, both from 1."""
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)

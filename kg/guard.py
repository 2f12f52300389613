"""What free SPARQL may ask: reading queries of a size that the engine can take.

pyoxigraph sends a request for every SERVICE, and ends the process with SIGSEGV at some thousand
nested brackets or chained operators, so a text is judged by its tokens before the engine parses it,
and the engine gets it in a form that it can only cut into the same tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from kg.dialect import escaped, origin
from kg.errors import BadSparql
from kg.sparql_tokens import Token, position_of, tokens
from kg.terms import PREFIXES


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one free query may take."""

    text_bytes: int = 32 * 1024
    nesting: int = 64
    operators: int = 250
    rows: int = 10_000
    answer_bytes: int = 16 * 1024 * 1024


class Admitted(NamedTuple):
    """A query that may be asked."""

    form: str  # SELECT, ASK, CONSTRUCT or DESCRIBE
    text: str  # what the engine is given


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
    "BASE": "changes what an IRI means",
}
GLUED: Final = ("SERVICE", "FROM")
TERMS: Final = frozenset({"string", "iri", "variable", "blank", "name", "number"})
VALUE_WORDS: Final = frozenset({"A", "TRUE", "FALSE", "UNDEF"})
REMOTE: Final = re.compile(r"(?<![?$])service|(?<=\\[?$])service", re.ASCII | re.IGNORECASE)
"""Letters that the engine could take for a keyword: after ? and $ it only takes a variable."""


def guard(text: str, limits: Limits | None = None) -> Admitted:
    """Let a reading query through, in time linear in its length.

    Raises:
        BadSparql: It is too long, nested too deep, has too many operators, is no reading query,
            or reaches outside.
    """
    limits = limits or Limits()
    if len(text.encode("utf-8", "replace")) > limits.text_bytes:
        raise BadSparql(f"longer than {limits.text_bytes} bytes; ask for less at once")
    found = list(tokens(text))
    check_words(text, found)
    check_size(text, found, limits)
    check_prefixes(text, found)
    words = (token.text.upper() for token in found if token.kind == "word")
    form = next((word for word in words if word in FORMS), "")
    if not form:
        raise BadSparql("is no SELECT, ASK, CONSTRUCT or DESCRIBE; only these are answered")
    admitted = Admitted(form, escaped(text))
    hidden = REMOTE.search(admitted.text)
    if hidden:  # by no way that is known: what the engine gets is judged whatever the tokens say
        raise refusal("SERVICE", position_of(text, origin(text, hidden.start())))
    return admitted


def check_words(text: str, found: list[Token]) -> None:
    """Refuse what writes or reaches outside.

    Raises:
        BadSparql: At the first such word, or at a string that does not end.
    """
    for token in found:
        word = forbidden(token)
        if word and token.kind == "name":
            place = position_of(text, token.start)
            raise BadSparql(
                f"{token.text} can be read as {word}, which is refused; write the IRI in full",
                place,
            )
        if word:
            raise refusal(word, position_of(text, token.start))
        if token.kind == "unclosed":
            place = position_of(text, token.start)
            raise BadSparql("the string never ends, or escapes in a wrong way; mend it", place)


def forbidden(token: Token) -> str:
    """Return the keyword by which a token writes or reaches outside, "" if by none.

    The engine wants no space after a keyword: it reads SERVICESILENT and SERVICEx:y as two.
    """
    text = token.text.upper()
    if token.kind == "word":
        return text if text in REFUSED else next((word for word in GLUED if word in text), "")
    if token.kind == "name" and "SERVICE" in text:
        return "SERVICE"
    return "FROM" if token.kind == "name" and "FROM" in text.partition(":")[0] else ""


def refusal(word: str, place: tuple[int, int]) -> BadSparql:
    """Return why a keyword is refused."""
    return BadSparql(f"{word} {REFUSED[word]}, which is refused; leave it out", place)


def check_size(text: str, found: list[Token], limits: Limits) -> None:
    """Refuse what would overflow the engine's stack: brackets in brackets, and long chains.

    Raises:
        BadSparql: At the token that is one too many.
    """
    steps, depth = 0, 0
    for token, weight in zip(found, weights(found), strict=True):
        depth = max(0, depth + (token.kind == "open") - (token.kind == "close"))
        steps += weight
        if depth > limits.nesting:
            place = position_of(text, token.start)
            raise BadSparql(f"nested deeper than {limits.nesting}; flatten it", place)
        if steps > limits.operators:
            place = position_of(text, token.start)
            told = f"more than {limits.operators} operators and keywords"
            raise BadSparql(f"{told}; ask for less, or list values in VALUES", place)


def weights(found: list[Token]) -> Iterator[int]:
    """Yield by how many steps each token may lengthen a chain that the engine walks down.

    Operators, keywords and groups do, outside brackets every token (DESCRIBE joins its terms),
    and in `(1 2 3)` each element by two patterns. The rows of VALUES and the terms between
    commas are lists, in which the engine goes no deeper.
    """
    within: list[str] = []
    keyword, data, before = "", 0, ""  # data: how deep the rows of VALUES are, 0 outside
    for token in found:
        word = token.text.upper()
        kind = "name" if token.kind == "word" and word in VALUE_WORDS else token.kind
        joined = before in TERMS or before == "close"
        inside = within[-1:] == ["("]
        before = kind if kind not in ("tag", "datatype") else before
        weight = int(not within)
        if kind == "close":
            del within[-1:]
            weight = 0
        elif kind == "open":
            within.append(word)
            weight = int(word != "(" or joined)
            if word == "{" and keyword == "VALUES":
                keyword, data = "", data or len(within)
        elif kind in ("word", "other"):
            keyword = word if kind == "word" else keyword
            weight = int(not inside or word != ",")
        elif inside and joined and kind in TERMS:
            weight = 2
        yield 0 if data else weight
        data = data if len(within) >= data else 0


def check_prefixes(text: str, found: list[Token]) -> None:
    """Refuse to give one of the fixed prefixes another meaning.

    Raises:
        BadSparql: At the first prefix that is given one.
    """
    for word, name, iri in zip(found, found[1:], found[2:], strict=False):
        if (word.kind, word.text.upper(), name.kind) != ("word", "PREFIX", "name"):
            continue
        prefix = name.text.rstrip(":")
        if prefix in PREFIXES and iri.text != f"<{PREFIXES[prefix]}>":
            means = f"prefix {prefix}: always means <{PREFIXES[prefix]}>"
            raise BadSparql(f"{means}; use another", position_of(text, name.start))

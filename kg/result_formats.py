"""Answers to a query as the bytes of a SPARQL results format, cut at a number of rows and bytes.

pyoxigraph writes these formats too, but only the whole answer at once: a cartesian product would
fill the memory before anything could be cut. Source: SPARQL 1.1 Query Results JSON, XML, CSV and
TSV formats (W3C, 2013); triple terms as in SPARQL 1.2.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

from pyoxigraph import (
    BlankNode,
    Literal,
    NamedNode,
    QueryBoolean,
    QuerySolutions,
    QueryTriples,
    RdfFormat,
    Store,
    Triple,
    serialize,
)

from kg.errors import KgError
from kg.guard import Limits, guard
from kg.sparql import explained
from kg.terms import PREFIXES
from kg.unknown_terms import is_nothing, unknown_terms

JSON: Final = "application/sparql-results+json"
XML: Final = "application/sparql-results+xml"
CSV: Final = "text/csv"
TSV: Final = "text/tab-separated-values"
ROWS: Final = (JSON, "application/json", XML, "application/xml", "text/xml", CSV, TSV)
GRAPHS: Final = {"text/turtle": RdfFormat.TURTLE, "application/n-triples": RdfFormat.N_TRIPLES}
NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
EDGE: Final = re.compile(r"^ +| +$")
XSD_STRING: Final = "http://www.w3.org/2001/XMLSchema#string"
Row = Sequence[Any]  # terms in the order of the columns, None where unbound


class NotAcceptable(KgError):
    """None of the formats a client accepts exists for the form of its query."""

    def __init__(self, accept: str, offered: Iterable[str]) -> None:
        super().__init__(f"accept {accept!r}: no such format; accept one of: {', '.join(offered)}")


@dataclass(frozen=True, slots=True)
class Formatted:
    """An answer ready to be sent."""

    media_type: str
    body: bytes
    truncated: bool = False
    empty: bool = False  # nothing was found, or counted
    notes: tuple[str, ...] = ()  # of an empty answer: names in the query that stand for nothing


def answer(store: Store, text: str, accept: str = "", limits: Limits | None = None) -> Formatted:
    """Answer a reading query in the format a client likes best.

    Args:
        store: The graph.
        text: The query; the fixed prefixes need no declaration.
        accept: An HTTP Accept header; "" takes JSON, or Turtle for a graph.
        limits: How much it may take.

    Raises:
        BadSparql: It is refused, or does not parse, or cannot be evaluated.
        NotAcceptable: There is no such format for this form of query.
    """
    limits = limits or Limits()
    form, engine_text = guard(text, limits)
    offered = tuple(GRAPHS) if form in ("CONSTRUCT", "DESCRIBE") else ROWS
    media_type = preferred(accept, offered)
    if media_type is None:
        raise NotAcceptable(accept, offered)
    with explained(text):
        found = store.query(engine_text, prefixes=PREFIXES)
        if isinstance(found, QueryTriples):
            made = graph(found, media_type, limits)
        elif isinstance(found, QuerySolutions):
            made = solutions(found, media_type, limits)
        else:
            made = truth(found, media_type)
    return replace(made, notes=tuple(unknown_terms(store, text))) if made.empty else made


def preferred(accept: str, offered: Sequence[str]) -> str | None:
    """Return the offered media type that an Accept header likes best, None if it likes none.

    >>> preferred("text/csv;q=0.5, application/*", ("application/json", "text/csv"))
    'application/json'
    >>> preferred("text/html", ("text/csv",)) is None
    True
    """
    ranges = dict(accepted(accept or "*/*"))
    best: tuple[float, str] | None = None
    for media_type in offered:
        family = media_type.partition("/")[0]
        names = (media_type, f"{family}/*", "*/*")  # the closest range decides
        quality = next((ranges[name] for name in names if name in ranges), 0.0)
        if quality > 0 and (best is None or quality > best[0]):
            best = quality, media_type
    return best[1] if best else None


def accepted(accept: str) -> Iterator[tuple[str, float]]:
    """Yield the media ranges of an Accept header with their qualities."""
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                match = re.fullmatch(r"q=(\d?\.?\d*)", parameter)
                quality = float(match[1]) if match and match[1] not in ("", ".") else 0.0
        yield name, quality


def graph(found: Iterable[Triple], media_type: str, limits: Limits) -> Formatted:
    """Write the triples of a CONSTRUCT or DESCRIBE."""
    kept: list[Triple] = []
    size, truncated = 0, False
    for triple in found:
        size += len(str(triple))
        truncated = len(kept) >= limits.rows or size > limits.answer_bytes
        if truncated:
            break
        kept.append(triple)
    form = GRAPHS[media_type]
    prefixes = PREFIXES if form == RdfFormat.TURTLE else None
    return Formatted(
        media_type, serialize(kept, format=form, prefixes=prefixes) or b"", truncated, not kept
    )


def truth(found: QueryBoolean, media_type: str) -> Formatted:
    """Write the answer of an ASK; CSV and TSV have no form for it, so one word."""
    word = "true" if found else "false"
    if media_type in (CSV, TSV):
        return Formatted(media_type, f"{word}\n".encode(), empty=not found)
    if media_type.endswith("json"):
        body = f'{{"head":{{}},"boolean":{word}}}'.encode()
        return Formatted(media_type, body, empty=not found)
    text = XML_HEAD.format("", f"<boolean>{word}</boolean>")
    return Formatted(media_type, text.encode(), empty=not found)


def solutions(found: QuerySolutions, media_type: str, limits: Limits) -> Formatted:
    """Write the rows of a SELECT, as many as the limits let through."""
    names = [variable.value for variable in found.variables]
    write = writer(media_type, names)
    lines: list[bytes] = []
    size, truncated, empty = 0, False, True
    for row in found:
        empty = empty and not lines and all(map(is_nothing, row))
        line = write(tuple(row)).encode("utf-8", "replace")
        size += len(line)
        truncated = len(lines) >= limits.rows or size > limits.answer_bytes
        if truncated:
            break
        lines.append(line)
    return Formatted(media_type, whole(media_type, names, lines, truncated), truncated, empty)


def writer(media_type: str, names: Sequence[str]) -> Callable[[Row], str]:
    """Return what writes one row."""
    if media_type.endswith("json"):
        return lambda row: json.dumps(
            {n: json_term(t) for n, t in zip(names, row, strict=True) if t is not None},
            ensure_ascii=False,
            separators=(",", ":"),
        )
    if media_type == CSV:
        return lambda row: ",".join(map(csv_term, row)) + "\r\n"
    if media_type == TSV:
        return lambda row: "\t".join("" if t is None else tsv_term(t) for t in row) + "\n"
    return lambda row: "".join(
        ("<result>", *(xml_binding(n, t) for n, t in zip(names, row, strict=True)), "</result>")
    )


def whole(media_type: str, names: Sequence[str], lines: Sequence[bytes], truncated: bool) -> bytes:
    """Put head and rows together."""
    if media_type.endswith("json"):
        head = {"vars": list(names), **({"truncated": True} if truncated else {})}
        start = f'{{"head":{json.dumps(head, ensure_ascii=False)},"results":{{"bindings":['
        return start.encode() + b",".join(lines) + b"]}}"
    if media_type == CSV:
        return ",".join(names).encode() + b"\r\n" + b"".join(lines)
    if media_type == TSV:
        return "\t".join(f"?{name}" for name in names).encode() + b"\n" + b"".join(lines)
    columns = "".join(f"<variable name={quoteattr(name)}/>" for name in names)
    more = '<link href="https://w3id.org/nightlab/vocab#truncated"/>' if truncated else ""
    before, after = XML_HEAD.format(columns + more, "<results>\n</results>").split("\n")
    return before.encode() + b"".join(lines) + after.encode()


XML_HEAD: Final = (
    '<?xml version="1.0" encoding="UTF-8"?><sparql xmlns="http://www.w3.org/2005/sparql-results#">'
    "<head>{}</head>{}</sparql>"
)


def json_term(term: object) -> dict[str, Any]:
    """Return a term as the JSON format has it."""
    if isinstance(term, NamedNode):
        return {"type": "uri", "value": term.value}
    if isinstance(term, BlankNode):
        return {"type": "bnode", "value": term.value}
    if isinstance(term, Triple):
        return {"type": "triple", "value": {name: json_term(t) for name, t in parts_of(term)}}
    assert isinstance(term, Literal)  # there is no other kind of term
    found: dict[str, Any] = {"type": "literal", "value": term.value}
    if term.language:
        found["xml:lang"] = term.language
    elif term.datatype.value != XSD_STRING:
        found["datatype"] = term.datatype.value
    return found


def parts_of(triple: Triple) -> tuple[tuple[str, object], ...]:
    """Return the parts of a triple term by name."""
    return ("subject", triple.subject), ("predicate", triple.predicate), ("object", triple.object)


def csv_term(term: object) -> str:
    """Return a term as CSV has it: its plain value."""
    if term is None:
        return ""
    value = term.value if isinstance(term, NamedNode | Literal) else str(term)
    if any(mark in value for mark in ',"\r\n'):
        return '"' + value.replace('"', '""') + '"'
    return value


def tsv_term(term: object) -> str:
    """Return a term in Turtle syntax on one line."""
    if isinstance(term, Triple):
        return f"<<( {' '.join(tsv_term(part) for _, part in parts_of(term))} )>>"
    return str(term).replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def xml_binding(name: str, term: object) -> str:
    """Return a bound variable as the XML format has it."""
    return "" if term is None else f"<binding name={quoteattr(name)}>{xml_term(term)}</binding>"


def xml_term(term: object) -> str:
    """Return a term as the XML format has it; what XML cannot hold becomes U+FFFD."""
    if isinstance(term, NamedNode):
        return f"<uri>{xml_text(term.value)}</uri>"
    if isinstance(term, BlankNode):
        return f"<bnode>{xml_text(term.value)}</bnode>"
    if isinstance(term, Triple):
        inner = "".join(f"<{name}>{xml_term(t)}</{name}>" for name, t in parts_of(term))
        return f"<triple>{inner}</triple>"
    assert isinstance(term, Literal)  # there is no other kind of term
    about = ""
    if term.language:
        about = f" xml:lang={quoteattr(term.language)}"
    elif term.datatype.value != XSD_STRING:
        about = f" datatype={quoteattr(term.datatype.value)}"
    return f"<literal{about}>{xml_text(term.value)}</literal>"


def xml_text(text: str) -> str:
    """Escape a text for XML; readers trim spaces at its ends unless they are escaped too."""
    safe = escape(NOT_XML.sub("\ufffd", text), {"\r": "&#13;", "\t": "&#9;", "\n": "&#10;"})
    return EDGE.sub(lambda match: "&#32;" * len(match.group()), safe)

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyoxigraph import (
    BlankNode,
    Literal,
    NamedNode,
    Quad,
    QueryResultsFormat,
    Store,
    Triple,
    parse_query_results,
)

from kg.guard import Limits
from kg.result_formats import CSV, JSON, ROWS, TSV, XML, NotAcceptable, answer, preferred

ALL = "SELECT ?o ?nothing { ?s <urn:p> ?o } ORDER BY ?s"
FORMATS = {JSON: QueryResultsFormat.JSON, XML: QueryResultsFormat.XML, TSV: QueryResultsFormat.TSV}
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
literals = st.one_of(
    st.builds(Literal, texts),
    st.builds(
        lambda text, tag: Literal(text, language=tag), texts, st.sampled_from(["en", "de-at"])
    ),
    st.builds(Literal, st.integers() | st.booleans() | st.floats(allow_nan=False)),
    st.builds(lambda text: Literal(text, datatype=NamedNode("urn:kind")), texts),
)
nodes = st.builds(
    lambda number: NamedNode(f"urn:n{number}?a=1&b=<".rstrip("<")), st.integers(0, 99)
)
terms = literals | nodes | st.just(Triple(NamedNode("urn:a"), NamedNode("urn:b"), Literal("<&>")))


def stored(found: list[object]) -> Store:
    store = Store()
    for number, term in enumerate(found):
        store.add(Quad(NamedNode(f"urn:s{number:02}"), NamedNode("urn:p"), term))  # type: ignore[arg-type]
    return store


@pytest.mark.parametrize("media_type", [JSON, TSV])
@given(found=st.lists(terms, max_size=6))
def test_any_terms_come_back_from_json_and_tsv(media_type: str, found: list[object]) -> None:
    answered = answer(stored(found), ALL, media_type)
    rows = list(parse_query_results(answered.body, FORMATS[media_type]))
    assert [tuple(row) for row in rows] == [(term, None) for term in found]
    assert not answered.truncated


def without_marks(term: object) -> object:
    """Return a term as XML can hold it."""
    if not isinstance(term, Literal):
        return term
    value = "".join(
        c if c in "\t\n\r" or " " <= c < "\ufffe" or c > "\uffff" else "\ufffd" for c in term.value
    )
    if term.language:
        return Literal(value, language=term.language)
    return Literal(value, datatype=term.datatype)


@given(found=st.lists(terms, max_size=6))
def test_any_terms_come_back_from_xml_but_for_what_it_cannot_hold(found: list[object]) -> None:
    rows = list(parse_query_results(answer(stored(found), ALL, XML).body, QueryResultsFormat.XML))
    assert [tuple(row) for row in rows] == [(without_marks(term), None) for term in found]


@given(found=st.lists(literals, max_size=6))
def test_csv_holds_the_values_of_any_literals(found: list[Literal]) -> None:
    body = answer(stored(list(found)), ALL, CSV).body.decode()
    rows = list(csv.reader(io.StringIO(body, newline="")))
    assert [row[0] for row in rows[1:]] == [term.value for term in found]


def test_a_blank_node_is_named_alike_in_every_format() -> None:
    store = stored([BlankNode("b0")])
    for media_type, form in FORMATS.items():
        (row,) = parse_query_results(answer(store, ALL, media_type).body, form)
        assert isinstance(row["o"], BlankNode)


@given(rows=st.integers(0, 8), size=st.integers(0, 8))
def test_no_more_rows_than_allowed_and_a_flag_exactly_when_some_are_missing(
    rows: int, size: int
) -> None:
    answered = answer(stored([Literal(n) for n in range(size)]), ALL, TSV, Limits(rows=rows))
    assert answered.body.count(b"\n") - 1 == min(rows, size)
    assert answered.truncated == (size > rows)


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", JSON),
        ("*/*;q=0.1, text/csv", CSV),
        ("text/*", "text/xml"),
        ("text/csv;q=0, text/*;q=0.2, application/*;q=0.1", "text/xml"),
        ("application/json;q=0.4, text/csv; header=present; q=0.5", CSV),
        ("TEXT/CSV", CSV),
        ("text/csv;q=high", None),
        ("image/*", None),
    ],
)
def test_the_closest_range_and_the_highest_quality_decide(accept: str, wanted: str | None) -> None:
    assert preferred(accept, ROWS) == wanted


def test_a_refused_format_names_those_there_are() -> None:
    with pytest.raises(NotAcceptable, match="accept one of: text/turtle, application/n-triples"):
        answer(Store(), "DESCRIBE <urn:a>", "text/csv")

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from histories import built, records
from hypothesis import given, settings
from hypothesis import strategies as st
from pyparsing import ParseException
from rdflib.plugins.sparql.parser import parseQuery
from rdflib.plugins.sparql.parserutils import CompValue

from kg.errors import BadSparql
from kg.guard import Limits, guard
from kg.sparql import sparql

STORE = built(records(size=4))


@pytest.fixture
def canary() -> Iterator[tuple[int, list[bytes]]]:
    """Yield the port of a server that keeps whatever it is sent."""
    heard: list[bytes] = []
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.2)

    def listen() -> None:
        try:
            connection, _ = server.accept()
            heard.append(connection.recv(100))
        except TimeoutError:
            return

    thread = threading.Thread(target=listen)
    thread.start()
    yield server.getsockname()[1], heard
    thread.join()
    server.close()


def test_a_query_is_answered_with_python_values_and_whole_iris():
    answer = sparql(STORE, "SELECT ?e ?d { ?e knob:model.depth ?d ; lab:seq 0 }")
    assert answer.columns == ("e", "d")
    assert answer.rows == [{"e": "https://w3id.org/nightlab/id/mar8-0000", "d": 8}]
    assert sparql(STORE, "ASK { ?e a lab:Experiment }").rows == [{"ask": True}]
    graph = sparql(STORE, "CONSTRUCT { ?e lab:seq ?n } WHERE { ?e lab:seq ?n }")
    assert (graph.form, len(graph.rows)) == ("CONSTRUCT", 4)


def test_a_depth_is_one_pattern_and_so_is_a_comparison():
    exact = sparql(STORE, "SELECT ?e { ?e knob:model.depth 8 }").rows
    below = sparql(STORE, "SELECT ?e { ?e knob:model.depth ?d FILTER(?d < 8.5) }").rows
    assert exact
    assert len(below) >= len(exact)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * { SERVICE <http://127.0.0.1:PORT/> { ?s ?p ?o } }",
        "SELECT * { ?a ?b ?c MINUS { service silent <http://127.0.0.1:PORT/> { ?s ?p ?o } } }",
        "SELECT * { FILTER EXISTS{SERVICE<http://127.0.0.1:PORT/>{?s ?p ?o}} }",
        "PREFIX x: <http://127.0.0.1:PORT/> SELECT * { SeRvIcE x:y { ?s ?p ?o } }",
        "SELECT * { BIND(<http://127.0.0.1:PORT/> AS ?u) SERVICE ?u { ?s ?p ?o } }",
        'SELECT * { ?s ?p "#" . SERVICE <http://127.0.0.1:PORT/> { ?s ?p ?o } }',
        "SELECT * { ?s ?p '''a'b''' . SERVICE <http://127.0.0.1:PORT/> { ?s ?p ?o } }",
        "SELECT * FROM <http://127.0.0.1:PORT/> { ?s ?p ?o }",
        "SELECT * FROM NAMED <file:///etc/passwd> { GRAPH ?g { ?s ?p ?o } }",
        "LOAD <http://127.0.0.1:PORT/>",
        "INSERT DATA { <a:b> <a:b> 1 }",
        "DELETE WHERE { ?s ?p ?o }",
        "CLEAR ALL",
        "SELECT * { ?s ?p ?o } ; DROP ALL",
    ],
)
def test_what_reaches_outside_or_writes_is_refused_before_anything_is_sent(text, canary):
    port, heard = canary
    before = len(STORE)
    with pytest.raises(BadSparql, match="refused"):
        sparql(STORE, text.replace("PORT", str(port)))
    assert heard == []
    assert len(STORE) == before


def named(parsed: object) -> set[str]:
    """Return the names of all parts of a parsed query."""
    found: set[str] = set()
    if isinstance(parsed, CompValue):
        found.add(parsed.name)
        parts = list(parsed.values())
    elif hasattr(parsed, "__iter__") and not isinstance(parsed, str | bytes | dict):
        parts = list(parsed)
    else:
        parts = []
    return found.union(*map(named, parts)) if parts else found


PIECES = [
    *("SELECT", "*", "{", "}", "(", ")", "?s", "?p", "?o", ".", "MINUS", "FILTER", "FROM"),
    *("SERVICE", "service:x", "<http://x/a>", "<", ">", "&&", '"a#b"', "'''q'''", '"SERVICE"'),
    *("# SERVICE\n", "\\", "EXISTS", "@from", "1", "lab:seq", "PREFIX service: <http://y/>"),
]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=14), st.sampled_from(["", " ", "\n"]))
def test_whatever_passes_the_guard_has_no_service_and_no_dataset(pieces, glue):
    text = f"SELECT * {{ ?s ?p ?o {glue.join(pieces)} }}"
    try:
        guard(text)
        parsed = parseQuery("PREFIX lab: <https://w3id.org/nightlab/vocab#> " + text)
    except (BadSparql, ParseException):  # what does not parse asks nobody
        return
    assert not named(parsed) & {"ServiceGraphPattern", "DatasetClause"}


def test_a_long_text_is_refused():
    with pytest.raises(BadSparql, match="longer than 32768 bytes"):
        sparql(STORE, "SELECT * { ?s ?p '" + "x" * 40_000 + "' }")


def test_rows_and_bytes_are_cut_and_the_answer_says_so():
    everything = "SELECT * { ?s ?p ?o }"
    few = sparql(STORE, everything, Limits(rows=5))
    assert (len(few.rows), few.truncated) == (5, True)
    small = sparql(STORE, everything, Limits(answer_bytes=1000))
    assert small.truncated
    assert 0 < len(small.rows) < 30
    assert not sparql(STORE, "SELECT * { ?e a lab:Experiment }", Limits(rows=4)).truncated


@pytest.mark.parametrize(
    ("text", "position", "said"),
    [
        ("SELECT *\n{ ?s ?p", (2, 8), "mend the query there"),
        ("SELECT * { ?s zz:a 1 }", (1, 15), "prefix zz: is not declared; lab: id: knob:"),
        ("PREFIX lab: <http://other/>\nSELECT * { }", (1, 8), "prefix lab: always means"),
    ],
)
def test_an_error_has_its_place_and_a_hint(text, position, said):
    with pytest.raises(BadSparql) as caught:
        sparql(STORE, text)
    assert caught.value.position == position
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"sparql: line {position[0]}, column {position[1]}: ")


def test_a_query_that_is_none_is_refused():
    with pytest.raises(BadSparql, match="is no SELECT, ASK, CONSTRUCT or DESCRIBE"):
        sparql(STORE, "how deep is the best model?")

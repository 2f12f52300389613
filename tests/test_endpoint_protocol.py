"""The SPARQL 1.1 Protocol over HTTP: ways to ask, formats, statuses, cut answers, the page."""

from __future__ import annotations

import csv
import io
import json
from urllib.parse import quote

import pytest
from pyoxigraph import QueryResultsFormat, RdfFormat, parse, parse_query_results
from served import FORM, LIMITS, NAMES, PRODUCT, fill, get, post, send

from flows.endpoint import Server
from kg.memory import Memory
from kg.terms import PREFIXES

# --- the protocol


def test_the_three_ways_to_send_a_query_give_one_answer(server: Server, memory: Memory) -> None:
    answers = [get(server, NAMES), fill(server, query=NAMES), post(server, NAMES)]
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert [row["name"] for row in answers[0].rows] == memory.names()
    assert answers[0].headers["content-type"] == "application/sparql-results+json"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", QueryResultsFormat.JSON),
        ("*/*", QueryResultsFormat.JSON),
        ("application/json", QueryResultsFormat.JSON),
        ("text/html, application/sparql-results+xml;q=0.9", QueryResultsFormat.XML),
        ("text/tab-separated-values", QueryResultsFormat.TSV),
    ],
)
def test_each_format_holds_the_same_terms(
    server: Server, memory: Memory, accept: str, form: QueryResultsFormat
) -> None:
    query = "SELECT ?p ?o { ?e lab:seq 3 ; ?p ?o } ORDER BY ?p ?o"
    answer = get(server, query, {"Accept": accept} if accept else {})
    assert answer.status == 200
    found = [tuple(row) for row in parse_query_results(answer.body, form)]
    assert found == [tuple(row) for row in memory.graph().store.query(query, prefixes=PREFIXES)]
    assert len(found) > 20


def test_csv_holds_plain_values(server: Server) -> None:
    answer = get(
        server, 'SELECT ?a ?b ?c { VALUES (?a ?b) { ("x, ""y""" 8) } }', {"Accept": "text/csv"}
    )
    assert answer.status == 400  # a doubled quote is no SPARQL
    query = r'SELECT ?a ?b ?c { VALUES (?a ?b) { ("x, \"y\"\nz" 8) } }'
    answer = get(server, query, {"Accept": "text/csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    found = list(csv.reader(io.StringIO(answer.body.decode(), newline="")))
    assert found == [["a", "b", "c"], ['x, "y"\nz', "8", ""]]


@pytest.mark.parametrize(
    ("accept", "form"), [("", RdfFormat.TURTLE), ("application/n-triples", RdfFormat.N_TRIPLES)]
)
def test_a_graph_is_answered_as_turtle_or_n_triples(
    server: Server, memory: Memory, accept: str, form: RdfFormat
) -> None:
    query = "CONSTRUCT WHERE { ?e lab:seq 3 ; ?p ?o }"
    answer = get(server, query, {"Accept": accept} if accept else {})
    wanted = set(memory.graph().store.query(query, prefixes=PREFIXES))
    assert {quad.triple for quad in parse(answer.body, form)} == wanted


def test_an_ask_is_answered_in_every_format(server: Server) -> None:
    bodies = {
        kind: get(server, "ASK { ?e lab:seq 3 }", {"Accept": kind}).body.decode()
        for kind in ("application/json", "application/xml", "text/csv")
    }
    assert json.loads(bodies["application/json"]) == {"head": {}, "boolean": True}
    assert "<boolean>true</boolean>" in bodies["application/xml"]
    assert bodies["text/csv"] == "true\n"


@pytest.mark.parametrize(
    ("query", "accept"),
    [(NAMES, "image/png"), (NAMES, "text/turtle"), ("DESCRIBE lab:keep", "text/csv")],
)
def test_a_format_that_does_not_exist_is_406(server: Server, query: str, accept: str) -> None:
    answer = get(server, query, {"Accept": accept})
    assert answer.status == 406
    assert "accept one of: " in answer.value["error"]


def test_a_syntax_error_has_its_line_and_column(server: Server) -> None:
    answer = post(server, "SELECT ?e {\n?e lab:seq }")
    assert (answer.status, answer.value["line"], answer.value["column"]) == (400, 2, 12)
    answer = get(server, "SELECT ?s { ?s a lab:Experiment } LIMIT x")
    assert (answer.status, answer.value["line"]) == (400, 1)
    answer = get(server, "SELECT ?s { ?s ex:a 1 }")
    assert "prefix ex: is not declared" in answer.value["error"]
    answer = get(server, "SELECT ?n { id:campaign/mar8 lab:name ?n }")
    assert answer.value["hint"].startswith("a / ends a prefixed name")


def test_a_name_with_two_dots_is_read_although_the_engine_does_not(server: Server) -> None:
    value = "SELECT ?v { ?e lab:seq 0 ; knob:regularization.weight_decay.matrix ?v }"
    assert len(get(server, value).rows) == 1
    short, long = (get(server, f"ASK {{ ?e knob:{name} ?v }} }}") for name in ("a", "a.b.c.d"))
    assert (short.status, long.status) == (400, 400)
    assert long.value["column"] == short.value["column"] + len(".b.c.d")


@pytest.mark.parametrize(
    ("status", "method", "path", "body", "kind"),
    [
        (400, "GET", "/sparql", None, ""),
        (400, "GET", "/sparql?query=ASK{}&query=ASK{}", None, ""),
        (400, "POST", "/sparql", b"query=%ff", FORM["Content-Type"]),
        (400, "POST", "/sparql", b"\xff", "application/sparql-query"),
        (400, "POST", "/sparql", b"query=ASK{}" + b"&a=1" * 100, FORM["Content-Type"]),
        (403, "POST", "/sparql", b"INSERT DATA {}", "application/sparql-update"),
        (404, "GET", "/other", None, ""),
        (404, "GET", "/web/../pyproject.toml", None, ""),
        (404, "GET", "/%2e%2e/errors.py", None, ""),
        (405, "PUT", "/sparql", b"", ""),
        (405, "DELETE", "/sparql", None, ""),
        (405, "OPTIONS", "/sparql", None, ""),
        (405, "POST", "/", b"", ""),
        (415, "POST", "/sparql", b"ASK {}", "text/plain"),
        (415, "POST", "/sparql", b"ASK {}", ""),
    ],
)
def test_each_misuse_has_its_status(
    server: Server, status: int, method: str, path: str, body: bytes | None, kind: str
) -> None:
    answer = send(server, method, path, body, {"Content-Type": kind} if kind else {})
    assert answer.status == status
    if status == 405:
        assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize("padding", [33_000, 3_000_000])
def test_a_text_over_32_kb_is_413(server: Server, padding: int) -> None:
    query = "ASK {}" + " " * padding
    assert post(server, query).status == 413
    assert fill(server, query=query).status == 413
    if padding < 100_000:
        assert send(server, "GET", "/sparql?query=" + quote(query)).status == 413


def test_a_long_text_within_the_limit_passes_in_every_way(server: Server) -> None:
    query = "ASK {} #" + "é" * 16_000
    assert post(server, query.encode()).status == 200
    assert fill(server, query=query).status == 200
    assert get(server, query).status == 200


def test_an_empty_answer_names_the_words_that_stand_for_nothing(server: Server) -> None:
    answer = get(server, "SELECT ?n { ?e lab:nmae ?n }")
    assert (answer.status, answer.rows) == (200, [])
    assert answer.headers["x-nightlab-note"] == (
        "lab:nmae is not a term of the ontology; did you mean lab:name?"
    )
    answer = get(server, "ASK { ?e lab:näme ?n }")
    assert answer.headers["x-nightlab-note"].startswith("lab:n?me is not a term of the ontology")
    assert "x-nightlab-note" not in get(server, NAMES).headers


# --- how much is answered


def test_rows_are_cut_and_the_answer_says_so(server: Server) -> None:
    answer = get(server, f"SELECT ?a ?d {PRODUCT}")
    assert (len(answer.rows), answer.value["head"]["truncated"]) == (LIMITS.rows, True)
    assert answer.headers["x-nightlab-truncated"] == "true"
    answer = get(server, NAMES)
    assert "truncated" not in answer.value["head"]
    assert "x-nightlab-truncated" not in answer.headers


@pytest.mark.parametrize("accept", ["application/xml", "text/csv", "text/tab-separated-values"])
def test_a_cut_answer_is_still_well_formed(server: Server, accept: str) -> None:
    answer = get(server, f"SELECT ?a ?d {PRODUCT}", {"Accept": accept})
    assert answer.headers["x-nightlab-truncated"] == "true"
    if accept == "application/xml":
        found = list(parse_query_results(answer.body, QueryResultsFormat.XML))
        assert len(found) == LIMITS.rows
    else:
        assert answer.body.count(b"\n") == LIMITS.rows + 1


def test_bytes_are_cut_and_the_answer_says_so(server: Server) -> None:
    long = f'SELECT ?a ("{"x" * 20_000}" AS ?text) {PRODUCT}'
    answer = get(server, long)
    assert len(answer.body) < LIMITS.answer_bytes + 1000
    assert answer.value["head"]["truncated"] is True
    assert 0 < len(answer.rows) < 26
    graph = get(server, f"CONSTRUCT {{ ?a ?b ?i }} {PRODUCT}")
    assert graph.headers["x-nightlab-truncated"] == "true"
    assert 0 < len(list(parse(graph.body, RdfFormat.TURTLE))) <= LIMITS.rows


# --- the page


def test_every_example_of_the_page_has_an_answer(server: Server) -> None:
    offered = send(server, "GET", "/examples.json").value
    assert offered["prefixes"]["lab"] == PREFIXES["lab"]
    assert len(offered["examples"]) == 10
    empty = [e["summary"] for e in offered["examples"] if not post(server, e["sparql"]).rows]
    assert empty == []

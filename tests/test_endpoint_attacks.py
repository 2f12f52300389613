"""What a query must not do to the endpoint: reach out, write, or end what answers it."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from served import COUNT, EXPERIMENTS, NAMES, PRODUCT, Canary, fill, get, post, running, send
from starlette.applications import Starlette
from starlette.datastructures import Headers

from flows import endpoint_app
from flows.endpoint import Server, build_endpoint
from flows.endpoint_guard import Door
from flows.endpoint_workers import Workers
from kg.guard import Limits
from kg.memory import Memory

CHAIN = f"SELECT (1{'+1' * 15_000} AS ?x) {{}}"  # overflows the engine's stack
UNGUARDED = Limits(operators=100_000)  # so that a worker gets what would end it


@pytest.fixture(scope="module")
def hasty(memory: Memory) -> Iterator[Server]:
    """A server with one worker, a deadline of a second and no bound on operators."""
    workers = Workers(memory.directory, size=1, seconds=1, limits=UNGUARDED)
    with running(build_endpoint(memory.directory, workers=workers)) as served:
        yield served


@pytest.fixture(scope="module")
def canary() -> Iterator[Canary]:
    made = Canary()
    yield made
    made.close()


def digest(memory: Memory) -> str:
    """Return a hash of every byte below a memory."""
    found = hashlib.sha256()
    for path in sorted(memory.directory.rglob("*")):
        found.update(str(path).encode() + (path.read_bytes() if path.is_file() else b""))
    return found.hexdigest()


# --- what is refused


REFUSED = [
    "SELECT * { SERVICE <URL> { ?s ?p ?o } }",
    "SELECT * { SERVICE SILENT <URL> { ?s ?p ?o } }",
    "SELECT * { ?s ?p ?o OPTIONAL { sErViCe<URL>{ ?s ?p ?o } } }",
    "SELECT * { ?s ?p ?o MINUS { SERVICE <URL> { ?s ?p ?o } } }",
    "SELECT * { ?s ?p ?o FILTER EXISTS { SERVICE <URL> { ?s ?p ?o } } }",
    "SELECT * { { SELECT * { VALUES ?u { <URL> } SERVICE ?u { ?s ?p ?o } } } }",
    "SELECT * { '''#''' ?p ?o . # \n SERVICE <URL> { ?s ?p ?o } }",
    "SELECT * FROM <URL> { ?s ?p ?o }",
    "SELECT * FROM NAMED <URL> { GRAPH ?g { ?s ?p ?o } }",
    "SELECT * FROM <file://FILE> { ?s ?p ?o }",
    "CONSTRUCT { ?s ?p ?o } FROM <file://FILE> { ?s ?p ?o }",
    "DESCRIBE ?s FROM <URL> { ?s ?p ?o }",
    "LOAD <URL>",
    "LOAD SILENT <file://FILE> INTO GRAPH <urn:g>",
    "INSERT DATA { <urn:a> <urn:b> <urn:c> }",
    "INSERT { ?s <urn:b> 1 } WHERE { ?s ?p ?o }",
    "DELETE WHERE { ?s ?p ?o }",
    "DELETE DATA { <urn:a> <urn:b> <urn:c> }",
    "WITH <urn:g> DELETE { ?s ?p ?o } WHERE { ?s ?p ?o }",
    "CLEAR ALL",
    "DROP SILENT DEFAULT",
    "CREATE GRAPH <urn:g>",
    "COPY DEFAULT TO <urn:g>",
    "MOVE DEFAULT TO <urn:g>",
    "ADD DEFAULT TO <urn:g>",
    "SELECT * { ?s ?p ?o } ; DELETE WHERE { ?s ?p ?o }",
    "SELECT * { SERVICESILENT<URL>{ ?s ?p ?o } }",
    "PREFIX x: <URL> SELECT * { SERVICEx:y { ?s ?p ?o } }",
    "PREFIX x: <URL> SELECT * { FILTER(1<2)SERVICEx:y#>\n{ ?s ?p ?o } }",
    'SELECT * { VALUES ?x { """a" } SERVICE <URL> { ?s ?p ?o } } #\\q"""',
    "BASE <URL> SELECT * { OPTIONAL { <#'''> ?p 1 } SERVICE <URL> { ?s ?p ?o } } #'''",
]


@pytest.mark.parametrize("attack", REFUSED)
def test_no_query_reaches_out_or_writes(
    server: Server, memory: Memory, canary: Canary, tmp_path: Path, attack: str
) -> None:
    secret = tmp_path / "secret.nt"
    secret.write_text("<urn:s> <urn:p> 'canary' .\n")
    before = digest(memory)
    text = attack.replace("URL", canary.url).replace("FILE", str(secret))
    for answer in (get(server, text), post(server, text), fill(server, query=text)):
        assert answer.status == 403
        assert "refused" in answer.value["error"]
        assert b"canary'" not in answer.body
    assert canary.hits == []
    assert digest(memory) == before


@pytest.mark.parametrize("name", ["default-graph-uri", "named-graph-uri", "using-graph-uri"])
def test_other_graphs_cannot_be_named_by_a_parameter(
    server: Server, canary: Canary, name: str
) -> None:
    path = f"/sparql?{name}={quote(canary.url)}"
    assert send(server, "GET", path + "&query=ASK{}").status == 403
    assert post(server, "ASK {}").status == 200
    assert (
        send(server, "POST", path, "ASK {}", {"Content-Type": "application/sparql-query"}).status
        == 403
    )
    assert canary.hits == []


def test_an_update_is_refused_by_get_and_by_form(server: Server, memory: Memory) -> None:
    before = memory.dump()
    update = "DELETE WHERE { ?s ?p ?o }"
    for answer in (
        send(server, "GET", "/sparql?update=" + quote(update)),
        fill(server, update=update),
        fill(server, query="ASK {}", update=update),
        send(
            server,
            "POST",
            "/sparql?update=" + quote(update),
            "ASK {}",
            {"Content-Type": "application/sparql-query"},
        ),
    ):
        assert (answer.status, "only reads" in answer.value["error"]) == (403, True)
    assert Memory(memory.directory).dump() == before


def test_words_in_texts_and_names_are_not_taken_for_attacks(server: Server) -> None:
    query = """SELECT ?load { VALUES ?load { "SERVICE <http://x/> LOAD FROM INSERT" <urn:DELETE> }
      # SERVICE <http://x/>
      BIND("drop" AS ?from) }"""
    assert len(get(server, query).rows) == 2


def test_traffic_changes_no_byte_of_the_memory(server: Server, memory: Memory) -> None:
    before = digest(memory)
    for query in (NAMES, COUNT, "ASK {}", "DESCRIBE lab:keep", "SELECT {", "LOAD <urn:a>"):
        get(server, query)
    assert digest(memory) == before


# --- what is sent by hand


def spoken(server: Server, *parts: bytes) -> bytes:
    """Send bytes as they are, leave the connection open, and return the answer's first line."""
    host, port = server.url.removeprefix("http://").rstrip("/").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        for part in parts:
            connection.sendall(part.replace(b"HOST", f"Host: {host}:{port}".encode()))
        return connection.makefile("rb").readline()


POSTED = b"POST /sparql HTTP/1.1\r\nHOST\r\nContent-Type: application/sparql-query\r\n"


def test_a_body_without_end_is_answered_when_it_is_too_long(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint_app, "UPLOAD_SECONDS", 3600)
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    answer = spoken(server, POSTED + b"Transfer-Encoding: chunked\r\n\r\n", chunk)
    assert b" 413 " in answer


def test_a_body_that_never_comes_is_not_waited_for(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint_app, "UPLOAD_SECONDS", 0.1)
    assert b" 413 " in spoken(server, POSTED + b"Content-Length: 100\r\n\r\n", b"ASK")


@pytest.mark.parametrize("named", [[], [b"localhost:1", b"localhost:1"]])
def test_a_request_has_one_host(named: list[bytes]) -> None:
    door = Door(Starlette(), frozenset({"localhost:1"}))  # one of uvicorn's two parsers looks, too
    refused = door.refusal("/sparql", Headers(raw=[(b"host", name) for name in named]))
    assert refused is not None
    assert refused.status_code == 421


# --- what would break an engine


@pytest.mark.parametrize(
    "bomb",
    [
        "SELECT * " + "{" * 3000 + "}" * 3000,
        "SELECT (" + "(" * 10_000 + "1" + ")" * 10_000 + " AS ?x) {}",
        "SELECT * { ?s ?p " + "[ ?p " * 3000 + "1" + "]" * 3000 + " }",
        "SELECT * { ?s ?p " + "( " * 3000 + "1" + ")" * 3000 + " }",
        "ASK " + "{ OPTIONAL" * 2000,
        "ASK { FILTER" + "(" * 5000,
    ],
)
def test_nesting_is_refused_before_the_engine_sees_it(server: Server, bomb: str) -> None:
    answer = post(server, bomb)
    assert (answer.status, "nested deeper" in answer.value["error"]) == (400, True)


CHAINS = [CHAIN, "ASK { ?s " + "a/" * 15_000 + "a ?o }", "ASK { FILTER(" + "!" * 30_000 + "?s) }"]


@pytest.mark.parametrize("bomb", CHAINS)
def test_a_chain_is_refused_before_the_engine_sees_it(server: Server, bomb: str) -> None:
    answer = post(server, bomb)
    assert (answer.status, "more than 250 operators" in answer.value["error"]) == (400, True)


@pytest.mark.parametrize("bomb", CHAINS)
def test_a_query_that_kills_its_worker_costs_one_answer(hasty: Server, bomb: str) -> None:
    answer = post(hasty, bomb)
    assert answer.status in (500, 504)
    assert get(hasty, COUNT).rows == [{"n": str(EXPERIMENTS)}]


@pytest.mark.parametrize(
    "bomb",
    [
        f"SELECT (COUNT(*) AS ?n) {PRODUCT}",
        f"SELECT (MAX(STRLEN(STR(?i))) AS ?n) {PRODUCT}",
        "ASK { " + "?s ?p ?o . " * 2500 + "}",
    ],
)
def test_a_query_is_stopped_at_the_deadline_and_told_why(hasty: Server, bomb: str) -> None:
    answer = post(hasty, bomb)
    assert (answer.status, answer.value["error"]) == (
        504,
        "sparql: stopped after 1 s; ask for less",
    )
    assert answer.value["hint"].startswith(
        "nothing joins ?a with ?d" if PRODUCT in bomb else "it reads"
    )
    assert get(hasty, COUNT).rows == [{"n": str(EXPERIMENTS)}]


def test_a_regular_expression_takes_linear_time(server: Server) -> None:
    query = f'ASK {{ FILTER(REGEX("{"a" * 5000}!", "^(a+)+$")) }}'
    assert get(server, query).value["boolean"] is False


def test_a_worker_cannot_take_all_memory(memory: Memory) -> None:
    workers = Workers(memory.directory, size=1, seconds=20, heap_bytes=256 * 1024**2)
    with running(build_endpoint(memory.directory, workers=workers)) as served:
        answer = post(served, f"SELECT * {PRODUCT} ORDER BY ?i")
        assert (answer.status, "ended its worker" in answer.value["error"]) == (500, True)
        assert get(served, COUNT).rows == [{"n": str(EXPERIMENTS)}]


def test_a_worker_has_no_network_where_the_kernel_lets_it_give_it_up(canary: Canary) -> None:
    code = (
        "import sys; from flows.endpoint_worker import confine; from pyoxigraph import Store\n"
        "print(confine(2**31))\n"
        "try: list(Store().query('SELECT * { SERVICE <%s> { ?s ?p ?o } }' % sys.argv[1]))\n"
        "except Exception: pass"
    )
    words = [sys.executable, "-c", code, canary.url]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    asked = bool(canary.hits)
    canary.hits.clear()
    assert asked == (done.stdout.strip() == "False")

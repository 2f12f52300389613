from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest
from histories import records
from pyoxigraph import QueryResultsFormat, RdfFormat, parse, parse_query_results
from served import FORM, Canary, fill, get, post, running, send

from flows.endpoint import Server, build_endpoint
from flows.endpoint_workers import Workers
from flows.errors import ServerError
from kg.guard import Limits
from kg.memory import Memory
from kg.terms import PREFIXES

EXPERIMENTS = 16
NAMES = "SELECT ?name { ?e a lab:Experiment ; lab:name ?name } ORDER BY ?name"
COUNT = "SELECT (COUNT(?e) AS ?n) { ?e a lab:Experiment }"
PRODUCT = "{ ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }"  # 10^10 rows
CHAIN = f"SELECT (1{'+1' * 15_000} AS ?x) {{}}"  # overflows the engine's stack
LIMITS = Limits(rows=1000, answer_bytes=500_000)
UNGUARDED = Limits(operators=100_000)  # so that a worker gets what would end it


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Memory:
    made = Memory(tmp_path_factory.mktemp("endpoint") / "graph")
    made.add_all(records(size=EXPERIMENTS))
    return made


@pytest.fixture(scope="module")
def server(memory: Memory) -> Iterator[Server]:
    workers = Workers(memory.directory, seconds=20, limits=LIMITS)
    with running(build_endpoint(memory.directory, workers=workers)) as served:
        yield served


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
        (400, "POST", "/sparql", b"&".join([b"a=1"] * 101), FORM["Content-Type"]),
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


# --- who may ask


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:80",
        "127.0.0.1",
        "localhost:1",
        "127.0.0.1.evil.example:PORT",
        "",
    ],
)
def test_a_foreign_host_is_turned_away(server: Server, host: str) -> None:
    port = re.sub(r"\D", "", server.url.rpartition(":")[2])
    answer = get(server, NAMES, {"Host": host.replace("PORT", port)})
    assert answer.status == 421
    assert get(server, NAMES, {"Host": f"LocalHost:{port}"}).status == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1", "file://"])
def test_a_foreign_origin_is_turned_away(server: Server, origin: str) -> None:
    for answer in (
        get(server, NAMES, {"Origin": origin}),
        fill(server, {"Origin": origin}, query=NAMES),
    ):
        assert answer.status == 403
        assert not [name for name in answer.headers if name.startswith("access-control")]
    own = server.url.rstrip("/")
    assert get(server, NAMES, {"Origin": own}).status == 200


def test_a_foreign_page_cannot_ask_by_an_image_either(server: Server) -> None:
    for site in ("cross-site", "same-site"):
        assert get(server, NAMES, {"Sec-Fetch-Site": site}).status == 403
    assert get(server, NAMES, {"Sec-Fetch-Site": "same-origin"}).status == 200


def test_no_answer_opens_the_server_to_other_sites(server: Server) -> None:
    for answer in (
        get(server, NAMES),
        send(server, "GET", "/"),
        send(server, "OPTIONS", "/sparql"),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_with_a_token_only_its_holders_are_answered(memory: Memory) -> None:
    workers = Workers(memory.directory, size=1)
    with running(build_endpoint(memory.directory, token="s3cret", workers=workers)) as served:
        for sent in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": "Basic s3cret"},
            {"Authorization": "Bearer é"},
        ):
            answer = get(served, NAMES, sent)
            assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert send(served, "GET", "/examples.json").status == 401
        assert send(served, "GET", "/").status == 200  # the page has no data and asks for the token
        assert get(served, NAMES, {"Authorization": "bearer s3cret"}).status == 200


def test_a_server_is_not_started_where_it_would_be_open_or_useless(
    memory: Memory, server: Server, tmp_path: Path
) -> None:
    with pytest.raises(ServerError, match="other machines can reach it; give a token"):
        build_endpoint(memory.directory, "0.0.0.0")
    with pytest.raises(ServerError, match="does not exist"):
        build_endpoint(tmp_path / "nothing")
    with pytest.raises(ServerError, match="take another --port"):
        build_endpoint(memory.directory, port=int(server.url.rstrip("/").rpartition(":")[2]))


def test_an_answer_does_not_wait_for_an_acknowledgement(server: Server) -> None:
    # asyncio sets TCP_NODELAY only on sockets that name TCP; without it 44 ms an answer
    assert server.listening.proto == socket.IPPROTO_TCP


# --- while it runs


def test_a_new_snapshot_is_answered_from_without_a_restart(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "graph")
    memory.add_all(records(size=3))
    workers = Workers(memory.directory, size=1)
    with running(build_endpoint(memory.directory, workers=workers)) as served:
        assert get(served, COUNT).rows == [{"n": "3"}]
        memory.add_all(records(size=5))
        assert get(served, COUNT).rows == [{"n": "5"}]
        memory.rebuild(records(size=4))
        assert get(served, COUNT).rows == [{"n": "4"}]


def test_an_empty_memory_has_no_rows_and_a_broken_one_says_so(tmp_path: Path) -> None:
    workers = Workers(tmp_path, size=1)
    with running(build_endpoint(tmp_path, workers=workers)) as served:
        assert get(served, COUNT).rows == [{"n": "0"}]
        (tmp_path / "snapshot-1").mkdir()
        (tmp_path / "snapshot").symlink_to("snapshot-1")
        answer = get(served, COUNT)
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert "kg rebuild" in answer.value["error"]


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_process_outlives_the_server(memory: Memory, end: signal.Signals) -> None:
    code = (
        "import sys; from pathlib import Path; from flows.endpoint import serve_endpoint\n"
        "serve_endpoint(Path(sys.argv[1]), ready=lambda url: print(url, flush=True))"
    )
    words = [sys.executable, "-c", code, str(memory.directory)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        address = Server(url, None, None)  # type: ignore[arg-type]
        assert get(address, COUNT).status == 200
        children = psutil.Process(process.pid).children()
        assert len(children) == 2
        process.send_signal(end)
        code_of_end = process.wait(timeout=20)
    assert psutil.wait_procs(children, timeout=20)[1] == []
    assert code_of_end == (0 if end == signal.SIGINT else -end)


# --- the page


def test_every_example_of_the_page_has_an_answer(server: Server) -> None:
    offered = send(server, "GET", "/examples.json").value
    assert offered["prefixes"]["lab"] == PREFIXES["lab"]
    assert len(offered["examples"]) == 10
    empty = [e["summary"] for e in offered["examples"] if not post(server, e["sparql"]).rows]
    assert empty == []

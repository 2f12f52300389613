"""Servers of the tests: a real endpoint, what it is asked over plain HTTP, and a canary."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlencode

from flows.endpoint import Server
from kg.guard import Limits

EXPERIMENTS = 16
NAMES = "SELECT ?name { ?e a lab:Experiment ; lab:name ?name } ORDER BY ?name"
COUNT = "SELECT (COUNT(?e) AS ?n) { ?e a lab:Experiment }"
PRODUCT = "{ ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }"  # 10^10 rows
LIMITS = Limits(rows=1000, answer_bytes=500_000)
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
TEXT = {"Content-Type": "application/sparql-query"}


@dataclass(frozen=True)
class Response:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def value(self) -> Any:
        return json.loads(self.body)

    @property
    def rows(self) -> list[dict[str, str]]:
        found = self.value["results"]["bindings"]
        return [{name: term["value"] for name, term in row.items()} for row in found]


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """Run a server in a thread."""
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()


def send(
    server: Server,
    method: str,
    path: str,
    body: bytes | str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Send one request as it is."""
    address = server.url.removeprefix("http://").rstrip("/")
    connection = http.client.HTTPConnection(address, timeout=30)
    try:
        connection.request(method, path, body, dict(headers or {}))
        found = connection.getresponse()
        return Response(found.status, {k.lower(): v for k, v in found.getheaders()}, found.read())
    finally:
        connection.close()


def get(server: Server, query: str, headers: Mapping[str, str] | None = None) -> Response:
    """Ask by GET."""
    return send(server, "GET", "/sparql?" + urlencode({"query": query}), None, headers)


def post(server: Server, query: str | bytes, headers: Mapping[str, str] | None = None) -> Response:
    """Ask by a POST of the text itself."""
    return send(server, "POST", "/sparql", query, {**TEXT, **(headers or {})})


def fill(server: Server, headers: Mapping[str, str] | None = None, **fields: str) -> Response:
    """Ask by a POST of a form."""
    return send(server, "POST", "/sparql", urlencode(fields), {**FORM, **(headers or {})})


class Canary:
    """A server that must never be asked."""

    def __init__(self) -> None:
        self.hits: list[str] = []
        canary = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                canary.hits.append(self.path)
                self.send_response(200)
                self.end_headers()

            do_POST = do_GET

            def log_message(self, *words: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/canary"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

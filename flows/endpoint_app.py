"""SPARQL 1.1 Protocol over HTTP: what a request asks for, and the page for people.

Source: SPARQL 1.1 Protocol (W3C, 2013), section 2.1: query by GET, by a URL-encoded form, by a
POST of the text itself. Updates (2.2) and other graphs (2.1.4) are refused.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from flows.endpoint_guard import POLICY
from flows.endpoint_workers import Reply, Workers, refusal
from flows.yasgui import STYLE
from kg.guard import Limits

PLAIN: Final = ("index.html", "common.js", "endpoint.js", "endpoint.css")
WITH_YASGUI: Final = ("yasgui.html", "common.js", "yasgui.js", "yasgui.css", "yasgui.txt")
MEDIA_TYPES: Final = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".txt": "text/plain",
}
EXAMPLES: Final = "/examples.json"
OTHER_GRAPHS: Final = frozenset(
    ("default-graph-uri", "named-graph-uri", "using-graph-uri", "using-named-graph-uri")
)
FORM: Final = "application/x-www-form-urlencoded"
FORM_GROWTH: Final = 3  # a byte is at most three characters of a form
UPLOAD_SECONDS: Final = 10.0
JSON_TYPES: Final = ("application/json", "application/sparql-results+json")


@dataclass(frozen=True, slots=True)
class File:
    """One file of the page, as it is sent."""

    body: bytes
    media_type: str
    policy: str = POLICY


def page_files(editor: Mapping[str, bytes]) -> dict[str, File]:
    """Return the files of the page by path: around YASGUI if it is given, else the plain page."""
    first, *names = WITH_YASGUI if editor else PLAIN
    policy = POLICY.replace("style-src 'self'", f"style-src 'self' {STYLE}") if editor else POLICY
    found = {"/": File(asset(first), MEDIA_TYPES[".html"], policy)}
    for name, body in {**{name: asset(name) for name in names}, **editor}.items():
        found[f"/{name}"] = File(body, MEDIA_TYPES[PurePosixPath(name).suffix])
    return found


def build_app(workers: Workers, files: Mapping[str, File]) -> Starlette:
    """Return the application; it starts and stops the workers itself."""

    async def page(request: Request) -> Response:
        file = files[request.url.path]
        headers = {"Content-Security-Policy": file.policy}
        return Response(file.body, headers=headers, media_type=file.media_type)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with workers:
            yield

    async def sparql(request: Request) -> Response:
        query = await query_of(request, workers.limits)
        if isinstance(query, Reply):
            return await response_of("", query)
        reply = await workers.ask(query, request.headers.get("accept", ""))
        return await response_of(query, reply)

    async def offered(request: Request) -> Response:
        return JSONResponse(await examples_of(workers))

    routes = [Route(path, page, methods=["GET"]) for path in files]
    routes.append(Route(EXAMPLES, offered, methods=["GET"]))
    routes.append(Route("/sparql", sparql, methods=["GET", "POST"]))
    return Starlette(routes=routes, lifespan=lifespan)


async def examples_of(workers: Workers) -> dict[str, Any]:
    """Return queries to start from, about the largest campaign and the knob tried most in it."""
    from kg import schema
    from kg.terms import LAB, PREFIXES

    tag, knob = "TAG", "model.depth"
    found = await workers.ask(schema.TAGS)
    if found.status == 200 and found.value["rows"]:
        tag = found.value["rows"][0]["campaign"]
        used = await workers.ask(schema.used(tag))
        if used.status == 200 and used.value["rows"]:
            knob = used.value["rows"][0]["knob"].removeprefix(PREFIXES["knob"])
    examples = schema.examples(tag, unquote(knob))
    terms = sorted(f"lab:{term}" for term in LAB.__annotations__)
    return {"prefixes": PREFIXES, "terms": terms, "examples": examples}


@cache
def asset(name: str) -> bytes:
    """Read a file of the page."""
    return (resources.files("flows") / "web" / name).read_bytes()


async def query_of(request: Request, limits: Limits) -> str | Reply:
    """Return the query a request carries, or why it is refused."""
    pairs = list(request.query_params.multi_items())
    if request.method == "POST":
        more = await posted(request, limits.text_bytes)
        if isinstance(more, Reply):
            return more
        pairs += more
    names = {name for name, _ in pairs}
    if "update" in names:
        return refusal(403, "update: this endpoint only reads; leave it out")
    if names & OTHER_GRAPHS:
        named = min(names & OTHER_GRAPHS)
        return refusal(403, f"{named}: names another graph, which is refused; leave it out")
    found = [value for name, value in pairs if name == "query"]
    if len(found) != 1:
        return refusal(400, f"{len(found)} queries; send one, as `query` or as the body")
    if len(found[0].encode("utf-8", "replace")) > limits.text_bytes:
        return too_long(limits.text_bytes)
    return found[0]


async def posted(request: Request, most: int) -> list[tuple[str, str]] | Reply:
    """Return what a POST carries as names and values, or why it is refused."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/sparql-update":
        return refusal(403, "update: this endpoint only reads; send application/sparql-query")
    if kind not in (FORM, "application/sparql-query"):
        return refusal(415, f"content type {kind!r}; send application/sparql-query or {FORM}")
    body = await body_of(request, most * FORM_GROWTH + 1024 if kind == FORM else most)
    if body is None:
        return too_long(most)
    try:
        text = body.decode("utf-8")
        if kind != FORM:
            return [("query", text)]
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        return refusal(400, "the body is not UTF-8, or has too many fields; mend it")


async def body_of(request: Request, most: int) -> bytes | None:
    """Read a body, and hardly a byte more than allowed; None if it is longer or never ends."""
    body = b""
    with contextlib.suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(UPLOAD_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    return None
            return body
    return None


def too_long(most: int) -> Reply:
    """Return the answer to a text of more bytes than are read."""
    return refusal(413, f"longer than {most} bytes, or never sent; ask for less at once")


async def response_of(text: str, reply: Reply) -> Response:
    """Return a reply as an HTTP response."""
    headers = {"Vary": "Accept"}
    if reply.truncated:
        headers["X-Nightlab-Truncated"] = "true"
    if reply.notes:  # a header has no other letters
        headers["X-Nightlab-Note"] = "; ".join(reply.notes).encode("ascii", "replace").decode()
    if reply.status == 503:
        headers["Retry-After"] = "5"
    if reply.status not in (400, 504):
        kind = reply.media_type
        media_type = kind if kind in JSON_TYPES else f"{kind}; charset=utf-8"
        return Response(reply.body, reply.status, headers, media_type)
    from kg.slow_shapes import hint

    stopped = reply.status == 504
    advice = await asyncio.to_thread(hint, text, stopped=stopped)  # 32 kB of hostile text: 0.1 s
    more = {"hint": advice} if advice else {}
    return JSONResponse({**reply.value, **more}, reply.status, headers)

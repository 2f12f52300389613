"""Commands that let programs ask: the SPARQL endpoint, the MCP server, the schema."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from flows.memory_commands import memory_of
from flows.output import emit, notes, out

TOKEN = "NIGHTLAB_ENDPOINT_TOKEN"  # not an option: command lines can be read by every user


def endpoint(options: argparse.Namespace) -> int:
    """`nightlab endpoint`: SPARQL 1.1 Protocol and a page, on loopback, until Ctrl-C."""
    from flows.endpoint import serve_endpoint

    def ready(url: str) -> None:
        if options.json:
            emit({"url": url})
        else:
            notes().print(f"SPARQL at {url} (a page for people, GET and POST for programs)")

    place, token = memory_of(options).directory, os.environ.get(TOKEN)
    serve_endpoint(place, port=options.port, token=token, seconds=options.seconds, ready=ready)
    return 0


def mcp(options: argparse.Namespace) -> int:
    """`nightlab mcp`: the memory as tools of an agent, over stdio or HTTP."""
    from flows.cli import loaded

    loaded("flows.mcp_server:build_mcp")  # with the SDK; the collector took a quarter of its start
    from flows.mcp_server import serve_http, serve_stdio

    place = Path(options.store) if options.store else None
    if options.http is None:
        serve_stdio(place)
    else:
        serve_http(place, port=options.http, ready=lambda url: notes().print(f"MCP at {url}"))
    return 0


def schema(options: argparse.Namespace) -> int:
    """`nightlab kg schema`: classes, predicates, counts and examples of the graph as it is."""
    from kg.schema import schema as describe
    from kg.schema import to_text

    found = describe(memory_of(options))
    if options.json:
        emit(found)
    else:
        out().print(to_text(found))
    return 0

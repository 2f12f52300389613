"""The process that answers free SPARQL: no network, a bounded heap, and it can be killed.

pyoxigraph cannot be interrupted, and what kg.guard lets through may still take hours or all
memory. So free text is only ever answered here: a crash or a kill costs one answer and 0.2 s for
the next process. One request is one JSON line on stdin, a reply one JSON line and then as many
bytes as that line says.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any, BinaryIO

from kg import store
from kg.errors import BadSparql, KgError
from kg.guard import Limits, forbidden
from kg.result_formats import Formatted, NotAcceptable, answer
from kg.sparql import sparql
from kg.sparql_tokens import tokens

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000  # linux/sched.h
GRACE_SECONDS = 1.0  # the parent kills at the deadline; this is for a parent that died


def main(directory: str, heap_bytes: str) -> None:
    """Answer requests from stdin until it ends."""
    confine(int(heap_bytes))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which closes stdin
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing else may write into the replies
    replies.write(b"ready\n")
    replies.flush()
    serve(Path(directory), sys.stdin.buffer, replies)


def confine(heap_bytes: int) -> bool:
    """Give up the network and all but so much memory; tell whether the network is gone.

    Some kernels refuse an unprivileged process its own network: the guard stands alone then.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (heap_bytes, heap_bytes))
    unshare = getattr(ctypes.CDLL(None), "unshare", None)  # not on macOS
    if unshare is None:
        return False
    return 0 in (unshare(flags) for flags in (CLONE_NEWNET, CLONE_NEWUSER | CLONE_NEWNET))


def serve(directory: Path, requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer each line, always over the snapshot that is published at that moment."""
    opened: tuple[store.Edition | str | None, Any] = ("nothing yet", None)
    for line in requests:
        request = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, request["seconds"] + GRACE_SECONDS)
        latest = store.edition(directory)
        try:
            if latest != opened[0]:
                opened = latest, store.reading(directory)
            status, found = 200, reply(opened[1], request)
        except KgError as error:
            status, found = status_of(request["query"], error), complaint(error)
        signal.setitimer(signal.ITIMER_REAL, 0)
        head = {"status": status, "type": found.media_type, "truncated": found.truncated}
        head["notes"] = list(found.notes)
        replies.write(json.dumps({**head, "size": len(found.body)}).encode() + b"\n" + found.body)
        replies.flush()


def reply(graph: Any, request: dict[str, Any]) -> Formatted:
    """Answer one request: in a results format, or as `nightlab sparql --json` does."""
    limits = Limits(**request["limits"])
    if request["accept"] is not None:
        return answer(graph, request["query"], request["accept"], limits)
    rows = sparql(graph, request["query"], limits)
    value = {
        "columns": list(rows.columns),
        "rows": rows.rows,
        "truncated": rows.truncated,
        "notes": list(rows.notes),
    }
    return Formatted("application/json", json.dumps(value).encode(), rows.truncated)


def status_of(text: str, error: KgError) -> int:
    """Return the HTTP status of an error: 403 is what is never answered, 400 is mendable."""
    if isinstance(error, NotAcceptable):
        return 406
    if not isinstance(error, BadSparql):
        return 503  # the memory is broken
    return 403 if any(map(forbidden, tokens(text))) else 400


def complaint(error: KgError) -> Formatted:
    """Return an error as JSON, with its place where that is known."""
    value: dict[str, Any] = {"error": str(error)}
    position = getattr(error, "position", None)
    if position:
        value |= {"line": position[0], "column": position[1]}
    return Formatted("application/json", json.dumps(value).encode())


if __name__ == "__main__":
    main(*sys.argv[1:])

"""`nightlab endpoint`: the memory as a SPARQL endpoint and a page, for tools that speak HTTP."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvicorn

from flows import yasgui
from flows.endpoint_app import build_app, page_files
from flows.endpoint_guard import Door, check_exposure, hosts
from flows.endpoint_workers import Workers
from flows.errors import ServerError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

LOG: Final = logging.getLogger(__name__)
MOST_REQUESTS: Final = 64  # at once; more are told 503 before they are read
LONGEST_HEAD: Final = 128 * 1024  # bytes: 32 kB of query, escaped, by GET


@dataclass(frozen=True, slots=True)
class Server:
    """A server that listens but does not answer yet."""

    url: str
    uvicorn: uvicorn.Server
    listening: socket.socket

    def run(self) -> None:
        """Answer until `stop`, Ctrl-C or SIGTERM."""
        with self.listening:
            self.uvicorn.run(sockets=[self.listening])

    def stop(self) -> None:
        """Make `run` return, from any thread."""
        self.uvicorn.should_exit = True


def build_endpoint(
    memory_dir: Path,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str | None = None,
    *,
    names: Iterable[str] = (),
    workers: Workers | None = None,
) -> Server:
    """Return the endpoint of a memory, already listening.

    Args:
        memory_dir: The directory of the graph; new snapshots are picked up.
        host: Address to bind.
        port: Port to bind; 0 takes a free one.
        token: What clients must send as `Authorization: Bearer`; None asks for nothing.
        names: What else Host may say, such as the name of a reverse proxy.
        workers: The processes that answer; default: two with a deadline of 10 s.

    Raises:
        ServerError: There is no memory, the port is taken, or there is no token beyond loopback.
    """
    if not memory_dir.is_dir():
        raise ServerError(f"memory {memory_dir}: does not exist; run `nightlab start` first")
    check_exposure(host, token)
    app = build_app(workers or Workers(memory_dir), files := page_files(editor()))
    public = frozenset(files)
    return listen(host, port, lambda bound: Door(app, hosts(host, bound, names), token, public))


def editor() -> dict[str, bytes]:
    """Return YASGUI if it is there and is what was published; nothing else is ever served."""
    try:
        return yasgui.load()
    except ServerError as error:
        LOG.warning("page=plain reason=%s", error)
        return {}


def listen(host: str, port: int, app_of: Callable[[int], ASGIApp]) -> Server:
    """Bind a port and return a server for the application made for it.

    Raises:
        ServerError: The address cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, because asyncio turns Nagle's algorithm off only then: 44 ms an answer, else 1.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host.strip("[]"), port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise ServerError(f"{host}:{port}: {error.strerror}; take another --port") from error
    bound = listening.getsockname()[1]
    config = uvicorn.Config(
        app_of(bound),
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="on",
        limit_concurrency=MOST_REQUESTS,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=LONGEST_HEAD,
    )
    shown = f"[{host}]" if ":" in host else host
    return Server(f"http://{shown}:{bound}/", uvicorn.Server(config), listening)


def serve_endpoint(
    memory_dir: Path,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str | None = None,
    *,
    names: Iterable[str] = (),
    seconds: float = 10.0,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the endpoint and its page until Ctrl-C; `ready` is told the address.

    Raises:
        ServerError: See `build_endpoint`.
    """
    workers = Workers(memory_dir, seconds=seconds)
    server = build_endpoint(memory_dir, host, port, token, names=names, workers=workers)
    if ready is not None:
        ready(server.url)
    with contextlib.suppress(KeyboardInterrupt):
        server.run()

"""A few worker processes for free SPARQL, each killed and replaced at the deadline."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process, create_subprocess_exec
from collections.abc import Coroutine
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from kg.guard import Limits

HEAP_BYTES: Final = 2 * 1024**3  # 10,000 experiments take 0.1 GB; a sort of a product takes all
PATIENCE_SECONDS: Final = 5.0  # beyond the deadline, for a free worker or one that starts (0.2 s)
FAILED_START: Final = "could be started; the server's own output says why"


@dataclass(frozen=True, slots=True)
class Reply:
    """What becomes of one request, in HTTP's terms."""

    status: int
    media_type: str
    body: bytes
    truncated: bool = False
    notes: tuple[str, ...] = ()  # why nothing was found

    @property
    def value(self) -> Any:
        """Return the body as a value, if it is JSON."""
        return json.loads(self.body)


class Workers:
    """Answer free SPARQL over the newest snapshot of a memory; use it as a context manager."""

    def __init__(
        self,
        directory: Path,
        *,
        size: int = 2,
        seconds: float = 10.0,
        limits: Limits | None = None,
        heap_bytes: int = HEAP_BYTES,
    ) -> None:
        self.directory, self.size, self.seconds = directory.resolve(), size, seconds
        self.limits, self.heap_bytes = limits or Limits(), heap_bytes
        self.idle: asyncio.LifoQueue[Process] = asyncio.LifoQueue()
        self.alive: set[Process] = set()
        self.tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Workers:
        """Start the processes; they are ready 0.2 s later."""
        for _ in range(self.size):
            self.later(self.start())
        return self

    async def __aexit__(self, *error: object) -> None:
        """Kill every process and wait until it is gone."""
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for process in list(self.alive):
            await self.end(process)

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that nobody waits for."""
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def start(self) -> None:
        """Start one process. `-P`: a `kg.py` in the current directory must not be imported."""
        words = ["-P", "-m", "flows.endpoint_worker", str(self.directory), str(self.heap_bytes)]
        process = await create_subprocess_exec(sys.executable, *words, stdin=PIPE, stdout=PIPE)
        self.alive.add(process)
        assert process.stdout is not None  # it is a pipe
        if await process.stdout.readline():  # its first line says that it is ready
            self.idle.put_nowait(process)
        else:
            await self.end(process)

    async def end(self, process: Process) -> None:
        """Kill one process and wait until it is gone."""
        self.alive.discard(process)
        if process.returncode is None:
            process.kill()
        await process.wait()

    async def replace(self, process: Process) -> None:
        """Start a process in place of another."""
        await self.end(process)
        await self.start()

    async def ask(self, query: str, accept: str | None = None) -> Reply:
        """Answer one query, in a results format, or without ``accept`` as rows in plain JSON.

        The status is 200, 400, 403 or 406 as the worker says, 500 if the query killed it, 503 if
        no worker was free in time or the memory is broken, 504 at the deadline.
        """
        if not self.alive and not self.tasks:  # none could be started; it may be possible by now
            self.later(self.start())
        try:
            async with asyncio.timeout(self.seconds + PATIENCE_SECONDS):
                process = await self.idle.get()
        except TimeoutError:
            why = "is free; try again in a moment" if self.alive else FAILED_START
            return refusal(503, f"no worker {why}")
        try:
            async with asyncio.timeout(self.seconds):
                reply = await self.exchange(process, query, accept)
        except TimeoutError:
            self.later(self.replace(process))
            return refusal(504, f"stopped after {self.seconds:g} s; ask for less")
        except (asyncio.IncompleteReadError, ConnectionError):
            self.later(self.replace(process))
            return refusal(500, "the query ended its worker; make it shorter or less nested")
        except asyncio.CancelledError:
            self.later(self.replace(process))
            raise
        self.idle.put_nowait(process)
        return reply

    async def exchange(self, process: Process, query: str, accept: str | None) -> Reply:
        """Send a request to a worker and read its reply."""
        assert process.stdin is not None  # both are pipes, see start
        assert process.stdout is not None
        request = {"query": query, "accept": accept, "seconds": self.seconds}
        line = json.dumps({**request, "limits": asdict(self.limits)})
        process.stdin.write(line.encode() + b"\n")
        await process.stdin.drain()
        head = json.loads(await process.stdout.readuntil(b"\n"))
        body = await process.stdout.readexactly(head["size"])
        return Reply(head["status"], head["type"], body, head["truncated"], tuple(head["notes"]))


def refusal(status: int, sentence: str) -> Reply:
    """Return what could not be answered, in the shape of a worker's complaint."""
    value = {"error": f"sparql: {sentence}"}
    return Reply(status, "application/json", json.dumps(value).encode())

"""The processes that answer free SPARQL, without the server around them."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from served import COUNT, EXPERIMENTS, PRODUCT

from flows.endpoint_workers import HEAP_BYTES, Reply, Workers
from kg.guard import Limits
from kg.memory import Memory

SLOW = f"SELECT (COUNT(*) AS ?n) {PRODUCT}"


def with_one(
    memory: Memory, ask: Callable[[Workers], Awaitable[Reply]], seconds: float = 20
) -> Reply:
    """Ask of one worker."""

    async def run() -> Reply:
        async with Workers(memory.directory, size=1, seconds=seconds) as workers:
            return await ask(workers)

    return asyncio.run(run())


def test_a_file_of_the_current_directory_is_not_run(
    memory: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("kg.py", "flows.py", "json.py"):
        (tmp_path / name).write_text("raise SystemExit(1)")
    monkeypatch.chdir(tmp_path)
    assert with_one(memory, lambda workers: workers.ask(COUNT)).status == 200


def test_who_asks_next_does_not_get_the_answer_to_a_query_that_was_given_up(memory: Memory) -> None:
    async def ask(workers: Workers) -> Reply:
        await workers.ask(COUNT)  # from here on the worker is ready
        given_up = asyncio.ensure_future(workers.ask(SLOW))
        while workers.idle.qsize():
            await asyncio.sleep(0)
        given_up.cancel()
        return await workers.ask(COUNT)

    assert with_one(memory, ask).value["rows"] == [{"n": EXPERIMENTS}]


def test_a_worker_ends_at_the_deadline_although_nobody_is_left_to_kill_it(memory: Memory) -> None:
    words = ["-m", "flows.endpoint_worker", str(memory.directory), str(HEAP_BYTES)]
    request = {"query": SLOW, "accept": None, "seconds": 0.1, "limits": asdict(Limits())}
    with subprocess.Popen(
        [sys.executable, *words], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as worker:
        assert worker.stdin is not None
        worker.stdin.write(json.dumps(request) + "\n")
        worker.stdin.flush()
        try:
            assert worker.wait(timeout=30) == -signal.SIGALRM
        finally:
            worker.kill()


def test_a_worker_that_could_not_be_started_is_started_when_it_is_asked_again(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask(workers: Workers) -> Reply:
        refused = await workers.ask(COUNT)
        why = "sparql: no worker could be started; the server's own output says why"
        assert (refused.status, refused.value["error"]) == (503, why)
        monkeypatch.undo()
        workers.seconds = 20
        return await workers.ask(COUNT)

    monkeypatch.setattr("flows.endpoint_workers.PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(sys, "executable", "false")
    assert with_one(memory, ask, seconds=1).value["rows"] == [{"n": EXPERIMENTS}]

"""What a flow run shows beside its tasks: the results artifact, and a mark of who runs it."""

from __future__ import annotations

import json
import logging
import os
import queue
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast
from uuid import UUID

import flows.untracked  # isort: skip  # noqa: F401

import httpx
import psutil
from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import get_client
from prefect.events.worker import EventsWorker
from prefect.exceptions import PrefectException
from prefect.logging.handlers import APILogWorker
from prefect.settings import PREFECT_API_URL

from flows.campaign import Done
from flows.lab import Lab
from flows.ledger import Entry
from flows.prefect_server import healthy, home_of
from kg.model import Status

log = logging.getLogger(__name__)
API_ERRORS = (httpx.HTTPError, PrefectException)  # the API is gone, or refuses: never our work
DRAIN_SECONDS = 10.0  # 0.1 s is usual
REACH_SECONDS = 2.0  # of a server elsewhere
CELL = 200  # characters; what a run prints can be long


class Table:
    """The results artifact of a flow run, written anew after each experiment."""

    def __init__(self, tag: str, columns: str) -> None:
        self.tag, self.about = tag, columns
        self.rows: list[dict[str, Any]] = []
        self.id: UUID | None = None

    def add(self, done: Done) -> None:
        """Add an experiment; without an API it is shown with the next one that has it."""
        self.rows.append(row(done.entry))
        if reachable():
            try:
                self.write()
            except API_ERRORS as error:
                log.warning("prefect: %s; the experiments go on, git has them", error)

    def write(self) -> None:
        """Create the artifact, later replace its rows (as one artifact, not a version a row)."""
        data = json.dumps(self.rows, ensure_ascii=False)
        if self.id is None:
            self.id = create_table_artifact(
                table=self.rows, key=artifact_key("results", self.tag), description=self.about
            )  # type: ignore[assignment]  # a coroutine only where a loop runs
            return
        with get_client(sync_client=True) as client:
            client.request(
                "PATCH", "/artifacts/{id}", path_params={"id": self.id}, json={"data": data}
            ).raise_for_status()


def row(entry: Entry) -> dict[str, Any]:
    """Return an experiment as a row of the results artifact."""
    facts = entry.facts
    return {
        "experiment": facts.name,
        "status": entry.status.value,
        facts.metric: entry.value,
        "delta": entry.delta,
        "description": facts.subject[:CELL],
        "reason": str(entry.metrics.get("reason", ""))[:CELL],
        "commit": entry.commit[:7],
    }


def artifact_key(kind: str, tag: str) -> str:
    """Return a key in the letters Prefect allows: lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", f"{kind}-{tag}".lower()).strip("-")


def verdict(done: Done) -> str:
    """Return the message of an experiment's state: `discard: 1.234567, worse than 1.230000`."""
    entry = done.entry
    value = "" if entry.value is None else f" {entry.facts.metric} {entry.value:.6f}"
    return f"{entry.status.value}:{value} ({entry.metrics.get('reason', '')})"


def summary(finished: list[Done]) -> str:
    """Return the message of a batch's state."""
    statuses = [done.entry.status for done in finished]
    counts = ", ".join(f"{statuses.count(status)} {status.value}" for status in Status)
    best = next((done.entry.best for done in reversed(finished)), None)
    metric = finished[-1].entry.facts.metric if finished else ""
    shown = "" if best is None else f"; best {metric} {best:.6f}"
    return f"{len(finished)} experiments: {counts}{shown}"


def reachable() -> bool:
    """Tell whether the API answers; 5 ms that spare an experiment the retries of a dead one."""
    return healthy(str(PREFECT_API_URL.value()), REACH_SECONDS)


def drain() -> None:
    """Send the events and logs that wait, before the server they are for is ended.

    Those for an API that is gone are dropped: each is retried for 7 s when the process ends.
    """
    gone = not reachable()
    for worker in (EventsWorker, APILogWorker):
        if gone:
            for instance in tuple(cast(Any, worker)._instances.values()):
                with suppress(queue.Empty):
                    while True:
                        instance._queue.get_nowait()
        worker.drain_all(timeout=DRAIN_SECONDS)


def quiet() -> None:
    """Keep Prefect's own log lines off the terminal; its API gets them, errors reach the caller."""
    logging.getLogger("prefect").propagate = False
    logging.getLogger("prefect._internal").setLevel(logging.CRITICAL)  # has a handler of its own


def own_output(lab: Lab) -> None:
    """Give this process a log file in place of the pipe to `nightlab serve`.

    A write to the pipe of a killed parent ends the process, in the middle of a training.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    handle = os.open(home_of(lab) / "runs.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(handle, stream)
    os.close(handle)


@contextmanager
def marked(lab: Lab, run: object) -> Iterator[None]:
    """Note which process runs a flow run, so that a later start can tell a dead one."""
    directory = home_of(lab) / "runs"
    directory.mkdir(exist_ok=True)
    path = directory / str(run)
    me = psutil.Process()
    path.write_text(json.dumps({"pid": os.getpid(), "started": me.create_time()}), encoding="utf-8")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)

"""Flow runs that say Running although their process is gone; Prefect itself keeps them so."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from pathlib import Path

import flows.untracked  # isort: skip  # noqa: F401

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Cancelled, Crashed

from flows.lab import Lab
from flows.prefect_server import ServerInfo, home_of
from flows.server_process import alive

OURS = ["research", "graph", "try"]
BEGUN = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
DEAD = "its process ended without a word; git has every experiment it finished"
MISSED = "nightlab was not running at that time"


async def reap(lab: Lab, info: ServerInfo) -> int:
    """Set flow runs whose process is gone to Crashed, and nights missed meanwhile to Cancelled.

    On a server that is not ours only flow runs are touched that this lab has started.

    Returns:
        The number of flow runs found dead or missed.
    """
    marks = home_of(lab) / "runs"
    async with get_client() as client:
        found = [
            run
            for run in await runs_in(client, BEGUN)
            if not runs_now(marks / str(run.id)) and (info.home or (marks / str(run.id)).exists())
        ]
        for run in found:
            await crash(client, run)
        missed = [run for run in await runs_in(client, [StateType.SCHEDULED]) if was_missed(run)]
        if info.home is None:
            missed = []
        for run in missed:
            await client.set_flow_run_state(run.id, Cancelled(message=MISSED), force=True)
    if marks.is_dir():
        for mark in marks.iterdir():
            if not runs_now(mark):
                mark.unlink(missing_ok=True)
    return len(found) + len(missed)


async def runs_in(client: PrefectClient, states: list[StateType]) -> list[FlowRun]:
    """Return our flows' runs that are in one of these states."""
    return await client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=OURS)),
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=states))
        ),
    )


async def crash(client: PrefectClient, run: FlowRun) -> None:
    """Set a flow run and what it had begun to Crashed."""
    await client.set_flow_run_state(run.id, Crashed(message=DEAD), force=True)
    tasks = await client.read_task_runs(
        flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run.id])),
        task_run_filter=TaskRunFilter(
            state=TaskRunFilterState(type=TaskRunFilterStateType(any_=BEGUN))
        ),
    )
    for task in tasks:
        await client.set_task_run_state(task.id, Crashed(message=DEAD), force=True)


def was_missed(run: FlowRun) -> bool:
    """Tell whether the schedule's time for a flow run has passed: nobody wants it at breakfast."""
    time = run.expected_start_time
    return run.auto_scheduled and time is not None and time < datetime.now(UTC)


def runs_now(mark: Path) -> bool:
    """Tell whether the process that left this mark is alive."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        raw = json.loads(mark.read_text(encoding="utf-8"))
        return alive(raw["pid"], raw["started"])
    return False

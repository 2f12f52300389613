"""The two deployments and the runner that starts their flow runs as processes of their own."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flows.untracked  # isort: skip  # noqa: F401

from prefect.deployments.runner import RunnerDeployment
from prefect.runner import Runner
from prefect.schedules import Cron, Schedule
from prefect.types.entrypoint import EntrypointType

from flows.errors import ConfigError
from flows.lab import Lab
from flows.prefect_server import ServerInfo, deployment_name
from flows.research import TAG, graph, research
from flows.server_process import ServerProcess
from flows.stale import reap

log = logging.getLogger(__name__)
LOOK_SECONDS = 1.0  # between looks at the server process
NIGHT_HOURS = 8.0  # of the `research` deployment: 22:00 to 6:00
PROCESSES = 4  # flow runs at a time; those of one campaign take turns


class NightRunner(Runner):
    """Prefect's runner, ended by an event instead of by `sys.exit` inside its loop."""

    ended: asyncio.Event

    def handle_sigterm(self, *args: Any, **kwargs: Any) -> None:
        """End in order."""
        del args, kwargs
        asyncio.get_running_loop().call_soon_threadsafe(self.ended.set)


async def run_deployments(
    lab: Lab,
    info: ServerInfo,
    process: ServerProcess | None,
    ready: Callable[[], None],
    *,
    once: bool,
) -> None:
    """Register the deployments and start their flow runs until SIGINT or SIGTERM.

    Args:
        lab: The repository the flow runs work on.
        info: The API they belong to.
        process: Its server, if it is ours: it is started again if it ends.
        ready: Called when flow runs can be started.
        once: Start what is scheduled now, wait for it and return.

    Raises:
        ConfigError: The schedule is no cron expression.
    """
    schedule = nightly(lab.config.prefect.schedule)
    await reap(lab, info)
    runner = NightRunner(name="nightlab", limit=PROCESSES)
    runner.ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, runner.ended.set)
    for deployment in await described(lab, info, schedule):
        await runner.aadd_deployment(deployment)
    ready()
    await until_ended(runner, process, once=once)


async def described(
    lab: Lab, info: ServerInfo, schedule: Schedule | None
) -> list[RunnerDeployment]:
    """Return the two deployments; their flow runs import the installed package."""
    by_module = EntrypointType.MODULE_PATH
    return [
        await research.ato_deployment(
            deployment_name("research", lab, info),
            schedules=[schedule] if schedule else [],
            parameters={"tag": TAG, "hours": NIGHT_HOURS},
            description=f"A batch of experiments in {lab.root}",
            entrypoint_type=by_module,
        ),
        await graph.ato_deployment(
            deployment_name("graph", lab, info),
            description=f"The memory of {lab.root}",
            entrypoint_type=by_module,
        ),
    ]


async def until_ended(runner: NightRunner, process: ServerProcess | None, *, once: bool) -> None:
    """Run a runner until it ends, fails, or is told to end; its flow runs are cancelled then."""
    running = asyncio.create_task(runner.start(run_once=once))
    told = asyncio.create_task(runner.ended.wait())
    cared = asyncio.create_task(care(process))
    await asyncio.wait({running, told, cared}, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if not running.done():
        await runner.astop()
    await running
    if cared.done():
        cared.result()  # why the server cannot be kept alive
    cared.cancel()


async def care(process: ServerProcess | None) -> None:
    """Start the server again whenever it ends."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        if process and process.revive():
            log.warning("prefect: the server had ended, it is started again; nothing is lost")


def nightly(cron: str) -> Schedule | None:
    """Return the schedule in local time; None for an empty one.

    Raises:
        ConfigError: It is no cron expression.
    """
    if not cron.strip():
        return None
    try:
        return Cron(cron, timezone=local_timezone())
    except ValueError:
        raise ConfigError(
            [f"prefect.schedule: no cron expression, not {cron!r}; such as '0 22 * * *'"]
        ) from None


def local_timezone() -> str:
    """Return the IANA name of this machine's time zone, UTC if it has none."""
    link = Path("/etc/localtime")
    place = os.environ.get("TZ", "").lstrip(":") or (str(link.resolve()) if link.exists() else "")
    name = place.rpartition("zoneinfo/")[2]
    return name if name and not name.startswith("/") and name != "Etc/UTC" else "UTC"

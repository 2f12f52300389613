"""`nightlab serve`: a Prefect server with its UI, and the deployments `research` and `graph`.

The server is a child process; the runner that starts flow runs lives in this one. SIGINT and
SIGTERM end both, and every run they started.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType

from flows import campaign
from flows.errors import CampaignError
from flows.experiment import pending_names
from flows.lab import Lab, open_campaign, tags
from flows.output import notes
from flows.prefect_server import (
    ServerInfo,
    deployment_name,
    forget,
    home_of,
    server,
    use_server,
    write_info,
)
from flows.server_process import LOOPBACK

RETRIES = 4  # a flow run that ends waits 30 s for a server that is started again


class Stop(BaseException):
    """SIGTERM arrived."""


def serve(lab: Lab, host: str = LOOPBACK, port: int | None = None, once: bool = False) -> None:
    """Serve until SIGINT or SIGTERM; with `once`, run what is scheduled now and end.

    With PREFECT_API_URL set it serves the two deployments to that API and starts no server.

    Raises:
        ServerError: The port is taken, another nightlab has the server, or it does not start.
        ConfigError: prefect.schedule in nightlab.toml is no cron expression.
    """
    with stoppable(), server(lab, host, port or lab.config.prefect.port) as (info, process):
        settle_all(lab)
        home = home_of(lab)  # a package `flows` in the user's checkout is not ours: stay out of it
        with contextlib.chdir(home), use_server(info, RETRIES):
            os.environ["NIGHTLAB_ROOT"] = str(lab.root)  # what the flow runs work on
            os.environ.setdefault("PREFECT_RUNNER_POLL_FREQUENCY", "5")  # seconds, not 10
            from flows.deployments import run_deployments

            try:
                asyncio.run(
                    run_deployments(lab, info, process, lambda: welcome(lab, info), once=once)
                )
            finally:
                forget(lab)
                notes().print("ending")
                del os.environ["NIGHTLAB_ROOT"]


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Let SIGTERM unwind the block as Ctrl-C does; further signals do not disturb that."""

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Stop

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except (Stop, KeyboardInterrupt):
        notes().print("stopped")
    finally:
        signal.signal(signal.SIGTERM, before)


def settle_all(lab: Lab) -> None:
    """Record what runners that died have left in any campaign, and end their training."""
    for tag in tags(lab):
        if pending_names(lab, tag):
            with contextlib.suppress(CampaignError):  # somebody works in it: not dead
                place, _ = open_campaign(lab, tag)
                with campaign.held(place):
                    campaign.settle(lab, place)


def welcome(lab: Lab, info: ServerInfo) -> None:
    """Tell other commands and the user where the server is."""
    write_info(lab, info)
    console = notes()
    console.print(f"Prefect's UI      {info.ui_url}/deployments")
    if info.auth_file:
        console.print(f"log in with       the line in {info.auth_file}")
    name = deployment_name("research", lab, info)
    console.print(f"start a batch     deployment `{name}`, Run > Custom run")
    console.print("stop with         Ctrl-C")

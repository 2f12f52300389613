"""The Prefect server of a lab: found, started for a batch, and how Prefect is told of it.

Nothing here imports Prefect (1.2 s), so that `nightlab try` can look for a running server in a few
milliseconds.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from flows.errors import ServerError
from flows.lab import Lab
from flows.server_process import LOOPBACK, ServerProcess, alive, free_port, server_process

log = logging.getLogger(__name__)
HEALTH_SECONDS = 0.25  # a healthy server on loopback answers within 10 ms
CONSOLE_LEVEL = "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """A Prefect API and the nightlab process that answers for it."""

    api_url: str
    pid: int  # of the nightlab that serves
    started: float  # of that process, seconds since the epoch
    home: str | None = None  # PREFECT_HOME; None: the user's own server and settings

    @property
    def ui_url(self) -> str:
        """Where a browser goes."""
        return self.api_url.removesuffix("/api")

    @property
    def auth_file(self) -> Path | None:
        """The file with the user and password of the API and the UI."""
        return Path(self.home) / "auth" if self.home else None


def deployment_name(flow: str, lab: Lab, info: ServerInfo) -> str:
    """Return a deployment's name: the flow's, with the lab's on a server of many labs."""
    return flow if info.home else f"{flow}-{lab.root.name}"


def home_of(lab: Lab) -> Path:
    """Return the directory of our Prefect's database, secrets and logs, made on first use."""
    home = lab.state / "prefect"
    home.mkdir(mode=0o700, exist_ok=True)
    return home


def running_server(lab: Lab) -> ServerInfo | None:
    """Return the API of a running `nightlab serve`; at most 0.3 s."""
    try:
        raw = json.loads((lab.state / "serve.json").read_text(encoding="utf-8"))
        info = ServerInfo(**raw)
    except (OSError, ValueError, TypeError):
        return None
    return info if alive(info.pid, info.started) and healthy(info.api_url) else None


def healthy(api_url: str, seconds: float = HEALTH_SECONDS) -> bool:
    """Tell whether an API answers, whatever it says; `/health` asks for no password."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never by a proxy
    try:
        with opener.open(f"{api_url}/health", timeout=seconds):
            return True
    except urllib.error.HTTPError:
        return True  # Prefect Cloud has another path for it
    except (OSError, ValueError):
        return False


@contextlib.contextmanager
def use_server(info: ServerInfo, retries: int = 1) -> Iterator[None]:
    """Let Prefect, imported or not, talk to this API inside the block.

    Args:
        info: The API.
        retries: Of a request that fails. Prefect's own 5 take 62 s, and a command that waits for
            a server which died takes as long to end.
    """
    before = dict(os.environ)
    os.environ |= client_environment(info, retries)
    refresh_prefect()
    try:
        yield
    finally:
        for key in set(os.environ) | set(before):
            if key.startswith(("PREFECT_", "DO_NOT_TRACK")):
                os.environ.pop(key, None)
                if key in before:
                    os.environ[key] = before[key]
        refresh_prefect()


def client_environment(info: ServerInfo, retries: int) -> dict[str, str]:
    """Return what Prefect's client reads from the environment."""
    found = {"PREFECT_API_URL": info.api_url, "DO_NOT_TRACK": "1"}
    found["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
    found[CONSOLE_LEVEL] = os.environ.get(CONSOLE_LEVEL, "WARNING")  # not a line a state
    found["PREFECT_CLIENT_MAX_RETRIES"] = str(retries)
    if info.home and info.auth_file:
        found["PREFECT_HOME"] = info.home
        found["PREFECT_API_AUTH_STRING"] = info.auth_file.read_text(encoding="utf-8").strip()
    return found


def refresh_prefect() -> None:
    """Make an imported Prefect read the environment again; nothing if it is not imported."""
    if "prefect" in sys.modules:
        from prefect.context import refresh_global_settings_context

        refresh_global_settings_context()


@contextlib.contextmanager
def server(lab: Lab, host: str, port: int) -> Iterator[tuple[ServerInfo, ServerProcess | None]]:
    """Run a server for the length of the block; with PREFECT_API_URL set, use that one.

    Raises:
        ServerError: The port is taken, another nightlab has the database, or it does not start.
    """
    me = psutil.Process()
    configured = os.environ.get("PREFECT_API_URL")
    if configured:
        yield ServerInfo(configured.rstrip("/"), me.pid, me.create_time()), None
        return
    home = home_of(lab)
    with server_process(home, host, port, healthy) as process:
        yield ServerInfo(process.address, me.pid, me.create_time(), str(home)), process


@contextlib.contextmanager
def temporary_server(lab: Lab) -> Iterator[ServerInfo | None]:
    """Give a batch a Prefect API: the running one, else one of its own on a free port.

    Yields None, after a warning, if there can be none: the batch then runs without Prefect.
    """
    running = running_server(lab)
    if running:
        yield running
        return
    with contextlib.ExitStack() as stack:
        info = None
        try:
            info, _ = stack.enter_context(server(lab, LOOPBACK, free_port()))
        except (ServerError, OSError) as error:
            log.warning("%s; the experiments run without Prefect, nothing is lost", error)
        yield info


def write_info(lab: Lab, info: ServerInfo) -> None:
    """Tell other nightlab commands of this lab where the server is."""
    path = lab.state / "serve.json"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(asdict(info)), encoding="utf-8")
    temporary.replace(path)


def forget(lab: Lab) -> None:
    """Take back what `write_info` told."""
    (lab.state / "serve.json").unlink(missing_ok=True)

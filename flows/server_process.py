"""The process of our own Prefect server: one of a lab, ended by its pid, never left behind.

Run as a program this module turns itself into the server, tied to the life of its parent.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from flows.errors import ServerError

LOOPBACK = "127.0.0.1"
START_SECONDS = 120.0  # 14-25 s were seen for a fresh database on two busy cores
REVIVALS = 3  # in five minutes; a server that ends more often has a reason to
END_SECONDS = 10.0  # the server waits for open connections; then it is killed


@contextlib.contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Let one process at a time have the database.

    Raises:
        ServerError: Another one has it.
    """
    lock = FileLock(home / "lock")
    try:
        lock.acquire(timeout=0.2)
    except Timeout:
        raise ServerError(
            "prefect: another nightlab of this repository has the server just now; "
            "wait for its batch, or end it"
        ) from None
    try:
        yield
    finally:
        lock.release()


def claim_port(host: str, port: int) -> None:
    """Check that a port is free.

    Raises:
        ServerError: It is not, or the host is none of this machine.
    """
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise ServerError(
            f"port {port} on {host}: cannot be used ({(error.strerror or str(error)).lower()}); "
            "end the program that has it, or take another: `nightlab serve --port N` "
            "or prefect.port in nightlab.toml"
        ) from None


def free_port() -> int:
    """Return a port of loopback that is free now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def api_url(host: str, port: int) -> str:
    """Return the address of the API as a browser on this machine sees it."""
    shown = LOOPBACK if host in ("0.0.0.0", "::") else host
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}/api"


def password(home: Path) -> str:
    """Return `user:password` of the API, made on first use, readable by the user alone.

    Loopback alone is no protection: without it a web page open in the browser can post to the API.
    """
    path = home / "auth"
    if not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(f"nightlab:{secrets.token_urlsafe(24)}\n")
    return path.read_text(encoding="utf-8").strip()


def server_environment(home: Path, host: str, port: int) -> dict[str, str]:
    """Return the settings of the server; the database is the user's if they chose one."""
    address = api_url(host, port)
    return {
        **os.environ,
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": address,
        "PREFECT_UI_API_URL": address,  # else the UI looks for the API at port 4200
        "PREFECT_SERVER_API_HOST": host,
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_API_AUTH_STRING": password(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_V2_ENABLED": "false",  # v2 loads a tracker before anyone has logged in
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "DO_NOT_TRACK": "1",
    }


@dataclass
class ServerProcess:
    """The server of a lab while it runs."""

    home: Path
    host: str
    port: int
    child: subprocess.Popen[bytes]
    begun: float  # monotonic
    deaths: list[float] = field(default_factory=list)

    @property
    def address(self) -> str:
        """Where its API is."""
        return api_url(self.host, self.port)

    @property
    def output(self) -> Path:
        """What it printed."""
        return self.home / "server.log"

    def ready(self, healthy: Callable[[str], bool]) -> None:
        """Wait until it answers.

        Raises:
            ServerError: It ended, or takes longer than START_SECONDS.
        """
        while not healthy(self.address):
            if self.child.poll() is not None or time.monotonic() > self.begun + START_SECONDS:
                what = (
                    "does not answer" if self.child.returncode is None else "ended while starting"
                )
                raise ServerError(f"prefect: the server {what}; read {self.output}")
            time.sleep(0.1)

    def revive(self) -> bool:
        """Start it again if it has ended; flow runs that go on find it at the same address.

        Returns:
            Whether it had ended.

        Raises:
            ServerError: It ends again and again.
        """
        if self.child.poll() is None:
            return False
        now = time.monotonic()
        self.deaths = [*(moment for moment in self.deaths if now - moment < 300.0), now]
        if len(self.deaths) > REVIVALS:
            raise ServerError(f"prefect: the server ends again and again; read {self.output}")
        self.child, self.begun = spawn(self.home, self.host, self.port), now
        return True

    def end(self) -> None:
        """End it and wait for it."""
        for sign in (signal.SIGTERM, signal.SIGKILL):
            if self.child.poll() is None:
                self.child.send_signal(sign)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.child.wait(END_SECONDS)
        (self.home / "server.json").unlink(missing_ok=True)


@contextlib.contextmanager
def server_process(
    home: Path, host: str, port: int, healthy: Callable[[str], bool]
) -> Iterator[ServerProcess]:
    """Run the server of a lab for the length of the block.

    Raises:
        ServerError: The port is taken, another nightlab has the database, or it does not start.
    """
    with only_one(home):
        end_leftover(home)
        claim_port(host, port)
        (home / "server.log").unlink(missing_ok=True)
        process = ServerProcess(home, host, port, spawn(home, host, port), time.monotonic())
        try:
            process.ready(healthy)
            yield process
        finally:
            process.end()


def spawn(home: Path, host: str, port: int) -> subprocess.Popen[bytes]:
    """Start the server; call it from the main thread, with whose end the server ends too.

    It has a session of its own: Ctrl-C must not end it before the last states are written.
    """
    with (home / "server.log").open("ab") as stream:
        child = subprocess.Popen(
            [sys.executable, "-m", "flows.server_process", host, str(port)],
            cwd=home,  # not the user's: a package `flows` there would be imported instead
            env=server_environment(home, host, port),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    with contextlib.suppress(psutil.Error):
        started = psutil.Process(child.pid).create_time()
        text = json.dumps({"pid": child.pid, "started": started})
        (home / "server.json").write_text(text, encoding="utf-8")
    return child


def alive(pid: int, started: float) -> bool:
    """Tell whether a process still is the one that was meant: pids are used again."""
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - started) < 1.0
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def end_leftover(home: Path) -> None:
    """End the server of a nightlab that was killed; call it only while holding the lock."""
    try:
        raw = json.loads((home / "server.json").read_text(encoding="utf-8"))
        if alive(raw["pid"], raw["started"]):
            process = psutil.Process(raw["pid"])
            process.terminate()
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(END_SECONDS)
            process.kill()
    except (OSError, ValueError, KeyError, TypeError, psutil.NoSuchProcess):
        return  # none, or it has ended


def become_server(host: str, port: str) -> None:
    """Turn this process into the server, to be ended with its parent (where the system can)."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1  # linux/prctl.h; it survives exec
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)
    words = ["-m", "prefect", "server", "start", "--host", host, "--port", port]
    os.execv(sys.executable, [sys.executable, *words])


if __name__ == "__main__":
    become_server(*sys.argv[1:3])

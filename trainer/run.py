"""Start one run, hold it to its limit, keep its log, leave no process behind.

The parent's monotonic clock decides, never the child's. The child gets its own session, its
output goes to a file (a daemon that keeps a pipe open would hang `communicate()`), and every
process that carries this run's marker in its environment is killed at the end: a double-forked
daemon with its own session survives `killpg` but not the sweep.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import psutil

from trainer.errors import CommandNotFound
from trainer.terminal import printable

MARKER = "NIGHTLAB_RUN"  # environment variable that marks every process of one run
POLL_SECONDS = 0.05  # 20 looks a second: under 0.1 % of a core, and 50 ms late at the most
GRACE_SECONDS = 2.0  # between SIGTERM and SIGKILL, so that a trainer can flush its log
SECRET = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|AUTH_STRING)$", re.IGNORECASE)  # not for a run
LOG_LIMIT_BYTES = 64 * 1024 * 1024  # an endless print would fill the disk within minutes


class Outcome(StrEnum):
    """How a run ended; the verdict (keep, discard, crash) is another matter."""

    OK = "ok"
    CRASH = "crash"
    TIMEOUT = "timeout"
    KILLED = "killed"


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a task's command under its limit."""

    outcome: Outcome
    returncode: int | None
    seconds: float  # wall clock of the process, import to exit
    log: Path
    last_line: str  # last non-empty line of the log, control characters removed
    reason: str  # one sentence, empty for an outcome `ok`


Watch = Callable[[float, str], None]  # (seconds since the start, last line of the log)


def start(
    command: str,
    *,
    cwd: Path,
    log: Path,
    limit_seconds: float,
    env: Mapping[str, str],
    marker: str | None = None,
    watch: Watch | None = None,
) -> Run:
    """Run a command to its end or its limit: the one place that starts a training process.

    Args:
        command: Shell-like words, run without a shell; `python` is this interpreter.
        cwd: Directory it runs in.
        log: File that receives stdout and stderr, truncated first.
        limit_seconds: Wall clock after which the whole process tree is killed.
        env: Variables added to the inherited environment, which comes without secrets.
        marker: Value of NIGHTLAB_RUN, to find this run's processes later; random by default.
        watch: Called about twice a second with the elapsed seconds and the last log line.

    Raises:
        CommandNotFound: The program does not exist or cannot be executed.
    """
    marker = marker or uuid.uuid4().hex
    begun = time.monotonic()
    child = spawn(command, cwd, log, {**env, MARKER: marker, "PYTHONUNBUFFERED": "1"})
    try:
        reason = wait(child, log, begun, limit_seconds, watch)
    finally:
        kill_group(child)
        reap(marker)
    return finished(child, log, time.monotonic() - begun, reason)


def spawn(command: str, cwd: Path, log: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start the process in a session of its own, its output going to the log.

    Raises:
        CommandNotFound: The program does not exist or cannot be executed.
    """
    words = shlex.split(command)
    if words and words[0] in ("python", "python3"):
        words[0] = sys.executable
    inherited = {name: value for name, value in os.environ.items() if not SECRET.search(name)}
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log.open("wb") as stream:
            return subprocess.Popen(
                words,
                cwd=cwd,
                env={**inherited, **env},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except (OSError, ValueError, IndexError) as error:
        raise CommandNotFound(words, str(error)) from error


def wait(
    child: subprocess.Popen[bytes],
    log: Path,
    begun: float,
    limit_seconds: float,
    watch: Watch | None,
) -> str:
    """Wait for the child; the reason it has to be killed, or an empty string."""
    shown = begun
    while child.poll() is None:
        now = time.monotonic()
        if now - begun > limit_seconds:
            return f"timeout: still running after the limit of {limit_seconds:g} s"
        if now - shown > 0.5:
            shown = now
            if log.stat().st_size > LOG_LIMIT_BYTES:
                return f"killed: the log grew over {LOG_LIMIT_BYTES // 2**20} MiB"
            if watch:
                watch(now - begun, last_line(log))
        time.sleep(POLL_SECONDS)
    return ""


def kill_group(child: subprocess.Popen[bytes]) -> None:
    """End the child and its session: politely, then for good."""
    if child.poll() is None:
        for sign, patience in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, 10.0)):
            try:
                os.killpg(child.pid, sign)
                child.wait(patience)
                break
            except subprocess.TimeoutExpired:
                continue
            except ProcessLookupError:
                break
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)  # children that outlived their leader


def reap(marker: str) -> int:
    """Kill every process that carries a run's marker and see it gone; the number killed."""
    found = 0
    while alive := marked(marker):  # again: one of them may have forked meanwhile
        for process in alive:
            with contextlib.suppress(psutil.Error):
                process.kill()
        found += len(alive)
        # SIGKILL returns at once; what it ended may hold the device for a moment longer
        if psutil.wait_procs(alive, GRACE_SECONDS)[1]:
            break
    return found


def marked(marker: str) -> list[psutil.Process]:
    """Return the living processes that carry a run's marker, this one aside."""
    found = []
    for process in psutil.process_iter():
        # gone meanwhile, or another user's: not ours to end
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(MARKER) == marker:
                found.append(process)
    return found


def finished(child: subprocess.Popen[bytes], log: Path, seconds: float, reason: str) -> Run:
    """Describe a run that has ended."""
    code, last = child.returncode, last_line(log)
    if reason:
        outcome = Outcome.TIMEOUT if reason.startswith("timeout") else Outcome.KILLED
    elif code == 0:
        outcome = Outcome.OK
    else:
        outcome = Outcome.CRASH
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        reason = f"crash: {last or 'no output'} ({how})"
    return Run(outcome, code, seconds, log, last, reason)


def last_line(log: Path) -> str:
    """Return the last non-empty line of a log, at most 300 printable characters of it."""
    lines = [line for line in tail(log, 8192).replace("\r", "\n").split("\n") if line.strip()]
    return printable(lines[-1])[:300] if lines else ""


def tail(log: Path, size: int) -> str:
    """Return the last `size` bytes of a log as text."""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - size))
        return stream.read(size).decode("utf-8", "replace")

import contextlib
import os
import sys
from pathlib import Path

import psutil
import pytest

from trainer.errors import CommandNotFound
from trainer.run import MARKER, Outcome, Run, reap, start


def run(tmp_path: Path, code: str, limit: float = 20.0, **extra: object) -> Run:
    (tmp_path / "job.py").write_text(code)
    log = tmp_path / "out" / "run.log"
    return start("python job.py", cwd=tmp_path, log=log, limit_seconds=limit, env={}, **extra)  # type: ignore[arg-type]


def alive(marker: str) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARKER) == marker and process.status() != "zombie":
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def test_a_good_run_is_ok_and_keeps_both_streams(tmp_path: Path) -> None:
    done = run(tmp_path, "import sys; print('to out'); print('to err', file=sys.stderr)")
    assert (done.outcome, done.returncode, done.reason) == (Outcome.OK, 0, "")
    assert set(done.log.read_text().split("\n")) == {"to out", "to err", ""}


def test_an_exception_is_a_crash_that_names_its_last_line(tmp_path: Path) -> None:
    done = run(tmp_path, "raise ValueError('depth must be even')")
    assert done.outcome is Outcome.CRASH
    assert done.reason == "crash: ValueError: depth must be even (exit code 1)"


def test_a_run_past_its_limit_is_killed_with_its_children(tmp_path: Path) -> None:
    marker = tmp_path.as_posix()  # no other run of the tests has it
    code = (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "time.sleep(60)\n"
    )
    done = run(tmp_path, code, limit=1.0, marker=marker)
    assert done.outcome is Outcome.TIMEOUT
    assert done.reason == "timeout: still running after the limit of 1 s"
    assert done.seconds < 10
    assert alive(marker) == []


def test_a_daemon_in_its_own_session_does_not_outlive_the_run(tmp_path: Path) -> None:
    marker = tmp_path.as_posix()
    code = (
        "import os, signal, sys, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "        open('daemon', 'w').write(str(os.getpid()))\n"
        "        time.sleep(60)\n"
        "    os._exit(0)\n"
        "while not os.path.exists('daemon'): time.sleep(0.01)\n"
    )
    done = run(tmp_path, code, marker=marker)
    assert done.outcome is Outcome.OK
    daemon = int((tmp_path / "daemon").read_text())
    with contextlib.suppress(psutil.NoSuchProcess):  # killed, but nobody may have taken note yet
        psutil.wait_procs([psutil.Process(daemon)], timeout=20)
    assert alive(marker) == []


def test_the_watcher_sees_seconds_and_the_last_line(tmp_path: Path) -> None:
    seen: list[tuple[float, str]] = []
    code = "import time; print('step 1 | 10 %'); time.sleep(1.3)"
    run(tmp_path, code, watch=lambda seconds, line: seen.append((seconds, line)))
    assert seen
    assert seen[0][1] == "step 1 | 10 %"


def test_control_characters_do_not_reach_the_reason(tmp_path: Path) -> None:
    done = run(tmp_path, "import sys; print('\\x1b[31mred\\x07'); sys.exit(3)")
    assert done.reason == "crash: [31mred (exit code 3)"


def test_a_missing_program_is_our_error_and_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CommandNotFound) as error:
        start("no-such-program", cwd=tmp_path, log=tmp_path / "log", limit_seconds=1, env={})
    assert str(error.value).startswith("command 'no-such-program': ")
    assert str(error.value).endswith("; correct `command` in nightlab.toml")


def test_python_means_the_interpreter_that_runs_us(tmp_path: Path) -> None:
    done = run(tmp_path, "import sys; print(sys.executable)")
    assert done.log.read_text().strip() == sys.executable


def test_reaping_nothing_finds_nothing() -> None:
    assert reap(f"nobody-{os.getpid()}") == 0


def test_secrets_of_the_environment_do_not_reach_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ANTHROPIC_API_KEY", "HF_TOKEN", "PREFECT_API_AUTH_STRING", "Db_Password"):
        monkeypatch.setenv(name, "s3cret")
    monkeypatch.setenv("HARMLESS", "kept")
    done = run(tmp_path, "import os; print(dict(os.environ))")
    assert "s3cret" not in done.log.read_text()
    assert "kept" in done.log.read_text()

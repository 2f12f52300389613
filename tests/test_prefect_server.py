"""The server of a lab is found by pid and start time, and refused in one sentence."""

import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psutil
import pytest

from flows.errors import ServerError
from flows.lab import Lab
from flows.prefect_server import (
    ServerInfo,
    forget,
    home_of,
    running_server,
    server,
    use_server,
    write_info,
)
from flows.server_process import (
    LOOPBACK,
    ServerProcess,
    api_url,
    end_leftover,
    only_one,
    password,
    spawn,
)


class Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/api/health" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@pytest.fixture
def port() -> Iterator[int]:
    """A port of loopback where something answers as a healthy API does."""
    httpd = HTTPServer((LOOPBACK, 0), Healthy)
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield httpd.server_port
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@pytest.fixture
def info(port: int, lab: Lab) -> ServerInfo:
    me = psutil.Process()
    home = str(home_of(lab))
    return ServerInfo(api_url(LOOPBACK, port), me.pid, me.create_time(), home)


def test_a_running_server_is_found_until_it_is_forgotten(lab: Lab, info: ServerInfo) -> None:
    assert running_server(lab) is None
    write_info(lab, info)
    assert running_server(lab) == info
    assert info.ui_url == info.api_url.removesuffix("/api")
    forget(lab)
    assert running_server(lab) is None


def test_what_a_dead_server_left_is_not_believed(lab: Lab, info: ServerInfo) -> None:
    for stale in (
        ServerInfo(info.api_url, info.pid, info.started - 60),  # the pid was used again
        ServerInfo(info.api_url, 2**22 + 1, info.started),
        ServerInfo("http://127.0.0.1:9/api", info.pid, info.started),  # nothing answers
    ):
        write_info(lab, stale)
        assert running_server(lab) is None
    (lab.state / "serve.json").write_text('{"cut": ')
    assert running_server(lab) is None


def test_looking_for_a_server_does_not_import_prefect() -> None:
    words = "import sys, flows.prefect_server, flows.follow; sys.exit('prefect' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", words]).returncode == 0


def test_a_taken_port_is_named_with_what_to_do(lab: Lab, port: int) -> None:
    with pytest.raises(ServerError) as caught, server(lab, LOOPBACK, port):
        pass
    assert str(caught.value) == (
        f"port {port} on 127.0.0.1: cannot be used (address already in use); end the program "
        "that has it, or take another: `nightlab serve --port N` or prefect.port in nightlab.toml"
    )


def test_a_second_server_of_one_lab_is_refused(lab: Lab, port: int) -> None:
    with only_one(home_of(lab)), pytest.raises(ServerError) as caught, server(lab, LOOPBACK, port):
        pass
    assert str(caught.value) == (
        "prefect: another nightlab of this repository has the server just now; "
        "wait for its batch, or end it"
    )


def test_a_server_that_cannot_start_says_where_to_read_why_and_leaves_nothing(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))  # in place of Prefect's server
    home = home_of(lab)
    before = {child.pid for child in psutil.Process().children()}
    with pytest.raises(ServerError) as caught, server(lab, LOOPBACK, 0):
        pass
    log = home / "server.log"
    assert str(caught.value) == f"prefect: the server ended while starting; read {log}"
    assert log.exists()
    assert not (home / "server.json").exists()
    assert {child.pid for child in psutil.Process().children()} <= before


def test_the_users_own_api_is_used_as_it_is(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://prefect.example:4200/api/")
    with server(lab, LOOPBACK, 1) as (found, process):
        assert found.api_url == "http://prefect.example:4200/api"
        assert found.home is None
        assert process is None


def test_the_password_is_made_once_and_for_the_user_alone(lab: Lab) -> None:
    home = home_of(lab)
    first = password(home)
    assert password(home) == first
    assert len(first.removeprefix("nightlab:")) >= 32
    assert stat.S_IMODE((home / "auth").stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_prefect_is_told_of_a_server_and_the_environment_comes_back(
    lab: Lab, info: ServerInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "ERROR")
    secret = password(home_of(lab))
    before = dict(os.environ)
    with use_server(info):
        assert os.environ["PREFECT_API_URL"] == info.api_url
        assert os.environ["PREFECT_API_AUTH_STRING"] == secret
        assert os.environ["PREFECT_HOME"] == info.home
        assert os.environ["PREFECT_LOGGING_LEVEL"] == "ERROR"
        assert os.environ["DO_NOT_TRACK"] == "1"
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:4200/api"),
        ("0.0.0.0", "http://127.0.0.1:4200/api"),
        ("::1", "http://[::1]:4200/api"),
    ],
)
def test_the_address_is_one_a_browser_can_open(host: str, address: str) -> None:
    assert api_url(host, 4200) == address


def test_the_server_of_a_killed_nightlab_is_ended_and_no_other_process(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "import time; time.sleep(60)"]
    ours, other = (psutil.Popen(words) for _ in range(2))
    try:
        place = tmp_path / "server.json"
        place.write_text(json.dumps({"pid": other.pid, "started": other.create_time() - 60}))
        end_leftover(tmp_path)
        assert other.poll() is None
        place.write_text(json.dumps({"pid": ours.pid, "started": ours.create_time()}))
        end_leftover(tmp_path)
        assert ours.wait(10) != 0
    finally:
        for process in (ours, other):
            if process.poll() is None:
                process.kill()
                process.wait()


def test_a_server_that_ends_is_started_again_but_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("true"))  # ends at once
    process = ServerProcess(tmp_path, LOOPBACK, 4200, spawn(tmp_path, LOOPBACK, 4200), 0.0)
    for _ in range(3):
        process.child.wait(10)
        assert process.revive()
    process.child.wait(10)
    with pytest.raises(ServerError) as caught:
        process.revive()
    assert str(caught.value) == (
        f"prefect: the server ends again and again; read {tmp_path / 'server.log'}"
    )
    process.end()
    assert not (tmp_path / "server.json").exists()

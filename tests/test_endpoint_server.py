"""Whom the endpoint answers, and its life from start to end."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from histories import records
from served import COUNT, NAMES, fill, get, running, send

from flows.endpoint import Server, build_endpoint
from flows.endpoint_workers import Workers
from flows.errors import ServerError
from kg.memory import Memory

# --- who may ask


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:80",
        "127.0.0.1",
        "localhost:1",
        "127.0.0.1.evil.example:PORT",
        "",
    ],
)
def test_a_foreign_host_is_turned_away(server: Server, host: str) -> None:
    port = re.sub(r"\D", "", server.url.rpartition(":")[2])
    answer = get(server, NAMES, {"Host": host.replace("PORT", port)})
    assert answer.status == 421
    assert get(server, NAMES, {"Host": f"LocalHost:{port}"}).status == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1", "file://"])
def test_a_foreign_origin_is_turned_away(server: Server, origin: str) -> None:
    for answer in (
        get(server, NAMES, {"Origin": origin}),
        fill(server, {"Origin": origin}, query=NAMES),
    ):
        assert answer.status == 403
        assert not [name for name in answer.headers if name.startswith("access-control")]
    own = server.url.rstrip("/")
    assert get(server, NAMES, {"Origin": own}).status == 200


def test_a_foreign_page_cannot_ask_by_an_image_either(server: Server) -> None:
    for site in ("cross-site", "same-site"):
        assert get(server, NAMES, {"Sec-Fetch-Site": site}).status == 403
    assert get(server, NAMES, {"Sec-Fetch-Site": "same-origin"}).status == 200


def test_no_answer_opens_the_server_to_other_sites(server: Server) -> None:
    for answer in (
        get(server, NAMES),
        send(server, "GET", "/"),
        send(server, "OPTIONS", "/sparql"),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_with_a_token_only_its_holders_are_answered(memory: Memory) -> None:
    workers = Workers(memory.directory, size=1)
    with running(build_endpoint(memory.directory, token="s3cret", workers=workers)) as served:
        for sent in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": "Basic s3cret"},
            {"Authorization": "Bearer é"},
        ):
            answer = get(served, NAMES, sent)
            assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert send(served, "GET", "/examples.json").status == 401
        assert send(served, "GET", "/").status == 200  # the page has no data and asks for the token
        assert get(served, NAMES, {"Authorization": "bearer s3cret"}).status == 200


def test_a_server_is_not_started_where_it_would_be_open_or_useless(
    memory: Memory, server: Server, tmp_path: Path
) -> None:
    with pytest.raises(ServerError, match="other machines can reach it; give a token"):
        build_endpoint(memory.directory, "0.0.0.0")
    with pytest.raises(ServerError, match="does not exist"):
        build_endpoint(tmp_path / "nothing")
    with pytest.raises(ServerError, match="take another --port"):
        build_endpoint(memory.directory, port=int(server.url.rstrip("/").rpartition(":")[2]))


def test_an_answer_does_not_wait_for_an_acknowledgement(server: Server) -> None:
    # asyncio sets TCP_NODELAY only on sockets that name TCP; without it 44 ms an answer
    assert server.listening.proto == socket.IPPROTO_TCP


# --- while it runs


def test_a_new_snapshot_is_answered_from_without_a_restart(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "graph")
    memory.add_all(records(size=3))
    workers = Workers(memory.directory, size=1)
    with running(build_endpoint(memory.directory, workers=workers)) as served:
        assert get(served, COUNT).rows == [{"n": "3"}]
        memory.add_all(records(size=5))
        assert get(served, COUNT).rows == [{"n": "5"}]
        memory.rebuild(records(size=4))
        assert get(served, COUNT).rows == [{"n": "4"}]


def test_an_empty_memory_has_no_rows_and_a_broken_one_says_so(tmp_path: Path) -> None:
    workers = Workers(tmp_path, size=1)
    with running(build_endpoint(tmp_path, workers=workers)) as served:
        assert get(served, COUNT).rows == [{"n": "0"}]
        (tmp_path / "snapshot-1").mkdir()
        (tmp_path / "snapshot").symlink_to("snapshot-1")
        answer = get(served, COUNT)
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert "kg rebuild" in answer.value["error"]


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_process_outlives_the_server(memory: Memory, end: signal.Signals) -> None:
    code = (
        "import sys; from pathlib import Path; from flows.endpoint import serve_endpoint\n"
        "serve_endpoint(Path(sys.argv[1]), ready=lambda url: print(url, flush=True))"
    )
    words = [sys.executable, "-c", code, str(memory.directory)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        address = Server(url, None, None)  # type: ignore[arg-type]
        assert get(address, COUNT).status == 200
        children = psutil.Process(process.pid).children()
        assert len(children) == 2
        process.send_signal(end)
        code_of_end = process.wait(timeout=20)
    assert psutil.wait_procs(children, timeout=20)[1] == []
    assert code_of_end == (0 if end == signal.SIGINT else -end)

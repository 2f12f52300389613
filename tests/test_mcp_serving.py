"""How the MCP server is served: over HTTP only to those let in, and light to start."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mcp import Client
from mcp_client import ROWS, Texts, called, hostile_store, inside
from served import running, send

from flows.errors import ServerError
from flows.mcp_server import build_http
from flows.mcp_tools import visible


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hostile_store(tmp_path_factory.mktemp("mcp"))


def test_over_http_the_same_answers_come_only_to_those_let_in(store: Path) -> None:
    async def ask(url: str) -> list[tuple[bool, Texts]]:
        async with Client(url) as client:
            return await called(client, ("ask", {"question": "best"}), ("sparql", {"query": ROWS}))

    with running(build_http(store)) as served:
        found = asyncio.run(ask(served.url + "mcp"))
        head = {"Content-Type": "application/json"}
        for more, status in (
            ({"Host": "evil.example"}, 421),
            ({"Origin": "http://e.example"}, 403),
        ):
            assert send(served, "POST", "/mcp", "{}", {**head, **more}).status == status
    assert found == inside(store, ("ask", {"question": "best"}), ("sparql", {"query": ROWS}))
    with running(build_http(store, token="s3cret")) as served:
        assert send(served, "POST", "/mcp", "{}", head).status == 401


def test_no_other_machine_is_served_without_a_token(store: Path) -> None:
    with pytest.raises(ServerError, match="other machines can reach it; give a token"):
        build_http(store, "0.0.0.0")


def test_no_tool_loads_torch_prefect_dvc_or_spacy(store: Path) -> None:
    calls = [
        ("recall", {"idea": "a larger depth"}),
        ("check", {"message": "embedding learning rate 0.6 to 0.9"}),
        ("ask", {"question": "conflicts"}),
        ("sparql", {"query": ROWS}),
        ("schema", {}),
    ]
    code = (
        "import sys; from pathlib import Path; from mcp_client import inside\n"
        f"print([failed for failed, _ in inside(Path(sys.argv[1]), *{calls!r})])\n"
        "print(sorted({'torch', 'prefect', 'dvc', 'spacy'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    words = [sys.executable, "-c", code, str(store)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines() == [str([False] * 5), "[]"]


def test_the_ready_made_configuration_starts_the_command() -> None:
    place = Path(__file__).parents[1] / ".mcp.json"
    assert json.loads(place.read_text())["mcpServers"]["nightlab"] == {
        "command": "nightlab",
        "args": ["mcp"],
    }


def test_visible_text_is_left_alone() -> None:
    assert visible("Größe 8 → 9\n− 0.1 ∙ 漢字 😀") == "Größe 8 → 9\n− 0.1 ∙ 漢字 😀"

"""`nightlab serve` for real: one server, driven through its API as the UI drives it, then killed.

The tests of this module share one server and run in this order: a start takes 5 to 25 seconds.
"""

import base64
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psutil
import pytest
from laboratory import FILES, TRAIN, git

from flows import ledger
from flows.lab import Lab, open_lab
from flows.prefect_server import running_server
from flows.server_process import free_port

pytestmark = pytest.mark.slow
SLOW = TRAIN.replace("def main():\n", "def main():\n    import time; time.sleep(0.4)\n")
ENVIRONMENT = {"PREFECT_RUNNER_POLL_FREQUENCY": "1"}  # seconds; 5 by default


@dataclass
class Night:
    """A repository and the `nightlab serve` that runs in it."""

    lab: Lab
    port: int
    process: psutil.Popen | None = None

    def serve(self) -> None:
        """Start to serve and wait until it does."""
        words = [sys.executable, "-m", "flows.cli", "serve", "--port", str(self.port)]
        with (self.lab.state / "serve.log").open("ab") as stream:
            self.process = psutil.Popen(
                words, cwd=self.lab.root, env=environment(), stdout=stream, stderr=stream
            )
        until(lambda: running_server(self.lab), self.process, seconds=120)

    def api(self, path: str, body: object = None, password: str | None = None) -> Any:
        """Ask the API as the UI does."""
        if password is None:
            password = (self.lab.state / "prefect" / "auth").read_text().strip()
        headers = {"content-type": "application/json"}
        headers["authorization"] = "Basic " + base64.b64encode(password.encode()).decode()
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/api{path}", data, headers)
        for pause in (0.5, 1.0, 2.0, 4.0, None):
            try:
                with urllib.request.urlopen(request) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                # Prefect answers so while SQLite is locked, and its own client tries again.
                if error.code != HTTPStatus.SERVICE_UNAVAILABLE or pause is None:
                    raise
                time.sleep(pause)
        raise AssertionError("the last try returns or raises")

    def deployment(self, name: str) -> Any:
        """Return a deployment of ours."""
        return self.api(f"/deployments/name/{name}/{name}")

    def start(self, **parameters: object) -> str:
        """Start a batch as the UI's form does; the id of its flow run."""
        place = f"/deployments/{self.deployment('research')['id']}/create_flow_run"
        return str(self.api(place, {"parameters": parameters})["id"])

    def state(self, run: str) -> Any:
        """Return the state of a flow run."""
        return self.api(f"/flow_runs/{run}")["state"]

    def tasks(self, run: str) -> list[Any]:
        """Return the task runs of a flow run by name."""
        wanted = {"flow_runs": {"id": {"any_": [run]}}}
        return sorted(self.api("/task_runs/filter", wanted), key=lambda task: str(task["name"]))

    def lines(self, run: str) -> list[str]:
        """Return the lines of a flow run's log that tell of an experiment."""
        logs = self.api("/logs/filter", {"logs": {"flow_run_id": {"any_": [run]}}})
        return sorted(log["message"] for log in logs if log["message"].startswith("experiment="))

    def names(self, tag: str) -> list[str]:
        """Return the experiments of a campaign in the ledger."""
        return list(ledger.names(self.lab.repository, tag))

    def completed(self, run: str) -> None:
        """Wait for the end of a flow run, which must be a good one."""

        def ended() -> bool:
            state = self.state(run)
            assert state["type"] not in ("FAILED", "CRASHED", "CANCELLED"), state["message"]
            return bool(state["type"] == "COMPLETED")

        self.wait(ended)

    def wait(self, condition: Callable[[], Any], seconds: float = 60) -> Any:
        """Wait for something that a process of this night does."""
        assert self.process is not None
        return until(condition, self.process, seconds)


def environment() -> dict[str, str]:
    """Return an environment without a Prefect of the developer's own."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    return clean | ENVIRONMENT


def until(condition: Callable[[], Any], process: psutil.Process, seconds: float = 60) -> Any:
    """Wait until a condition holds; a process that ends meanwhile fails the test."""
    end_at = time.monotonic() + seconds
    while not (found := condition()):
        running = process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        assert running, "the process has ended"
        assert time.monotonic() < end_at, "waited too long"
        time.sleep(0.1)
    return found


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """A served repository with a trainer of half a second."""
    root = tmp_path_factory.mktemp("served")
    for name, text in {**FILES, "train.py": SLOW}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "Begin")
    served = Night(open_lab(root), free_port())
    try:
        served.serve()
        yield served
    finally:
        for process in of(root):  # none, unless a test has failed
            with suppress(psutil.Error):
                process.kill()
        if served.process is not None:
            with suppress(psutil.Error):
                served.process.kill()  # a child of this test, which `of` leaves out
            served.process.wait(60)
        served.lab.repository.close()


def of(root: Path) -> list[psutil.Process]:
    """Return every process that works in a directory or names it, but this test's own."""
    found = []
    for process in psutil.process_iter():
        try:
            words = " ".join(process.cmdline()) + " " + process.cwd()
        except psutil.Error:
            continue
        if str(root) in words and os.getpid() not in (process.pid, process.ppid()):
            found.append(process)
    return found


def test_a_batch_started_in_the_ui_is_a_flow_run_with_a_named_task_per_experiment(
    night: Night,
) -> None:
    run = night.start(tag="first", experiments=2)
    night.completed(run)
    assert night.state(run)["message"].startswith("3 experiments: ")
    assert night.api(f"/flow_runs/{run}")["name"] == "first"
    night.wait(lambda: len(night.tasks(run)) == 3)
    tasks = night.tasks(run)
    assert [task["name"] for task in tasks] == ["exp-0000", "exp-0001", "exp-0002"]
    assert {task["state"]["type"] for task in tasks} == {"COMPLETED"}
    found = list(ledger.entries(night.lab.repository, "first"))
    assert [task["state"]["message"].split(":")[0] for task in tasks] == [
        entry.status.value for entry in found
    ]
    artifact = night.api("/artifacts/results-first/latest")
    assert artifact["flow_run_id"] == run
    rows = json.loads(artifact["data"])
    assert [row["experiment"] for row in rows] == ["first-0000", "first-0001", "first-0002"]
    assert [row["val_bpb"] for row in rows] == [entry.value for entry in found]
    assert [row["commit"] for row in rows] == [entry.commit[:7] for entry in found]
    lines = night.wait(lambda: x if len(x := night.lines(run)) == 3 else None)
    assert [line.split()[0] for line in lines] == [f"experiment=first-000{i}" for i in range(3)]


def test_the_graph_flow_follows_a_batch_as_a_flow_run_of_its_own(night: Night) -> None:
    wanted = {"flow_runs": {"name": {"any_": ["after first"]}}}
    runs = night.wait(lambda: night.api("/flow_runs/filter", wanted))
    night.completed(runs[0]["id"])
    rows = json.loads(night.api("/artifacts/graph/latest")["data"])
    assert rows == [{"campaign": "first", "experiments": 3, "in the graph": 3}]


def test_an_experiment_of_an_agent_is_shown_by_the_running_server(night: Night) -> None:
    target = night.lab.state / "campaigns" / "first" / "work" / "train.py"
    target.write_text(SLOW.replace("DEPTH = 4", "DEPTH = 40"))
    words = [sys.executable, "-m", "flows.cli", "try", "--tag", "first", "-m", "deep", "--json"]
    done = subprocess.run(
        words, cwd=night.lab.root, env=environment(), capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["experiment"] == "first-0003"
    wanted = {"flow_runs": {"name": {"any_": ["first-0003"]}}}
    run = night.wait(lambda: night.api("/flow_runs/filter", wanted))[0]
    night.completed(run["id"])
    task = night.wait(lambda: night.tasks(run["id"]))[0]
    assert task["name"] == "exp-0003"
    assert night.state(run["id"])["message"].startswith("discard: val_bpb 12.57")


def test_the_form_says_what_each_parameter_means(night: Night) -> None:
    research = night.deployment("research")
    fields = research["parameter_openapi_schema"]["properties"]
    assert list(fields) == [
        *("tag", "experiments", "hours", "profile", "agent", "seed", "task", "budget_seconds"),
    ]
    assert all(field["description"] for field in fields.values())
    assert research["parameters"] == {"tag": "night-{date}", "hours": 8.0}
    assert [rule["schedule"]["cron"] for rule in research["schedules"]] == ["0 22 * * *"]
    assert research["schedules"][0]["active"]
    assert night.deployment("graph")["parameter_openapi_schema"]["properties"]["rebuild"]


def test_the_coming_nights_are_scheduled(night: Night) -> None:
    wanted = {"flow_runs": {"state": {"name": {"any_": ["Scheduled"]}}}}
    runs = night.wait(lambda: night.api("/flow_runs/filter", wanted))
    research = night.deployment("research")
    assert {(run["deployment_id"], run["auto_scheduled"]) for run in runs} == {
        (research["id"], True)
    }
    zone = ZoneInfo(research["schedules"][0]["schedule"]["timezone"])
    begins = [datetime.fromisoformat(run["expected_start_time"]).astimezone(zone) for run in runs]
    assert {(begin.hour, begin.minute) for begin in begins} == {(22, 0)}


def test_a_web_page_without_the_password_is_refused(night: Night) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        night.api("/flows/filter", {}, password="nightlab:guess")
    assert caught.value.code == 401


def test_killing_serve_and_its_server_in_mid_batch_loses_nothing(night: Night) -> None:
    flow = night.api("/flows/name/research")["id"]
    stale = night.api("/flow_runs/", {"flow_id": flow, "state": {"type": "RUNNING"}})["id"]
    # long enough to be still at work when the next server is up, 5 s later (11 s more are waited)
    run = night.start(tag="cut", experiments=24)
    night.wait(lambda: night.names("cut"))
    assert night.process is not None
    night.process.kill()  # the server ends with it, the batch does not
    night.process.wait(10)
    assert running_server(night.lab) is None
    night.serve()
    night.completed(run)
    assert night.names("cut") == [f"cut-{number:04d}" for number in range(25)]
    assert night.state(stale)["type"] == "CRASHED"
    assert night.state(stale)["message"].startswith("its process ended without a word")


def test_the_end_of_serve_ends_its_batch_and_leaves_no_process(night: Night) -> None:
    run = night.start(tag="last", experiments=50)
    night.wait(lambda: night.names("last"))
    assert [mark.name for mark in (night.lab.state / "prefect" / "runs").iterdir()] == [run]
    assert night.process is not None
    night.process.send_signal(signal.SIGTERM)
    assert night.process.wait(60) == 0
    assert [process.cmdline() for process in of(night.lab.root)] == []
    assert not (night.lab.state / "serve.json").exists()
    assert not (night.lab.state / "prefect" / "server.json").exists()
    assert not list((night.lab.state / "prefect" / "runs").iterdir())

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from laboratory import git

from flows import campaign, ledger
from flows.errors import RefTaken
from flows.experiment import PENDING, Attempt, Clock, Proposal, begin, finish, run_attempt
from flows.lab import Campaign, Lab, Wishes
from flows.recovery import INTERRUPTED, recover
from flows.repository import Repository
from kg.model import Status
from trainer.run import MARKER

DEEPER = ("DEPTH = 4", "DEPTH = 5")


def started(lab: Lab) -> Campaign:
    return campaign.start(lab, "t", Wishes())[0]


def attempted(lab: Lab, place: Campaign, source: bytes) -> Attempt:
    return begin(lab, place, Proposal(source, "deeper", "more layers help"), None)


def state(lab: Lab) -> dict[str, str]:
    return lab.repository.refs("refs/")


def test_an_attempt_that_never_ran_is_recorded_as_interrupted(
    lab: Lab, edit: Callable[..., bytes]
) -> None:
    place = started(lab)
    tip = lab.repository.resolve(place.ref)
    attempted(lab, place, edit(DEEPER))
    (entry,) = recover(lab, place)
    assert (entry.facts.name, entry.status) == ("t-0001", Status.CRASH)
    assert entry.metrics["reason"] == INTERRUPTED
    assert entry.facts.hypothesis == "more layers help"
    assert lab.repository.resolve(place.ref) == tip
    assert lab.repository.refs(PENDING) == {}
    assert json.loads(lab.repository.read(entry.commit, ledger.PARAMS) or b"")["DEPTH"] == 5


def test_a_sealed_result_is_finished_without_training_again(
    lab: Lab, edit: Callable[..., bytes]
) -> None:
    place = started(lab)
    attempt = attempted(lab, place, edit(DEEPER))
    run_attempt(lab, place, attempt, None)
    log = place.run / "exp" / "artifacts" / "run.log"
    before = log.stat().st_mtime_ns
    (entry,) = recover(lab, place)
    assert (entry.status, entry.value) == (Status.KEEP, 1.02)
    assert lab.repository.resolve(place.ref) == entry.commit
    assert log.stat().st_mtime_ns == before


@pytest.mark.parametrize("broken", ["create_ref", "delete_ref", "swap_ref"])
def test_a_death_at_any_ref_leads_to_the_same_refs_as_no_death(
    lab: Lab, edit: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    place = started(lab)
    attempt = attempted(lab, place, edit(DEEPER))
    run_attempt(lab, place, attempt, None)

    def die(*arguments: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Repository, broken, die)
        with pytest.raises(KeyboardInterrupt):
            finish(lab, place, attempt, Clock())
    (entry,) = recover(lab, place)
    assert lab.repository.refs(PENDING) == {}
    assert lab.repository.resolve(place.ref) == entry.commit
    assert [e.facts.name for e in ledger.entries(lab.repository, "t")] == ["t-0000", "t-0001"]
    once = state(lab)
    assert recover(lab, place) == []
    assert state(lab) == once


def test_a_branch_moved_by_someone_else_is_never_overwritten(
    lab: Lab, edit: Callable[..., bytes]
) -> None:
    place = started(lab)
    attempt = attempted(lab, place, edit(DEEPER))
    run_attempt(lab, place, attempt, None)
    other = lab.repository.commit(attempt.parent, {"notes.md": b"mine\n"}, "By hand\n")
    lab.repository.swap_ref(place.ref, other, attempt.parent)
    with pytest.raises(RefTaken, match="nothing is lost"):
        finish(lab, place, attempt, Clock())
    assert lab.repository.resolve(place.ref) == other
    assert "t-0001" in ledger.names(lab.repository, "t")


def test_a_killed_runner_leaves_no_training_and_loses_nothing(
    root: Path, lab: Lab, edit: Callable[..., bytes]
) -> None:
    place = started(lab)
    hang = edit(("def main():\n", "def main():\n    import time; time.sleep(60)\n"))
    place.target.write_bytes(hang)
    words = [sys.executable, "-m", "flows.cli", "try", "-m", "hang"]
    runner = subprocess.Popen(words, cwd=root, stderr=subprocess.DEVNULL)
    child = wait_for(lambda: marked(lab.repository.refs(PENDING).get(f"{PENDING}t-0001", "none")))
    os.kill(runner.pid, signal.SIGKILL)
    runner.wait()
    assert child.is_running()  # what a runner's death leaves behind
    with campaign.held(place):
        (entry,) = campaign.settle(lab, place)
    assert entry.metrics["reason"] == INTERRUPTED
    wait_for(lambda: None if child.is_running() and child.status() != "zombie" else child)
    assert place.target.read_bytes() == hang  # the agent's edit is still there to try again
    assert "t-0001" in git(root, "for-each-ref", "refs/exps")


def marked(commit: str) -> psutil.Process | None:
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARKER) == commit:
                return process
        except psutil.Error:
            continue
    return None


def wait_for(look: Callable[[], psutil.Process | None]) -> psutil.Process:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
    raise AssertionError("it did not happen within 30 s")

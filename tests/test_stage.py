import json
from pathlib import Path

import pytest

from trainer.stage import Job, environment, main, run_stage

GOOD = "import sys\nDEPTH = 2**3\nprint('---\\nval_bpb: 1.25\\noutcome: faked\\nstatus: keep')\n"


def outputs(tmp_path: Path, source: str, limit: float = 20.0) -> dict[str, object]:
    (tmp_path / "train.py").write_text(source)
    run_stage(Job("python train.py", "train.py", "val_bpb", limit, {}), tmp_path)
    out = tmp_path / "exp"
    assert sorted(p.name for p in out.iterdir()) == [
        "artifacts",
        "loss.csv",
        "metrics.json",
        "params.json",
    ]
    assert (out / "artifacts" / "run.log").is_file()
    found: dict[str, object] = json.loads((out / "metrics.json").read_text())
    return found


def test_a_good_run_writes_its_outputs_and_cannot_overwrite_ours(tmp_path: Path) -> None:
    found = outputs(tmp_path, GOOD)
    assert (found["val_bpb"], found["outcome"], found["problem"]) == (1.25, "ok", "")
    assert json.loads((tmp_path / "exp" / "params.json").read_text()) == {"DEPTH": 8}


@pytest.mark.parametrize(
    ("source", "outcome", "problem"),
    [
        ("x = (", "crash", "crash: SyntaxError: '(' was never closed (exit code 1)"),
        ("1/0", "crash", "crash: ZeroDivisionError: division by zero (exit code 1)"),
        (
            "print('done')",
            "ok",
            "no result: the run printed no line `val_bpb: <number>`; last line: done",
        ),
        (
            "print('---\\nval_bpb: nan')",
            "ok",
            "no result: the run printed val_bpb 'nan'; last line: val_bpb: nan",
        ),
        ("import time; time.sleep(60)", "timeout", "timeout: still running after the limit of 1 s"),
        (
            "print('---\\nval_bpb: 0.5'); raise SystemExit(2)",
            "crash",
            "crash: val_bpb: 0.5 (exit code 2)",
        ),
    ],
)
def test_every_way_to_fail_leaves_all_outputs_and_a_reason(
    tmp_path: Path, source: str, outcome: str, problem: str
) -> None:
    limit = 1.0 if outcome == "timeout" else 60.0  # Python may take 1 s to start
    found = outputs(tmp_path, source, limit=limit)
    assert (found["val_bpb"], found["outcome"], found["problem"]) == (None, outcome, problem)


def test_outputs_of_an_earlier_run_are_gone(tmp_path: Path) -> None:
    old = tmp_path / "exp" / "artifacts" / "checkpoint.pt"
    old.parent.mkdir(parents=True)
    old.write_text("the last experiment's")
    outputs(tmp_path, "1/0")
    assert not old.exists()


def test_the_stage_command_exits_with_0_for_a_recorded_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.py").write_text("1/0")
    monkeypatch.chdir(tmp_path)
    assert main(["--target", "train.py", "--command", "python train.py"]) == 0
    assert json.loads(Path("exp/metrics.json").read_text())["outcome"] == "crash"


def test_the_environment_names_profile_and_clock() -> None:
    assert environment("cpu", None) == {"NIGHTLAB_PROFILE": "cpu"}
    assert environment("h100", 300.0)["NIGHTLAB_BUDGET_SECONDS"] == "300"

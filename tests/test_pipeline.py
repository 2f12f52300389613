"""The whole arrow on a CPU: real git, DVC, torch training and graph, by the commands users type."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from laboratory import git

HERE = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the files git tracks here, as they are now, under the smoke profile."""
    place = tmp_path_factory.mktemp("pipeline") / "nightlab"
    for name in git(HERE, "ls-files").splitlines():
        if (HERE / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(HERE / name, place / name)
    (place / "params.yaml").write_text("profile: smoke\nbudget_seconds: 0\n")
    git(place, "init", "-q", "-b", "main")
    git(place, "add", "-A")
    git(place, "commit", "-qm", "Begin")
    return place


def run(place: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run one of the venv's programs with an empty home."""
    env = {**os.environ, "HOME": str(place.parent), "PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run(
        [BIN / words[0], *words[1:]], cwd=place, env=env, capture_output=True, text=True
    )
    assert done.returncode == code, done.stderr + done.stdout
    return done


def nightlab(place: Path, *words: str, code: int = 0) -> Any:
    """Run one command with --json; the object it prints."""
    return json.loads(run(place, "nightlab", *words, "--json", code=code).stdout)


@pytest.fixture(scope="module")
def night(clone: Path) -> list[dict[str, Any]]:
    """A baseline, a worse edit and a broken one: what `start` and `try` answered."""
    started = nightlab(clone, "start", "t1", "--profile", "smoke")
    target = Path(started["target"])
    assert target == Path(started["workdir"]) / "trainer" / "train.py"
    assert started["branch"] == "autoresearch/t1"
    source = target.read_text()
    target.write_text(source.replace("\nDEPTH = 4", "\nDEPTH = 1"))
    hypothesis = "fewer layers take more steps"
    shallow = nightlab(clone, "try", "-m", "depth 4 -> 1", "--hypothesis", hypothesis)
    target.write_text("DEPTH = (\n")
    broken = nightlab(clone, "try", "--tag", "t1", "-m", "oops")
    return [started["baseline"], shallow, broken]


def test_the_verdicts_are_those_of_real_training(night: list[dict[str, Any]]) -> None:
    baseline, shallow, broken = night
    assert baseline["status"] == "keep"
    assert 1.0 < baseline["value"] < 8.0  # 8 bits a byte is knowing nothing
    assert shallow["status"] == ("keep" if shallow["delta"] < 0 else "discard")
    assert shallow["parent"] == baseline["commit"]
    assert shallow["seconds"]["training_seconds"] > 0
    assert (broken["status"], broken["value"]) == ("crash", None)
    assert "SyntaxError" in broken["reason"]


def test_every_view_names_the_same_experiments_with_the_same_values(
    clone: Path, night: list[dict[str, Any]]
) -> None:
    known = {item["experiment"]: (item["commit"], item["value"]) for item in night}
    log = nightlab(clone, "log", "--tag", "t1")["experiments"]
    assert {e["experiment"]: (e["commit"], e["value"]) for e in log} == known
    refs = git(clone, "for-each-ref", "--format=%(refname:lstrip=4) %(objectname)", "refs/exps")
    assert dict(line.split() for line in refs.splitlines()) == {n: c for n, (c, _) in known.items()}
    shown = json.loads(run(clone, "dvc", "exp", "show", "-A", "--json").stdout)
    found = {e["name"]: e["revs"][0] for base in shown for e in base["experiments"] or []}
    metrics = {n: r["data"]["metrics"]["exp/metrics.json"]["data"] for n, r in found.items()}
    assert {name: row.get("val_bpb") for name, row in metrics.items()} == {
        n: v for n, (_, v) in known.items()
    }
    table = (clone / ".nightlab/campaigns/t1/results.tsv").read_text().splitlines()
    assert table[0] == "commit\tval_bpb\tmemory_gb\tstatus\tdescription"
    cells = [row.split("\t") for row in table[1:]]
    assert [c[0] for c in cells] == [commit[:7] for commit, _ in known.values()]
    assert [float(c[1]) for c in cells] == [value or 0.0 for _, value in known.values()]
    query = "SELECT ?name ?v { ?e a lab:Experiment ; lab:name ?name OPTIONAL { ?e lab:value ?v } }"
    rows = nightlab(clone, "sparql", query)["rows"]
    assert {row["name"]: row.get("v") for row in rows} == {n: v for n, (_, v) in known.items()}


def test_the_memory_answers_from_the_diff(clone: Path, night: list[dict[str, Any]]) -> None:
    attempts = nightlab(clone, "ask", "attempts", "knob=model.depth")
    assert attempts["question"] == "attempts"
    (row,) = [r for r in attempts["rows"] if r["experiment"] == "t1-0001"]
    assert night[1]["commit"].startswith(row["commit"])
    best = nightlab(clone, "ask", "best")["rows"]
    values = [item["value"] for item in night if item["value"] is not None]
    assert best[0]["value"] == min(values)


def test_the_result_is_bound_to_its_data_and_machine(
    clone: Path, night: list[dict[str, Any]]
) -> None:
    raw = git(clone, "show", f"{night[0]['commit']}:exp/metrics.json")
    metrics = json.loads(raw)
    manifest = json.loads((clone / "data/smoke/manifest.json").read_text())
    assert metrics["manifest"] in manifest.values()
    assert {"num_steps", "seed", "device", "peak_vram_mb", "isolation"} <= set(metrics)


def test_the_graph_comes_back_byte_for_byte(clone: Path, night: list[dict[str, Any]]) -> None:
    before = run(clone, "nightlab", "kg", "dump").stdout
    shutil.rmtree(clone / ".nightlab" / "graph")
    assert nightlab(clone, "kg", "rebuild")["experiments"] == len(night)
    assert run(clone, "nightlab", "kg", "dump").stdout == before


def test_dvc_reproduces_the_pipeline_and_draws_its_loss_curve(clone: Path) -> None:
    run(clone, "dvc", "repro")
    metrics = json.loads((clone / "exp/metrics.json").read_text())
    assert metrics["outcome"] == "ok"
    assert "DEPTH" in json.loads((clone / "exp/params.json").read_text())
    drawn = run(clone, "dvc", "plots", "show", "exp/loss.csv", "--show-vega").stdout
    assert '"step"' in drawn
    assert (clone / "exp/graph.nq").is_file()
    assert "up to date" in run(clone, "dvc", "status", "train").stdout

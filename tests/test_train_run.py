"""A run of train.py: steps, checkpoint, what it prints."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_gpt import CONFIG, lively, rows

import prepare
from trainer import train

ROOT = Path(train.__file__).resolve().parent.parent
PROFILE = prepare.Profile("tiny", 64, 32, 60.0, 4, 64, 2, "sympy", None, 0)


# --- run


def learn(seed: int = 1, loss_of: Callable[..., Any] = train.next_token_loss) -> list[float]:
    torch.manual_seed(seed)
    model = train.build_model(CONFIG, "cpu")
    optimizer, curve = model.setup_optimizer(), io.StringIO()
    profile = dataclasses.replace(PROFILE, step_budget=12)
    train.train(model, loss_of, optimizer, prepare.batches(rows(), 4, seed), 2, profile, curve)
    return [float(line.split(",")[2]) for line in curve.getvalue().splitlines()]


def test_training_learns_the_same_thing_from_the_same_seed() -> None:
    first, second, other = learn(1), learn(1), learn(2)
    assert len(first) == 12
    assert first == second != other
    assert first[-1] < 0.7 * first[0]


def test_accumulating_gradients_equals_one_large_batch() -> None:
    batch = next(prepare.batches(rows(), 8, 0))
    halves = [(batch[0][:4], batch[1][:4]), (batch[0][4:], batch[1][4:])]
    results = []
    for batches, times in (([batch], 1), (halves, 2)):
        model = lively()
        optimizer = model.setup_optimizer()
        train.set_schedule(optimizer, 0, 0.0)
        loss = train.train_step(model, train.next_token_loss, optimizer, iter(batches), times)
        state = optimizer.state[model.h[0].mlp.c_fc.weight]
        results.append((loss, state["momentum_buffer"]))
    torch.testing.assert_close(results[0], results[1], atol=1e-5, rtol=1e-4)


def test_warming_up_leaves_no_trace() -> None:
    model = lively()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer = model.setup_optimizer()
    random = torch.get_rng_state()
    steps = []

    def counted(*arguments: Any) -> torch.Tensor:
        steps.append(1)
        return train.next_token_loss(*arguments)

    train.warm_up(model, counted, optimizer, 2, PROFILE, torch.device("cpu"))
    assert steps
    assert torch.equal(random, torch.get_rng_state())
    assert not optimizer.state
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_a_loss_that_is_no_number_ends_the_run_with_one_line() -> None:
    def diverging(*arguments: Any) -> torch.Tensor:
        return train.next_token_loss(*arguments) * math.nan

    with pytest.raises(SystemExit) as caught:
        learn(loss_of=diverging)
    assert caught.value.code == (
        "train: loss is nan at step 1; the last edit made training diverge"
    )


def test_a_checkpoint_gives_the_model_back_and_pickled_code_is_refused(tmp_path: Path) -> None:
    model = lively()
    path = tmp_path / "artifacts" / "checkpoint.pt"
    train.save(model, "m123", path)
    tokens = torch.arange(32)[None]
    assert torch.equal(train.load_checkpoint(path)(tokens), model(tokens))
    assert [file.name for file in path.parent.iterdir()] == ["checkpoint.pt"]
    torch.save({"config": os.system}, path)
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        train.load_checkpoint(path)


SUMMARY = r"""---
val_bpb:          (?P<val_bpb>\d\.\d{6})
training_seconds: \d+\.\d
total_seconds:    \d+\.\d
peak_vram_mb:     \d+\.\d
mfu_percent:      \d+\.\d\d
total_tokens_M:   0\.0
num_steps:        30
num_params_M:     1\.0
depth:            4
startup_seconds:  \d+\.\d
warmup_seconds:   \d+\.\d
eval_seconds:     \d+\.\d
save_seconds:     \d+\.\d\d
device:           \w+
attention:        sdpa
threads:          [12]
load:             \d+\.\d
seed:             42
manifest:         (?P<manifest>m[0-9a-f]{16})
"""


def test_a_real_run_reports_what_its_checkpoint_scores(tmp_path: Path) -> None:
    smoke = prepare.PROFILES["smoke"]
    manifest = prepare.build(smoke, tmp_path / "data")
    environment = {
        **os.environ,
        "NIGHTLAB_PROFILE": "smoke",
        "NIGHTLAB_DATA": str(tmp_path / "data"),
        "NIGHTLAB_OUT": str(tmp_path / "exp"),
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONPATH": str(ROOT),
    }
    environment.pop("NIGHTLAB_SEED", None)
    run = subprocess.run(
        [sys.executable, "trainer/train.py"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "")
    progress, dashes, block = run.stdout.partition("---\n")
    summary = re.fullmatch(SUMMARY, dashes + block)
    assert summary, run.stdout
    assert summary["manifest"] == manifest.id
    lines = progress.splitlines()[1:]
    form = re.compile(r"step \d{5} \| loss \d+\.\d{4} \| \d+\.\d s \| \d+ %")
    assert [line for line in lines if not form.fullmatch(line)] == []
    assert lines[-1].startswith("step 00030")
    with (tmp_path / "exp" / "loss.csv").open() as file:
        curve = list(csv.DictReader(file))
    assert [int(row["step"]) for row in curve] == list(range(1, 31))
    assert float(curve[-1]["loss"]) < float(curve[0]["loss"]) - 1
    if "device:           cpu" in block:
        model = train.load_checkpoint(tmp_path / "exp" / "artifacts" / "checkpoint.pt")
        score = prepare.evaluate_bpb(model.eval(), prepare.load_data(smoke, tmp_path / "data"))
        assert f"{score:.4f}" == f"{float(summary['val_bpb']):.4f}"


def test_a_run_without_data_says_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTLAB_PROFILE", "smoke")
    monkeypatch.setenv("NIGHTLAB_DATA", str(tmp_path))
    monkeypatch.setenv("NIGHTLAB_OUT", str(tmp_path / "exp"))
    with pytest.raises(SystemExit) as caught:
        train.main()
    assert caught.value.code == (
        f"error: prepare: no data for profile 'smoke' in {tmp_path / 'smoke'}; "
        "run python prepare.py --profile smoke"
    )
    assert not (tmp_path / "exp").exists()

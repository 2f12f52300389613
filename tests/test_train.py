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

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import prepare
from trainer import train

torch.set_num_threads(1)  # matrices of 32: on a busy machine two threads were 20 times slower
ROOT = Path(train.__file__).resolve().parent.parent
CONFIG = train.GPTConfig(
    sequence_len=32, vocab_size=64, n_layer=3, n_head=2, n_kv_head=2, n_embd=32
)
PROFILE = prepare.Profile("tiny", 64, 32, 60.0, 4, 64, 2, "sympy", None, 0)


def lively(config: train.GPTConfig = CONFIG) -> train.GPT:
    """A model whose every parameter matters: training starts with zero projections."""
    torch.manual_seed(0)
    model = train.build_model(config, "cpu")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def rows(count: int = 40) -> np.ndarray:
    """Token rows with something to learn: each token is followed by itself plus one."""
    start = np.random.RandomState(0).randint(64, size=(count, 1))
    return ((start + np.arange(33)) % 64).astype(np.uint16)


# --- model


def test_what_comes_later_never_changes_what_came_before() -> None:
    model = lively()
    tokens = torch.randint(64, (2, 32), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before = model(tokens)
        for t in (0, 7, 16, 30):
            other = tokens.clone()
            other[:, t + 1 :] = (other[:, t + 1 :] + 5) % 64
            after = model(other)
            assert torch.equal(before[:, : t + 1], after[:, : t + 1])
            assert not torch.allclose(before[:, t + 1 :], after[:, t + 1 :])


def test_logits_have_the_vocabularys_shape_and_stay_within_the_cap() -> None:
    model = lively()
    with torch.no_grad():
        model.lm_head.weight.mul_(1000)
        logits = model(torch.arange(20).view(2, 10))
    assert logits.shape == (2, 10, 64)
    assert logits.dtype == torch.float32
    assert 14 < logits.abs().max() <= 15


def test_a_fresh_model_predicts_nothing_yet() -> None:
    torch.manual_seed(0)
    model = train.build_model(CONFIG, "cpu")
    tokens = torch.arange(64).view(2, 32)
    loss = train.next_token_loss(model, tokens, tokens)
    assert loss.item() == pytest.approx(math.log(64), abs=0.01)


def test_every_parameter_of_the_model_learns() -> None:
    model = lively()
    train.next_token_loss(model, *next(prepare.batches(rows(), 4, 0))).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_rotary_scores_depend_on_the_distance_only() -> None:
    model = train.build_model(CONFIG, "cpu")
    generator = torch.Generator().manual_seed(2)
    q, k = torch.randn(2, 16, generator=generator)
    T = 32
    rotated = [
        train.rotate(vector.expand(1, T, 1, 16), model.cos, model.sin)[0, :, 0] for vector in (q, k)
    ]
    scores = rotated[0] @ rotated[1].T  # query position by key position
    for distance in (0, 1, 5, 31):
        diagonal = scores.diagonal(-distance)
        assert torch.allclose(diagonal, diagonal[0].expand_as(diagonal), atol=1e-4)
    assert torch.allclose(rotated[0].norm(dim=1), q.norm().expand(T), atol=1e-4)
    assert not torch.allclose(scores[5, 0], scores[0, 0], atol=1e-2)


def test_fewer_key_heads_than_query_heads_work() -> None:
    model = lively(dataclasses.replace(CONFIG, n_kv_head=1))
    assert model.h[0].attn.c_k.weight.shape == (16, 32)
    assert torch.isfinite(model(torch.arange(32)[None])).all()


def test_bfloat16_gives_nearly_the_same_logits() -> None:
    model = lively()
    tokens = torch.arange(64).view(2, 32)
    exact = model(tokens)
    model.compute_dtype = torch.bfloat16  # what CUDA runs in
    rough = model(tokens)
    assert rough.dtype == torch.float32
    assert (rough - exact).abs().mean() < 0.05 * exact.abs().mean()


# --- attention


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 24), st.integers(1, 26), st.sampled_from([1, 2]))
def test_windows_see_exactly_what_a_dense_mask_sees(T: int, window: int, kv_heads: int) -> None:
    generator = torch.Generator().manual_seed(T * 100 + window)
    q = torch.randn(2, T, 2, 8, generator=generator)
    k, v = torch.randn(2, 2, T, kv_heads, 8, generator=generator)
    wide_k, wide_v = (t.expand(2, T, 2, 8) if kv_heads == 1 else t for t in (k, v))
    expected = train.dense_attention(q, wide_k, wide_v, window)
    torch.testing.assert_close(
        train.sdpa_attention(q, k, v, window), expected, atol=1e-5, rtol=1e-5
    )


def test_chunks_of_one_window_give_the_gradients_of_a_dense_mask() -> None:
    results = []
    for attend in (train.sdpa_attention, train.dense_attention):
        torch.manual_seed(0)
        q, k, v = (torch.randn(2, 64, 2, 8, requires_grad=True) for _ in range(3))
        attend(q, k, v, 16).square().sum().backward()
        results.append((q.grad, k.grad, v.grad))
    torch.testing.assert_close(*results, atol=1e-4, rtol=1e-4)


def test_an_attention_that_ignores_its_window_is_refused() -> None:
    cpu = torch.device("cpu")

    def ignorant(q: Any, k: Any, v: Any, window: int) -> Any:
        return train.sdpa_attention(q, k, v, q.size(1))

    def off_by_one(q: Any, k: Any, v: Any, window: int) -> Any:
        return train.sdpa_attention(q, k, v, window // 2)

    for dtype in (torch.float32, torch.bfloat16):
        assert train.agrees(train.sdpa_attention, cpu, dtype, 32)
        assert not train.agrees(ignorant, cpu, dtype, 32)
        assert not train.agrees(off_by_one, cpu, dtype, 32)
    assert train.choose_attention(cpu, torch.float32, 32) == ("sdpa", train.sdpa_attention)


def test_a_backend_that_does_not_work_falls_back_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(train, "agrees", lambda attend, *rest: train.dense_attention is attend)
    monkeypatch.setattr(train, "varlen_attention", lambda backends: train.dense_attention)
    name, _ = train.choose_attention(torch.device("cuda"), torch.bfloat16, 128)
    assert name == "sdpa-cudnn+varlen"
    assert capsys.readouterr().out == (
        "attention fa3 not used: No module named 'flash_attn_interface'\n"
    )


def test_window_patterns_repeat_and_the_last_layer_sees_everything() -> None:
    def windows(pattern: str, depth: int) -> list[int]:
        return train.GPT.compute_windows(
            dataclasses.replace(CONFIG, n_layer=depth, window_pattern=pattern)
        )

    assert windows("SSSL", 6) == [16, 16, 16, 32, 16, 32]
    assert windows("S", 2) == [16, 32]
    assert windows("L", 1) == [32]


# --- sizes


def h100_model(monkeypatch: pytest.MonkeyPatch) -> train.GPT:
    for name, value in {"DEPTH": 8, "ASPECT_RATIO": 64, "HEAD_DIM": 128}.items():
        monkeypatch.setattr(train, name, value)
    with torch.device("meta"):
        return train.GPT(train.make_config(prepare.PROFILES["h100"]))


def test_the_h100_size_has_autoresearchs_number_of_parameters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = h100_model(monkeypatch)
    assert all(parameter.is_meta for parameter in model.parameters())
    assert (model.config.n_embd, model.config.n_head) == (512, 4)
    assert f"{model.num_params() / 1e6:.1f}" == "50.3"


def test_flops_are_six_a_weight_and_twelve_a_score(monkeypatch: pytest.MonkeyPatch) -> None:
    model = h100_model(monkeypatch)
    blocks = 8 * 12 * 512 * 512 + 4 * 4 * 32  # matrices of the layers, gates of four of them
    head = 512 * 8192
    scores = 512 * (6 * 1025 + 2 * 2048)  # windows S, S, S, L twice
    assert model.flops_per_token() == 6 * (blocks + head) + 12 * scores


def test_the_width_is_rounded_up_to_whole_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "DEPTH", 3)
    monkeypatch.setattr(train, "ASPECT_RATIO", 33)
    config = train.make_config(prepare.PROFILES["cpu"])
    assert (config.n_layer, config.n_head, config.n_embd) == (3, 4, 128)


@given(st.integers(1, 2**14), st.integers(1, 40))
def test_batches_add_up_to_the_total(total: int, device_rows: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "TOTAL_BATCH_SIZE", total)
        patch.setattr(train, "DEVICE_BATCH_SIZE", device_rows)
        at_once, times = train.split_batch(128)
    assert at_once * times == max(1, total // 128)
    assert at_once <= device_rows


# --- optimizer


def test_every_parameter_is_in_exactly_one_named_group() -> None:
    model = lively()
    optimizer = model.setup_optimizer()
    names = [group["name"] for group in optimizer.param_groups]
    assert names[:5] == ["lm_head", "wte", "value_embeds", "resid_lambdas", "x0_lambdas"]
    assert len(set(names)) == len(names)
    grouped = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters())
    for group in optimizer.param_groups:
        if group["kind"] == "muon":
            assert len({p.shape for p in group["params"]}) == 1
            assert group["params"][0].ndim == 2


def test_adamw_steps_as_torchs_own() -> None:
    torch.manual_seed(0)
    ours = [torch.nn.Parameter(torch.randn(4, 3)), torch.nn.Parameter(torch.randn(5))]
    theirs = [torch.nn.Parameter(p.detach().clone()) for p in ours]
    settings = {"lr": 0.03, "betas": (0.8, 0.95), "eps": 1e-8, "weight_decay": 0.1}
    optimizer = train.MuonAdamW([{"name": "x", "kind": "adamw", "params": ours, **settings}])
    reference = torch.optim.AdamW(theirs, **settings)
    for _ in range(6):
        for p, q in zip(ours, theirs, strict=True):
            p.grad = torch.randn_like(p)
            q.grad = p.grad.clone()
        optimizer.step()
        reference.step()
        for p, q in zip(ours, theirs, strict=True):
            torch.testing.assert_close(p, q, atol=1e-6, rtol=1e-5)


def polar(X: torch.Tensor) -> torch.Tensor:
    U, _, V = torch.linalg.svd(X.double(), full_matrices=False)
    return (U @ V).float()


def spread(*shape: int) -> torch.Tensor:
    """Matrices whose singular values spread evenly, on a log scale, over a factor of 200."""
    X = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    U, S, V = torch.linalg.svd(X, full_matrices=False)
    return U @ torch.diag(torch.logspace(-2.3, 0, S.size(1))) @ V


@pytest.mark.parametrize("shape", [(3, 24, 24), (2, 16, 48), (2, 48, 16), (1, 4, 32)])
def test_orthogonalization_agrees_with_the_singular_value_decomposition(
    shape: tuple[int, ...],
) -> None:
    X = spread(*shape)
    Y = train.orthogonalize(X, 5)
    singular = torch.linalg.svdvals(Y)
    assert singular.min() > 0.85
    assert singular.max() < 1.15
    assert F.cosine_similarity(Y.flatten(1), polar(X).flatten(1)).min() > 0.99
    assert torch.allclose(train.orthogonalize(1000 * X, 5), Y, atol=1e-3)  # scale is no matter
    assert torch.allclose(train.orthogonalize(X, 9), polar(X), atol=1e-4)


def test_more_iterations_orthogonalize_better() -> None:
    X = spread(1, 32, 32)
    errors = [float((train.orthogonalize(X, steps) - polar(X)).norm()) for steps in (1, 3, 5, 7)]
    assert errors == sorted(errors, reverse=True)


def test_muon_steps_along_the_polar_factor_of_its_nesterov_momentum() -> None:
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(2, 24, 6, generator=generator)
    params = [torch.nn.Parameter(matrix.clone()) for matrix in start]
    group = {
        "name": "m", "kind": "muon", "params": params,
        "lr": 0.1, "momentum": 0.9, "ns_steps": 9, "weight_decay": 0.5,
    }  # fmt: skip
    optimizer = train.MuonAdamW([group])
    expected, buffer = start.clone(), torch.zeros_like(start)
    for _ in range(3):
        grads = torch.randn(2, 24, 6, generator=generator)
        for p, grad in zip(params, grads, strict=True):
            p.grad = grad.clone()
        optimizer.step()
        buffer = 0.9 * buffer + 0.1 * grads
        direction = polar(0.1 * grads + 0.9 * buffer)
        expected = expected * (1 - 0.1 * 0.5) - 0.1 * (24 / 6) ** 0.5 * direction
        torch.testing.assert_close(torch.stack(list(params)), expected, atol=1e-4, rtol=1e-3)


def test_an_unknown_kind_of_group_is_an_error() -> None:
    group = {"name": "x", "kind": "sgd", "params": [], "lr": 1.0}
    with pytest.raises(ValueError, match="optimizer kind 'sgd'; use adamw or muon"):
        train.MuonAdamW([group]).step()


# --- schedules


@given(st.floats(0, 1), st.floats(0, 0.4), st.floats(0.01, 0.6), st.floats(0, 1))
def test_the_rate_stays_between_nothing_and_full(
    progress: float, warmup: float, warmdown: float, final: float
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "WARMUP_RATIO", warmup)
        patch.setattr(train, "WARMDOWN_RATIO", warmdown)
        patch.setattr(train, "FINAL_LR_FRAC", final)
        assert -1e-9 <= train.get_lr_multiplier(progress) <= 1 + 1e-9
        assert train.get_lr_multiplier(1.0) == pytest.approx(final)
        assert train.get_lr_multiplier(warmup) == pytest.approx(1.0)


def test_schedules_reach_the_groups() -> None:
    optimizer = lively().setup_optimizer()
    train.set_schedule(optimizer, step=1000, progress=0.75)
    for group in optimizer.param_groups:
        assert group["lr"] == pytest.approx(0.5 * group["initial_lr"])
        if group["kind"] == "muon":
            assert group["momentum"] == pytest.approx(train.MUON_MOMENTUM)
            assert group["weight_decay"] == pytest.approx(0.25 * train.WEIGHT_DECAY)


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

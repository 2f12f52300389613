"""The model of train.py: logits, attention, sizes."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_gpt import CONFIG, lively, rows

import prepare
from trainer import train

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


@settings(max_examples=25)
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

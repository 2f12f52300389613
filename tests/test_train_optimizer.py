"""The optimizer of train.py and its schedules, beside torch's own and the singular values."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from tiny_gpt import lively

from trainer import train

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

"""What prepared data is for: batches to learn from and the score in bits per byte."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from corpora import BOS, TINY, prepared

import prepare
from prepare import PrepareError

torch.set_num_threads(1)  # on a busy machine two threads wait longer than they compute


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> prepare.Data:
    return prepare.load_data(TINY, prepared(tmp_path_factory.mktemp("data")))


# --- batches


def test_batches_cover_every_row_once_an_epoch_in_a_seeded_order(data: prepare.Data) -> None:
    count = len(data.train)
    batches = prepare.batches(data.train, 3, seed=5)
    seen = []
    for _ in range(count):  # three epochs
        x, y = next(batches)
        assert x.shape == y.shape == (3, 16)
        assert x.dtype == y.dtype == torch.int64
        assert torch.equal(x[:, 1:], y[:, :-1])
        seen += [row.tolist() for row in torch.cat([x, y[:, -1:]], dim=1)]
    rows = sorted(data.train.tolist())
    for epoch in range(3):
        assert sorted(seen[epoch * count : (epoch + 1) * count]) == rows
    assert seen[:count] != seen[count : 2 * count]
    same, other = prepare.batches(data.train, 3, seed=5), prepare.batches(data.train, 3, seed=6)
    assert next(same)[0].tolist() == [row[:-1] for row in seen[:3]]
    assert next(other)[0].tolist() != [row[:-1] for row in seen[:3]]


# --- evaluation


def table_model(seed: int) -> Any:
    """A bigram model: the logits of a token's successors are a row of a table."""
    table = torch.randn(300, 300, generator=torch.Generator().manual_seed(seed))
    return lambda tokens: table[tokens]


def test_bits_per_byte_equals_five_lines_of_numpy(data: prepare.Data) -> None:
    table = table_model(3)(torch.arange(300)).numpy().astype(np.float64)
    x, y = data.val[:, :-1].ravel().astype(int), data.val[:, 1:].ravel().astype(int)
    nats = np.log(np.exp(table).sum(1))[x] - table[x, y]
    counts = data.token_bytes[y]
    expected = nats[counts > 0].sum() / (np.log(2) * counts.sum())
    assert prepare.evaluate_bpb(table_model(3), data) == pytest.approx(expected, rel=1e-5)


def test_uniform_logits_cost_log2_of_the_vocabulary_a_token(data: prepare.Data) -> None:
    targets = data.val[:, 1:]
    tokens = int((targets != BOS).sum())
    expected = tokens * np.log2(300) / int(data.token_bytes[targets].sum())
    uniform = prepare.evaluate_bpb(lambda x: torch.zeros(*x.shape, 300), data)
    assert uniform == pytest.approx(expected, rel=1e-5)


def test_the_score_does_not_depend_on_how_many_rows_go_at_once(data: prepare.Data) -> None:
    scores = {
        prepare.evaluate_bpb(
            table_model(4),
            dataclasses.replace(data, profile=dataclasses.replace(TINY, eval_rows=rows)),
        )
        for rows in (1, 7, 1000)
    }
    assert max(scores) - min(scores) < 1e-9


def test_the_model_never_gets_near_the_targets(data: prepare.Data) -> None:
    seen = []

    def model(tokens: torch.Tensor) -> torch.Tensor:
        assert tokens.untyped_storage().nbytes() == 8 * tokens.numel()  # nothing behind it
        assert not torch.is_grad_enabled()
        seen.append(tokens)
        return torch.zeros(*tokens.shape, 300)

    prepare.evaluate_bpb(model, data)
    assert torch.equal(torch.cat(seen), torch.from_numpy(data.val[:, :-1].astype(np.int64)))


def test_a_model_that_returns_a_loss_of_its_own_is_refused(data: prepare.Data) -> None:
    with pytest.raises(PrepareError) as caught:
        prepare.evaluate_bpb(lambda tokens: torch.zeros(tokens.shape), data)
    assert str(caught.value) == (
        "evaluate_bpb: the model returned shape (4, 16); "
        "it must map tokens (4, 16) to logits (4, 16, 300)"
    )


def test_an_empty_evaluation_is_an_error_and_nan_stays_nan(data: prepare.Data) -> None:
    for rows in (data.val[:0], np.full((2, 17), BOS, dtype=np.uint16)):
        with pytest.raises(PrepareError, match=r"run python prepare\.py"):
            prepare.evaluate_bpb(table_model(0), dataclasses.replace(data, val=rows))
    bad = prepare.evaluate_bpb(lambda x: torch.full((*x.shape, 300), torch.nan), data)
    assert np.isnan(bad)

"""A model of train.py small enough to compute in a test, and tokens it can learn."""

from __future__ import annotations

import numpy as np
import torch

from trainer import train

torch.set_num_threads(1)  # matrices of 32: on a busy machine two threads were 20 times slower
CONFIG = train.GPTConfig(
    sequence_len=32, vocab_size=64, n_layer=3, n_head=2, n_kv_head=2, n_embd=32
)


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

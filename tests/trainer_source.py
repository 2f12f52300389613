"""A trainer with every kind of knob the researcher edits, and what identifies a program."""

from __future__ import annotations

import ast

from flows.evidence import settings as settings_of

TRAINER = '''"""A trainer as agents edit it; ümlauts first, so bytes are not characters."""
import torch.nn.functional as F

DEPTH = 4  # layers
ASPECT_RATIO = 32
HEAD_DIM = 32
WINDOW_PATTERN = "SSSL"
TOTAL_BATCH_SIZE = 2**9
DEVICE_BATCH_SIZE = 2
MATRIX_LR: float = 0.04; EMBEDDING_LR = 0.6
WEIGHT_DECAY = 0.0
ADAM_BETAS = (0.8, 0.95)
WARMDOWN_RATIO = 0.5
WARMUP_RATIO = 0.0
USE_BIAS = False
SEED = 42
DATA_PATH = "data"
TIME_BUDGET = 300
EVAL_TOKENS = 2**16
MAX_STEPS = 1_000
TWICE = 1
TWICE = 2
UNREAD = 3
USED = (DEPTH, ASPECT_RATIO, HEAD_DIM, WINDOW_PATTERN, MATRIX_LR, EMBEDDING_LR, WEIGHT_DECAY,
        ADAM_BETAS, WARMDOWN_RATIO, WARMUP_RATIO, USE_BIAS, SEED, DATA_PATH, TIME_BUDGET,
        EVAL_TOKENS, MAX_STEPS, TWICE)

assert TOTAL_BATCH_SIZE % (DEVICE_BATCH_SIZE * 256) == 0


class MLP:
    def __init__(self, config):
        self.c_fc = (config.n_embd, 4 * config.n_embd)
        self.c_proj = (4 * config.n_embd, config.n_embd)

    def forward(self, x):
        return self.c_proj(F.relu(self.c_fc(x)).square())


class GPT:
    def windows(self, config):
        return config.sequence_len // 2

    def rotary(self, base=10000):
        return base

    def init(self):
        self.x0_lambdas.fill_(0.1)
        self.lm_head.weight.normal_(std=0.001)

    def forward(self, logits):
        softcap = 15  # cap
        return softcap * torch.tanh(logits / softcap)

    def groups(self):
        return [
            dict(params=self.lm_head.parameters(), lr=0.1, weight_decay=0.0),
            {"params": embedding_params, "weight_decay": 0.01},
        ]
'''


def program(source: str) -> str:
    return ast.dump(ast.parse(source))


def named(source: str = TRAINER) -> dict[str, object]:
    return settings_of(source)

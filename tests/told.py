"""One campaign told edit by edit, whose answers can be worked out by hand."""

from __future__ import annotations

from histories import line

from kg.model import Status

KEEP, DISCARD, CRASH = Status.KEEP, Status.DISCARD, Status.CRASH
SOURCE = """DEPTH = {depth}
EMBEDDING_LR = {lr}
SEED = {seed}
def optimizer(model):
    torch.manual_seed(SEED)
    return MuonAdamW([
        dict(kind="adamw", params=model.wte.parameters(), lr=EMBEDDING_LR, weight_decay={decay}),
        dict(kind="muon", params=model.blocks.parameters(), lr=0.02),
    ])
optimizer(GPT(n_layer=DEPTH))
"""
LR, DECAY = "optimizer.embedding_lr", "regularization.weight_decay.embedding"


def source(depth=8, lr=0.8, decay=0.0, seed=42):
    return SOURCE.format(depth=depth, lr=lr, decay=decay, seed=seed)


def column(answer, name):
    return [row[name] for row in answer.rows]


STORY = line(
    [
        (source(), 1.000, KEEP),
        (source(lr=0.9), 1.004, DISCARD),  # 1: fails
        (source(depth=9), 0.990, KEEP),  # 2
        (source(depth=10), None, CRASH),  # 3
        (source(depth=9, lr=0.9), 0.993, DISCARD),  # 4: a repeat, nothing has changed for it
        (source(depth=9, decay=0.001), 0.989, KEEP),  # 5
        (source(depth=9, lr=0.9, decay=0.001), 0.980, KEEP),  # 6: a repeat, and justified
        (source(depth=9, lr=0.9, decay=0.002), 0.985, DISCARD),  # 7
        (source(depth=9, lr=0.9, decay=0.001, seed=7), 0.9795, DISCARD),  # 8: noise
    ]
)

"""A small GPT trainer, written for the tests of the semantic diff; it is read, never run."""

GPT = '''"""A toy trainer."""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F
from dataclasses import dataclass
from prepare import TIME_BUDGET, make_loader

DEPTH = 6            # layers
ASPECT_RATIO = 48
HEAD_DIM = 64
WINDOW_PATTERN = "SSL"
TOTAL_BATCH_SIZE = 2**16
DEVICE_BATCH_SIZE = 16
EMBEDDING_LR = 0.3
UNEMBEDDING_LR = 0.005
MATRIX_LR = 0.02
SCALAR_LR = 0.4
WEIGHT_DECAY = 0.1
ADAM_BETAS = (0.8, 0.95)
WARMUP_RATIO = 0.0
WARMDOWN_RATIO = 0.4
FINAL_LR_FRAC = 0.0


@dataclass
class Config:
    sequence_len: int = 1024
    vocab_size: int = 4096
    n_layer: int = 4
    n_head: int = 4
    n_kv_head: int = 4
    n_embd: int = 256


def norm(x):
    return F.rms_norm(x, (x.size(-1),))


def rotary(x, cos, sin):
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


class Attention(nn.Module):
    def __init__(self, config, layer_idx):
        super().__init__()
        self.n_head = config.n_head
        self.c_q = nn.Linear(config.n_embd, config.n_embd, bias=False)
        self.c_k = nn.Linear(config.n_embd, config.n_embd, bias=False)
        self.c_v = nn.Linear(config.n_embd, config.n_embd, bias=False)
        self.c_proj = nn.Linear(config.n_embd, config.n_embd, bias=False)

    def forward(self, x, cos, sin, window_size):
        B, T, C = x.shape
        q = self.c_q(x).view(B, T, self.n_head, -1)
        k = self.c_k(x).view(B, T, self.n_head, -1)
        v = self.c_v(x).view(B, T, self.n_head, -1)
        q, k = rotary(q, cos, sin), rotary(k, cos, sin)
        q, k = norm(q), norm(k)
        y = flash_attn_func(q, k, v, causal=True, window_size=window_size)
        return self.c_proj(y.reshape(B, T, C))


class FeedForward(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.up = nn.Linear(config.n_embd, 4 * config.n_embd, bias=False)
        self.down = nn.Linear(4 * config.n_embd, config.n_embd, bias=False)

    def forward(self, x):
        h = self.up(x)
        h = F.relu(h).square()
        return self.down(h)


class Block(nn.Module):
    def __init__(self, config, layer_idx):
        super().__init__()
        self.attn = Attention(config, layer_idx)
        self.mlp = FeedForward(config)

    def forward(self, x, cos, sin, window_size):
        x = x + self.attn(norm(x), cos, sin, window_size)
        x = x + self.mlp(norm(x))
        return x


class GPT(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.h = nn.ModuleList([Block(config, i) for i in range(config.n_layer)])
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        self.x0_lambdas = nn.Parameter(torch.zeros(config.n_layer))
        self.windows = self.compute_windows(config)

    @torch.no_grad()
    def init_weights(self):
        s = 3**0.5 * self.config.n_embd**-0.5
        nn.init.normal_(self.wte.weight, mean=0.0, std=1.0)
        nn.init.normal_(self.lm_head.weight, mean=0.0, std=0.002)
        for block in self.h:
            nn.init.uniform_(block.attn.c_q.weight, -s, s)
            nn.init.uniform_(block.attn.c_k.weight, -s, s)
            nn.init.uniform_(block.attn.c_v.weight, -s, s)
            nn.init.zeros_(block.attn.c_proj.weight)
        self.x0_lambdas.fill_(0.1)

    def rotary_tables(self, length, head_dim, base=10000):
        angle = torch.outer(torch.arange(length), base ** (-torch.arange(head_dim // 2)))
        return angle.cos(), angle.sin()

    def compute_windows(self, config):
        long_window = config.sequence_len
        short_window = long_window // 2
        sizes = {"L": (long_window, 0), "S": (short_window, 0)}
        return [sizes[WINDOW_PATTERN[i % len(WINDOW_PATTERN)]] for i in range(config.n_layer)]

    def setup_optimizer(self, unembedding_lr=0.1, embedding_lr=0.1, matrix_lr=0.1,
                        weight_decay=0.0, adam_betas=(0.9, 0.9), scalar_lr=0.1):
        matrices = list(self.h.parameters())
        scale = (self.config.n_embd / 768) ** -0.5
        groups = [
            dict(kind="adamw", params=[self.lm_head.weight], lr=unembedding_lr * scale,
                 betas=adam_betas, eps=1e-10, weight_decay=0.0),
            dict(kind="adamw", params=[self.wte.weight], lr=embedding_lr * scale,
                 betas=adam_betas, eps=1e-10, weight_decay=0.0),
            {"kind": "adamw", "params": [self.x0_lambdas], "lr": scalar_lr,
             "betas": (0.96, 0.95), "eps": 1e-10, "weight_decay": 0.0},
        ]
        for shape in sorted({p.shape for p in matrices}):
            same = [p for p in matrices if p.shape == shape]
            groups.append(dict(kind="muon", params=same, lr=matrix_lr, momentum=0.95,
                               ns_steps=5, beta2=0.95, weight_decay=weight_decay))
        return MuonAdamW(groups)

    def forward(self, idx, targets=None):
        x = norm(self.wte(idx))
        x0 = x
        for i, block in enumerate(self.h):
            x = x + self.x0_lambdas[i] * x0
            x = block(x, self.cos, self.sin, self.windows[i])
        x = norm(x)
        softcap = 15
        logits = self.lm_head(x).float()
        logits = softcap * torch.tanh(logits / softcap)
        if targets is None:
            return logits
        return F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))


class MuonAdamW(torch.optim.Optimizer):
    def step(self):
        for group in self.param_groups:
            if group["kind"] == "adamw":
                self.step_adamw(group)
            elif group["kind"] == "muon":
                self.step_muon(group)

    def step_adamw(self, group):
        for p in group["params"]:
            state = self.state[p]
            state["exp_avg"].lerp_(p.grad, 1 - group["betas"][0])

    def step_muon(self, group):
        for p in group["params"]:
            p.sub_(zeropower(p.grad, steps=group["ns_steps"]), alpha=group["lr"])


def build_config(depth):
    width = depth * ASPECT_RATIO
    heads = width // HEAD_DIM
    return Config(n_layer=depth, n_head=heads, n_kv_head=heads, n_embd=width)


def get_lr_multiplier(progress):
    if progress < WARMUP_RATIO:
        return progress / WARMUP_RATIO
    if progress < 1 - WARMDOWN_RATIO:
        return 1.0
    left = (1 - progress) / WARMDOWN_RATIO
    return left + (1 - left) * FINAL_LR_FRAC


def get_muon_momentum(step):
    frac = min(step / 300, 1)
    return (1 - frac) * 0.85 + frac * 0.95


def get_weight_decay(progress):
    return WEIGHT_DECAY * (1 - progress)


torch.manual_seed(42)
model = GPT(build_config(DEPTH))
optimizer = model.setup_optimizer(
    unembedding_lr=UNEMBEDDING_LR, embedding_lr=EMBEDDING_LR, matrix_lr=MATRIX_LR,
    weight_decay=WEIGHT_DECAY, adam_betas=ADAM_BETAS, scalar_lr=SCALAR_LR,
)
model = torch.compile(model, dynamic=False)
loader = make_loader(DEVICE_BATCH_SIZE)
total_time = 0
step = 0
while total_time < TIME_BUDGET:
    x, y = next(loader)
    loss = model(x, y)
    loss.backward()
    tokens = step * TOTAL_BATCH_SIZE
    progress = total_time / TIME_BUDGET
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * get_lr_multiplier(progress)
        if group["kind"] == "muon":
            group["momentum"] = get_muon_momentum(step)
            group["weight_decay"] = get_weight_decay(progress)
    optimizer.step()
    model.zero_grad(set_to_none=True)
    if step > 10:
        total_time += 1
    step += 1
print(f"loss: {loss}")
'''


def edited(*pairs: tuple[str, str], source: str = GPT) -> str:
    """Return a source with some texts replaced; each must be there."""
    for old, new in pairs:
        assert old in source, old
        source = source.replace(old, new)
    return source

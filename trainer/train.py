"""Train a small GPT for a fixed time and report its validation bits per byte.

This is the one file the agent edits: model, optimizer, schedules and loop. Fixed ground (data,
tokenizer, time budget, evaluation) is prepare.py. Run from the root: `python -m trainer.train`.

What others rely on: the summary block at the end of stdout, `loss.csv` and
`artifacts/checkpoint.pt` under NIGHTLAB_OUT (default exp/), and `load_checkpoint`, with which a
separate process scores the model again from its logits.
"""

# ruff: noqa: C408  (groups are dict(...) calls, so that an edit of one keyword reads as one)
import os
import time

STARTED = time.monotonic()  # before torch is imported: that takes 1 s and belongs to the total
# How long a waiting thread spins before it sleeps; read when torch loads OpenMP. A step on 2 quiet
# cores takes 52 ms (86 if it sleeps at once), among busy processes 0.3 s and not 3 to 10.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import gc
import json
import math
import resource
import sys
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

import prepare

# ------------------------------------------------------------------------------------------
# Constants, for the cpu profile (20 to 60 s on 2 cores). "H100:" is what autoresearch uses there;
# without it, the same.

# model
DEPTH = 4  # transformer layers. H100: 8
ASPECT_RATIO = 32  # width = DEPTH * ASPECT_RATIO, rounded up to whole heads. H100: 64
HEAD_DIM = 32  # width of an attention head. H100: 128
WINDOW_PATTERN = "SSSL"  # by layer, repeated: L full context, S half; the last is always L

# batch
TOTAL_BATCH_SIZE = 512  # tokens an optimizer step, whole rows. H100: 2**19
DEVICE_BATCH_SIZE = 128  # rows at once, at most (lower it when memory runs out)

# optimization: AdamW for embeddings, head and scalars, Muon for the matrices of the layers
EMBEDDING_LR = 0.6  # AdamW: token and value embeddings
UNEMBEDDING_LR = 0.004  # AdamW: lm_head
MATRIX_LR = 0.04  # Muon
SCALAR_LR = 0.5  # AdamW: per-layer residual scales
WEIGHT_DECAY = 0.2  # Muon, falls to 0 over the run
ADAM_BETAS = (0.8, 0.95)  # AdamW: decay of the first and second moment
MUON_MOMENTUM = 0.95  # Muon, reached after MUON_WARMUP_STEPS
MUON_WARMUP_STEPS = 100  # H100: 300
NS_STEPS = 5  # Muon: iterations of the orthogonalization

# schedule, in shares of the budget
WARMUP_RATIO = 0.0  # learning rate rises from 0
WARMDOWN_RATIO = 0.5  # learning rate falls to FINAL_LR_FRAC
FINAL_LR_FRAC = 0.0  # share of the learning rate left at the end

SEED = 42  # of weights and data order; never an improvement


# ------------------------------------------------------------------------------------------
# Attention: (B, T, H, D) -> (B, T, H, D), causal; a query sees itself and `window` tokens back


def sdpa_attention(q, k, v, window):
    """Attend through scaled_dot_product_attention, on any device.

    Windows that divide T are computed in chunks of one window, each against itself and its
    predecessor: T * 2W scores instead of T * T, and no (T, T) mask. Others use a dense mask.
    """
    B, T, H, D = q.shape
    if k.size(2) != H:  # fewer key and value heads than query heads
        k, v = (t.repeat_interleave(H // t.size(2), dim=2) for t in (k, v))
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    if window >= T - 1:
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    elif T % window or 2 * window >= T:  # half the context: chunks would save nothing
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=window_mask(T, T, window, q.device))
    else:
        W, C = window, T // window
        mask = window_mask(W, 2 * W, W, q.device)
        first = F.scaled_dot_product_attention(
            q[:, :, :W], k[:, :, :W], v[:, :, :W], is_causal=True
        )
        pairs = (t.unfold(2, 2 * W, W).transpose(-1, -2) for t in (k, v))  # (B, H, C - 1, 2W, D)
        rest = F.scaled_dot_product_attention(
            q[:, :, W:].view(B, H, C - 1, W, D), *pairs, attn_mask=mask
        )
        y = torch.cat([first, rest.reshape(B, H, T - W, D)], dim=2)
    return y.transpose(1, 2)


def window_mask(queries, keys, window, device):
    """Return which of the keys each query sees; the last query stands at the last key."""
    query = torch.arange(keys - queries, keys, device=device)[:, None]
    key = torch.arange(keys, device=device)[None, :]
    return (key <= query) & (key >= query - window)


def fa3_attention():
    """Return FlashAttention-3's function (Hopper; Shah et al. 2024, arXiv:2407.08608)."""
    from flash_attn_interface import flash_attn_func

    def attend(q, k, v, window):
        left = -1 if window >= q.size(1) - 1 else window
        y = flash_attn_func(q, k, v, causal=True, window_size=(left, 0 if left >= 0 else -1))
        return y[0] if isinstance(y, tuple) else y

    return attend


def varlen_attention(backends):
    """Return SDPA for full layers and torch's flash kernel with windows for the others (CUDA)."""
    from torch.nn.attention.varlen import varlen_attn

    def attend(q, k, v, window):
        B, T, H, D = q.shape
        if window >= T - 1:
            with sdpa_kernel(backends, set_priority=True):
                return sdpa_attention(q, k, v, window)
        ends = torch.arange(0, (B + 1) * T, T, dtype=torch.int32, device=q.device)
        q, k, v = (t.reshape(B * T, t.size(2), D) for t in (q, k, v))
        y = varlen_attn(
            q, k, v, ends, ends, T, T, window_size=(window, 0), enable_gqa=k.size(1) != H
        )
        return y.view(B, T, H, D)

    return attend


def choose_attention(device, dtype, head_dim):
    """Return (name, function) of the fastest attention that computes the right thing here.

    A backend counts only if its outputs and gradients agree with a dense mask, so a window is
    never ignored in silence; the name is part of the result.
    """
    flash = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
    cudnn = [SDPBackend.CUDNN_ATTENTION, *flash]
    candidates = []
    if device.type == "cuda":
        major, _ = torch.cuda.get_device_capability(device)
        if major == 9:  # cuDNN beats the bundled flash kernel on Hopper, and only there
            candidates += [
                ("fa3", fa3_attention),
                ("sdpa-cudnn+varlen", lambda: varlen_attention(cudnn)),
            ]
        if major >= 8:
            candidates.append(("sdpa-flash+varlen", lambda: varlen_attention(flash)))
    for name, make in candidates:
        try:
            attend = make()
            if agrees(attend, device, dtype, head_dim):
                return name, attend
        except (ImportError, RuntimeError, TypeError, ValueError) as error:
            print(f"attention {name} not used: {str(error).splitlines()[0]}", flush=True)
    return "sdpa", sdpa_attention


def agrees(attend, device, dtype, head_dim, T=256):
    """Return whether outputs and gradients equal those of a dense mask, to bfloat16's accuracy."""
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(4, 2, T, 2, head_dim, generator=generator).to(device, dtype)
    for window in (T // 4, T):
        results = []
        for function in (attend, dense_attention):
            q, k, v = (tensor.clone().requires_grad_(True) for tensor in base[:3])
            y = function(q, k, v, window)
            y.backward(base[3])
            results.append(torch.stack([y.detach(), q.grad, k.grad, v.grad]).float())
        if not torch.allclose(*results, rtol=0.05, atol=0.05):
            return False
    return True


def dense_attention(q, k, v, window):
    """Attend by the definition, in float32: what the others are compared with."""
    T, D = q.size(1), q.size(3)
    scores = torch.einsum("bthd,bshd->bhts", q.float(), k.float()) / D**0.5
    scores = scores.masked_fill(~window_mask(T, T, window, q.device), -math.inf)
    return torch.einsum("bhts,bshd->bthd", scores.softmax(-1), v.float()).to(q.dtype)


# ------------------------------------------------------------------------------------------
# Model


@dataclass
class GPTConfig:
    sequence_len: int = 256
    vocab_size: int = 1024
    n_layer: int = 4
    n_head: int = 4
    n_kv_head: int = 4
    n_embd: int = 128
    window_pattern: str = "SSSL"


def norm(x):
    """Divide by the root mean square of the last axis; no learned scale."""
    return F.rms_norm(x, (x.size(-1),))


def rotate(x, cos, sin):
    """Rotate the halves of each head by the angle of its position.

    Shapes: x (B, T, H, D), cos and sin (T, 1, D / 2).
    Source: RoPE, Su et al. 2021, arXiv:2104.09864.
    """
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


def has_value_embeds(layer, n_layer):
    """Every second layer has value embeddings, the last one among them."""
    return (n_layer - 1 - layer) % 2 == 0


class CausalSelfAttention(nn.Module):
    """Attention with rotary positions, normed queries and keys, and gated value embeddings."""

    def __init__(self, config, layer):
        super().__init__()
        self.n_head, self.n_kv_head = config.n_head, config.n_kv_head
        self.head_dim = config.n_embd // config.n_head
        kv_dim = self.n_kv_head * self.head_dim
        self.c_q = nn.Linear(config.n_embd, config.n_embd, bias=False)
        self.c_k = nn.Linear(config.n_embd, kv_dim, bias=False)
        self.c_v = nn.Linear(config.n_embd, kv_dim, bias=False)
        self.c_proj = nn.Linear(config.n_embd, config.n_embd, bias=False)
        self.ve_gate_channels = min(32, config.n_embd)
        self.ve_gate = None
        if has_value_embeds(layer, config.n_layer):
            self.ve_gate = nn.Linear(self.ve_gate_channels, self.n_kv_head, bias=False)

    def forward(self, x, ve, cos, sin, window, attend):
        B, T, C = x.shape
        q = self.c_q(x).view(B, T, self.n_head, self.head_dim)
        k = self.c_k(x).view(B, T, self.n_kv_head, self.head_dim)
        v = self.c_v(x).view(B, T, self.n_kv_head, self.head_dim)
        if ve is not None:  # what a token means by itself, let in per head: gate 0 to 2
            gate = 2 * torch.sigmoid(self.ve_gate(x[..., : self.ve_gate_channels]))
            v = v + gate.unsqueeze(-1) * ve.view(B, T, self.n_kv_head, self.head_dim)
        q, k = norm(rotate(q, cos, sin)), norm(rotate(k, cos, sin))
        y = attend(q.to(v.dtype), k.to(v.dtype), v, window)
        return self.c_proj(y.reshape(B, T, C))


class MLP(nn.Module):
    """Two matrices with a squared ReLU between them (Primer, So et al. 2021, arXiv:2109.08668)."""

    def __init__(self, config):
        super().__init__()
        self.c_fc = nn.Linear(config.n_embd, 4 * config.n_embd, bias=False)
        self.c_proj = nn.Linear(4 * config.n_embd, config.n_embd, bias=False)

    def forward(self, x):
        return self.c_proj(F.relu(self.c_fc(x)).square())


class Block(nn.Module):
    def __init__(self, config, layer):
        super().__init__()
        self.attn = CausalSelfAttention(config, layer)
        self.mlp = MLP(config)

    def forward(self, x, ve, cos, sin, window, attend):
        x = x + self.attn(norm(x), ve, cos, sin, window, attend)
        return x + self.mlp(norm(x))


class GPT(nn.Module):
    """Decoder-only transformer: tokens (B, T), int64 -> logits (B, T, vocab_size), float32.

    `init_weights` gives every parameter and buffer its value, so nothing depends on the
    constructors' defaults and sizes can be looked at on the meta device.
    """

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.windows = self.compute_windows(config)
        kv_dim = config.n_kv_head * config.n_embd // config.n_head
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.h = nn.ModuleList([Block(config, layer) for layer in range(config.n_layer)])
        self.value_embeds = nn.ModuleDict(
            {
                str(layer): nn.Embedding(config.vocab_size, kv_dim)
                for layer in range(config.n_layer)
                if has_value_embeds(layer, config.n_layer)
            }
        )
        self.resid_lambdas = nn.Parameter(torch.empty(config.n_layer))
        self.x0_lambdas = nn.Parameter(torch.empty(config.n_layer))
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        half = config.n_embd // config.n_head // 2
        self.register_buffer("cos", torch.empty(config.sequence_len, 1, half), persistent=False)
        self.register_buffer("sin", torch.empty(config.sequence_len, 1, half), persistent=False)
        self.attention, self.attend = "sdpa", sdpa_attention
        self.compute_dtype = torch.float32

    @staticmethod
    def compute_windows(config):
        """Return how many tokens back each layer sees."""
        sizes = {"L": config.sequence_len, "S": config.sequence_len // 2}
        pattern = config.window_pattern
        windows = [sizes[pattern[i % len(pattern)]] for i in range(config.n_layer)]
        return [*windows[:-1], sizes["L"]]

    @torch.no_grad()
    def init_weights(self):
        """Give every parameter and buffer its value at step 0."""
        s = 3**0.5 * self.config.n_embd**-0.5  # uniform with standard deviation 1 / sqrt(width)
        self.wte.weight.normal_(std=1.0)
        self.lm_head.weight.normal_(std=0.001)
        for embed in self.value_embeds.values():
            embed.weight.uniform_(-s, s)
        for block in self.h:
            for matrix in (block.attn.c_q, block.attn.c_k, block.attn.c_v, block.mlp.c_fc):
                matrix.weight.uniform_(-s, s)
            block.attn.c_proj.weight.zero_()  # every block starts as the identity
            block.mlp.c_proj.weight.zero_()
            if block.attn.ve_gate is not None:
                block.attn.ve_gate.weight.zero_()  # gate 1
        self.resid_lambdas.fill_(1.0)
        self.x0_lambdas.fill_(0.1)
        self.init_rotary()

    def init_rotary(self, base=10000):
        """Fill the angles: position times base ** (-2 i / head_dim) for pair i."""
        T, _, half = self.cos.shape
        pair = torch.arange(half, dtype=torch.float32, device=self.cos.device)
        position = torch.arange(T, dtype=torch.float32, device=self.cos.device)
        angle = position[:, None, None] * base ** (-pair / half)
        self.cos.copy_(angle.cos())
        self.sin.copy_(angle.sin())

    def forward(self, idx):
        T = idx.size(1)
        cos, sin = self.cos[:T], self.sin[:T]
        half = self.compute_dtype != torch.float32
        with torch.autocast(idx.device.type, dtype=torch.bfloat16, enabled=half):
            x = norm(self.wte(idx)).to(self.compute_dtype)
            x0 = x
            for layer, block in enumerate(self.h):
                x = self.resid_lambdas[layer] * x + self.x0_lambdas[layer] * x0
                ve = None
                if str(layer) in self.value_embeds:
                    ve = self.value_embeds[str(layer)](idx).to(self.compute_dtype)
                x = block(x, ve, cos, sin, self.windows[layer], self.attend)
            logits = self.lm_head(norm(x)).float()
        softcap = 15  # logits stay within +-softcap
        return softcap * torch.tanh(logits / softcap)

    def num_params(self):
        return sum(p.numel() for p in self.parameters())

    def flops_per_token(self):
        """Return forward and backward FLOPs a token: 6 a matrix weight, 12 an attention score.

        Source: PaLM, Chowdhery et al. 2022, arXiv:2204.02311, appendix B; windows counted as
        what they leave, causality as nothing, which is also autoresearch's count.
        """
        matrices = sum(p.numel() for p in self.h.parameters()) + self.lm_head.weight.numel()
        T = self.config.sequence_len
        seen = sum(min(window + 1, T) for window in self.windows)
        return 6 * matrices + 12 * self.config.n_embd * seen

    def setup_optimizer(self):
        """Return the optimizer over all parameters, in named groups."""
        scale = (self.config.n_embd / 768) ** -0.5  # AdamW rates were tuned at width 768
        embeds = list(self.value_embeds.parameters())
        matrices = list(self.h.parameters())
        # fmt: off
        groups = [
            dict(name="lm_head", kind="adamw", params=[self.lm_head.weight],
                 lr=UNEMBEDDING_LR * scale, betas=ADAM_BETAS, eps=1e-10, weight_decay=0.0),
            dict(name="wte", kind="adamw", params=[self.wte.weight],
                 lr=EMBEDDING_LR * scale, betas=ADAM_BETAS, eps=1e-10, weight_decay=0.0),
            dict(name="value_embeds", kind="adamw", params=embeds,
                 lr=EMBEDDING_LR * scale, betas=ADAM_BETAS, eps=1e-10, weight_decay=0.0),
            dict(name="resid_lambdas", kind="adamw", params=[self.resid_lambdas],
                 lr=SCALAR_LR * 0.01, betas=ADAM_BETAS, eps=1e-10, weight_decay=0.0),
            dict(name="x0_lambdas", kind="adamw", params=[self.x0_lambdas],
                 lr=SCALAR_LR, betas=ADAM_BETAS, eps=1e-10, weight_decay=0.0),
        ]
        for shape in sorted({p.shape for p in matrices}):
            same = [p for p in matrices if p.shape == shape]
            groups.append(
                dict(name=f"matrices_{shape[0]}x{shape[1]}", kind="muon", params=same,
                     lr=MATRIX_LR, ns_steps=NS_STEPS))  # momentum, weight decay: set_schedule
        # fmt: on
        return MuonAdamW(groups)


def build_model(config, device):
    """Return an initialized model on the device, with its precision and attention chosen."""
    device = torch.device(device)
    model = GPT(config)
    model.init_weights()  # before the move: a seed gives the same weights on every device
    model.to(device)
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        model.compute_dtype = torch.bfloat16
    model.attention, model.attend = choose_attention(
        device, model.compute_dtype, config.n_embd // config.n_head
    )
    return model


def load_checkpoint(path, device="cpu"):
    """Return the model of a checkpoint; pickled code in the file is refused."""
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    model = build_model(GPTConfig(**json.loads(checkpoint["config"])), device)
    model.load_state_dict(checkpoint["state_dict"])
    return model


# ------------------------------------------------------------------------------------------
# Optimizer


def orthogonalize(X, steps):
    """Return about U V^T of each matrix U S V^T of a batch: all singular values near 1.

    Shapes: X (K, M, N). bfloat16 on CUDA, float32 elsewhere.
    Source: Muon, Jordan et al. 2024, kellerjordan.github.io/posts/muon; coefficients of Polar
    Express, Amsel et al. 2025, arXiv:2505.16932.
    """
    # (a, b, c) of x -> a x + b x^3 + c x^5, best step by step for singular values 0.001 to 1
    coefficients = (
        (8.156554524902461, -22.48329292557795, 15.878769915207462),
        (4.042929935166739, -2.808917465908714, 0.5000178451051316),
        (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
        (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
        (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
        (1.875, -1.25, 0.375),  # any further step: Newton-Schulz of order 5, exact near 1
    )
    tall = X.size(1) > X.size(2)
    X = X.bfloat16() if X.is_cuda else X.float()
    if tall:
        X = X.mT  # the Gram matrix below is then the smaller one
    X = X / (X.norm(dim=(1, 2), keepdim=True) * 1.02 + 1e-6)
    for step in range(steps):
        a, b, c = coefficients[min(step, 5)]
        A = X @ X.mT
        X = a * X + (b * A + c * A @ A) @ X
    return X.mT if tall else X


class MuonAdamW:
    """AdamW or Muon, group by group, as the group's `kind` says.

    An adamw group holds lr, betas, eps, weight_decay; a muon group matrices of one shape and
    lr, momentum, ns_steps, weight_decay. Weight decay is decoupled and scaled by the rate.
    No torch.optim.Optimizer: its constructor imports torch._dynamo, 1.1 s of every run.
    """

    def __init__(self, groups):
        self.param_groups = [dict(group, initial_lr=group["lr"]) for group in groups]
        self.state = defaultdict(dict)  # by parameter

    def zero_grad(self):
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            if group["kind"] == "adamw":
                for p in group["params"]:
                    self.step_adamw(p, group)
            elif group["kind"] == "muon":
                self.step_muon(group)
            else:
                raise ValueError(f"train: optimizer kind {group['kind']!r}; use adamw or muon")

    def step_adamw(self, p, group):
        """Loshchilov and Hutter 2017, arXiv:1711.05101."""
        state = self.state[p]
        if not state:
            state.update(step=0, exp_avg=torch.zeros_like(p), exp_avg_sq=torch.zeros_like(p))
        state["step"] += 1
        beta1, beta2 = group["betas"]
        state["exp_avg"].lerp_(p.grad, 1 - beta1)
        state["exp_avg_sq"].lerp_(p.grad.square(), 1 - beta2)
        mean = state["exp_avg"] / (1 - beta1 ** state["step"])
        scale = (state["exp_avg_sq"] / (1 - beta2 ** state["step"])).sqrt_().add_(group["eps"])
        p.mul_(1 - group["lr"] * group["weight_decay"])
        p.addcdiv_(mean, scale, value=-group["lr"])

    def step_muon(self, group):
        """Nesterov momentum, then orthogonalize; matrices of one shape go as one batch."""
        params = group["params"]
        grad = torch.stack([p.grad for p in params])
        state = self.state[params[0]]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(grad)
        buffer = state["momentum_buffer"]
        buffer.lerp_(grad, 1 - group["momentum"])
        update = orthogonalize(grad.lerp_(buffer, group["momentum"]), group["ns_steps"])
        _, rows, columns = grad.shape
        lr = group["lr"] * max(1, rows / columns) ** 0.5  # tall matrices: same effect on outputs
        for p, direction in zip(params, update.to(grad.dtype), strict=True):
            p.mul_(1 - group["lr"] * group["weight_decay"])
            p.sub_(direction, alpha=lr)


# ------------------------------------------------------------------------------------------
# Schedules; progress runs from 0 to 1 over the budget


def get_lr_multiplier(progress):
    if progress < WARMUP_RATIO:
        return progress / WARMUP_RATIO
    if progress < 1.0 - WARMDOWN_RATIO:
        return 1.0
    left = (1.0 - progress) / WARMDOWN_RATIO
    return FINAL_LR_FRAC + (1.0 - FINAL_LR_FRAC) * left


def get_muon_momentum(step):
    frac = min(step / MUON_WARMUP_STEPS, 1.0)
    return (1 - frac) * 0.85 + frac * MUON_MOMENTUM


def get_weight_decay(progress):
    return WEIGHT_DECAY * (1.0 - progress)


def set_schedule(optimizer, step, progress):
    """Set each group's rate, momentum and weight decay for one step."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * get_lr_multiplier(progress)
        if group["kind"] == "muon":
            group["momentum"] = get_muon_momentum(step)
            group["weight_decay"] = get_weight_decay(progress)


# ------------------------------------------------------------------------------------------
# Run

# bf16 dense peak of the tensor cores, FLOP/s; MFU is 0 where it is not known
PEAK_FLOPS = {"H100": 989.4e12, "H200": 989.4e12, "A100": 312e12, "B200": 2250e12}


def choose_device():
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def usable_cores():
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def make_config(profile):
    """Return the model's shape from the constants; the width is rounded up to whole heads."""
    heads = -(-DEPTH * ASPECT_RATIO // HEAD_DIM)
    return GPTConfig(
        sequence_len=profile.sequence_len,
        vocab_size=profile.vocab_size,
        n_layer=DEPTH,
        n_head=heads,
        n_kv_head=heads,
        n_embd=heads * HEAD_DIM,
        window_pattern=WINDOW_PATTERN,
    )


def split_batch(sequence_len):
    """Return (rows at once, times) so that rows * times * T is TOTAL_BATCH_SIZE, or one row."""
    rows = max(1, TOTAL_BATCH_SIZE // sequence_len)
    at_once = max(n for n in range(1, min(rows, DEVICE_BATCH_SIZE) + 1) if rows % n == 0)
    return at_once, rows // at_once


def next_token_loss(model, x, y):
    """Return the mean cross-entropy, nats a token, of targets y (B, T) after inputs x (B, T)."""
    logits = model(x)
    return F.cross_entropy(logits.view(-1, logits.size(-1)), y.view(-1))


def train_step(model, loss_of, optimizer, batches, times):
    """Take one optimizer step over ``times`` batches; return their mean loss."""
    total = 0.0
    for _ in range(times):
        loss = loss_of(model, *next(batches)) / times
        loss.backward()
        total += loss.detach()
    optimizer.step()
    optimizer.zero_grad()
    return total.item()


def warm_up(model, loss_of, optimizer, rows, profile, device):
    """Compile and touch everything on random tokens, then undo every trace of it.

    Weights, optimizer state and random generators are afterwards what they were, so the clock
    starts at step 0 and no free training happens before it.
    """
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with torch.random.fork_rng([0] if device.type == "cuda" else []):
        dummy = torch.randint(profile.vocab_size, (rows, profile.sequence_len), device=device)
        set_schedule(optimizer, 0, 0.0)
        for _ in range(3 if device.type == "cuda" else 1):
            train_step(model, loss_of, optimizer, iter([(dummy, dummy)]), 1)
    model.load_state_dict(weights)
    optimizer.state.clear()


def train(model, loss_of, optimizer, batches, times, profile, curve):
    """Step until the budget is used up; return (steps, seconds)."""
    budget, steps = prepare.time_budget(profile), profile.step_budget
    step, seconds, progress = 0, 0.0, 0.0
    printed_at, recent = -math.inf, []
    start = time.monotonic()
    while progress < 1.0:
        set_schedule(optimizer, step, progress)
        loss = train_step(model, loss_of, optimizer, batches, times)
        step += 1
        seconds = time.monotonic() - start
        progress = step / steps if steps else min(seconds / budget, 1.0)
        curve.write(f"{step},{seconds:.4f},{loss:.6f}\n")
        recent.append(loss)
        if not math.isfinite(loss):
            sys.exit(f"train: loss is {loss} at step {step}; the last edit made training diverge")
        if seconds - printed_at >= 0.8 or progress >= 1.0:
            mean = sum(recent) / len(recent)
            print(
                f"step {step:05d} | loss {mean:.4f} | {seconds:.1f} s | {100 * progress:.0f} %",
                flush=True,
            )
            printed_at, recent = seconds, []
    return step, seconds


def save(model, manifest, path):
    """Write the checkpoint, in one rename: weights, and the configuration as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".tmp")
    config = json.dumps(asdict(model.config))
    torch.save({"state_dict": model.state_dict(), "config": config, "manifest": manifest}, partial)
    partial.replace(path)


def peak_memory_mb(device):
    """Return MiB: the GPU's peak, or where there is none the process's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS, else KiB
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def main():
    try:
        profile = prepare.active_profile()
        data = prepare.load_data(profile)
    except prepare.PrepareError as error:
        sys.exit(f"error: {error}")
    out = Path(os.environ.get("NIGHTLAB_OUT") or "exp")
    out.mkdir(parents=True, exist_ok=True)
    seed = int(os.environ.get("NIGHTLAB_SEED") or SEED)
    device = choose_device()
    if device.type == "cpu":  # matrices this small gain nothing from a third thread
        torch.set_num_threads(min(2, usable_cores()))
    torch.set_float32_matmul_precision("high")
    torch.manual_seed(seed)

    model = build_model(make_config(profile), device)
    loss_of = next_token_loss
    if device.type == "cuda":  # on 2 cores steps gain 14 % and compilation costs 12 to 33 s
        loss_of = torch.compile(next_token_loss, dynamic=False)
    optimizer = model.setup_optimizer()
    at_once, times = split_batch(profile.sequence_len)
    batches = prepare.batches(data.train, at_once, seed, device)
    tokens_per_step = at_once * times * profile.sequence_len
    print(
        f"profile {profile.name} | {model.num_params() / 1e6:.2f}M parameters | "
        f"{tokens_per_step} tokens a step, {at_once} x {profile.sequence_len} at once | "
        f"attention {model.attention}",
        flush=True,
    )
    startup_end = time.monotonic()

    warm_up(model, loss_of, optimizer, at_once, profile, device)
    gc.collect()
    gc.freeze()  # keep the collector off the model's objects during the run
    warmup_end = time.monotonic()
    with (out / "loss.csv").open("w", buffering=1) as curve:
        curve.write("step,seconds,loss\n")
        steps, seconds = train(model, loss_of, optimizer, batches, times, profile, curve)
    train_end = time.monotonic()

    save(model, data.manifest.id, out / "artifacts" / "checkpoint.pt")
    save_end = time.monotonic()
    model.eval()
    # not compiled: a second graph would take longer to build than it saves
    val_bpb = prepare.evaluate_bpb(model, data, device)
    end = time.monotonic()
    if not math.isfinite(val_bpb):
        sys.exit(f"train: val_bpb is {val_bpb}; the last edit made training diverge")

    name = torch.cuda.get_device_name() if device.type == "cuda" else device.type
    peak = next((flops for key, flops in PEAK_FLOPS.items() if key in name), math.inf)
    tokens = steps * tokens_per_step
    print("---")
    for key, value in {
        "val_bpb": f"{val_bpb:.6f}",
        "training_seconds": f"{seconds:.1f}",
        "total_seconds": f"{end - STARTED:.1f}",
        "peak_vram_mb": f"{peak_memory_mb(device):.1f}",
        "mfu_percent": f"{100 * model.flops_per_token() * tokens / seconds / peak:.2f}",
        "total_tokens_M": f"{tokens / 1e6:.1f}",
        "num_steps": steps,
        "num_params_M": f"{model.num_params() / 1e6:.1f}",
        "depth": model.config.n_layer,
        # ours: where the other seconds went, and what the result depends on
        "startup_seconds": f"{startup_end - STARTED:.1f}",
        "warmup_seconds": f"{warmup_end - startup_end:.1f}",
        "eval_seconds": f"{end - save_end:.1f}",
        "save_seconds": f"{save_end - train_end:.2f}",
        "device": name,
        "attention": model.attention,
        "threads": torch.get_num_threads(),
        "load": f"{os.getloadavg()[0]:.1f}",
        "seed": seed,
        "manifest": data.manifest.id,
    }.items():
        print(f"{key + ':':<18}{value}")


if __name__ == "__main__":
    main()

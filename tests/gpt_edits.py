"""Edits of the GPT of tests/gpt_source.py, each with what it is."""

from kg.model import Change

ATTENTION = "x = x + self.attn(norm(x), cos, sin, window_size)\n"
MLP = "x = x + self.mlp(norm(x))\n"
STEP = "    optimizer.step()\n"
LOSS = "return F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))"
LM_HEAD = "lr=unembedding_lr * scale,\n" + " " * 17 + "betas=adam_betas, eps=1e-10, "
BLOCK_INIT = "        self.mlp = FeedForward(config)\n"


def short(found: list[Change]) -> list[str]:
    """Write changes as `knob type scope old -> new`, a star for what cannot act."""
    return [
        f"{c.knob} {c.change_type} {c.optimizer_scope} {c.old} -> {c.new}"
        + ("" if c.effective else " *")
        for c in found
    ]


NUMBERS = [
    ("DEPTH = 6  ", "DEPTH = 8  ", "model.depth increase none 6 -> 8"),
    ("2**16", "2**15", "batch.total decrease none 2**16 -> 2**15"),
    ('"SSL"', '"SL"', "attention.window_pattern replace none SSL -> SL"),
    ("MATRIX_LR = 0.02", "MATRIX_LR = 0.03", "optimizer.matrix_lr increase muon 0.02 -> 0.03"),
    ("(0.8, 0.95)", "(0.9, 0.95)", "optimizer.adam_beta1 increase adamw 0.8 -> 0.9"),
    ("base=10000", "base=2e5", "position.rope_base increase none 10000 -> 2e5"),
    ("fill_(0.1)", "fill_(0.05)", "init.x0_lambda decrease none 0.1 -> 0.05"),
    ("s = 3**0.5", "s = 0.7 * 3**0.5", "init.scale decrease none 1 -> 0.7"),
    ("std=0.002", "std=0.02", "init.lm_head_std increase none 0.002 -> 0.02"),
    ("step / 300", "step / 200", "schedule.muon_momentum_warmup_steps decrease muon 300 -> 200"),
    ("* 0.85", "* 0.8", "schedule.muon_momentum_start decrease muon 0.85 -> 0.8"),
    ("frac * 0.95", "frac * 0.97", "optimizer.muon_momentum increase muon 0.95 -> 0.97"),
    ("momentum=0.95", "momentum=0.9", "optimizer.muon_momentum decrease muon 0.95 -> 0.9 *"),
    ("beta2=0.95", "beta2=0.99", "optimizer.muon_beta2 increase muon 0.95 -> 0.99"),
    ("ns_steps=5, b", "ns_steps=6, b", "optimizer.muon_ns_steps increase muon 5 -> 6"),
    ("(0.96, 0.95)", "(0.9, 0.95)", "optimizer.x0_lambda_beta1 decrease adamw 0.96 -> 0.9"),
    ("softcap = 15", "softcap = 20", "head.softcap increase none 15 -> 20"),
    ("embd / 768", "embd / 512", "optimizer.lr_scale_reference decrease adamw 768 -> 512"),
    ("step > 10", "step > 5", "evaluation.startup_exclude decrease none 10 -> 5"),
    ("seed(42)", "seed(1)", "other.seed decrease none 42 -> 1"),
    (
        "long_window // 2",
        "long_window // 8",
        "attention.short_window decrease none long_window // 2 -> long_window // 8",
    ),
    (
        "long_window // 2",
        "768",
        "attention.short_window increase none long_window // 2 -> 768",
    ),
    (
        "n_kv_head=heads",
        "n_kv_head=max(1, heads // 2)",
        "attention.n_kv_head decrease none heads -> max(1, heads // 2)",
    ),
    ("4 * config.n_embd", "3 * config.n_embd", "mlp.expansion decrease none 4 -> 3"),
    (
        "embedding_lr * scale",
        "embedding_lr * 0.5 * scale",
        "optimizer.embedding_lr decrease adamw 1 -> 0.5",
    ),
]


STRUCTURE = [
    ("relu^3", [("F.relu(h).square()", "F.relu(h).pow(3)")], "mlp.activation replace"),
    ("gelu", [("F.relu(h).square()", "F.gelu(h)")], "mlp.activation replace"),
    (
        "sandwich",
        [(ATTENTION, "x = x + norm(self.attn(norm(x), cos, sin, window_size))\n")],
        "norm.placement add",
    ),
    ("no qk norm", [("        q, k = norm(q), norm(k)\n", "")], "attention.qk_norm remove"),
    (
        "parallel",
        [
            (ATTENTION, "h = norm(x)\n"),
            (MLP, "x = x + self.attn(h, cos, sin, window_size) + self.mlp(h)\n"),
        ],
        "residual.parallel_block enable",
    ),
    (
        "rezero",
        [
            (BLOCK_INIT, BLOCK_INIT + "        self.gain = nn.Parameter(torch.zeros(1))\n"),
            (MLP, "x = x + self.gain * self.mlp(norm(x))\n"),
        ],
        "residual.rezero add",
    ),
    (
        "dropout",
        [("return self.down(h)", "return F.dropout(self.down(h), 0.1, self.training)")],
        "regularization.dropout.mlp add",
    ),
    (
        "stochastic depth",
        [(MLP, "if self.training and torch.rand(()) < 0.1:\n            return x\n        " + MLP)],
        "regularization.stochastic_depth add",
    ),
    (
        "tying",
        [("        self.x0_lambdas = nn", "        self.lm_head.weight = self.wte.weight\n"
          "        self.x0_lambdas = nn")],
        "embedding.tying enable",
    ),
    ("smoothing", [("targets.view(-1))", "targets.view(-1), label_smoothing=0.1)")],
     "loss.label_smoothing add"),
    (
        "z-loss",
        [(LOSS, f"loss = {LOSS[7:]}\n        z = torch.logsumexp(logits, -1)\n"
          "        return loss + 1e-4 * (z**2).mean()")],
        "loss.z_loss add",
    ),
    (
        "clipping",
        [(STEP, "    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)\n" + STEP)],
        "optimizer.grad_clip add",
    ),
    (
        "gradient noise",
        [(STEP, "    for p in model.parameters():\n        p.grad.add_(torch.randn_like(p.grad),"
          " alpha=0.01)\n" + STEP)],
        "regularization.gradient_noise add",
    ),
    (
        "weight average",
        [(STEP, STEP + "    for p, e in zip(model.parameters(), ema_params):\n"
          "        e.lerp_(p.detach(), 0.01)\n"),
         ("step = 0\n", "step = 0\nema_params = [p.clone() for p in model.parameters()]\n")],
        "regularization.weight_ema add",
    ),
    ("cosine", [("return left + (1 - left) * FINAL_LR_FRAC",
                 "return 0.5 * (1 - math.cos(math.pi * left))")], "schedule.lr_shape replace"),
    ("constant decay", [("WEIGHT_DECAY * (1 - progress)", "WEIGHT_DECAY")],
     "schedule.weight_decay replace"),
    ("decay by shape", [("weight_decay=weight_decay))",
                         "weight_decay=weight_decay * (2 if shape[0] > shape[1] else 1)))")],
     "regularization.weight_decay.matrix restructure"),
    ("compile mode", [("dynamic=False", 'dynamic=False, mode="max-autotune"')],
     "precision.compile_mode add"),
    ("sdpa", [("flash_attn_func(q, k, v, causal=True, window_size=window_size)",
               "F.scaled_dot_product_attention(q, k, v, is_causal=True)")],
     "attention.backend replace"),
    ("saving", [("print(f", 'torch.save(model.state_dict(), "model.pt")\nprint(f')],
     "evaluation.checkpoint_saving add"),
    ("experts", [
        ("class Block(nn", "class MoE(nn.Module):\n    def __init__(self, config):\n"
         "        super().__init__()\n"
         "        self.experts = nn.ModuleList(FeedForward(config) for _ in range(4))\n"
         "        self.router = nn.Linear(config.n_embd, 4)\n\n    def forward(self, x):\n"
         "        w = self.router(x).softmax(-1)\n"
         "        return sum(w[..., i, None] * e(x) for i, e in enumerate(self.experts))\n\n\n"
         "class Block(nn"),
        ("self.mlp = FeedForward(config)", "self.mlp = MoE(config)"),
        ("        self.x0_lambdas.fill_(0.1)", "        for block in self.h:\n"
         "            nn.init.zeros_(block.mlp.router.weight)\n        self.x0_lambdas.fill_(0.1)"),
    ], "mlp.moe add"),
]  # fmt: skip

"""Edits of shape: one idea is one record, however many places of the trainer it touches."""

import pytest

from kg.changes import changes
from tests.gpt_edits import STEP, short
from tests.gpt_source import GPT, edited

HEADS = "        self.n_head = config.n_head\n"
ATTEND = "        y = flash_attn_func(q, k, v, causal=True, window_size=window_size)\n"
NORMED = "        q, k = norm(q), norm(k)\n"
JOINS = (
    "        x = x + self.attn(norm(x), cos, sin, window_size)\n        x = x + self.mlp(norm(x))\n"
)
ATTN = "        self.attn = Attention(config, layer_idx)\n"
DROPPED = JOINS.replace(
    "x + self.attn(norm(x), cos, sin, window_size)",
    "x + F.dropout(self.attn(norm(x), cos, sin, window_size), RATE, True)",
)
MLP = "        self.mlp = FeedForward(config)\n"
UPDATE = '            p.sub_(zeropower(p.grad, steps=group["ns_steps"]), alpha=group["lr"])\n'
LOSS = "        return F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))\n"
WARMDOWN = (
    "    if progress < 1 - WARMDOWN_RATIO:\n        return 1.0\n"
    "    left = (1 - progress) / WARMDOWN_RATIO\n    return left + (1 - left) * FINAL_LR_FRAC\n"
)
RATIO = "WARMDOWN_RATIO = 0.4\nFINAL_LR_FRAC = 0.0\n"
BETAS = '        if group["kind"] == "muon":\n'
IDEAS = [
    (
        [("ADAM_BETAS =", "RATE = 0.1\nADAM_BETAS ="), (JOINS, DROPPED)],
        "regularization.dropout.residual add none None -> 0.1",
    ),
    (
        [(MLP, MLP + "        self.chance = 0.15 * layer_idx / config.n_layer\n"),
         (JOINS, "        if self.training and torch.rand(()) < self.chance:\n"
          "            return x\n" + JOINS)],
        "regularization.stochastic_depth add none None -> 0.15",
    ),
    (
        [(MLP, MLP + "        self.attn_gain = nn.Parameter(torch.zeros(1))\n"
          "        self.mlp_gain = nn.Parameter(torch.zeros(1))\n"),
         (JOINS, JOINS.replace("+ self.attn", "+ self.attn_gain * self.attn")
          .replace("+ self.mlp", "+ self.mlp_gain * self.mlp"))],
        "residual.rezero add none None -> 0",
    ),
    (
        [(ATTN, ATTN.rstrip() + " if layer_idx % 3 == 0 else None\n"),
         (JOINS, "        if self.attn is not None:\n    " + JOINS),
         ("            nn.init.uniform_(block.attn.c_q.weight, -s, s)\n",
          "            if block.attn is None:\n                continue\n"
          "            nn.init.uniform_(block.attn.c_q.weight, -s, s)\n")],
        "attention.every_n_layers add none None -> layer_idx % 3 == 0",
    ),
    (
        [(BETAS, '        if group["kind"] == "adamw":\n'
          '            beta2 = 0.9 + 0.05 * min(step / 400, 1)\n'
          '            group["betas"] = (0.8, beta2)\n' + BETAS)],
        "schedule.adam_momentum replace adamw constant -> (0.8, beta2)",
    ),
    (
        [(STEP, "    for n, p in model.named_parameters():\n"
          "        if n not in trail:\n            trail[n] = torch.zeros_like(p.grad)\n"
          "        trail[n].mul_(0.95).add_(p.grad, alpha=0.05)\n"
          "        p.grad.add_(trail[n], alpha=2.0)\n" + STEP)],
        "optimizer.gradient_ema add both None -> 0.95",
    ),
    (
        [(UPDATE, "            u = zeropower(p.grad, steps=group[\"ns_steps\"])\n"
          "            u = u * (u * p.grad > 0)\n"
          "            p.sub_(u, alpha=group[\"lr\"])\n")],
        "optimizer.cautious_mask add muon None -> True",
    ),
    (
        [(LOSS, LOSS.replace("return", "loss =")
          + "        later = 15 * torch.tanh(self.lm_head(norm(x0)).float() / 15)\n"
          "        loss = loss + 0.25 * F.cross_entropy(later.flatten(0, 1), targets.view(-1))\n"
          "        return loss\n")],
        "loss.auxiliary add none None -> 0.25",
    ),
    (
        [(WARMDOWN, "    return 1.0\n"), (RATIO, "FINAL_LR_FRAC = 0.0\n")],
        "schedule.warmdown_ratio remove both 0.4 -> None",
    ),
    (
        [(HEADS, HEADS + "        self.valve = nn.Linear(16, config.n_head, bias=False)\n"),
         (ATTEND, ATTEND + "        open_ = torch.sigmoid(self.valve(x[..., :16]))\n"
          "        y = y * open_.unsqueeze(-1)\n"),
         ("            nn.init.zeros_(block.attn.c_proj.weight)\n",
          "            nn.init.zeros_(block.attn.c_proj.weight)\n"
          "            nn.init.zeros_(block.attn.valve.weight)\n"),
         ("        matrices = list(self.h.parameters())\n",
          "        valves = [b.attn.valve.weight for b in self.h]\n"
          "        matrices = [p for p in self.h.parameters() if p.shape[0] != 16]\n"),
         ("        groups = [\n", "        groups = [\n            dict(kind=\"adamw\", "
          "params=valves, lr=scalar_lr * 0.1, betas=adam_betas, eps=1e-10, weight_decay=0.0),\n")],
        "attention.head_scale add none None -> True",
    ),
    (
        [(HEADS, HEADS + "        self.heat = nn.Parameter(torch.zeros(config.n_head))\n"),
         (NORMED, NORMED + "        q = q * self.heat.exp().view(1, 1, -1, 1).to(q.dtype)\n")],
        "attention.temperature add none None -> self.heat.exp().view(1, 1, -1, 1).to(q.dtype)",
    ),
    (
        [(NORMED, "        q = F.normalize(q, dim=-1) * 8\n"
          "        k = F.normalize(k, dim=-1) * 8\n")],
        "attention.qk_norm replace none after rotation norm -> after rotation normalize",
    ),
    (
        [("        self.c_q = nn.Linear(config.n_embd, config.n_embd, bias=False)\n",
          "        self.c_q_down = nn.Linear(config.n_embd, 64, bias=False)\n"
          "        self.c_q = nn.Linear(64, config.n_embd, bias=False)\n"),
         ("self.c_q(x)", "self.c_q(self.c_q_down(x))")],
        "attention.qkv_projection replace none separate -> c_q_down+c_q+c_k+c_v",
    ),
    (
        [("        for i, block in enumerate(self.h):\n",
          "        path = [0, 1, 2, 1, 2, 3]\n        for i in path:\n"
          "            block = self.h[i]\n")],
        "model.layer_loops add none None -> [0, 1, 2, 1, 2, 3]",
    ),
    (
        [(STEP, STEP
          + "    torch._foreach_lerp_(ema_copy, list(model.parameters()), 1.0 - 0.99)\n")],
        "regularization.weight_ema add none None -> 0.99",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("pairs", "wanted"), IDEAS)
def test_one_idea_is_one_record(pairs, wanted):
    assert short(changes(GPT, edited(*pairs))) == [wanted]


def test_a_forward_pass_by_the_name_that_mlx_calls_it_is_read():
    mlx = GPT.replace("def forward", "def __call__")
    silu = "return self.down(nn.silu(self.gate(h)) * self.up(h))"
    gated = mlx.replace("h = self.up(x)\n        h = F.relu(h).square()\n", "h = x\n").replace(
        "return self.down(h)", silu
    )
    assert [c.knob for c in changes(mlx, gated)] == ["mlp.activation"]


ROUTED = """
class Sparse(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.router = nn.Linear(config.n_embd, 8, bias=False)
        self.experts = nn.ModuleList(FeedForward(config) for _ in range(8))

    def forward(self, x):
        score = self.router(x).softmax(-1)
        top, chosen = score.topk(2, dim=-1)
        self.balance_loss = torch.logsumexp(score, dim=-1).mean()
        return sum(e(x) for e in self.experts) * top.sum(-1, keepdim=True)


class Block(nn.Module):
"""


def test_what_a_router_does_is_part_of_the_experts():
    before = edited(("class Block(nn.Module):\n", ROUTED.lstrip("\n")),
                    ("self.mlp = FeedForward(config)", "self.mlp = Sparse(config)"))  # fmt: skip
    after = edited(
        ("score = self.router(x).softmax(-1)", "score = torch.sigmoid(self.router(x))"),
        ("score.topk(2, dim=-1)", "score.topk(2, dim=-1, sorted=False)"),
        ("torch.logsumexp(score, dim=-1).mean()", "torch.logsumexp(score, dim=-1).square().mean()"),
        source=before,
    )
    assert [c.knob for c in changes(before, after)] == ["mlp.moe"]


def test_an_idea_tried_again_after_its_revert_is_no_undo_of_it():
    first = edited((ATTN, ATTN + "        self.note = 1\n"), ("h = F.relu(h).square()",
                   "h = torch.sigmoid(h)\n        h = h * h\n        h = h + 0.0"))  # fmt: skip
    again = edited(("= F.relu(h).square()", "= torch.sigmoid(h)\n        h = h * h"), source=GPT)
    found = changes(GPT, again, message="sigmoid once more", history=[first, GPT])
    assert [(c.knob, str(c.change_type), c.silent) for c in found] == [
        ("mlp.activation", "replace", False)
    ]


def test_a_checkpoint_saved_under_a_test_is_still_the_checkpoint():
    saved = GPT + "torch.save(model.state_dict(), 'model.pt')\n"
    tested = GPT + "if loss < 3:\n    torch.save(model.state_dict(), 'model.pt')\n"
    (change,) = changes(saved, tested)
    assert (change.knob, str(change.change_type)) == ("evaluation.checkpoint_saving", "replace")


SHELL = """
import os


class Hyperparameters:
    rope_base = float(os.environ.get("ROPE_BASE", 10000.0))
    final_lr_frac = float(os.environ.get("FINAL_LR_FRAC", "0.0"))


args = Hyperparameters()
"""


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("10000.0", "50000.0", "position.rope_base increase none 10000.0 -> 50000.0"),
        ('"0.0"', '"0.1"', "schedule.final_lr_frac increase none 0.0 -> 0.1"),
    ],
)
def test_a_setting_that_the_shell_may_change_is_its_default(old, new, wanted):
    assert short(changes(SHELL, SHELL.replace(old, new))) == [wanted]


PLAIN = (
    SHELL
    + """

class Muon(torch.optim.Optimizer):
    def __init__(self, params, lr):
        super().__init__(params, dict(lr=lr, momentum=0.95))

    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                p.add_(zeropower(p.grad), alpha=-group["lr"])


optimizer = Muon(matrix_params, lr=0.02)
for group in optimizer.param_groups:
    group["lr"] = group["initial_lr"] * scale
"""
)


def test_decay_given_to_an_optimizer_that_had_none_is_one_record():
    decayed = edited(
        ("def __init__(self, params, lr):", "def __init__(self, params, lr, weight_decay=0.0):"),
        ("momentum=0.95))", "momentum=0.95, weight_decay=weight_decay))"),
        ("                p.add_(", "                wd = group[\"weight_decay\"]\n"
         "                p.mul_(1 - group[\"lr\"] * wd)\n                p.add_("),
        ("lr=0.02)", "lr=0.02, weight_decay=args.muon_wd)"),
        ("    rope_base", '    muon_wd = float(os.environ.get("MUON_WD", 0.1))\n    rope_base'),
        source=PLAIN,
    )  # fmt: skip
    assert short(changes(PLAIN, decayed)) == [
        "regularization.weight_decay.matrix add muon None -> 0.1"
    ]


def test_an_argument_more_leaves_the_features_of_a_call_as_they_are():
    gained = edited(
        ("class Attention(nn.Module):\n    def __init__(self, config, layer_idx):",
         "class Attention(nn.Module):\n    def __init__(self, config, layer_idx, q_gain):"),
        ("        self.c_proj = nn.Linear(config.n_embd, config.n_embd, bias=False)\n\n",
         "        self.c_proj = nn.Linear(config.n_embd, config.n_embd, bias=False)\n"
         "        self.q_gain = nn.Parameter(torch.full((config.n_head,), q_gain))\n\n"),
        ("        q, k = norm(q), norm(k)\n",
         "        q, k = norm(q), norm(k)\n        q = q * self.q_gain.view(1, 1, -1, 1)\n"),
        ("Attention(config, layer_idx)", "Attention(config, layer_idx, 1.5)"),
    )  # fmt: skip
    dropped = edited(
        ("def __init__(self, config, layer_idx, q_gain):",
         "def __init__(self, config, layer_idx, q_gain, drop):"),
        ("Attention(config, layer_idx, 1.5)", "Attention(config, layer_idx, 1.5, 0.1)"),
        ("        return self.c_proj(y.reshape(B, T, C))",
         "        return self.drop(self.c_proj(y.reshape(B, T, C)))"),
        ("        self.q_gain = nn.P",
         "        self.drop = nn.Dropout(drop)\n        self.q_gain = nn.P"),
        source=gained,
    )  # fmt: skip
    assert [c.knob for c in changes(gained, dropped)] == ["regularization.dropout.attention"]


def test_two_attention_maps_written_out_are_one_idea():
    attend = "        y = flash_attn_func(q, k, v, causal=True, window_size=window_size)\n"
    after = edited(
        (attend, "        one = (q[..., :32] @ k[..., :32].mT).softmax(-1)\n"
         "        two = (q[..., 32:] @ k[..., 32:].mT).softmax(-1)\n"
         "        y = norm((one - self.lam * two) @ v)\n"),
        ("        self.n_head = config.n_head\n",
         "        self.n_head = config.n_head\n        self.lam = nn.Parameter(torch.ones(1))\n"),
    )  # fmt: skip
    assert [c.knob for c in changes(GPT, after)] == ["attention.differential"]

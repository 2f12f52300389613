"""Modules known by what they are made of: gates, convolutions, experts, a second attention."""

import pytest

from kg.changes import changes
from kg.config import analysis
from tests.gpt_edits import STEP, short
from tests.gpt_source import GPT, edited
from tests.test_changes_inventory import LOSS, SCALARS
from tests.test_changes_structural import ATTEND, HEADS, MLP

K = "        k = self.c_k(x).view(B, T, self.n_head, -1)\n"
RUN = "            x = block(x, self.cos, self.sin, self.windows[i])\n"
OUT = "        return self.c_proj(y.reshape(B, T, C))\n"
ROTATED = "        q, k = rotary(q, cos, sin), rotary(k, cos, sin)\n"
INIT = "            nn.init.zeros_(block.attn.c_proj.weight)\n"
SECOND = (
    "        self.c_q2 = nn.Linear(config.n_embd, config.n_embd, bias=False)\n"
    "        self.c_k2 = nn.Linear(config.n_embd, config.n_embd, bias=False)\n"
    "        self.share = nn.Parameter(torch.tensor(0.3))\n"
)
SWITCH = (
    "class Switch(nn.Module):\n    def __init__(self, config, n=4):\n        super().__init__()\n"
    "        self.choose = nn.Linear(config.n_embd, n, bias=False)\n"
    "        self.parts = nn.ModuleList([FeedForward(config) for _ in range(n)])\n\n"
    "    def forward(self, x):\n        share, pick = self.choose(x).softmax(-1).max(-1, True)\n"
    "        return sum(p(x) * share * (pick == i) for i, p in enumerate(self.parts))\n\n\n"
    "class Block(nn.Module):\n"
)
MODULES = [
    (
        [(HEADS, HEADS + "        self.k_mix = nn.Conv1d(config.n_embd, config.n_embd, 3)\n"),
         (K, K + "        k = self.k_mix(F.pad(k.flatten(2).mT, (2, 0))).mT.view_as(k)\n"),
         (INIT, INIT + "            nn.init.zeros_(block.attn.k_mix.weight)\n")],
        "attention.short_conv add none None -> True",
    ),
    (
        [(HEADS, HEADS + SECOND),
         (ATTEND, ATTEND + "        q2 = norm(rotary(self.c_q2(x).view_as(q), cos, sin))\n"
          "        k2 = norm(rotary(self.c_k2(x).view_as(k), cos, sin))\n"
          "        y = y - self.share * flash_attn_func(q2, k2, v, causal=True)\n")],
        "attention.differential add none None -> True",
    ),
    (
        [(HEADS, HEADS + "        self.c_gate = nn.Linear(config.n_embd, config.n_embd)\n"),
         (OUT, "        y = y.reshape(B, T, C) * torch.sigmoid(self.c_gate(x))\n"
          "        return self.c_proj(y)\n")],
        "attention.head_scale add none None -> True",
    ),
    (
        [(HEADS, HEADS + "        self.tap = nn.Linear(16, config.n_head)\n"),
         (ATTEND, ATTEND + "        y = y * torch.sigmoid(self.tap(x[..., :16])).unsqueeze(-1)\n")],
        "attention.head_scale add none None -> True",
    ),
    (
        [("class Block(nn.Module):\n", SWITCH), (MLP, MLP.replace("FeedForward", "Switch"))],
        "mlp.moe add none None -> 4",
    ),
    (
        [(K, K + "        k = 0.9 * k + 0.1 * torch.cat([k[:, :1], k[:, :-1]], dim=1)\n")],
        "attention.short_conv add none None -> True",
    ),
    (
        [(RUN, RUN + "            if i in (2, 3):\n    " + RUN)],
        "model.layer_loops add none None -> 2",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("pairs", "wanted"), MODULES)
def test_a_module_is_known_by_what_it_is_made_of(pairs, wanted):
    assert short(changes(GPT, edited(*pairs))) == [wanted]


def test_a_block_that_runs_in_one_of_two_cases_runs_once():
    either = RUN.replace("            x", "                x")
    after = edited((RUN, f"            if i > 2:\n{either}            else:\n{either}"))
    assert "model.layer_loops" not in [c.knob for c in changes(GPT, after)]


def test_a_part_of_one_map_taken_from_itself_is_no_second_map():
    after = edited((ATTEND, ATTEND + "        y = y - (y * v).sum(-1, keepdim=True) * v\n"))
    assert "attention.differential" not in [c.knob for c in changes(GPT, after)]


def test_a_rotation_left_out_for_the_keys_is_another_encoding():
    (change,) = changes(GPT, edited((ROTATED, "        q = rotary(q, cos, sin)\n")))
    assert (change.knob, str(change.change_type)) == ("position.encoding", "replace")


def test_a_number_that_is_learned_from_now_on_is_replaced():
    fixed = edited((ATTEND, "        q = q * 1.2\n" + ATTEND))
    learned = edited(
        (HEADS, HEADS + "        self.sharpness = nn.Parameter(torch.ones(()))\n"),
        (ATTEND, "        q = q * self.sharpness\n" + ATTEND),
    )
    (change,) = changes(fixed, learned)
    assert (change.knob, str(change.change_type)) == ("attention.temperature", "replace")


def test_another_rate_for_the_weights_of_a_module_is_no_other_module():
    before = edited(
        ("class Block(nn.Module):\n", SWITCH.replace("choose", "router")),
        (MLP, MLP.replace("FeedForward", "Switch")),
        ("        matrices = list(self.h.parameters())\n",
         "        matrices = list(self.h.parameters())\n"
         "        routers = [block.mlp.router.weight for block in self.h]\n"),
        ('            {"kind": "adamw", "params": [self.x0',
         '            dict(kind="adamw", params=routers, lr=0.01, betas=adam_betas),\n'
         '            {"kind": "adamw", "params": [self.x0'),
    )  # fmt: skip
    found = changes(before, before.replace("params=routers, lr=0.01", "params=routers, lr=0.02"))
    assert "mlp.moe" not in [c.knob for c in found]


@pytest.mark.parametrize("name", ["value_emb", "value_embeds", "ve", "value_embedding"])
def test_a_group_of_value_embeddings_has_one_name(name):
    table = f"        self.{name} = nn.Embedding(config.vocab_size, config.n_embd)\n"
    group = (
        f'            dict(kind="adamw", params=list(self.{name}.parameters()), lr=0.3,\n'
        "                 betas=adam_betas, eps=1e-10, weight_decay=0.0),\n"
    )
    start = '            {"kind": "adamw", "params": [self.x0'
    before = edited(("        self.x0_lambdas = nn", table + "        self.x0_lambdas = nn"),
                    (start, group + start))  # fmt: skip
    (change,) = changes(before, before.replace("lr=0.3,\n", "lr=0.2,\n"))
    assert (change.knob, change.old, change.new) == ("optimizer.value_embeds_lr", "0.3", "0.2")


def test_layers_that_guess_what_comes_next_are_predictive_by_any_name():
    after = edited(
        (SCALARS, "        self.hunch = nn.ModuleList(\n"
         "            nn.Linear(config.n_embd, config.n_embd) for _ in range(config.n_layer))\n"
         + SCALARS),
        ("        x0 = x\n", "        x0 = x\n        missed = 0.0\n"),
        (RUN, "            before = x\n" + RUN
         + "            missed = missed + (self.hunch[i](before) - x.detach()).square().mean()\n"),
        (LOSS, LOSS.rstrip() + " + 0.02 * missed\n"),
    )  # fmt: skip
    assert [c.knob for c in changes(GPT, after)] == ["residual.predictive_coding"]


def test_a_gradient_mixed_with_the_last_one_is_averaged_not_scaled():
    after = edited(
        (STEP, "    for p in model.parameters():\n        own = p.grad.clone()\n"
         "        if p in last:\n            p.grad.mul_(0.8).add_(last[p], alpha=0.2)\n"
         "        last[p] = own\n" + STEP),
    )  # fmt: skip
    assert [c.knob for c in changes(GPT, after)] == ["optimizer.gradient_ema"]


def test_a_linear_layer_of_one_s_own_is_not_attention():
    own = (
        "class Cast(nn.Linear):\n    def forward(self, x):\n"
        "        return F.linear(x, self.weight.to(x.dtype))\n\n\nclass Attention("
    )
    before = edited(("class Attention(", own), ("c_q = nn.Linear", "c_q = Cast"),
                    ("self.up = nn.Linear", "self.up = Cast"))  # fmt: skip
    after = before.replace("self.weight.to(x.dtype))", "self.weight.to(x.dtype), None)")
    assert "attention.structure" not in [c.knob for c in changes(before, after)]


PLAN = (
    "        x0 = x\n        if self.window_plan is not None:\n"
    "            phase = self.window_plan[min(int(progress * 3), 2)]\n"
    "            x0 = x * phase\n"
)


def test_a_schedule_of_windows_is_about_the_windows():
    after = edited(
        ("        x0 = x\n", PLAN),
        ("        self.windows = self.com", "        self.window_plan = None\n"
         "        self.windows = self.com"),
        ("idx, targets=None):", "idx, targets=None, progress=0.0):"),
    )  # fmt: skip
    assert [c.knob for c in changes(GPT, after)] == ["attention.window_sizes"]


def test_how_far_the_run_has_come_is_no_setting_of_the_model():
    handed = edited(("idx, targets=None):", "idx, targets=None, progress=0.0):"))
    found = analysis(handed)
    assert found is not None
    assert not [p.knob for p in found.configuration.places if "progress" in p.knob]

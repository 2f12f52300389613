"""Ideas in the third spelling: dropped heads, tables that share, activity that trains itself."""

import pytest

from kg.changes import changes
from tests.gpt_edits import STEP
from tests.gpt_source import GPT, edited
from tests.test_changes_structural import ATTEND, ATTN, HEADS, JOINS, LOSS

EMBED = "        x = norm(self.wte(idx))\n        x0 = x\n"
LAYERS = "            x = block(x, self.cos, self.sin, self.windows[i])\n"
PROJECTIONS = (
    "        self.c_q = nn.Linear(config.n_embd, config.n_embd, bias=False)\n"
    "        self.c_k = nn.Linear(config.n_embd, config.n_embd, bias=False)\n"
)
RATE = '        group["lr"] = group["initial_lr"] * get_lr_multiplier(progress)\n'
BASES = "        self.windows = self.compute_windows(config)\n"
TABLES = BASES + (
    "        self.short = self.rotary_tables(1024, 64)\n"
    "        self.long = self.rotary_tables(1024, 64, base=200000)\n"
)
KNOBS = [
    (
        [(ATTEND, ATTEND + "        if self.training:\n"
          "            kept = (torch.rand(B, 1, self.n_head, 1) > 0.1).to(y.dtype) / 0.9\n"
          "            y = y * kept\n"),
         (HEADS, HEADS + "        self.valve = nn.Linear(8, 8)\n")],
        "regularization.dropout.attention add",
    ),
    (
        [(EMBED, "        x = norm(self.wte(idx))\n        if self.training:\n"
          "            x = x * (torch.rand(x.size(0), x.size(1), 1, device=x.device) > 0.04)\n"
          "        x0 = x\n")],
        "regularization.dropout.embedding add",
    ),
    (
        [(ATTN, "        self.looks = layer_idx % 3 == 0\n        if self.looks:\n    " + ATTN),
         (JOINS, "        if self.looks:\n    " + JOINS)],
        "attention.every_n_layers add",
    ),
    (
        [(PROJECTIONS, PROJECTIONS.replace("bias=False", "bias=True"))],
        "attention.qkv_projection replace",
    ),
    (
        [(RATE, RATE.replace("get_lr_multiplier(progress)",
          '(share if group["kind"] == "muon" else share**0.5)'))],
        "schedule.lr_shape replace",
    ),
    (
        [(STEP, STEP + "    if progress > 0.5:\n"
          "        for a, p in zip(settled, model.parameters()):\n"
          "            a.mul_(0.99).add_(p.detach(), alpha=0.01)\n")],
        "regularization.weight_ema add",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("pairs", "wanted"), KNOBS)
def test_a_variant_has_the_knob_of_the_idea(pairs, wanted):
    (change,) = changes(GPT, edited(*pairs))
    assert f"{change.knob} {change.change_type}" == wanted


def test_a_table_of_its_own_for_some_layers_splits_the_base():
    alike = edited((BASES, TABLES.replace(", base=200000", "")))
    (change,) = changes(alike, edited((BASES, TABLES)))
    assert (change.knob, str(change.change_type)) == ("position.rope_base", "restructure")


def test_layers_that_look_into_one_table_share_it():
    own = edited(
        ("        x0 = x\n", "        x0 = x\n        tables = self.value_embeds\n"),
        (LAYERS, "            ve = self.value_embeds[str(i)](idx)\n" + LAYERS),
    )
    shared = own.replace("self.value_embeds[str(i)]", "self.value_embeds[str(i // 2)]")
    (change,) = changes(own, shared)
    assert (change.knob, str(change.change_type)) == ("embedding.value_embeds.sharing", "enable")


def test_a_feature_s_own_loss_and_norms_are_part_of_it():
    after = edited(
        (BASES, BASES + "        self.predictors = nn.ModuleList(\n"
         "            nn.Linear(config.n_embd, config.n_embd) for _ in range(config.n_layer))\n"),
        ("        x0 = x\n", "        x0 = x\n        surprise, guess = 0.0, None\n"),
        (LAYERS, LAYERS + "            if guess is not None:\n"
         "                surprise = surprise + (norm(guess) - norm(x)).pow(2).mean()\n"
         "            guess = self.predictors[i](x)\n"),
        (LOSS, LOSS.rstrip() + " + 0.05 * surprise\n"),
    )  # fmt: skip
    assert [c.knob for c in changes(GPT, after)] == ["residual.predictive_coding"]


def test_a_common_factor_taken_out_of_all_rates_is_one_record():
    factor = "        scale = (self.config.n_embd / 768) ** -0.5\n"
    (change,) = changes(GPT, edited((factor, ""), (" * scale", "")))
    assert (change.knob, str(change.change_type)) == ("optimizer.lr_scale_reference", "remove")


def test_a_term_built_on_the_activation_has_the_name_the_message_gives_it():
    after = edited(("F.relu(h).square()", "F.relu(F.relu(h) - 0.5 * h.mean(-1, True)).square()"))
    (change,) = changes(GPT, after, message="lateral inhibition between hidden units")
    assert (change.knob, str(change.change_type)) == ("mlp.sparsity", "add")


EXPERTS = (
    "class Experts(nn.Module):\n    def __init__(self, config, n=2):\n        super().__init__()\n"
    "        self.router = nn.Linear(config.n_embd, n, bias=False)\n"
    "        self.experts = nn.ModuleList([FeedForward(config) for _ in range(n)])\n\n"
    "    def forward(self, x):\n        share = self.router(x).softmax(-1)\n"
    "        return sum(share[..., i : i + 1] * e(x) for i, e in enumerate(self.experts))\n\n\n"
    "class Block(nn.Module):\n"
)


def test_a_default_of_a_feature_s_class_is_the_feature_s():
    two = edited(
        ("class Block(nn.Module):\n", EXPERTS), ("= FeedForward(config)", "= Experts(config)")
    )
    (change,) = changes(two, two.replace("n=2", "n=4"))
    assert (change.knob, str(change.change_type), change.old, change.new) == (
        "mlp.moe", "increase", "2", "4"
    )  # fmt: skip


def told(found):
    return sorted((c.knob, str(c.change_type), c.silent) for c in found)


WIDER = edited(("4 * config.n_embd", "6 * config.n_embd"))
GATED = edited((ATTEND, ATTEND + "        y = y * self.gain.view(1, 1, -1, 1)\n"),
               (HEADS, HEADS + "        self.gain = nn.Parameter(torch.ones(4))\n"))  # fmt: skip


def test_what_a_message_says_to_go_back_to_is_restored():
    found = changes(WIDER, GATED, message="back to 4x, gain of each head", history=[GPT])
    assert told(found) == [
        ("attention.head_scale", "add", False),
        ("mlp.expansion", "revert", False),
    ]


def test_a_version_put_back_without_a_word_is_a_silent_revert():
    (change,) = changes(GATED, GPT, message="cleanup", history=[WIDER, GPT])
    assert (change.knob, str(change.change_type), change.silent) == (
        "attention.head_scale", "revert", True
    )  # fmt: skip


def test_edits_beside_a_feature_are_not_tied_to_it_by_what_flows_through_both():
    heated = edited(("        q, k = norm(q), norm(k)\n",
                     "        q, k = norm(q), norm(k)\n        q = q * self.q_gain\n"))  # fmt: skip
    spread = edited((ATTEND, "        k = k.repeat_interleave(2, dim=2)\n" + ATTEND), source=heated)
    (change,) = changes(heated, spread)
    assert change.knob == "attention.structure"
    (change,) = changes(heated, spread, message="fix: repeat keys for old kernels")
    assert (change.knob, str(change.change_type)) == ("other.bugfix", "no_effect")


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("        logits = self.lm_head(x).float()\n",
         "        logits = (x @ self.wte.weight.t()).float()\n", "embedding.tying enable"),
        ("        for i, block in enumerate(self.h):\n",
         "        for i in range(8):\n            block = self.h[i % len(self.h)]\n",
         "model.layer_loops add"),
    ],
)  # fmt: skip
def test_weights_used_twice_are_shared(old, new, wanted):
    (change,) = changes(GPT, edited((old, new)))
    assert f"{change.knob} {change.change_type}" == wanted


def test_where_new_parameters_are_put_is_part_of_what_has_them():
    after = edited(
        (HEADS, HEADS + "        self.blend = nn.Parameter(torch.zeros(()))\n"),
        ("        q, k = rotary(q, cos, sin)", "        v = v + self.blend * v.mean(1, True)\n"
         "        q, k = rotary(q, cos, sin)"),
        ("            nn.init.zeros_(block.attn.c_proj.weight)\n",
         "            nn.init.zeros_(block.attn.c_proj.weight)\n"
         "            block.attn.blend.zero_()\n"),
        ("        matrices = list(self.h.parameters())\n",
         "        matrices = [p for p in self.h.parameters() if p.ndim == 2]\n"
         "        lone = [p for p in self.h.parameters() if p.ndim == 0]\n"),
        ('            dict(kind="adamw", params=[self.lm_head.weight],',
         '            dict(kind="adamw", params=lone, lr=0.01, betas=adam_betas, eps=1e-10,\n'
         "                 weight_decay=0.0),\n"
         '            dict(kind="adamw", params=[self.lm_head.weight],'),
    )  # fmt: skip
    (change,) = changes(GPT, after)
    assert change.component == "attention"


def test_a_gate_of_another_kind_is_no_gate_of_value_embeddings():
    gated = "        y = y * torch.sigmoid(self.valve(x)).unsqueeze(-1)\n"
    valve = edited((ATTEND, ATTEND + gated),
                   (HEADS, HEADS + "        self.valve = nn.Linear(8, 4)\n"))  # fmt: skip
    scaled = edited(
        (gated, "        gate_scale = self.n_head * self.valve.weight.size(0)\n"
         "        y = y * gate_scale * torch.sigmoid(self.valve(x)).unsqueeze(-1)\n"),
        source=valve,
    )  # fmt: skip
    assert {c.component for c in changes(valve, scaled)} == {"attention"}

"""Layers of several kinds, tables they share, and settings that stand where few look for them."""

import pytest

from kg.changes import changes
from tests.gpt_edits import STEP, short
from tests.gpt_source import GPT, edited
from tests.test_changes_structural import JOINS

BLOCKS = "        self.h = nn.ModuleList([Block(config, i) for i in range(config.n_layer)])\n"
MODEL = "class GPT(nn.Module):\n"
RUN = "            x = block(x, self.cos, self.sin, self.windows[i])\n"
SCALARS = "        self.x0_lambdas = nn.Par"
EMBED = "        x = norm(self.wte(idx))\n        x0 = x\n"
BARE = (
    "class MLPOnlyBlock(nn.Module):\n    def __init__(self, config):\n"
    "        super().__init__()\n        self.mlp = FeedForward(config)\n"
    "        self.has_attn = False\n\n"
    "    def forward(self, x, cos, sin, window_size):\n        return x + self.mlp(norm(x))\n\n\n"
)
PICKED = BLOCKS.replace(
    "Block(config, i) for", "Block(config, i) if i % 2 else MLPOnlyBlock(config) for"
)
APPENDED = (
    "        blocks = []\n        for i in range(config.n_layer):\n            if i % 2 == 1:\n"
    "                blocks.append(MLPOnlyBlock(config))\n            else:\n"
    "                blocks.append(Block(config, i))\n        self.h = nn.ModuleList(blocks)\n"
)
CARRY = JOINS.replace(
    "        x = x + self.attn(norm(x), cos, sin, window_size)\n",
    "        a = self.attn(norm(x), cos, sin, window_size)\n"
    "        x = x + a if last is None else x + a + 0.5 * last\n",
)
NORM = (
    "class RMSNorm(nn.Module):\n    def __init__(self, width, eps=1e-5):\n"
    "        super().__init__()\n        self.eps = eps\n"
    "        self.weight = nn.Parameter(torch.ones(width))\n\n    def forward(self, x):\n"
    "        return x * x.pow(2).mean(-1, True).add(self.eps).rsqrt() * self.weight\n\n\n"
)
LAYERS = [
    ([(MODEL, BARE + MODEL), (BLOCKS, PICKED)], "attention.every_n_layers add none None -> i % 2"),
    (
        [(MODEL, BARE + MODEL), (BLOCKS, APPENDED)],
        "attention.every_n_layers add none None -> not i % 2 == 1",
    ),
    (
        [(JOINS, CARRY), ("    def forward(self, x, cos, sin, window_size):\n        a =",
          "    def forward(self, x, cos, sin, window_size, last=None):\n        a ="),
         (CARRY + "        return x\n", CARRY + "        return x, a\n"),
         ("        for i, block", "        last = None\n        for i, block"),
         (RUN, RUN.replace("x = block(", "x, last = block(").replace("])\n", "], last)\n"))],
        "residual.attn_skip add none None -> True",
    ),
    (
        [("            nn.init.zeros_(block.attn.c_proj.weight)\n",
          "            out_std = self.config.n_embd**-0.5\n"
          "            nn.init.normal_(block.attn.c_proj.weight, std=out_std)\n")],
        "init.c_proj replace none zeros -> 1",
    ),
    (
        [("    def rotary_tables(self, length, head_dim, base=10000):\n",
          "    def rotary_tables(self, length, head_dim, base=10000):\n"
          "        head_dim = head_dim // 2\n")],
        "position.encoding replace none None -> None",
    ),
    (
        [(STEP, STEP + "    if step % 200 == 0:\n        for block in model.h:\n"
          "            w = block.mlp.up.weight.data\n"
          "            cut = w.abs().float().quantile(0.1)\n            w[w.abs() < cut] = 0\n")],
        "regularization.pruning add none None -> True",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("pairs", "wanted"), LAYERS)
def test_one_idea_about_layers_is_one_record(pairs, wanted):
    assert short(changes(GPT, edited(*pairs))) == [wanted]


def test_the_eps_of_a_norm_is_not_adam_s():
    made = "        self.windows = "
    capped = "        x = norm(x)\n        softcap"
    after = edited(
        (MODEL, NORM + MODEL),
        (made, "        self.final = RMSNorm(config.n_embd)\n" + made),
        (capped, capped.replace("norm(x)", "self.final(x)")),
    )
    assert "optimizer.adam_eps" not in [c.knob for c in changes(GPT, after)]


def test_recomputing_less_of_a_block_is_another_way_of_recomputing():
    whole = edited((RUN, RUN.replace("block(x,", "torch_checkpoint(block, x,")))
    part = edited(
        (JOINS, JOINS.replace("self.mlp(norm(x))", "torch_checkpoint(self.mlp, norm(x))"))
    )
    (change,) = changes(whole, part)
    assert change.knob == "precision.activation_checkpointing"
    assert str(change.change_type) == "replace"


ONE = SCALARS.replace("x0_lambdas = nn.Par", "value_table = nn.Embedding(config.vocab_size, 64)\n")
LOOK = EMBED + "        ve = self.value_table(idx)\n"


def test_one_table_for_all_layers_is_shared_by_any_name():
    own = edited(
        (SCALARS, "        self.value_embeds = nn.ModuleList(\n"
         "            [nn.Embedding(config.vocab_size, 64) for _ in range(config.n_layer)])\n"
         + SCALARS),
    )  # fmt: skip
    after = edited((SCALARS, ONE + SCALARS), (EMBED, LOOK))
    (change,) = changes(own, after)
    assert (change.knob, str(change.change_type)) == ("embedding.value_embeds.sharing", "enable")


def test_two_tables_for_all_layers_share_otherwise():
    two = ONE.replace(
        "value_table = nn.Embedding(config.vocab_size, 64)",
        "value_tables = nn.ModuleList([nn.Embedding(config.vocab_size, 64) for _ in range(2)])",
    )
    before = edited((SCALARS, ONE + SCALARS), (EMBED, LOOK))
    after = edited(
        (SCALARS, two + SCALARS), (EMBED, LOOK.replace("value_table(", "value_tables[0]("))
    )
    (change,) = changes(before, after)
    assert (change.knob, str(change.change_type)) == ("embedding.value_embeds.sharing", "replace")


def test_a_group_s_rate_from_another_constant_is_as_much_more_as_the_constant():
    after = edited(
        ("MATRIX_LR = 0.02\n", "MATRIX_LR = 0.02\nTABLE_LR = 0.2\n"),
        ("lr=embedding_lr * scale", "lr=TABLE_LR * scale"),
    )
    found = {c.knob: c for c in changes(GPT, after)}
    change = found["optimizer.embedding_lr"]
    assert (str(change.change_type), change.old, change.new) == ("decrease", "0.3", "0.2")


ARGUMENTS = (
    "import argparse\nparser = argparse.ArgumentParser()\n"
    'parser.add_argument("--matrix-lr", type=float, default=0.02)\nargs = parser.parse_args()\n'
    "BASE_MATRIX_LR = args.matrix_lr\nBASE_EMBEDDING_LR = 0.3\n"
)


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("default=0.02", "default=0.01", "optimizer.matrix_lr decrease muon 0.02 -> 0.01"),
        ("BASE_EMBEDDING_LR = 0.3", "BASE_EMBEDDING_LR = 0.4",
         "optimizer.embedding_lr increase adamw 0.3 -> 0.4"),
    ],
)  # fmt: skip
def test_a_default_of_the_command_line_is_the_setting(old, new, wanted):
    before = edited(
        ("EMBEDDING_LR = 0.3\nUNEMBEDDING_LR = 0.005\nMATRIX_LR = 0.02\n",
         ARGUMENTS + "UNEMBEDDING_LR = 0.005\n"),
        ("=MATRIX_LR", "=BASE_MATRIX_LR"), ("=EMBEDDING_LR", "=BASE_EMBEDDING_LR"),
    )  # fmt: skip
    assert short(changes(before, before.replace(old, new))) == [wanted]


def test_a_loop_in_a_function_that_computes_its_rate_has_a_schedule():
    flat = (
        "import math, time, torch\nimport torch.nn as nn\n\n\nclass Model(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.head = nn.Linear(8, 8)\n\n\n"
        "def main():\n    model = Model()\n"
        "    opt = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.95))\n"
        "    start = time.time()\n    while True:\n"
        "        loss = model(torch.ones(8)).sum()\n        loss.backward()\n        opt.step()\n"
    )
    curved = flat.replace(
        "    opt =", "    lr_max, lr_min = 3e-3, 3e-4\n    opt ="
    ).replace("lr=3e-3", "lr=lr_max").replace(
        "        loss =", "        t_elapsed = time.time() - start\n"
        "        lr = lr_min + 0.5 * (lr_max - lr_min) * (1 + math.cos(t_elapsed))\n"
        "        for g in opt.param_groups:\n            g['lr'] = lr\n        loss =",
    )  # fmt: skip
    assert short(changes(flat, curved)) == ["schedule.lr_shape replace adamw None -> cosine"]


def test_a_group_s_own_beta_is_compared_with_the_one_it_shared():
    rate = "[self.wte.weight], lr=embedding_lr * scale,\n                 "
    before = edited((rate + "betas=adam_betas, ", rate))
    after = edited((rate + "betas=adam_betas, ", rate + "betas=(0.9, 0.95), "))
    (change,) = changes(before, after)
    assert (change.old, change.new) == ("0.8", "0.9")


def test_a_gate_made_within_attention_scales_no_branch():
    gated = [
        ("        self.n_head = config.n_head\n", "        self.n_head = config.n_head\n"
         "        self.attn_gate = nn.Linear(12, config.n_head, bias=False)\n"),
        ("        return self.c_proj(y.resh",
         "        y = y * torch.sigmoid(self.attn_gate(x[..., :12])).unsqueeze(-1)\n"
         "        return self.c_proj(y.resh"),
        ("        matrices = list(self.h.parameters())\n",
         "        gates = [block.attn.attn_gate.weight for block in self.h]\n"
         "        own = {id(p) for p in gates}\n"
         "        matrices = [p for p in self.h.parameters() if id(p) not in own]\n"),
    ]  # fmt: skip
    assert [c.knob for c in changes(GPT, edited(*gated))] == ["attention.head_scale"]


def test_rotation_in_the_place_of_a_table_is_another_encoding():
    head, tail = GPT.index("def rotary("), GPT.index("class Attention(")
    turned = GPT[:head] + GPT[tail:]
    first, last = turned.index("    def rotary_tables("), turned.index("    def compute_windows(")
    bare = turned[:first] + turned[last:]
    before = bare.replace("        q, k = rotary(q, cos, sin), rotary(k, cos, sin)\n", "")
    before = before.replace(SCALARS, "        self.pos_emb = nn.Embedding(1024, 64)\n" + SCALARS)
    before = before.replace(
        "norm(self.wte(idx))", "norm(self.wte(idx) + self.pos_emb(torch.arange(idx.size(1))))"
    )
    (change,) = changes(before, GPT)
    assert (change.knob, str(change.change_type)) == ("position.encoding", "replace")


def test_code_of_both_cases_said_once_is_a_refactoring():
    tail = "        if targets is None:\n            return logits\n"
    twice = edited(
        ("        logits = self.lm_head(x).float()\n"
         "        logits = softcap * torch.tanh(logits / softcap)\n" + tail,
         "        if targets is None:\n            logits = self.lm_head(x).float()\n"
         "            logits = softcap * torch.tanh(logits / softcap)\n            return logits\n"
         "        logits = self.lm_head(x).float()\n"
         "        logits = softcap * torch.tanh(logits / softcap)\n"),
    )  # fmt: skip
    assert [c.knob for c in changes(twice, GPT)] == ["other.refactor"]


def test_windows_of_attention_are_not_the_system_of_that_name():
    after = edited((STEP, "    phase = min(step // 100, 2)\n    model.phase = phase\n" + STEP))
    found = changes(GPT, after, message="wider attention windows as training goes on")
    assert "other.environment" not in [c.knob for c in found]

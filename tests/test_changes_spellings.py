"""Features in the spellings people use: each is one change, under the knob a reader would name."""

import pytest

from kg.changes import changes
from tests.gpt_edits import STEP, short
from tests.gpt_source import GPT, edited

LOSS = "        return F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))\n"
LAYERS = "            x = block(x, self.cos, self.sin, self.windows[i])\n"
FORWARD = "        q = self.c_q(x).view(B, T, self.n_head, -1)\n"
KEYS = "        k = self.c_k(x).view(B, T, self.n_head, -1)\n"
NORMED = "        q, k = norm(q), norm(k)\n"
LENGTHS = "        q = q / (q.norm(dim=-1, keepdim=True) + 1e-6)\n" + (
    "        k = k / (k.norm(dim=-1, keepdim=True) + 1e-6)\n"
)
UPDATE = "class MuonAdamW(torch.optim.Optimizer):\n    def step(self):\n"
SPELLINGS = [
    (
        [(NORMED, LENGTHS)],
        "attention.qk_norm replace none after rotation norm -> after rotation l2",
    ),
    (
        [(FORWARD, FORWARD.replace("q =", "q_in =")),
         (KEYS, KEYS.replace("k =", "k_in =")
          + "        q, k = q_in, k_in\n        q = q_in + 0.3 * k_in\n")],
        "attention.qk_mixing add none None -> q_in + 0.3 * k_in",
    ),
    (
        [(UPDATE, UPDATE + "        decay = 0.9\n        for p in self.everything:\n"
          "            state = self.state[p]\n"
          "            state['grad_ema'].mul_(decay).add_(p.grad, alpha=1 - decay)\n"
          "            p.grad.copy_(state['grad_ema'])\n")],
        "optimizer.gradient_ema add both None -> 0.9",
    ),
    (
        [(LOSS, "        heat = 0.7\n        hot_logits = logits / heat\n"
          + LOSS.replace("logits", "hot_logits"))],
        "head.logit_temperature add none None -> 0.7",
    ),
    (
        [(LOSS, "        warm = getattr(self, 'seen', 0.0)\n        heat = 1.3 - 0.3 * warm\n"
          "        hot_logits = logits / heat\n" + LOSS.replace("logits", "hot_logits")),
         (STEP, "    model.seen = progress\n" + STEP)],
        "head.logit_temperature add none None -> 1.3 - 0.3 * warm",
    ),
    (
        [("        x0 = x\n", "        x0 = x\n        aux_loss = 0.0\n"),
         (LAYERS, LAYERS + "            if i == 2:\n"
          "                early = self.lm_head(norm(x)).float()\n"
          "                aux_loss = 0.2 * F.cross_entropy(early, targets)\n"),
         (LOSS, LOSS.rstrip() + " + aux_loss\n")],
        "loss.auxiliary add none None -> 0.2",
    ),
    (
        [("SCALAR_LR = 0.4\n", "SCALAR_LR = 0.4\nSKETCH_SHARE = 0.03\n"),
         ("        self.lm_head = nn.Linear(",
          "        self.sketch = nn.Linear(config.n_embd, config.n_embd)\n"
          "        self.lm_head = nn.Linear("),
         (LOSS, LOSS.replace("return", "loss =")
          + "        guess = F.normalize(self.sketch(x), dim=-1)\n"
          "        loss = loss + SKETCH_SHARE * (1 - (guess * self.wte(targets)).sum(-1).mean())\n"
          "        return loss\n")],
        "loss.auxiliary add none None -> 0.03",
    ),
    (
        [("class Block(nn.Module):\n",
          "class MoE(nn.Module):\n    def __init__(self, config):\n        super().__init__()\n"
          "        self.router = nn.Linear(config.n_embd, N_EXPERTS, bias=False)\n"
          "        self.experts = nn.ModuleList(FeedForward(config) for _ in range(N_EXPERTS))\n\n"
          "    def forward(self, x):\n        gates, chosen = self.router(x).softmax(-1).topk(2)\n"
          "        return sum(e(x) for e in self.experts) * gates.sum(-1, keepdim=True)\n\n\n"
          "class Block(nn.Module):\n"),
         ("ADAM_BETAS =", "N_EXPERTS = 4\nADAM_BETAS ="),
         ("self.mlp = FeedForward(config)", "self.mlp = MoE(config)"),
         ("            nn.init.zeros_(block.attn.c_proj.weight)\n",
          "            nn.init.zeros_(block.attn.c_proj.weight)\n"
          "            nn.init.normal_(block.mlp.router.weight, std=0.01)\n")],
        "mlp.moe add none None -> 4",
    ),
    (
        [("        self.c_proj = nn.Linear(config.n_embd, config.n_embd, bias=False)\n\n"
          "    def forward(self, x, cos",
          "        self.c_proj = nn.Linear(config.n_embd, config.n_embd, bias=False)\n"
          "        self.conv_k = nn.Conv1d(config.n_embd, config.n_embd, 4, groups=config.n_embd)\n"
          "\n    def forward(self, x, cos"),
         (KEYS, "        k = self.conv_k(self.c_k(x).mT)[..., :T].mT\n"
          + KEYS.replace("self.c_k(x)", "k")),
         ("        matrices = list(self.h.parameters())\n",
          "        matrices = [p for p in self.h.parameters() if p.ndim == 2]\n"
          "        others = [p for p in self.h.parameters() if p.ndim != 2]\n"),
         ("        return MuonAdamW(groups)\n",
          "        groups.append(dict(kind='adamw', params=others, lr=matrix_lr * scale,\n"
          "                           betas=adam_betas, eps=1e-10, weight_decay=0.0))\n"
          "        return MuonAdamW(groups)\n")],
        "attention.short_conv add none None -> True",
    ),
    (
        [("        x = x + self.attn(norm(x), cos",
          "        if self.training:\n"
          "            drop_prob = 0.1 * self.layer_idx / self.n_layers\n"
          "            if torch.rand(1).item() < drop_prob:\n                return x\n"
          "        x = x + self.attn(norm(x), cos"),
         ("        self.lm_head = nn.Linear(",
          "        for i, block in enumerate(self.h):\n            block.layer_idx = i\n"
          "            block.n_layers = config.n_layer\n        self.lm_head = nn.Linear(")],
        "regularization.stochastic_depth add none None -> 0.1",
    ),
    (
        [("    def forward(self, x):\n        h = self.up(x)\n",
          "    def forward(self, x, rate=0.0):\n        h = F.dropout(self.up(x), p=rate)\n"),
         ("    def forward(self, x, cos, sin, window_size):\n        x = x + self.attn",
          "    def forward(self, x, cos, sin, window_size, rate):\n        x = x + self.attn"),
         ("self.mlp(norm(x))", "self.mlp(norm(x), rate)"),
         ("    def forward(self, idx, targets=None):\n",
          "    def forward(self, idx, targets=None, done=0.0):\n"),
         (LAYERS, LAYERS.replace("[i])", "[i], 0.2 * (1 - done))")),
         ("loss = model(x, y)", "loss = model(x, y, done=progress)")],
        "regularization.dropout.mlp add none None -> 0.0",
    ),
    (
        [("        return self.c_proj(y.reshape(B, T, C))\n",
          "        y = self.c_proj(y.reshape(B, T, C))\n        y = y + 0.2 * x\n"
          "        return y\n")],
        "residual.attn_skip add none None -> 0.2",
    ),
    (
        [("        q, k = rotary(q, cos, sin), rotary(k, cos, sin)\n", ""),
         ("        self.h = nn.ModuleList",
          "        self.wpe = nn.Embedding(config.sequence_len, config.n_embd)\n"
          "        self.h = nn.ModuleList"),
         ("        x = norm(self.wte(idx))\n",
          "        x = norm(self.wte(idx) + self.wpe(torch.arange(idx.size(1))))\n")],
        "position.encoding replace none rope -> absolute",
    ),
    (
        [("        s = 3**0.5 * self.config.n_embd**-0.5\n",
          "        std = 0.02 / self.config.n_layer**0.5\n"),
         *((f"nn.init.uniform_(block.attn.c_{part}.weight, -s, s)",
            f"nn.init.normal_(block.attn.c_{part}.weight, mean=0.0, std=std)")
           for part in "qkv")],
        "init.distribution replace none uniform -> normal",
    ),
    (
        [("betas=adam_betas, eps=1e-10, weight_decay=0.0),\n            dict(kind=\"adamw\", "
          "params=[self.wte.weight], lr=embedding_lr * scale,\n                 betas=adam_betas",
          "betas=(0.7, adam_betas[1]), eps=1e-10, weight_decay=0.0),\n            "
          "dict(kind=\"adamw\", params=[self.wte.weight], lr=embedding_lr * scale,\n"
          "                 betas=(0.7, adam_betas[1])")],
        "optimizer.adam_beta1 restructure adamw 0.8 -> 0.7",
    ),
    (
        [("        softcap = 15\n", "        progress = getattr(self, 'progress', 0.0)\n"
          "        softcap = 30.0 - 20.0 * progress\n"),
         (STEP, "    model.progress = progress\n" + STEP)],
        "head.softcap replace none 15 -> 30.0 - 20.0 * progress",
    ),
    (
        [("        h = F.relu(h).square()\n",
          "        h = F.relu(h).square()\n        biased = h * (0.1 / self.firing_ema)\n"
          "        mask = biased >= biased.mean(-1, keepdim=True)\n"
          "        self.firing_ema.lerp_(mask.float().mean((0, 1)), HOMEOSTASIS_RATE)\n"
          "        h = h * mask\n"),
         ("ADAM_BETAS =", "HOMEOSTASIS_RATE = 0.05\nADAM_BETAS =")],
        "mlp.homeostatic_plasticity add none None -> 0.05",
    ),
    (
        [("    loss.backward()\n",
          "    curr_accum = max(1, int(8 * min(1, 0.5 + progress)))\n"
          "    for _ in range(curr_accum):\n        (loss / curr_accum).backward()\n")],
        "schedule.grad_accum replace none None -> True",
    ),
    (
        [("total_time = 0\n", "total_time = 0\nmetrics_file = open('m.jsonl', 'w')\n"),
         ("    if step > 10:\n",
          "    metrics_file.write(json.dumps({'step': step}))\n    if step > 10:\n"),
         ('print(f"loss: {loss}")\n', 'metrics_file.close()\nprint(f"loss: {loss}")\n')],
        "evaluation.logging add none None -> None",
    ),
    (
        [("    optimizer.step()\n", "    shrink = 0.9999 ** step\n"
          "    for group in optimizer.param_groups:\n        group['lr'] *= shrink\n"
          "    optimizer.step()\n")],
        "schedule.lr_shape replace both None -> None",
    ),
]  # fmt: skip


def test_the_weight_of_an_added_term_is_its_knob_whatever_its_name():
    added = [(LOSS, LOSS.replace("return", "loss =") + "        return loss + SHARE * x.norm()\n")]
    source = edited(("SCALAR_LR = 0.4\n", "SCALAR_LR = 0.4\nSHARE = 0.05\n"), *added)
    after = edited(("SHARE = 0.05", "SHARE = 0.01"), source=source)
    assert short(changes(source, after)) == ["loss.auxiliary decrease none 0.05 -> 0.01"]


PER_LAYER = [
    ("        self.windows = self.compute_windows(config)\n",
     "        self.windows = self.compute_windows(config)\n"
     "        for i in range(config.n_layer):\n"
     "            own = 10000 * 5 ** (i / config.n_layer)\n"
     "            cos, sin = self.rotary_tables(config.sequence_len, 64, base=own)\n"
     "            self.register_buffer(f'cos_{i}', cos)\n"
     "            self.register_buffer(f'sin_{i}', sin)\n"),
    (LAYERS, "            cos, sin = getattr(self, f'cos_{i}'), getattr(self, f'sin_{i}')\n"
     + LAYERS.replace("self.cos, self.sin", "cos, sin")),
]  # fmt: skip


def test_a_base_of_its_own_for_each_layer_splits_the_base_and_is_nothing_else():
    found = changes(GPT, edited(*PER_LAYER))
    assert [(c.knob, str(c.change_type)) for c in found] == [("position.rope_base", "restructure")]


@pytest.mark.parametrize(("pairs", "wanted"), SPELLINGS)
def test_a_feature_is_told_in_each_spelling(pairs, wanted):
    assert short(changes(GPT, edited(*pairs))) == [wanted]

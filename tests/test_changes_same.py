"""Edits that change no program, or a feature's spelling only; and which number is a feature's."""

import pytest

from kg.changes import changes
from tests.gpt_edits import STEP, short
from tests.gpt_source import GPT, edited

TRUNK = "    def forward(self, idx, targets=None):\n        x = norm(self.wte(idx))\n"
ENDS = "        x = norm(x)\n        softcap = 15\n"
RATE = '        group["lr"] = group["initial_lr"] * get_lr_multiplier(progress)\n'
LOG = RATE.replace("get_lr_multiplier(progress)", "lrm")
SKIPS = edited(
    ("        self.x0_lambdas = nn.Par", "        self.half = config.n_layer // 2\n"
     "        self.skip_weights = nn.Parameter(torch.ones(8))\n        self.x0_lambdas = nn.Par"),
    ("        x0 = x\n", "        x0, skips = x, []\n"),
    ("            x = block(x, self.cos, self.sin, self.windows[i])\n",
     "            if i >= self.half:\n"
     "                x = x + self.skip_weights[i - self.half] * skips.pop()\n"
     "            x = block(x, self.cos, self.sin, self.windows[i])\n"
     "            skips.append(x)\n"),
)  # fmt: skip


def test_a_forward_pass_cut_in_two_is_a_refactoring():
    after = edited(
        (TRUNK, "    def trunk(self, idx):\n        x = norm(self.wte(idx))\n"),
        (ENDS, "        return norm(x)\n\n    def forward(self, idx, targets=None):\n"
         "        x = self.trunk(idx)\n        softcap = 15\n"),
    )  # fmt: skip
    found = changes(GPT, after, message="refactor: the trunk apart from the head")
    assert short(found) == ["other.refactor no_effect none None -> None"]


def test_a_local_renamed_where_the_log_still_says_its_old_name_is_a_refactoring():
    report = '    print(f"lrm: {lrm:.2f}")\n'
    before = edited((RATE, LOG), (STEP, STEP + report))
    before = before.replace(
        "    progress =", "    lrm = get_lr_multiplier(total_time)\n    progress ="
    )
    after = before.replace("lrm =", "factor =").replace("* lrm", "* factor")
    after = after.replace("{lrm:", "{factor:")
    assert short(changes(before, after)) == ["other.refactor no_effect none None -> None"]


def test_an_index_that_gets_a_name_is_the_same_feature():
    after = SKIPS.replace(
        "                x = x + self.skip_weights[i - self.half]",
        "                place = i - self.half\n                x = x + self.skip_weights[place]",
    )
    assert short(changes(SKIPS, after)) == ["other.refactor no_effect none None -> None"]


@pytest.mark.parametrize(
    ("constants", "update", "wanted"),
    [
        ("PRUNE_EVERY = 150\nPRUNE_FRAC = 0.03\n",
         "    if step % PRUNE_EVERY == 0:\n        for p in model.h.parameters():\n"
         "            low = p.abs().flatten().quantile(PRUNE_FRAC)\n"
         "            p.data.masked_fill_(p.abs() <= low, 0.0)\n",
         "regularization.pruning add none None -> 0.03"),
        ("NOISE_SIGMA = 0.02\n",
         "    spread = NOISE_SIGMA / (1 + step) ** 0.55\n    for p in model.parameters():\n"
         "        p.grad.add_(torch.randn_like(p.grad), alpha=spread)\n",
         "regularization.gradient_noise add both None -> 0.02"),
    ],
)  # fmt: skip
def test_of_a_feature_s_constants_the_one_that_says_how_much_is_its_value(
    constants, update, wanted
):
    after = edited(("DEPTH = 6  ", constants + "DEPTH = 6  "), (STEP, update + STEP))
    assert short(changes(GPT, after)) == [wanted]


NAMED_APART = [
    (
        [("        self.mlp = FeedForward(config)\n", "        self.mlp = FeedForward(config)\n"
          "        self.res_scale = (2 * config.n_layer) ** -0.5\n"),
         ("x + self.attn(", "x + self.res_scale * self.attn("),
         ("x + self.mlp(", "x + self.res_scale * self.mlp(")],
        "residual.branch_scale add",
    ),
    (
        [(RATE, '        lrm = get_lr_multiplier(progress)\n'
          '        lrm = lrm * min(1.0, (step + 1) / 40)\n'
          '        group["lr"] = group["initial_lr"] * lrm\n')],
        "schedule.lr_shape replace",
    ),
    (
        [(STEP, STEP + "    ring = [*ring, [p.clone() for p in model.parameters()]][-20:]\n"),
         ('print(f"loss', "for i, p in enumerate(model.parameters()):\n"
          "    p.data.copy_(torch.stack([old[i] for old in ring]).mean(0))\n"
          'print(f"loss')],
        "regularization.weight_ema add",
    ),
    (
        [("        return F.cross_entropy(", "        targets = targets.clone()\n"
          "        targets[:, :16] = -100\n        return F.cross_entropy(")],
        "loss.function replace",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("pairs", "wanted"), NAMED_APART)
def test_an_idea_without_a_word_for_it_in_the_code_has_its_knob(pairs, wanted):
    (change,) = changes(GPT, edited(*pairs))
    assert f"{change.knob} {change.change_type}" == wanted


def test_the_bias_of_a_head_starts_at_zero_and_its_weights_as_before():
    after = edited(
        ("self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)",
         "self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=True)"),
        ("        for block in self.h:\n            nn.init.uniform_(block.attn.c_q",
         "        nn.init.zeros_(self.lm_head.bias)\n"
         "        for block in self.h:\n            nn.init.uniform_(block.attn.c_q"),
    )  # fmt: skip
    assert "init.lm_head_std" not in [c.knob for c in changes(GPT, after)]


def test_a_value_that_becomes_a_field_of_the_configuration_is_a_refactoring():
    field = "    n_embd: int = 256\n"
    moved = (field, field + "    softcap: float = 15.0\n")
    kept = edited(moved, ("        softcap = 15\n", "        softcap = self.config.softcap\n"))
    assert short(changes(GPT, kept)) == ["other.refactor no_effect none None -> None"]
    other = kept.replace("softcap: float = 15.0", "softcap: float = 20.0")
    assert short(changes(GPT, other)) == ["head.softcap increase none 15 -> 20.0"]

"""Edits that change no program, or a feature's spelling only; and which number is a feature's."""

import pytest

from kg.changes import changes
from tests.gpt_source import GPT, edited
from tests.test_changes import STEP, short

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

"""Features in the spellings people use: each is one change, under the knob a reader would name."""

import pytest

from kg.changes import changes
from tests.gpt_source import GPT, edited
from tests.test_changes import STEP, short

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
          "                aux_loss = 0.2 * F.cross_entropy(early.flatten(0, 1), targets.view(-1))\n"),
         (LOSS, LOSS.rstrip() + " + aux_loss\n")],
        "loss.auxiliary add none None -> 0.2",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("pairs", "wanted"), SPELLINGS)
def test_a_feature_is_told_in_each_spelling(pairs, wanted):
    assert short(changes(GPT, edited(*pairs))) == [wanted]

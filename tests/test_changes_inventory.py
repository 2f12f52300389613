"""Knobs that people set by a few lines of their own: told by name, put in and taken out."""

import pytest

from kg.changes import changes
from tests.gpt_edits import STEP
from tests.gpt_source import GPT, edited

HEAD = "        self.n_head = config.n_head\n"
ATTEND = "        y = flash_attn_func(q, k, v, causal=True, window_size=window_size)\n"
BATCH = "    x, y = next(loader)\n"
START = "total_time = 0\n"
EMBED = "        x = norm(self.wte(idx))\n"
SCALARS = "        self.x0_lambdas = nn.Par"
LOSS = "        return F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))\n"
KNOBS = [
    (
        "attention.head_scale None",
        [(HEAD, HEAD + "        self.gain = nn.Parameter(torch.ones(config.n_head))\n"),
         (ATTEND, ATTEND + "        y = y * self.gain.view(1, 1, -1, 1)\n")],
    ),
    (
        "data.seq_len_curriculum 512",
        [(BATCH, BATCH + "    if total_time < 60:\n        x, y = x[:, :512], y[:, :512]\n")],
    ),
    (
        "optimizer.gradient_ema None",
        [(STEP, "    for n, p in model.named_parameters():\n"
          "        slow[n] = 0.9 * slow.get(n, p.grad) + 0.1 * p.grad\n"
          "        p.grad = p.grad + 2.0 * slow[n]\n" + STEP)],
    ),
    (
        "optimizer.gradient_scaling None",
        [(STEP, "    for i, block in enumerate(model.h):\n"
          "        for p in block.parameters():\n            p.grad *= 0.9 ** i\n" + STEP)],
    ),
    (
        "regularization.gradient_noise 0.01",
        [(STEP, "    sigma = 0.01\n    for p in model.parameters():\n"
          "        p.grad += sigma * torch.randn_like(p.grad)\n" + STEP)],
    ),
    (
        "regularization.pruning None",
        [(STEP, STEP + "    if step % 100 == 0:\n        for p in model.h.parameters():\n"
          "            p.data.mul_(p.abs() > p.abs().quantile(0.05))\n")],
    ),
    (
        "regularization.weight_ema 0.001",
        [(START, "shadow = [p.detach().clone() for p in model.parameters()]\n" + START),
         (STEP, STEP + "    for s, p in zip(shadow, model.parameters()):\n"
          "        s.lerp_(p, 0.001)\n")],
    ),
    (
        "position.absolute None",
        [(SCALARS, "        self.positions = nn.Parameter(torch.zeros(1024, config.n_embd))\n"
          + SCALARS),
         (EMBED, "        x = norm(self.wte(idx) + self.positions[: idx.size(1)])\n")],
    ),
    (
        "regularization.dropout.embedding 0.1",
        [(EMBED, "        x = F.dropout(norm(self.wte(idx)), p=0.1, training=self.training)\n")],
    ),
    (
        "loss.z_loss 1e-4",
        [("ADAM_BETAS =", "Z_COEF = 1e-4\nADAM_BETAS ="),
         (LOSS, LOSS.replace("return", "loss =") + "        lse = logits.logsumexp(-1)\n"
          "        return loss + Z_COEF * (lse ** 2).mean()\n")],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "pairs"), KNOBS)
def test_a_knob_set_by_hand_is_told_by_its_name(wanted, pairs):
    knob, _, value = wanted.partition(" ")
    after = edited(*pairs)
    (put_in,) = changes(GPT, after)
    (taken_out,) = changes(after, GPT)
    assert (put_in.knob, str(put_in.change_type)) == (knob, "add")
    assert (taken_out.knob, str(taken_out.change_type)) == (knob, "remove")
    if value != "None":
        assert (put_in.new is None, float(put_in.new)) == (False, float(value))


CLIP = "    nn.utils.clip_grad_norm_(model.parameters(), 1.0)\n"


def test_limits_of_their_own_for_two_kinds_of_parameters_split_the_limit():
    before = edited((STEP, CLIP + STEP))
    parts = CLIP.replace("model.", "model.wte.").replace("1.0", "1.5") + CLIP.replace("1.0", "0.5")
    (change,) = changes(before, edited((STEP, parts + STEP)))
    assert (change.knob, str(change.change_type)) == ("optimizer.grad_clip", "restructure")


TABLE = """
class AdamW:
    def __init__(self, model, matrix_lr, embedding_lr):
        self.table = {}
        for path, value in flat(model.parameters()):
            if "blocks" in path:
                self.table[path] = {"lr": matrix_lr, "eps": 1e-10, "weight_decay": 0.1}
            elif "wte" in path:
                self.table[path] = {"lr": embedding_lr, "eps": 1e-10, "weight_decay": 0.0}
            else:
                self.table[path] = {"lr": embedding_lr, "eps": 1e-10, "weight_decay": 0.0}


optimizer = AdamW(model, matrix_lr=0.02, embedding_lr=0.3)
"""


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("1e-10", "1e-8", "optimizer.adam_eps increase adamw"),
        ('"weight_decay": 0.1', '"weight_decay": 0.3',
         "regularization.weight_decay.matrix increase adamw"),
    ],
)  # fmt: skip
def test_settings_looked_up_by_path_are_those_of_groups(old, new, wanted):
    (change,) = changes(TABLE, TABLE.replace(old, new))
    assert f"{change.knob} {change.change_type} {change.optimizer_scope}" == wanted
